package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/nightwatch-go/nightwatch/internal/toolmod"
)

// Binaries are the paths of the programs of a control plane. They are shared by every process that asks for them:
// nothing may write to them.
type Binaries struct {
	Etcd              string
	APIServer         string
	ControllerManager string
	Scheduler         string
	KWOK              string
	// Kubelet is empty unless it was asked for.
	Kubelet string

	// kwokStages is the folder of the stages that KWOK's own module ships.
	kwokStages string
}

// lockPoll is how often a process that waits for another one's build looks whether it is done.
const lockPoll = 250 * time.Millisecond

// Build returns the programs of the control plane, and compiles them if no earlier call has. They are kept in
// $NIGHTWATCH_KUBE_CACHE, by default the folder nightwatch/kube of [os.UserCacheDir], under the hash of what they are
// built from. It is safe to call from several processes at once: one builds, the others wait for it.
//
// With empty caches it takes minutes and needs the Go module proxy. Progress goes to log, which may be nil. On an error
// or when ctx ends there is nothing in the cache, and the next call starts over with what the Go build cache kept.
func Build(ctx context.Context, log io.Writer) (Binaries, error) {
	if log == nil {
		log = io.Discard
	}
	module, err := toolmod.Dir("kube")
	if err != nil {
		return Binaries{}, err
	}
	dir, err := cacheDir(module)
	if err != nil {
		return Binaries{}, err
	}
	// The folder gets its name when it is complete, so that it is there means that it can be used.
	if _, err := os.Stat(dir); err == nil {
		return binariesIn(dir), nil
	}

	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Binaries{}, fmt.Errorf("build control plane: %w", err)
	}
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return Binaries{}, fmt.Errorf("build control plane: wait for another build: %w", err)
	}
	defer lock.Close()
	if _, err := os.Stat(dir); err == nil {
		return binariesIn(dir), nil // another process built it while this one waited
	}

	if err := buildInto(ctx, module, dir, log); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // rather than how the go tool took its interruption
		}
		return Binaries{}, fmt.Errorf("build control plane: %w", err)
	}
	return binariesIn(dir), nil
}

// buildInto compiles in a folder beside dir and renames it to dir. The caller holds the lock of dir.
func buildInto(ctx context.Context, module, dir string, log io.Writer) error {
	// What is there was left by a build that was killed: whoever builds holds the lock, and that is this process.
	stale, err := filepath.Glob(dir + ".tmp-*")
	if err != nil {
		return err
	}
	for _, path := range stale {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)

	version, err := goList(ctx, module, log, "{{.Version}}", kubernetesModule)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "kubetest: building Kubernetes %s into %s; the first time takes minutes\n", version, dir)
	began := time.Now()
	args := append([]string{"build"}, buildFlags(version)...)
	args = append(args, "-o", tmp+string(filepath.Separator))
	cmd := goCommand(ctx, module, append(args, packages...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// The go tool does not remove its work folder when it is killed: it gets one that goes with tmp.
	work := filepath.Join(tmp, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "GOTMPDIR="+work)
	if err := runChild(cmd); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := copyStages(ctx, module, filepath.Join(tmp, stagesDir), log); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	fmt.Fprintf(log, "kubetest: built in %s\n", time.Since(began).Round(time.Second))
	return nil
}

// goCommand is the go tool in the nested module.
func goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = toolmod.Environment()
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// goList returns one line of `go list -m`.
func goList(ctx context.Context, module string, log io.Writer, format, path string) (string, error) {
	var out strings.Builder
	cmd := goCommand(ctx, module, "list", "-m", "-f", format, path)
	cmd.Stdout, cmd.Stderr = &out, log
	if err := runChild(cmd); err != nil {
		return "", fmt.Errorf("go list %s: %w", path, err)
	}
	line := strings.TrimSpace(out.String())
	if line == "" {
		return "", errors.New("go list " + path + ": nothing found")
	}
	return line, nil
}

// binariesIn names the programs as `go build -o folder/` does, by the last element of the package's path; for etcd that
// is the one before its major version.
func binariesIn(dir string) Binaries {
	exe := func(name string) string {
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		return filepath.Join(dir, name)
	}
	return Binaries{
		Etcd:              exe("server"),
		APIServer:         exe("kube-apiserver"),
		ControllerManager: exe("kube-controller-manager"),
		Scheduler:         exe("kube-scheduler"),
		KWOK:              exe("kwok"),
		kwokStages:        filepath.Join(dir, stagesDir),
	}
}
