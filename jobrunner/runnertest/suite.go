package runnertest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Kind is what a task of the suite is for.
type Kind string

// Kinds of tasks that every runner has. A Live one goes on until it is ended, and for a minute at most; the suite sets
// Timeout itself.
const (
	Succeed Kind = "succeed"
	Fail    Kind = "fail"
	Live    Kind = "live"
)

// Kinds of tasks that a runner may have. A Big one succeeds, and says more than a record keeps, at the end of it BigEnd:
// a megabyte or more, or as much as is possible. A Permanent and a Retryable one fail and say so of themselves, in the
// Hint of their outcome.
const (
	Big       Kind = "big"
	Permanent Kind = "permanent"
	Retryable Kind = "retryable"
)

// BigEnd is what a Big task says last; a line break may follow.
const BigEnd = "the last words"

// Subject is a runner under test. Its functions are safe for concurrent use.
type Subject struct {
	// New makes a runner; the suite calls its Serve, if it has one.
	New func(tb testing.TB) jobrunner.Runner
	// Task is a task of a kind: nil when the runner has none such, for those kinds that not every runner has.
	Task func(tb testing.TB, kind Kind) *nightwatch.Task
	// Started is how many times the effect of a run has begun.
	Started func(run jobrunner.Run) int
	// Live tells whether the effect of a run is there at this moment.
	Live func(run jobrunner.Run) bool
	// Told is what the effect of a run was told of itself; nil when nobody can say. Compared are its names, its attempt,
	// fence, nominal time and params.
	Told func(run jobrunner.Run) jobrunner.Run
	// ExitCode is the one of a task of kind Fail, for runners whose attempts have one. Default none is wanted.
	ExitCode int
	// Says is what a Live attempt has written to its log while it lives, and a Succeed one by its end; it is in the output
	// of the latter too. Empty: attempts do not write to their logs.
	Says string
	// Detached says that effects live apart from the node: they outlast a lost session and a stopping node, and another
	// instance of the runner, a jobrunner.Preparer, takes them over.
	Detached bool
	// Env is what Serve is given. Default a Lookup that finds nothing, and a Gone that never tells anything.
	Env func(tb testing.TB) jobrunner.Env
	// Patience is how long anything may take. Default 20 s.
	Patience time.Duration
	// Timeout is that of a task which is to run into it. Default 300 ms.
	Timeout time.Duration
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	if s.Patience == 0 {
		s.Patience = 20 * time.Second
	}
	if s.Timeout == 0 {
		s.Timeout = 300 * time.Millisecond
	}
	for _, tt := range []struct {
		name string
		fn   func(*testing.T, Subject)
	}{
		{"name", testName}, {"succeeds", testSucceeds}, {"fails", testFails}, {"cancel", testCancel}, {"timeout", testTimeout},
		{"session lost", testSessionLost}, {"drained", testDrained}, {"drain is over", testDrainIsOver}, {"taken over", testTakenOver},
		{"canceled before", testCanceledBefore}, {"deadline passed", testDeadlinePassed},
		{"save follows the effect", testSave}, {"save fails", testSaveFails}, {"save changes what is the runner's", testSaveKeeps},
		{"side by side", testConcurrent}, {"told", testTold}, {"canceled as it starts", testCanceledAtStart},
		{"writes its log", testWrites}, {"big output", testBig}, {"hint", testHint},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.fn(t, s) })
	}
}

func testName(t *testing.T, s Subject) {
	r := s.New(t)
	if r.Name() == "" || r.Name() != s.New(t).Name() {
		t.Errorf("Name() = %q: want one word", r.Name())
	}
}

func testSucceeds(t *testing.T, s Subject) {
	r, a, _ := s.attempt(t, Succeed)
	out := s.wait(t, s.start(t.Context(), r, a))
	if out.Phase != nightwatch.PhaseSucceeded || out.Reason != "" || out.Message != "" {
		t.Errorf("outcome %+v: want Succeeded with neither reason nor message", out)
	}
	s.wantStarted(t, a, 1)
	s.wantEnded(t, a)
}

func testFails(t *testing.T, s Subject) {
	r, a, _ := s.attempt(t, Fail)
	out := s.wait(t, s.start(t.Context(), r, a))
	if out.Phase != nightwatch.PhaseFailed || out.Reason == "" || out.Message == "" {
		t.Errorf("outcome %+v: want Failed with reason and message", out)
	}
	if s.ExitCode != 0 && (out.ExitCode == nil || *out.ExitCode != s.ExitCode) {
		t.Errorf("outcome %+v: want exit code %d", out, s.ExitCode)
	}
	s.wantStarted(t, a, 1)
	s.wantEnded(t, a)
}

func testCanceledAtStart(t *testing.T, s Subject) {
	if s.Detached {
		return // its effect may be there and be removed again, which its own tests look at
	}
	r, a, _ := s.attempt(t, Live)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a.Deadline = func() time.Time {
		cancel(jobrunner.ErrCancel)
		return time.Now().Add(10 * time.Second)
	}
	if out := s.wait(t, s.start(ctx, r, a)); out.Phase != nightwatch.PhaseCanceled {
		t.Errorf("outcome %+v: want Canceled", out)
	}
	s.wantEnded(t, a)
}

