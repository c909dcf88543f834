package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestPodsTellTheOutcome(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	good := p.attempt("good", map[string]string{"run": "100ms", "message": "42 rows"}).start()
	evicted := p.attempt("evicted", map[string]string{"run": "100ms", "exit": "137", "pod-reason": "Evicted"}).start()
	out := good.outcome()
	expect(t, out, nightwatch.PhaseSucceeded, "")
	if out.Output != "42 rows" || out.ExitCode == nil || *out.ExitCode != 0 {
		t.Errorf("outcome %+v", out)
	}
	out = evicted.outcome()
	expect(t, out, nightwatch.PhaseFailed, "Evicted")
	if !strings.HasSuffix(out.Message, ": this is said to be Evicted") || *out.ExitCode != 137 {
		t.Errorf("outcome %+v", out)
	}
}

// play writes the status of a pod, as a kubelet does.
func (p *place) play(pod string, status map[string]any) {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.client.CoreV1().Pods(p.namespace).Patch(p.t.Context(), pod, types.MergePatchType, body, metav1.PatchOptions{}, "status"); err != nil {
		p.t.Fatal(err)
	}
}

func endedWith(code int, message string) []map[string]any {
	return []map[string]any{{
		"name": nightwatch.MainContainer, "image": "busybox", "imageID": "", "ready": false, "restartCount": 0,
		"state": map[string]any{"terminated": map[string]any{"exitCode": code, "message": message}},
	}}
}

// A machine that is drained takes its pod with it: that is not the task's failure, and its last words are not the run's.
func TestDisruptedPodIsReplaced(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", forever).start()
	r.running()
	first := p.pods()[0].Name
	p.play(first, map[string]any{
		"phase": corev1.PodFailed, "reason": "Evicted", "containerStatuses": endedWith(137, "moved"),
		"conditions": []map[string]any{{"type": corev1.DisruptionTarget, "status": "True", "reason": "EvictionByEvictionAPI"}},
	})
	var second string
	p.eventually("another pod runs", func(context.Context) error {
		for _, pod := range p.pods() {
			if pod.Name != first && pod.Status.Phase == corev1.PodRunning {
				second = pod.Name
				return nil
			}
		}
		return errors.New("none")
	})
	p.play(second, map[string]any{"phase": corev1.PodSucceeded, "containerStatuses": endedWith(0, "done")})
	out := r.outcome()
	expect(t, out, nightwatch.PhaseSucceeded, "")
	if out.Output != "done" {
		t.Errorf("outcome %+v", out)
	}
}

// saying waits until the record of a live run says that it waits for something.
func (r *run) saying(reason string) nightwatch.Run {
	r.p.t.Helper()
	var record *nightwatch.Run
	r.p.eventually(fmt.Sprintf("%s says %q", r.Record.Task, reason), func(ctx context.Context) (err error) {
		if record, err = r.p.records.lookup(ctx, r.Record.Task, r.Record.ID); err != nil {
			return err
		}
		if record.Reason != reason {
			return fmt.Errorf("it says %q: %s", record.Reason, record.Message)
		}
		return nil
	})
	return *record
}

func TestWhatALiveRunWaitsFor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pull := p.attempt("pull", map[string]string{"run": kubetest.RunForever, "waiting": "ErrImagePull", "waiting-for": "15s"}).start()
	config := p.attempt("config", map[string]string{"run": "100ms", "waiting": "CreateContainerConfigError", "waiting-for": "10s"}).start()
	nobody := p.attempt("nobody", nil)
	nobody.Task.Kubernetes, nobody.Task.Image = &nightwatch.KubernetesSpec{Image: "busybox", ServiceAccountName: "nobody"}, ""
	nobody.start()
	nowhere := p.attempt("nowhere", nil)
	nowhere.Task.Kubernetes, nowhere.Task.Image = &nightwatch.KubernetesSpec{Image: "busybox", NodeSelector: map[string]string{"zone": "none"}}, ""
	nowhere.start()

	record := pull.saying("ImagePullBackOff")
	if record.Phase != nightwatch.PhaseRunning || !strings.Contains(record.Message, "container main: this is said to be ErrImagePull") {
		t.Errorf("record %+v", record)
	}
	config.saying("CreateContainerConfigError")
	if record := nobody.saying("FailedCreate"); !strings.Contains(record.Message, `serviceaccount "nobody" not found`) {
		t.Errorf("record %+v", record)
	}
	if record := nowhere.saying("Unschedulable"); !strings.Contains(record.Message, "nodes are available") {
		t.Errorf("record %+v", record)
	}
	expect(t, config.outcome(), nightwatch.PhaseSucceeded, "")
	pull.running()
	pull.saying("")
	for _, r := range []*run{pull, nobody, nowhere} {
		r.end(jobrunner.ErrCancel)
		expect(t, r.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	}
}

