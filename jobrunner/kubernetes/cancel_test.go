package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

var forever = map[string]string{"run": kubetest.RunForever}

func TestCancelByFirstOwner(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", forever).start()
	r.running()
	r.end(jobrunner.ErrCancel)
	expect(t, r.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	if err := p.absent("hello"); err != nil {
		t.Error(err)
	}
	if pods := p.pods(); len(pods) != 0 {
		t.Errorf("%d pods are left", len(pods))
	}
}

func TestCancelAfterTheEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", map[string]string{"run": "100ms", "exit": "3"})
	expect(t, r.start().outcome(), nightwatch.PhaseFailed, nightwatch.ReasonExitCode)
	for _, adopt := range []bool{false, true} {
		next := r.next()
		next.Adopt = adopt
		next.end(jobrunner.ErrCancel)
		expect(t, next.start().outcome(), nightwatch.PhaseFailed, nightwatch.ReasonExitCode)
		r = next
	}
}

func TestCancelAfterHandover(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := p.attempt("hello", forever).start()
	made := first.running()
	first.end(jobrunner.ErrSessionLost)
	first.outcome()
	second := first.next().start()
	second.running()
	second.end(jobrunner.ErrCancel)
	expect(t, second.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	job := p.jobs()["hello"]
	if job.UID != made.UID || job.DeletionTimestamp != nil {
		t.Errorf("Job %s, first was %s", job.UID, made.UID)
	}
	p.checkTombstone(job)
}

func (p *place) checkTombstone(job batchv1.Job) {
	p.t.Helper()
	if job.Spec.Suspend == nil || !*job.Spec.Suspend {
		p.t.Errorf("suspend %v", job.Spec.Suspend)
	}
	until, err := time.Parse(time.RFC3339, job.Annotations[AnnotationKeepUntil])
	if left := time.Until(until); err != nil || left < 50*time.Minute || left > time.Hour {
		p.t.Errorf("kept until %q", job.Annotations[AnnotationKeepUntil])
	}
	for _, pod := range p.pods() {
		if pod.Status.Phase == corev1.PodRunning || pod.Status.Phase == corev1.PodPending {
			p.t.Errorf("pod %s is %s", pod.Name, pod.Status.Phase)
		}
	}
}

func TestCancelAfterHandoverWithoutJob(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old := p.attempt("hello", forever) // frozen in front of its create
	second := old.next()
	second.end(jobrunner.ErrCancel)
	expect(t, second.start().outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	tombstone := p.jobs()["hello"]
	p.checkTombstone(tombstone)
	if second.job().UID != string(tombstone.UID) {
		t.Errorf("record %+v", second.job())
	}

	// It wakes up.
	if out := old.start().outcome(); out.Phase != "" {
		t.Errorf("outcome %+v of the old owner", out)
	}
	if jobs := p.jobs(); len(jobs) != 1 || jobs["hello"].UID != tombstone.UID {
		t.Errorf("%d Jobs", len(jobs))
	}
	p.checkTombstone(p.jobs()["hello"])
}

// The task may be gone by the time that the run is to be ended.
func TestCancelAfterHandoverWithoutTask(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	second := p.attempt("hello", forever).next()
	second.Task = nil
	second.end(jobrunner.ErrCancel)
	expect(t, second.start().outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	p.checkTombstone(p.jobs()["hello"])
}

// The name on record is a stranger's, so the predecessor would go on to the hashed one.
func TestCancelAfterHandoverOfTakenName(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.stranger("hello")
	second := p.attempt("hello", forever).next()
	second.end(jobrunner.ErrCancel)
	expect(t, second.start().outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	hashed := nightwatch.JobName(p.clusterID, "hello", &second.Record, true)
	if job := p.jobs()[hashed]; job.Spec.Suspend == nil || !*job.Spec.Suspend {
		t.Errorf("no tombstone %s", hashed)
	}
}

func TestCancelAfterHandoverInMissingNamespace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	second := p.attempt("hello", forever).next()
	second.Record.Job.Namespace = "no-such-place"
	second.end(jobrunner.ErrCancel)
	expect(t, second.start().outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
}

// A create that was sent, and is still on its way when the run is canceled, must find its name taken.
func TestCancelAfterCreateWithoutAnswer(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*place){
		"any Job may be": func(*place) {},
		"only busybox may be run": func(p *place) {
			other := jobOf(p.t, p.attempt("other", nil).Attempt, p.namespace, "other")
			other.Spec.Template.Spec.Containers[0].Image = "alpine"
			p.policy("object.spec.template.spec.containers.all(c, c.image.startsWith('busybox'))", "no such image is wanted here", other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cancelAfterCreateWithoutAnswer(t, prepare)
		})
	}
}

func cancelAfterCreateWithoutAnswer(t *testing.T, prepare func(*place)) {
	var posts atomic.Int64
	sent := make(chan struct{})
	var late atomic.Pointer[http.Request]
	var real atomic.Pointer[http.RoundTripper]
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if creates(request) && posts.Add(1) == 1 {
			late.Store(request.Clone(context.WithoutCancel(request.Context())))
			real.Store(&next)
			close(sent)
			return nil, io.ErrUnexpectedEOF
		}
		if posts.Load() == 1 && request.Method == http.MethodGet && request.URL.Query().Get("watch") == "" {
			return nil, errors.New("no route to host") // so that it cannot be repeated before the cancel
		}
		return next.RoundTrip(request)
	}))
	prepare(p)
	r := p.attempt("hello", forever).start()
	<-sent
	r.end(jobrunner.ErrCancel)
	p.eventually("the tombstone is asked for", func(context.Context) error {
		posts.CompareAndSwap(1, 2) // the route is back
		if posts.Load() < 2 {
			return fmt.Errorf("%d creates", posts.Load())
		}
		return nil
	})
	expect(t, r.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	findsNameTaken(t, *real.Load(), late.Load())
	p.checkTombstone(p.jobs()["hello"])
}

// A Job that cannot be ended is waited for no longer than the node may act for its run, whatever the API server says.
func TestCancelGivesUpWithTheSession(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*http.Request) (*http.Response, error){
		"no answer": func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") },
		"asks to wait by its header": func(request *http.Request) (*http.Response, error) {
			return answer(request, metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests}, "Retry-After", "3600"), nil
		},
		"asks to wait by its words": func(request *http.Request) (*http.Response, error) {
			return answer(request, metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests,
				Details: &metav1.StatusDetails{RetryAfterSeconds: 3600}}), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			once := sync.OnceFunc(func() { close(asked) })
			p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
				if request.Method == http.MethodDelete {
					defer once()
					return refuse(request)
				}
				return next.RoundTrip(request)
			}))
			var over atomic.Bool
			r := p.attempt("hello", forever)
			r.Deadline = func() time.Time {
				if over.Load() {
					return time.Now()
				}
				return time.Now().Add(time.Second)
			}
			r.start().running()
			r.end(jobrunner.ErrCancel)
			<-asked
			over.Store(true)
			began := time.Now()
			if out := r.outcome(); out.Phase != "" {
				t.Errorf("outcome %+v", out)
			}
			if took := time.Since(began); took > maxRetryAfter/2 {
				t.Errorf("it gave up after %s", took)
			}
		})
	}
}

// A create that was not answered, and then repeated, may still be on its way when the Job of the second is ended: it must
// find the name taken.
func TestCancelAfterARepeatedCreate(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	var late atomic.Pointer[http.Request]
	var real atomic.Pointer[http.RoundTripper]
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if creates(request) && posts.Add(1) == 1 {
			late.Store(request.Clone(context.WithoutCancel(request.Context())))
			real.Store(&next)
			return nil, io.ErrUnexpectedEOF
		}
		return next.RoundTrip(request)
	}))
	r := p.attempt("hello", forever).start()
	r.running()
	r.end(jobrunner.ErrCancel)
	expect(t, r.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	findsNameTaken(t, *real.Load(), late.Load())
	if job := p.jobs()["hello"]; job.Spec.Suspend == nil || !*job.Spec.Suspend || job.Annotations[AnnotationKeepUntil] == "" || posts.Load() != 2 {
		t.Errorf("%d creates, Job %+v", posts.Load(), job)
	}
}

// findsNameTaken has a create reach the API server that was held back.
func findsNameTaken(t *testing.T, server http.RoundTripper, late *http.Request) {
	t.Helper()
	response, err := server.RoundTrip(late)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusConflict {
		t.Errorf("the late create was answered %s", response.Status)
	}
}