func testHint(t *testing.T, s Subject) {
	for kind, says := range map[Kind]func(nightwatch.RetryHint) bool{
		Permanent: nightwatch.RetryHint.Permanent, Retryable: nightwatch.RetryHint.Retryable,
	} {
		if s.Task(t, kind) == nil {
			continue // it cannot tell
		}
		t.Run(string(kind), func(t *testing.T) {
			r, a, _ := s.attempt(t, kind)
			out := s.wait(t, s.start(t.Context(), r, a))
			if out.Phase != nightwatch.PhaseFailed || out.Reason == "" || !says(out.Hint) {
				t.Errorf("outcome %+v: want Failed with a reason and a hint that it is %s", out, kind)
			}
		})
	}
}

func testCancel(t *testing.T, s Subject) {
	r, a, _ := s.attempt(t, Live)
	out := s.stop(t, r, a, jobrunner.ErrCancel)
	if out.Phase != nightwatch.PhaseCanceled || out.Reason != nightwatch.ReasonCancelRequested {
		t.Errorf("outcome %+v: want Canceled, CancelRequested", out)
	}
	s.wantEnded(t, a)
}

func testTimeout(t *testing.T, s Subject) {
	r, a, _ := s.attempt(t, Live)
	a.Task.Timeout = nightwatch.Duration(s.Timeout)
	out := s.wait(t, s.start(t.Context(), r, a))
	if out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonTimeout || out.Message == "" {
		t.Errorf("outcome %+v: want Failed, Timeout with a message", out)
	}
	s.wantEnded(t, a)
}

func testCanceledBefore(t *testing.T, s Subject) {
	for _, cause := range []error{jobrunner.ErrCancel, jobrunner.ErrSessionLost, jobrunner.ErrStopping} {
		r, a, _ := s.attempt(t, Live)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		out := s.wait(t, s.start(ctx, r, a))
		if want := jobrunner.Stopped(ctx); out.Phase != want.Phase || out.Reason != want.Reason {
			t.Errorf("%v: outcome %+v: want %+v", cause, out, want)
		}
		s.wantStarted(t, a, 0)
	}
}

func testDeadlinePassed(t *testing.T, s Subject) {
	r, a, saves := s.attempt(t, Live)
	a.Deadline = func() time.Time { return time.Now().Add(-time.Millisecond) }
	if out := s.wait(t, s.start(t.Context(), r, a)); out != jobrunner.Interrupted {
		t.Errorf("outcome %+v: want Interrupted", out)
	}
	s.wantStarted(t, a, 0)
	if n := saves.Count(); n != 0 {
		t.Errorf("%d calls of Save for an effect that was not made", n)
	}
}

// testSave holds the first Save up until its effect is seen, which may take a moment, and never is when Save goes before it.
func testSave(t *testing.T, s Subject) {
	r, a, saves := s.attempt(t, Live)
	saving, looked := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(looked) })
	defer goOn()
	saves.Before(sync.OnceFunc(func() {
		close(saving)
		<-looked
	}))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, a)
	select {
	case <-saving:
	case out := <-done:
		t.Fatalf("ended before Save: %+v", out)
	case <-time.After(s.Patience):
		t.Fatalf("no Save within %v", s.Patience)
	}
	s.eventually(t, "the effect that is saved", func() bool { return s.Started(a.Run) == 1 })
	goOn()
	cancel(jobrunner.ErrCancel)
	s.wait(t, done)
	if n := saves.Count(); n != 1 && !s.Detached {
		t.Errorf("%d calls of Save: want 1", n)
	}
}

func testSaveFails(t *testing.T, s Subject) {
	r, a, saves := s.attempt(t, Live)
	saves.Fail(errors.New("the run is another session's"))
	if out := s.wait(t, s.start(t.Context(), r, a)); out != jobrunner.Interrupted {
		t.Errorf("outcome %+v: want Interrupted", out)
	}
	if !s.Detached {
		s.wantEnded(t, a)
	}
}

func testSaveKeeps(t *testing.T, s Subject) {
	r, a, saves := s.attempt(t, Live)
	a.Run.Progress(0.5, "half way")
	if err := a.Run.SetResult("so far"); err != nil {
		t.Fatal(err)
	}
	if err := a.Run.SaveCheckpoint(t.Context(), []byte("page 7")); err != nil {
		t.Fatal(err)
	}
	before := saves.Record()
	if out := s.stop(t, r, a, jobrunner.ErrCancel); out.Phase != nightwatch.PhaseCanceled {
		t.Errorf("outcome %+v: want Canceled", out)
	}
	after := saves.Record()
	before.Job, after.Job = nil, nil
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the record was\n%+v and is\n%+v: want nothing but its Job changed", before, after)
	}
}

func testConcurrent(t *testing.T, s Subject) {
	r := s.serve(t)
	var wg sync.WaitGroup
	for i := range 12 {
		kind, phase, cause := Succeed, nightwatch.PhaseSucceeded, error(nil)
		switch i % 3 {
		case 1:
			kind, phase = Fail, nightwatch.PhaseFailed
		case 2:
			kind, phase, cause = Live, nightwatch.PhaseCanceled, jobrunner.ErrCancel
		}
		a, _ := Attempt(t, s.task(t, kind))
		Prepared(r, a)
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := s.start(ctx, r, a)
			if cause != nil {
				s.eventually(t, "the effect", func() bool { return s.Live(a.Run) })
				cancel(cause)
			}
			select {
			case out := <-done:
				if out.Phase != phase {
					t.Errorf("%s: outcome %+v: want %s", kind, out, phase)
				}
			case <-time.After(s.Patience):
				t.Errorf("%s: no outcome within %v", kind, s.Patience)
			}
			s.wantStarted(t, a, 1)
			s.wantEnded(t, a)
		})
	}
	wg.Wait()
}
