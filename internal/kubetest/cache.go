package kubetest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/nightwatch-go/nightwatch/internal/toolmod"
)

const (
	// cacheEnv names the folder that holds one folder of binaries for each hash.
	cacheEnv = "NIGHTWATCH_KUBE_CACHE"

	kubernetesModule = "k8s.io/kubernetes"
	kwokModule       = "sigs.k8s.io/kwok"
)

// packages are the commands that make up the control plane, each a tool of the nested module.
var packages = []string{
	"go.etcd.io/etcd/server/v3",
	"k8s.io/kubernetes/cmd/kube-apiserver",
	"k8s.io/kubernetes/cmd/kube-controller-manager",
	"k8s.io/kubernetes/cmd/kube-scheduler",
	"sigs.k8s.io/kwok/cmd/kwok",
}

// buildFlags are the same for every build of a version: other flags would compile everything anew. Without the version
// the API server would call itself v0.0.0, which clients and its own compatibility rules refuse.
func buildFlags(version string) []string {
	major, minor := "", ""
	if parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3); len(parts) == 3 {
		major, minor = parts[0], parts[1]
	}
	var link strings.Builder
	link.WriteString("-s -w")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, set := range []string{
			"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor,
			"gitTreeState=clean", "gitCommit=unknown", "buildDate=1970-01-01T00:00:00Z",
		} {
			link.WriteString(" -X " + pkg + "." + set)
		}
	}
	return []string{"-trimpath", "-buildvcs=false", "-ldflags", link.String()}
}

// cacheDir is where the binaries of the nested module belong. The folder need not exist. The version is in go.mod, and so
// in the hash.
func cacheDir(module string) (string, error) {
	return toolmod.CacheDir(module, cacheEnv, buildFlags(""), packages, kwokStages)
}

// stagesDir is the folder of KWOK's own stages beside the binaries.
const stagesDir = "stages"

// kwokStages are the stages of KWOK's module that a cluster uses, by their path under its kustomize/stage. They are
// kept with the binaries, so that a cluster starts without the module cache.
var kwokStages = []string{
	"node/fast/node-initialize.yaml",
	"node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
	"pod/fast/pod-ready.yaml",
}

// copyStages copies them out of the module cache, where the build has just put the module.
func copyStages(ctx context.Context, module, to string, log io.Writer) error {
	from, err := goList(ctx, module, log, "{{.Dir}}", kwokModule)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for _, name := range kwokStages {
		content, err := os.ReadFile(filepath.Join(from, "kustomize", "stage", filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
