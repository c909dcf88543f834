package runnertest

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// serve makes a runner and has it served until the test ends.
func (s Subject) serve(t *testing.T) jobrunner.Runner {
	t.Helper()
	r := s.New(t)
	service, ok := r.(jobrunner.Service)
	if !ok {
		return r
	}
	env := jobrunner.Env{
		ClusterID: ClusterID, Node: "n1", Logger: hclog.NewNullLogger(),
		Lookup: func(context.Context, string, string) (*nightwatch.Run, error) { return nil, nightwatch.ErrNotFound },
	}
	if s.Env != nil {
		env = s.Env(t)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		service.Serve(ctx, env)
	}()
	t.Cleanup(func() {
		stop()
		select {
		case <-done:
		case <-time.After(s.Patience):
			t.Errorf("Serve did not return within %v", s.Patience)
		}
	})
	return r
}

// task is a copy of a task that the test may change. It ends a test for which the runner has no task.
func (s Subject) task(t *testing.T, kind Kind) *nightwatch.Task {
	t.Helper()
	task := s.Task(t, kind)
	if task == nil {
		t.Fatalf("no task of kind %q: every runner has one", kind)
	}
	copied := *task
	return &copied
}

func (s Subject) attempt(t *testing.T, kind Kind) (jobrunner.Runner, *jobrunner.Attempt, *Saves) {
	t.Helper()
	r := s.serve(t)
	a, saves := Attempt(t, s.task(t, kind))
	return r, Prepared(r, a), saves
}

// start runs an attempt on a goroutine of its own.
func (s Subject) start(ctx context.Context, r jobrunner.Runner, a *jobrunner.Attempt) <-chan jobrunner.Outcome {
	done := make(chan jobrunner.Outcome, 1)
	go func() { done <- r.Run(ctx, a) }()
	return done
}

func (s Subject) wait(t *testing.T, done <-chan jobrunner.Outcome) jobrunner.Outcome {
	t.Helper()
	select {
	case out := <-done:
		return out
	case <-time.After(s.Patience):
		t.Fatalf("no outcome within %v", s.Patience)
		panic("unreachable")
	}
}

// stop ends the context of an attempt whose effect is there.
func (s Subject) stop(t *testing.T, r jobrunner.Runner, a *jobrunner.Attempt, cause error) jobrunner.Outcome {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, a)
	s.eventually(t, "the effect", func() bool { return s.Live(a.Run) })
	cancel(cause)
	return s.wait(t, done)
}

func (s Subject) wantStarted(t *testing.T, a *jobrunner.Attempt, want int) {
	t.Helper()
	if n := s.Started(a.Run); n != want {
		t.Errorf("the effect began %d times: want %d", n, want)
	}
}

// wantEnded gives the other side a moment to see what has happened here, a connection that was closed for one.
func (s Subject) wantEnded(t *testing.T, a *jobrunner.Attempt) {
	t.Helper()
	s.eventually(t, "the end of the effect", func() bool { return !s.Live(a.Run) })
}

func (s Subject) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for late := time.After(s.Patience); !holds(); {
		select {
		case <-poll.C:
		case <-late:
			t.Errorf("%s: not seen within %v", what, s.Patience)
			return
		}
	}
}
