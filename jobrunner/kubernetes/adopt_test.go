package kubernetes

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
)

// An API server that is back, but knows no roles yet and refuses everybody, says nothing of a Job that may be there, and is
// borne with however long it was away.
func TestAPIServerComesBack(t *testing.T) {
	t.Parallel()
	const refusals = 3
	for name, row := range map[string]struct {
		adopt, lost, away bool
	}{
		"after a create whose answer was lost":  {lost: true},
		"when a predecessor has made the Job":   {adopt: true},
		"having been away for longer than that": {away: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var posts, gets int
			var since time.Time
			p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
				looks := request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/jobs/hello")
				if !looks && !creates(request) {
					return next.RoundTrip(request)
				}
				mu.Lock()
				defer mu.Unlock()
				if since.IsZero() {
					since = time.Now()
				}
				if row.away && time.Since(since) < roleGrace+time.Second {
					return nil, syscall.ECONNREFUSED
				}
				count, verb := &gets, "get"
				if creates(request) {
					count, verb = &posts, "create"
				}
				*count++
				switch {
				case row.lost && verb == "create" && *count == 1:
					response, err := next.RoundTrip(request)
					if err != nil {
						return nil, err
					}
					_ = response.Body.Close()
					return nil, io.ErrUnexpectedEOF
				case !row.away && *count <= refusals, row.away && verb == "create" && *count == 1:
					return answer(request, metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden,
						Message: `jobs.batch "hello" is forbidden: User "n1" cannot ` + verb + ` resource "jobs"`}), nil
				}
				return next.RoundTrip(request)
			}))
			r := p.attempt("hello", map[string]string{"run": "100ms"})
			if row.adopt {
				p.create(jobOf(t, r.Attempt, p.namespace, "hello"))
				r = r.next()
			}
			expect(t, r.start().outcome(), nightwatch.PhaseSucceeded, "")
			if got := len(p.jobs()); got != 1 {
				t.Errorf("%d Jobs", got)
			}
		})
	}
}

// A Job that a predecessor made, and had not on record when it died, is adopted: though it could not be begun any more, or the
// task has been edited so that no Job can be made of it.
func TestAdoptedByName(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*run){
		"it would be too late": func(r *run) {
			r.Task.StartWithin, r.StartBy = nightwatch.Duration(time.Minute), time.Now().Add(-time.Second)
		},
		"no Job any more": func(r *run) {
			r.Task = &nightwatch.Task{Kubernetes: &nightwatch.KubernetesSpec{Image: "busybox", Template: json.RawMessage(`{"spec":{"none":1}}`)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			first := p.attempt("hello", map[string]string{"run": "1s"})
			made := p.create(jobOf(t, first.Attempt, p.namespace, "hello"))
			next := first.next()
			edit(next)
			expect(t, next.start().outcome(), nightwatch.PhaseSucceeded, "")
			if job := p.jobs()["hello"]; job.UID != made.UID || next.job().UID != string(made.UID) || job.Spec.Suspend != nil && *job.Spec.Suspend {
				t.Errorf("record %+v, Job %s, suspend %v: want %s as it was made", next.job(), job.UID, job.Spec.Suspend, made.UID)
			}
		})
	}
}
