package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch/bench"
)

// nightwatch bench on a Kubernetes cluster: runs become Jobs, beside what a bare loop reaches, and nothing stays.
func TestBenchOfJobs(t *testing.T) {
	cluster, client := kube(t)
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, load := range [][]string{{"--tasks", "20"}, {"--tasks", "20", "--rate", "10", "--duration", "2s"}} {
		command := exec.CommandContext(ctx, binary, append([]string{
			"bench", "--endpoints", w.etcd.Endpoint(), "--runner", "kubernetes", "--kubeconfig", cluster.Kubeconfig,
			"--kube-api-qps", "200", "--kube-api-burst", "200", "-o", "json",
		}, load...)...)
		command.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", load, err, out)
		}
		var r bench.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if r.Runner != "kubernetes" || r.Runs != 20 || r.Missed+r.Duplicated > 0 || r.RunsPerSecond <= 0 {
			t.Errorf("%v: %s", load, out)
		}
		// Each run costs a create at least; watches and lists are few.
		j := r.Kubernetes
		if j == nil || j.JobsPerSecond <= 0 || j.CeilingPerSecond <= 0 || j.Efficiency <= 0 || j.RequestsPerRun < 1 ||
			j.LatenessMs.P50 < r.LatenessMs.P50 || j.LatenessMs.Max == 0 {
			t.Errorf("%v: %s", load, out)
		}
		kinds := map[string]float64{}
		for _, p := range r.Processes {
			kinds[p.Kind] = p.CPUSecondsPerThousand
		}
		if len(kinds) != 2 || kinds[bench.ProcessEtcd] <= 0 || kinds[bench.ProcessAPIServer] <= 0 {
			t.Errorf("%v: processes: %+v", load, r.Processes)
		}
		namespaces, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range namespaces.Items {
			if strings.HasPrefix(n.Name, "bench-") {
				t.Errorf("%v: namespace %s is left behind", load, n.Name)
			}
		}
		left, err := w.client.Get(ctx, "/nightwatch", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range left.Kvs {
			if strings.Contains(string(kv.Key), "bench-") {
				t.Errorf("%v: key %s is left behind", load, kv.Key)
			}
		}
	}
}
