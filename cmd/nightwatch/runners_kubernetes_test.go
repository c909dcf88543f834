package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
)

func TestKubeContexts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(`
apiVersion: v1
kind: Config
current-context: prod-eu
clusters: [{name: c, cluster: {server: "https://k8s.example:6443"}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: prod-eu, context: {cluster: c, user: u}}
- {name: "arn:aws:eks:eu-west-1:1:cluster/prod", context: {cluster: c, user: u}}
- {name: "of two words", context: {cluster: c, user: u}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		text, name string
		labels     map[string]string
		fault      string
	}{
		{text: "", name: "prod-eu"},
		{text: "prod-eu,region=eu,tier=gold", name: "prod-eu", labels: map[string]string{"region": "eu", "tier": "gold"}},
		{text: "eu=prod-eu,region=", name: "eu", labels: map[string]string{"region": ""}},
		{text: "arn:aws:eks:eu-west-1:1:cluster/prod", name: "arn:aws:eks:eu-west-1:1:cluster/prod"},
		{text: "eks=arn:aws:eks:eu-west-1:1:cluster/prod", name: "eks"},
		{text: ",region=eu", name: "prod-eu", labels: map[string]string{"region": "eu"}},
		{text: "main=", name: "main"},
		{text: "two=of two words", name: "two"},
		{text: "of two words", fault: `"of two words": want letters`},
		{text: "other", fault: `no context "other"`},
		{text: "prod-eu,region", fault: `"region": want LABEL=VALUE`},
		{text: "prod-eu,a=1,a=2", fault: `"a=2": want LABEL=VALUE after the first comma, each label once`},
		{text: "prod-eu,a=b c", fault: `"b c" is not a label value`},
		{text: "in-cluster", fault: "not inside a cluster"},
	} {
		k := kube{kubeconfig: file}
		cluster, err := k.load(row.text)
		switch {
		case row.fault != "":
			if err == nil || !strings.Contains(err.Error(), row.fault) {
				t.Errorf("%q: error %v, want %q", row.text, err, row.fault)
			}
		case err != nil:
			t.Errorf("%q: %v", row.text, err)
		case cluster.Name != row.name || !maps.Equal(cluster.Labels, row.labels):
			t.Errorf("%q: %s %v", row.text, cluster.Name, cluster.Labels)
		}
	}

	// Several: each flag one, and an environment variable all.
	for _, contexts := range [][]string{{"a=prod-eu,region=eu", "b="}, {"a=prod-eu,region=eu;b="}} {
		k := kube{kubeconfig: file, contexts: contexts, qps: 1, burst: 1}
		_, clusters, err := k.build(hclog.NewNullLogger())
		if want := "context a, https://k8s.example:6443; context b, https://k8s.example:6443"; err != nil || clusters != want {
			t.Errorf("%q: %q, %v", contexts, clusters, err)
		}
	}
	k := kube{kubeconfig: file, contexts: []string{"prod-eu", "prod-eu"}, qps: 1, burst: 1}
	if _, _, err := k.build(hclog.NewNullLogger()); err == nil || !strings.Contains(err.Error(), "is there twice") {
		t.Errorf("the same twice: %v", err)
	}
}

func TestKubeContextsInSettings(t *testing.T) {
	file := writeSettings(t, "kube-context: [\"a,region=eu\", b]\n")
	var s nodeSettings
	cmd := &cobra.Command{Use: "node"}
	s.flags(cmd)
	if err := applySettings(cmd, file); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.run.kube.contexts, " "); got != "a,region=eu b" {
		t.Errorf("contexts %q", got)
	}
}
