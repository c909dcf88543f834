package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestSucceeds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", map[string]string{"run": "200ms"})
	r.Record.Job.Cluster = "" // as it is if the API server was away at the claim
	out := r.start().outcome()
	expect(t, out, nightwatch.PhaseSucceeded, "")
	if out.ExitCode == nil || *out.ExitCode != 0 {
		t.Errorf("exit code %v", out.ExitCode)
	}
	job, on := p.jobs()["hello"], r.job()
	if on.UID != string(job.UID) || on.UID == "" || on.Name != "hello" || on.Namespace != p.namespace {
		t.Errorf("record says %+v, the Job is %s", on, job.UID)
	}
	if want := p.runner.Clusters()[0].UID; on.Cluster != want || want == "" {
		t.Errorf("cluster %q on record, want %q", on.Cluster, want)
	}
}

func TestFailsWithExitCode(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	out := p.attempt("bad", map[string]string{"run": "100ms", "exit": "3", "message": "disk full"}).start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonExitCode)
	if out.ExitCode == nil || *out.ExitCode != 3 || out.Output != "disk full" || !strings.Contains(out.Message, "3") {
		t.Errorf("outcome %+v", out)
	}

	out = p.attempt("big", map[string]string{"run": "100ms", "exit": "137", "reason": "OOMKilled"}).start().outcome()
	expect(t, out, nightwatch.PhaseFailed, "OOMKilled")
	if out.ExitCode == nil || *out.ExitCode != 137 {
		t.Errorf("outcome %+v", out)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("slow", map[string]string{"run": kubetest.RunForever})
	r.Task.Timeout = nightwatch.Duration(1100 * time.Millisecond)
	expect(t, r.start().outcome(), nightwatch.PhaseFailed, nightwatch.ReasonTimeout)
	if seconds := p.jobs()["slow"].Spec.ActiveDeadlineSeconds; seconds == nil || *seconds != 2 {
		t.Errorf("activeDeadlineSeconds %v", seconds)
	}
}

func TestMissingNamespace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", nil)
	r.Record.Job.Namespace = "no-such-place"
	out := r.start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
	if !strings.Contains(out.Message, `namespaces "no-such-place" not found`) {
		t.Errorf("message %q", out.Message)
	}
}

func TestInvalidJobIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", nil)
	r.Task.Kubernetes, r.Task.Image = &nightwatch.KubernetesSpec{Image: "busybox", ServiceAccountName: "Not A Name"}, ""
	out := r.start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
	if !strings.Contains(out.Message, "serviceAccountName") {
		t.Errorf("message %q", out.Message)
	}
}

func TestNameTakenByStranger(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	stranger := p.stranger("hello")
	r := p.attempt("hello", map[string]string{"run": "100ms"})
	expect(t, r.start().outcome(), nightwatch.PhaseSucceeded, "")
	hashed := nightwatch.JobName(p.clusterID, "hello", &r.Record, true)
	jobs := p.jobs()
	if job := r.job(); job.Name != hashed || job.UID != string(jobs[hashed].UID) {
		t.Errorf("record %+v, want %s", job, hashed)
	}
	if jobs["hello"].UID != stranger.UID {
		t.Error("the stranger's Job was touched")
	}

	// The same with a Job of ours for another run.
	again := p.attempt("hello", map[string]string{"run": "100ms"})
	again.Record.ID, again.Record.TaskUID, again.Record.Job.Name = "rev-9", 9, hashed
	p.records.set(again.Record)
	expect(t, p.claim(again.Task, again.Record).start().outcome(), nightwatch.PhaseSucceeded, "")
	if got := len(p.jobs()); got != 3 {
		t.Errorf("%d Jobs, want 3", got)
	}
}

func TestBothNamesTaken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", nil)
	hashed := nightwatch.JobName(p.clusterID, "hello", &r.Record, true)
	p.stranger("hello")
	p.stranger(hashed)
	out := r.start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonJobNameTaken)
	if !strings.Contains(out.Message, hashed) {
		t.Errorf("message %q", out.Message)
	}
}

// The record must say the hashed name before there is a Job of that name.
func TestHashedNameIsRecordedFirst(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.stranger("hello")
	r := p.attempt("hello", nil)
	save := r.Save
	r.Save = func(ctx context.Context, change func(*nightwatch.Run)) error {
		if got := len(p.jobs()); got != 1 {
			t.Errorf("%d Jobs before the name is on record", got)
		}
		r.lost.Store(true)
		return save(ctx, change)
	}
	if out := r.start().outcome(); out.Phase != "" {
		t.Errorf("outcome %+v", out)
	}
	if got := len(p.jobs()); got != 1 {
		t.Errorf("%d Jobs though the name was not recorded", got)
	}
}

