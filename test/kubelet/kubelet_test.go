//go:build kubelet

// Package kubelet tries Jobs on a real kubelet with real containers. It takes root, Linux and Debian's containerd, runc,
// containernetworking-plugins, busybox-static and iproute2: "make e2e-kubelet" installs and runs it.
package kubelet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/store"
)

const patience = 3 * time.Minute

// lines is what a process has written so far.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// world is a cluster with a kubelet, an etcd and a nightwatch node, each in processes of their own.
type world struct {
	t       *testing.T
	kube    kubernetes.Interface
	store   *store.Store
	binary  string
	environ []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cluster, err := kubetest.Start(t.Context(), kubetest.Options{Kubelet: true, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "nightwatch")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/nightwatch-go/nightwatch/cmd/nightwatch").CombinedOutput(); err != nil {
		t.Fatalf("build nightwatch: %v\n%s", err, out)
	}
	etcd := etcdtest.Start(t)
	w := &world{
		t: t, kube: client, store: store.New(etcd.Client(t), ""), binary: binary,
		environ: append(os.Environ(), "NIGHTWATCH_ENDPOINTS="+etcd.Endpoint(), "KUBECONFIG=/nonexistent"),
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	var log lines
	node := w.command("node", "--name", "n1", "--listen", free.Addr().String(), "--runners", "kubernetes", "--kubeconfig", cluster.Kubeconfig)
	node.Stdout, node.Stderr = &log, &log
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = node.Process.Signal(os.Interrupt)
		_ = node.Wait()
		if t.Failed() {
			t.Logf("the node said:\n%s", log.String())
		}
	})
	return w
}

func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.binary, args...)
	cmd.Env = w.environ
	return cmd
}

// put submits a task whose container runs a script.
func (w *world) put(task, script, more string) {
	w.t.Helper()
	quoted, err := json.Marshal(script)
	if err != nil {
		w.t.Fatal(err)
	}
	value := fmt.Sprintf(`{"kubernetes":{"image":%q,"command":["sh","-c",%s]%s}}`, kubetest.Image, quoted, more)
	if _, err := w.store.Put(w.t.Context(), task, []byte(value)); err != nil {
		w.t.Fatal(err)
	}
}

// ended waits until the last run of a task is terminal.
func (w *world) ended(task string) *nightwatch.Run {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	status, err := w.store.Wait(ctx, task, func(s *nightwatch.Status) bool { return s != nil && s.LastRun != nil && !s.LastRun.Live() })
	if err != nil {
		text, _ := json.Marshal(status)
		w.t.Fatalf("%s: %v: %s", task, err, text)
	}
	w.t.Logf("%s: %s %s %q exit %v after %s", task, status.LastRun.Phase, status.LastRun.Reason, status.LastRun.Message,
		deref(status.LastRun.ExitCode), status.LastRun.EndTime.Sub(status.LastRun.CreateTime))
	return status.LastRun
}

func deref(code *int) any {
	if code == nil {
		return "none"
	}
	return *code
}

