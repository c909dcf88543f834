package runnertest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func testSessionLost(t *testing.T, s Subject) {
	r, a, _ := s.attempt(t, Live)
	if out := s.stop(t, r, a, jobrunner.ErrSessionLost); out != jobrunner.Interrupted {
		t.Errorf("outcome %+v: want Interrupted", out)
	}
	s.wantLeft(t, a)
}

// wantLeft looks at the effect of an attempt that this instance of the runner gave up.
func (s Subject) wantLeft(t *testing.T, a *jobrunner.Attempt) {
	t.Helper()
	if s.Detached && !s.Live(a.Run) {
		t.Error("the effect was ended: want it left alone")
	}
	if !s.Detached {
		s.wantEnded(t, a)
	}
}

// testDrained has a node stop that does several runs: they are handed over, and what comes too late is not begun.
func testDrained(t *testing.T, s Subject) {
	r := s.serve(t)
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	type started struct {
		a     *jobrunner.Attempt
		saves *Saves
		done  <-chan jobrunner.Outcome
	}
	var all []started
	for range 3 {
		a, saves := Attempt(t, s.task(t, Live))
		all = append(all, started{a, saves, s.start(ctx, r, Prepared(r, a))})
	}
	for _, one := range all {
		s.eventually(t, "the effect", func() bool { return s.Live(one.a.Run) })
	}
	stop(jobrunner.ErrStopping)
	late, _ := Attempt(t, s.task(t, Live))
	if out := s.wait(t, s.start(ctx, r, Prepared(r, late))); out != jobrunner.Interrupted {
		t.Errorf("outcome %+v of an attempt that came too late: want Interrupted", out)
	}
	s.wantStarted(t, late, 0)

	successor := s.serve(t)
	for _, one := range all {
		if out := s.wait(t, one.done); out != jobrunner.Interrupted {
			t.Errorf("outcome %+v: want Interrupted", out)
		}
		s.wantLeft(t, one.a)
		record := one.saves.Record()
		if s.Detached && (record.Job == nil || record.Job.UID == "") {
			t.Error("the effect is not on record: nobody knows of it")
		}
		s.takeOver(t, successor, one.a, record)
	}
}

// testDrainIsOver has the time of a drain be up, which a deadline in the past tells, while an attempt is to be ended: that
// holds up nobody, and what cannot be ended by now is somebody else's to end.
func testDrainIsOver(t *testing.T, s Subject) {
	r, a, _ := s.attempt(t, Live)
	ahead, over := a.Deadline, new(atomic.Bool)
	a.Deadline = func() time.Time {
		if over.Load() {
			return time.Time{}
		}
		return ahead()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, a)
	s.eventually(t, "the effect", func() bool { return s.Live(a.Run) })
	over.Store(true)
	cancel(jobrunner.ErrCancel)
	out := s.wait(t, done)
	if out != jobrunner.Interrupted && out.Phase != nightwatch.PhaseCanceled {
		t.Errorf("outcome %+v: want Canceled or Interrupted", out)
	}
	if !s.Detached || out.Phase == nightwatch.PhaseCanceled {
		s.wantEnded(t, a)
	}
}

// testTakenOver has a second instance of the runner go on with runs whose first session was lost.
func testTakenOver(t *testing.T, s Subject) {
	t.Run("in mid-run", func(t *testing.T) {
		r, a, saves := s.attempt(t, Live)
		s.stop(t, r, a, jobrunner.ErrSessionLost)
		s.wantLeft(t, a)
		record := saves.Record()
		record.LostSessions++
		s.takeOver(t, s.serve(t), a, record)
	})
	if !s.Detached {
		return
	}
	for name, begin := range map[string]func(t *testing.T, r jobrunner.Runner, a *jobrunner.Attempt, saves *Saves){
		// It dies between its effect and its record.
		"not on record": func(t *testing.T, r jobrunner.Runner, a *jobrunner.Attempt, saves *Saves) {
			saves.Fail(errors.New("the run is another session's"))
			if out := s.wait(t, s.start(t.Context(), r, a)); out != jobrunner.Interrupted {
				t.Errorf("outcome %+v: want Interrupted", out)
			}
			s.wantStarted(t, a, 1)
		},
		// It dies between its claim and its effect.
		"not begun": func(*testing.T, jobrunner.Runner, *jobrunner.Attempt, *Saves) {},
	} {
		t.Run(name, func(t *testing.T) {
			r, a, saves := s.attempt(t, Succeed)
			begin(t, r, a, saves)
			record := saves.Record()
			record.LostSessions++
			second := s.serve(t)
			next := s.next(t, second, a, record)
			if out := s.wait(t, s.start(t.Context(), second, next)); out.Phase != nightwatch.PhaseSucceeded {
				t.Errorf("outcome %+v: want Succeeded", out)
			}
			s.wantStarted(t, a, 1)
		})
	}
	// The run is canceled before the first instance has made its effect, and then that one goes on.
	t.Run("ended before it began", func(t *testing.T) {
		r, a, saves := s.attempt(t, Live)
		record := saves.Record()
		record.LostSessions++
		second := s.serve(t)
		next := s.next(t, second, a, record)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(jobrunner.ErrCancel)
		if out := s.wait(t, s.start(ctx, second, next)); out.Phase != nightwatch.PhaseCanceled {
			t.Errorf("outcome %+v: want Canceled", out)
		}
		saves.Fail(errors.New("the run is another session's"))
		if out := s.wait(t, s.start(t.Context(), r, a)); out != jobrunner.Interrupted {
			t.Errorf("outcome %+v of the first instance: want Interrupted", out)
		}
		if s.Live(a.Run) {
			t.Error("the effect of a canceled run is there")
		}
	})
}

// takeOver has another instance of the runner go on with a run whose record this is, and end it: what is left of the first
// attempt is adopted, or else another attempt follows it, and nothing is there twice.
func (s Subject) takeOver(t *testing.T, r jobrunner.Runner, a *jobrunner.Attempt, record nightwatch.Run) {
	t.Helper()
	s.wantStarted(t, a, 1)
	next := s.next(t, r, a, record)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, next)
	s.eventually(t, "the effect, in the hands of the second instance", func() bool { return s.Live(a.Run) })
	cancel(jobrunner.ErrCancel)
	if out := s.wait(t, done); out.Phase != nightwatch.PhaseCanceled {
		t.Errorf("outcome %+v of the second instance: want Canceled", out)
	}
	s.wantEnded(t, a)
	s.wantStarted(t, a, next.Run.Attempt)
}

// next is what another session is given of a run whose attempt a has no owner any more: the same attempt, if what it made
// may be there, else the next one.
func (s Subject) next(t *testing.T, r jobrunner.Runner, a *jobrunner.Attempt, record nightwatch.Run) *jobrunner.Attempt {
	t.Helper()
	next, saves := Attempt(t, a.Task)
	record.Node, record.Session, record.Fence = "n2", "694d2", next.Run.Fence
	if s.Detached {
		if record.Job == nil {
			record.Job = a.Record.Job // as the claim stored it
		}
		next.Adopt = record.LostSessions > 0 || record.Job.UID == ""
	} else {
		record.Attempt++
	}
	next.Run.ID, next.Run.Attempt, next.Run.IdempotencyKey = record.ID, record.Attempt, record.IdempotencyKey(ClusterID)
	next.Record, saves.record = record, record
	return Prepared(r, next)
}