func TestAmbiguousCreate(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && creates(request) {
			posts.Add(1)
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return response, err
	}))
	r := p.attempt("hello", map[string]string{"run": "100ms"})
	expect(t, r.start().outcome(), nightwatch.PhaseSucceeded, "")
	if posts.Load() != 1 || len(p.jobs()) != 1 {
		t.Errorf("%d creates, %d Jobs", posts.Load(), len(p.jobs()))
	}
}

// answer makes a response as the API server would.
func answer(request *http.Request, status metav1.Status, header ...string) *http.Response {
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	status.Status = metav1.StatusFailure
	body, _ := json.Marshal(status)
	response := &http.Response{
		StatusCode: int(status.Code), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))), Request: request, ProtoMajor: 1, ProtoMinor: 1,
	}
	for i := 0; i+1 < len(header); i += 2 {
		response.Header.Set(header[i], header[i+1])
	}
	return response
}

func TestPassingRefusalsAreRepeated(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	var throttled atomic.Pointer[time.Time]
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if creates(request) {
			switch posts.Add(1) {
			case 1:
				return answer(request, metav1.Status{Code: 503, Reason: metav1.StatusReasonServiceUnavailable, Message: "later"}), nil
			case 2:
				return answer(request, metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden,
					Message: `jobs.batch is forbidden: User "n1" cannot create resource "jobs"`}), nil
			case 3:
				now := time.Now()
				throttled.Store(&now)
				return answer(request, metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests, Message: "slow down"}, "Retry-After", "1"), nil
			case 4:
				if waited := time.Since(*throttled.Load()); waited < time.Second {
					t.Errorf("repeated after %s, though told to wait a second", waited)
				}
			}
		}
		return next.RoundTrip(request)
	}))
	expect(t, p.attempt("hello", map[string]string{"run": "100ms"}).start().outcome(), nightwatch.PhaseSucceeded, "")
	if posts.Load() != 4 {
		t.Errorf("%d creates", posts.Load())
	}
}

func quotaUsedUp(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	if creates(request) {
		return answer(request, metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden,
			Message: `jobs.batch "hello" is forbidden: exceeded quota: few`}), nil
	}
	return next.RoundTrip(request)
}

func TestQuota(t *testing.T) {
	t.Parallel()
	p := newPlace(t, intercept(quotaUsedUp))
	r := p.attempt("hello", map[string]string{"run": "100ms"})
	out := r.start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
	if !strings.Contains(out.Message, "exceeded quota: few") {
		t.Errorf("message %q", out.Message)
	}
	// The quota may be used up by the attempt's own Job.
	p.create(jobOf(p.t, r.Attempt, p.namespace, "hello"))
	expect(t, r.next().start().outcome(), nightwatch.PhaseSucceeded, "")
}

func TestDeletedByHand(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", map[string]string{"run": kubetest.RunForever}).start()
	r.running()
	background := metav1.DeletePropagationBackground
	if err := p.client.BatchV1().Jobs(p.namespace).Delete(t.Context(), "hello", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	expect(t, r.outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)

	// Found missing by the next owner: the uid is on record, so there is no second Job.
	expect(t, r.next().start().outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)
	if err := p.absent("hello"); err != nil {
		t.Error(err)
	}
}

func TestDeletedByHandInTheForeground(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", map[string]string{"run": kubetest.RunForever}).start()
	r.running()
	foreground := metav1.DeletePropagationForeground
	if err := p.client.BatchV1().Jobs(p.namespace).Delete(t.Context(), "hello", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	expect(t, r.outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)
}

func TestNamespaceDeleted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	namespaces := p.client.CoreV1().Namespaces()
	doomed, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "doomed-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.namespace = doomed.Name
	r := p.attempt("hello", map[string]string{"run": kubetest.RunForever}).start()
	r.running()
	if err := namespaces.Delete(t.Context(), doomed.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, r.outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)
	// Another attempt, while the namespace is going or when it is gone, is refused and not repeated for ever.
	expect(t, p.attempt("again", nil).start().outcome(), nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
}

// A create that is under way when the node is told to stop is brought to an end and recorded.
func TestStopDuringCreate(t *testing.T) {
	t.Parallel()
	var r *run
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if creates(request) {
			r.end(jobrunner.ErrStopping)
		}
		return next.RoundTrip(request)
	}))
	r = p.attempt("hello", map[string]string{"run": kubetest.RunForever})
	if out := r.start().outcome(); out.Phase != "" {
		t.Errorf("outcome %+v", out)
	}
	if job := p.jobs()["hello"]; r.job().UID != string(job.UID) || job.UID == "" {
		t.Errorf("record %+v, Job %q", r.job(), job.UID)
	}
}