func TestRealKubelet(t *testing.T) {
	w := newWorld(t)

	t.Run("output, followed while it is written, and an exit code", func(t *testing.T) {
		w := &world{t, w.kube, w.store, w.binary, w.environ}
		w.put("default/talks", "for i in 1 2 3 4; do echo line $i of $NIGHTWATCH_TASK; sleep 1; done; exit 3", "")
		etcdtest.Eventually(t, patience, func() bool {
			status, err := w.store.Status(t.Context(), "default/talks")
			return err == nil && status.LastRun != nil
		}, "the scheduler has made a run")
		var out, notes lines
		follow := w.command("logs", "-f", "talks")
		follow.Stdout, follow.Stderr = &out, &notes
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		etcdtest.Eventually(t, patience, func() bool { return strings.Contains(out.String(), "line 1 of talks") }, "the first line is followed")
		if status, err := w.store.Status(t.Context(), "default/talks"); err != nil || status.LastRun == nil || !status.LastRun.Live() {
			t.Errorf("the first line came when the run had ended: %+v, %v", status, err)
		}
		if err := follow.Wait(); err != nil {
			t.Errorf("logs -f: %v: %s", err, notes.String())
		}
		for i := range 4 {
			if want := fmt.Sprintf("line %d of talks\n", i+1); strings.Count(out.String(), want) != 1 {
				t.Errorf("%q is not there once in %q", want, out.String())
			}
		}
		run := w.ended("default/talks")
		if run.Phase != nightwatch.PhaseFailed || run.Reason != nightwatch.ReasonExitCode || run.ExitCode == nil || *run.ExitCode != 3 {
			t.Errorf("run %+v", run)
		}
		if !strings.Contains(run.Output, "line 4 of talks") {
			t.Errorf("output in the record: %q", run.Output)
		}
	})

	t.Run("success", func(t *testing.T) {
		w := &world{t, w.kube, w.store, w.binary, w.environ}
		w.put("default/works", "true", "")
		if run := w.ended("default/works"); run.Phase != nightwatch.PhaseSucceeded || run.ExitCode == nil || *run.ExitCode != 0 {
			t.Errorf("run %+v", run)
		}
	})

	t.Run("more memory than it may", func(t *testing.T) {
		w := &world{t, w.kube, w.store, w.binary, w.environ}
		w.put("default/eats", "x=0123456789abcdef; while true; do x=$x$x; done", `,"resources":{"limits":{"memory":"32Mi"}}`)
		if run := w.ended("default/eats"); run.Phase != nightwatch.PhaseFailed || run.Reason != nightwatch.ReasonOOMKilled || run.ExitCode == nil || *run.ExitCode != 137 {
			t.Errorf("run %+v", run)
		}
	})

	t.Run("an image that is not there", func(t *testing.T) {
		w := &world{t, w.kube, w.store, w.binary, w.environ}
		if _, err := w.store.Put(t.Context(), "default/waits", []byte(`{"kubernetes":{"image":"nightwatch.test/nothing:1","template":{"spec":{"template":{"spec":{"containers":[{"name":"main","imagePullPolicy":"Never"}]}}}}},"timeout":"5m"}`)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if s, err := w.store.Wait(ctx, "default/waits", func(s *nightwatch.Status) bool {
			return s != nil && s.LastRun != nil && s.LastRun.Live() && s.LastRun.Reason == "ErrImageNeverPull"
		}); err != nil {
			t.Errorf("%v: %+v", err, s.LastRun)
		}
		if out, err := w.command("cancel", "waits").CombinedOutput(); err != nil {
			t.Errorf("cancel: %v: %s", err, out)
		}
		if run := w.ended("default/waits"); run.Phase != nightwatch.PhaseCanceled {
			t.Errorf("run %+v", run)
		}
	})

	t.Run("cancel is a SIGTERM", func(t *testing.T) {
		w := &world{t, w.kube, w.store, w.binary, w.environ}
		w.put("default/stops", `trap "echo asked to stop; exit 0" TERM; echo started; while true; do sleep 0.1; done`, "")
		var out lines
		follow := w.command("logs", "-f", "stops")
		follow.Stdout, follow.Stderr = &out, &out
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		etcdtest.Eventually(t, patience, func() bool { return strings.Contains(out.String(), "started") }, "it has started")
		asked := time.Now()
		if text, err := w.command("cancel", "stops", "--note", "enough").CombinedOutput(); err != nil {
			t.Fatalf("cancel: %v: %s", err, text)
		}
		run := w.ended("default/stops")
		t.Logf("canceled after %s", time.Since(asked))
		if run.Phase != nightwatch.PhaseCanceled || run.Cancel == nil || run.Cancel.Why != "enough" {
			t.Errorf("run %+v", run)
		}
		if err := follow.Wait(); err != nil {
			t.Errorf("logs -f: %v", err)
		}
		if !strings.Contains(out.String(), "asked to stop") {
			t.Errorf("followed %q", out.String())
		}
		pods, err := w.kube.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + run.Job.Name})
		if err != nil || len(pods.Items) > 0 {
			t.Errorf("pods of a canceled run: %v, %v", names(pods.Items), err)
		}
	})
}

func names(pods []corev1.Pod) (all []string) {
	for _, pod := range pods {
		all = append(all, pod.Name)
	}
	return all
}
