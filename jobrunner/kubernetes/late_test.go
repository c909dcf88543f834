package kubernetes

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
)

// Refusals that pass are repeated until startWithin is over: each row is one that does not pass in time.
func TestStartWithin(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		refuse    func(request *http.Request) (*http.Response, error)
		want      string
		tombstone bool // nobody knows whether the create was done, so its name is taken before the run is missed
	}{
		"no answer": {func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") }, "no route to host", true},
		"429": {func(request *http.Request) (*http.Response, error) {
			return answer(request, metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests, Message: "slow down"}), nil
		}, "slow down", false},
		"500": {func(request *http.Request) (*http.Response, error) {
			return answer(request, metav1.Status{Code: 500, Reason: metav1.StatusReasonInternalError, Message: "webhook is down"}), nil
		}, "webhook is down", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var here atomic.Bool
			p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
				if !here.Load() && creates(request) {
					return row.refuse(request)
				}
				return next.RoundTrip(request)
			}))
			r := p.attempt("hello", map[string]string{"run": "100ms"})
			r.Task.StartWithin, r.StartBy = nightwatch.Duration(2*time.Second), time.Now().Add(2*time.Second)
			if row.tombstone {
				timer := time.AfterFunc(4*time.Second, func() { here.Store(true) })
				defer timer.Stop()
			}
			out := r.start().outcome()
			expect(t, out, nightwatch.PhaseMissed, nightwatch.ReasonStartWithin)
			if !strings.HasPrefix(out.Message, "could not be started within 2s: ") || !strings.Contains(out.Message, row.want) {
				t.Errorf("message %q", out.Message)
			}
			if job, there := p.jobs()["hello"]; there != row.tombstone || there && !*job.Spec.Suspend {
				t.Errorf("Job %v: %+v", there, job.Spec.Suspend)
			}
		})
	}
}