// stirPods changes the pods every ten seconds, until the test ends: KWOK, when it has just been started, lets go for good of
// those it hears of before it has their node, or cannot read yet.
func (p *place) stirPods() {
	ctx, stop := context.WithCancel(context.WithoutCancel(p.t.Context()))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		pods := p.client.CoreV1().Pods(p.namespace)
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Second):
			}
			list, err := pods.List(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for _, pod := range list.Items {
				patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"stirred":"%d"}}}`, n)
				_, _ = pods.Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
			}
		}
	}()
	p.t.Cleanup(func() {
		stop()
		<-stopped
	})
}

// Not parallel: it takes the API server from all others.
func TestAPIServerRestarts(t *testing.T) {
	p := newPlace(t)
	runs := []*run{
		p.attempt("good", map[string]string{"run": "3s"}).start(),
		p.attempt("bad", map[string]string{"run": "3s", "exit": "3"}).start(),
	}
	for _, r := range runs {
		r.running()
	}
	if err := kubetest.Shared(t).RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.stirPods()
	// A run that starts while the API server is coming back.
	runs = append(runs, p.attempt("late", map[string]string{"run": "100ms"}).start())
	expect(t, runs[0].outcome(), nightwatch.PhaseSucceeded, "")
	expect(t, runs[1].outcome(), nightwatch.PhaseFailed, nightwatch.ReasonExitCode)
	expect(t, runs[2].outcome(), nightwatch.PhaseSucceeded, "")
	p.eventually("the watch is well again", func(context.Context) error { return ready(p.runner) })
	if got := len(p.jobs()); got != 3 {
		t.Errorf("%d Jobs", got)
	}
}

func TestJobAsSpecified(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", map[string]string{"run": "100ms"})
	r.Task.Owner, r.Task.Description = "team-a", "says hello"
	r.Task.Labels = map[string]string{"tier": "batch", "example.com/app": "x", "task": "mine", "keep-until": "never"}
	r.Task.Annotations["run"], r.Task.Annotations["not a key"] = "mine", "x"
	expect(t, r.start().outcome(), nightwatch.PhaseSucceeded, "")
	job := p.jobs()["hello"]
	for _, meta := range []metav1.ObjectMeta{job.ObjectMeta, job.Spec.Template.ObjectMeta} {
		for key, want := range map[string]string{
			"app.kubernetes.io/managed-by": "nightwatch", "nightwatch.dev/cluster-id": p.clusterID,
			"nightwatch.dev/namespace": p.namespace, "nightwatch.dev/task": "hello", "nightwatch.dev/run": "rev-7",
			"nightwatch.dev/tier": "batch", "nightwatch.dev/example.com_app": "x", "nightwatch.dev/keep-until": "",
		} {
			if meta.Labels[key] != want {
				t.Errorf("label %s is %q, want %q", key, meta.Labels[key], want)
			}
		}
		for key, want := range map[string]string{
			"nightwatch.dev/task": p.namespace + "/hello", "nightwatch.dev/task-uid": "7", "nightwatch.dev/run": "rev-7",
			"nightwatch.dev/attempt": "1", "nightwatch.dev/node": "n1", "nightwatch.dev/fence": "42",
			"nightwatch.dev/nominal-time":    r.Record.NominalTime.UTC().Format(time.RFC3339Nano),
			"nightwatch.dev/idempotency-key": p.clusterID + "/" + p.namespace + "/hello/7/rev-7/1",
			"nightwatch.dev/owner":           "team-a", "nightwatch.dev/description": "says hello", "nightwatch.dev/kwok-run": "100ms",
		} {
			if meta.Annotations[key] != want {
				t.Errorf("annotation %s is %q, want %q", key, meta.Annotations[key], want)
			}
		}
	}
	spec, pod := job.Spec, job.Spec.Template.Spec
	container := pod.Containers[0]
	if *spec.BackoffLimit != 0 || *spec.PodReplacementPolicy != batchv1.Failed || pod.RestartPolicy != "Never" ||
		len(spec.PodFailurePolicy.Rules) != 1 || spec.ActiveDeadlineSeconds != nil {
		t.Errorf("spec %+v", spec)
	}
	if container.Image != "busybox" || strings.Join(container.Command, " ") != "sleep" || strings.Join(container.Args, " ") != "60" {
		t.Errorf("container %+v", container)
	}
	env := map[string]string{}
	for _, one := range container.Env {
		env[one.Name] = one.Value
	}
	if env["NIGHTWATCH_FENCE"] != "42" || env["NIGHTWATCH_RUN"] != "rev-7" || env["NIGHTWATCH_NAMESPACE"] != p.namespace {
		t.Errorf("environment %v", env)
	}
}
