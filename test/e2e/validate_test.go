package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// validateOnServer runs "validate --server" on tasks and returns what it prints, and its exit code.
func validateOnServer(t *testing.T, kubeconfig, tasks string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tasks.yaml")
	if err := os.WriteFile(file, []byte(tasks), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"validate", "--server", "--kubeconfig", kubeconfig, "-f", file}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), file, "tasks.yaml"), errs.String(), cmd.ProcessState.ExitCode()
}

// What the API server would say of each of a file's Jobs, beside the tasks that make none.
func TestValidateOnTheAPIServer(t *testing.T) {
	cluster, client := kube(t)
	namespace := cluster.Namespace(t)
	stdout, stderr, code := validateOnServer(t, cluster.Kubeconfig, fmt.Sprintf(`
name: script
process: {command: ["true"]}
---
name: good
namespace: %[1]s
image: busybox
---
name: bad
namespace: %[1]s
kubernetes: {image: busybox, template: {spec: {template: {spec: {dnsPolicy: Nearest}}}}}
---
name: lost
namespace: nowhere
image: busybox
---
name: slip
kubernetes: {imagee: busybox}
`, namespace), "--kube-context", "prod=")
	for _, want := range []string{
		"document 1: default/script: accepted\n",
		"document 2: " + namespace + "/good: accepted by the API server of prod, for namespace " + namespace + "\n",
		"document 3: " + namespace + "/bad: refused by the API server of prod, for namespace " + namespace + "\n" +
			`  kubernetes: spec.template.spec.dnsPolicy: Unsupported value: "Nearest"`,
		"document 4: nowhere/lost: refused by the API server of prod, for namespace nowhere\n" +
			`  kubernetes: namespaces "nowhere" not found`,
		"document 5: default/slip: refused\n  kubernetes.imagee: unknown field",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if code != 1 || !strings.Contains(stderr, "refused: 3 of 5 tasks") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if jobs := jobsOf(t, client, namespace); len(jobs) > 0 {
		t.Errorf("there are Jobs: %v", jobs)
	}

	stdout, _, code = validateOnServer(t, cluster.Kubeconfig, "name: good\nimage: busybox\n", "-n", namespace, "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"namespace": "`+namespace+`"`) {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	_, stderr, code = validateOnServer(t, cluster.Kubeconfig, "name: elsewhere\nkubernetes: {image: busybox, cluster: us}\n")
	if code != 1 || !strings.Contains(stderr, "no such Kubernetes cluster: us among those of --kube-context") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if _, stderr, code = validateOnServer(t, "missing", "name: good\nimage: busybox\n"); code != 2 {
		t.Errorf("no kubeconfig: exit code %d, %s", code, stderr)
	}
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server = "https://127.0.0.1:1"
	}
	away := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, away); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code = validateOnServer(t, away, "name: good\nimage: busybox\n"); code != 3 || !strings.Contains(stderr, "API server not reachable") {
		t.Errorf("no API server: exit code %d, %s", code, stderr)
	}
}