func TestWaitingReason(t *testing.T) {
	waits := func(name, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	pending := func(change func(*corev1.Pod)) corev1.Pod {
		pod := corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending}}
		pod.Name = "p"
		change(&pod)
		return pod
	}
	main := func(reason string) corev1.Pod {
		return pending(func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{waits("main", reason)} })
	}
	unschedulable := pending(func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available"},
		}
	})
	setup := pending(func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{waits("fetch", "InvalidImageName")}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{waits("main", "PodInitializing")}
	})
	going := main("ImagePullBackOff")
	going.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	over := main("ImagePullBackOff")
	over.Status.Phase = corev1.PodFailed
	for name, test := range map[string]struct {
		pods            []corev1.Pod
		reason, message string
	}{
		"nothing":        {},
		"not yet bound":  {pods: []corev1.Pod{pending(func(*corev1.Pod) {})}},
		"unschedulable":  {[]corev1.Pod{unschedulable}, "Unschedulable", "pod p: 0/1 nodes are available"},
		"image":          {[]corev1.Pod{main("ImagePullBackOff")}, "ImagePullBackOff", "pod p: container main: ImagePullBackOff"},
		"image, between": {[]corev1.Pod{main("ErrImagePull")}, "ImagePullBackOff", "pod p: container main: ErrImagePull"},
		"init container": {[]corev1.Pod{setup}, "InvalidImageName", "pod p: container fetch: InvalidImageName"},
		"starting":       {[]corev1.Pod{main("ContainerCreating")}, "ContainerCreating", "pod p: container main: ContainerCreating"},
		"the worst":      {[]corev1.Pod{main("ContainerCreating"), unschedulable, main("CrashLoopBackOff")}, "CrashLoopBackOff", "pod p: container main: CrashLoopBackOff"},
		"a sentence":     {pods: []corev1.Pod{main("it went wrong")}},
		"is deleted":     {pods: []corev1.Pod{going}},
		"has ended":      {pods: []corev1.Pod{over}},
	} {
		if reason, message := waitingReason(test.pods); reason != test.reason || message != test.message {
			t.Errorf("%s: %q, %q", name, reason, message)
		}
	}
}

// A run costs a create and a delete, and a share of the watches.
func TestRequestsARun(t *testing.T) {
	t.Parallel()
	const n = 30
	var mu sync.Mutex
	requests := map[string]int{}
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		mu.Lock()
		requests[verb(request)+" "+request.URL.Path[strings.LastIndex(request.URL.Path, "/"):]]++
		mu.Unlock()
		return next.RoundTrip(request)
	}))
	p.eventually("pods are watched", func(context.Context) error {
		p.runner.clusters[0].ended.mu.Lock()
		defer p.runner.clusters[0].ended.mu.Unlock()
		if !p.runner.clusters[0].ended.open {
			return errors.New("they are not")
		}
		return nil
	})
	mu.Lock()
	clear(requests)
	mu.Unlock()
	var runs []*run
	for i := range n {
		pod := map[string]string{"run": "300ms", "message": "done"}
		if i%3 == 0 {
			pod["exit"] = "3"
		}
		runs = append(runs, p.attempt(fmt.Sprintf("hello-%d", i), pod).start())
	}
	for i, r := range runs {
		out := r.outcome()
		if out.ExitCode == nil || (*out.ExitCode == 3) != (i%3 == 0) || out.Output != "done" {
			t.Errorf("outcome %+v", out)
		}
	}
	for _, r := range runs {
		p.records.delete(r.Record)
		p.gone <- jobrunner.RunName{Task: r.Record.Task, Run: r.Record.ID}
	}
	p.eventually("the Jobs are removed", func(context.Context) error {
		if left := len(p.jobs()); left > 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	sum := 0
	for _, count := range requests {
		sum += count
	}
	if each := float64(sum) / n; each > 2.2 {
		t.Errorf("%.2f requests a run: %v", each, requests)
	}
	t.Logf("%d requests for %d runs: %v", sum, n, requests)
}
