package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdctl"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// The README's quick start on Kubernetes: dev with a kubeconfig, a key put by etcdctl, a Job.
func TestDevRunsJobs(t *testing.T) {
	cluster, client := kube(t)
	namespace := cluster.Namespace(t)
	etcd, listen := freeAddress(t), freeAddress(t)
	log := &safeBuffer{}
	dev := exec.Command(binary, "dev", "--data-dir", t.TempDir(), "--etcd-listen", etcd, "--listen", listen, "--kubeconfig", cluster.Kubeconfig)
	dev.Stdout, dev.Stderr = log, log
	dev.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	if err := dev.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = dev.Process.Signal(syscall.SIGTERM)
		if err := dev.Wait(); err != nil || t.Failed() {
			t.Errorf("dev ended with %v\n%s", err, log)
		}
	})
	waitFor(t, "dev is ready", func() bool {
		status, _, err := get(listen, "/readyz")
		return err == nil && status == 200
	})
	if !strings.Contains(log.String(), "kubernetes  on") {
		t.Errorf("the banner says\n%s", log)
	}
	etcdctl.Run(t, etcd, "put", "/nightwatch/tasks/"+namespace+"/demo-task-1", `{"image":"alpine","command":["sleep"],"args":["60"]}`)
	w := &world{t: t, client: etcdtest.NewClient(t, etcd)}
	w.store = store.New(w.client, "")
	w.wait(namespace+"/demo-task-1", time.Minute, phase(nightwatch.PhaseSucceeded))
	if jobs := jobsOf(t, client, namespace); len(jobs) != 1 || jobs[0].Name != "demo-task-1" {
		t.Errorf("Jobs %v", jobs)
	}
}
