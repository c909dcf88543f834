package jobrunner

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// A Job whose run's time was up while no node had it is ended by the node that is given it, and the run is Failed, without
// another attempt; a Job that had ended well by then is what it is.
func TestJobWhoseTimeWasUp(t *testing.T) {
	for _, row := range []struct {
		name  string
		ended bool
		want  nightwatch.Phase
	}{{"it lives", false, nightwatch.PhaseFailed}, {"it has ended", true, nightwatch.PhaseSucceeded}} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			r.kube.run = func(ctx context.Context, _ *Attempt) Outcome {
				if row.ended {
					return Outcome{Phase: nightwatch.PhaseSucceeded}
				}
				if !errors.Is(context.Cause(ctx), ErrCancel) {
					t.Errorf("cause %v", context.Cause(ctx))
				}
				return Stopped(ctx)
			}
			r.accept(`{"image":"alpine","retry":{"attempts":3}}`)
			r.start().give("a", func(run *nightwatch.Run) {
				run.Runner, run.LostSessions = nightwatch.RunnerKubernetes, 1
				run.Job = &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo", UID: "u1"}
				run.Cancel = &nightwatch.Cancel{Reason: nightwatch.ReasonTimeout, Why: "the run took longer than its runTimeout, 30m", Time: time.Now().UTC()}
			})
			run := r.wait("a", "has ended", in(row.want))
			if failed := row.want == nightwatch.PhaseFailed; failed && (run.Reason != nightwatch.ReasonTimeout || run.Message != "the run took longer than its runTimeout, 30m") ||
				run.Attempt != 1 || len(run.Attempts) > 0 || run.Cancel == nil {
				t.Errorf("%+v", run)
			}
			r.clean()
		})
	}
}
