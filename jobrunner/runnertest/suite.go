package runnertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Kind is what a task of the suite is for.
type Kind string

// Kinds of tasks. A Live one goes on until it is ended, and for a minute at most; the suite sets Timeout itself.
const (
	Succeed Kind = "succeed"
	Fail    Kind = "fail"
	Live    Kind = "live"
)

// Subject is a runner under test. Its functions are safe for concurrent use.
type Subject struct {
	// New makes a runner; the suite calls its Serve, if it has one.
	New func(tb testing.TB) jobrunner.Runner
	// Task is a task of a kind.
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
	// Detached says that effects live apart from the node: they outlast a lost session and a stopping node.
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
		{"session lost", func(t *testing.T, s Subject) { testInterrupted(t, s, jobrunner.ErrSessionLost) }},
		{"node stopping", func(t *testing.T, s Subject) { testInterrupted(t, s, jobrunner.ErrStopping) }},
		{"canceled before", testCanceledBefore}, {"deadline passed", testDeadlinePassed},
		{"save follows the effect", testSave}, {"save fails", testSaveFails}, {"save changes what is the runner's", testSaveKeeps},
		{"side by side", testConcurrent}, {"told", testTold}, {"canceled as it starts", testCanceledAtStart},
		{"writes its log", testWrites},
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

func testTold(t *testing.T, s Subject) {
	if s.Told == nil {
		return
	}
	r := s.serve(t)
	task := s.task(t, Succeed)
	task.Params = map[string]json.RawMessage{"city": json.RawMessage(`"Zürich"`), "n": json.RawMessage(`[1,2]`)}
	a, _ := Attempt(t, task)
	Prepared(r, a)
	if out := s.wait(t, s.start(t.Context(), r, a)); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("outcome %+v: want Succeeded", out)
	}
	got, want := s.Told(a.Run), a.Run
	if got.Namespace != want.Namespace || got.Task != want.Task || got.ID != want.ID || got.Attempt != want.Attempt || got.Fence != want.Fence ||
		!got.NominalTime.Equal(want.NominalTime) || !reflect.DeepEqual(meaning(t, got.Params), meaning(t, want.Params)) {
		t.Errorf("told %+v: want %+v", got, want)
	}
}

// meaning is what params say, however that is written.
func meaning(t *testing.T, params map[string]json.RawMessage) map[string]any {
	values := map[string]any{}
	for name, raw := range params {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Errorf("param %s: %v", name, err)
		}
		values[name] = value
	}
	return values
}

// testCanceledAtStart has the wish to cancel come as the runner asks for the last time whether it may start.
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

func testInterrupted(t *testing.T, s Subject, cause error) {
	r, a, _ := s.attempt(t, Live)
	if out := s.stop(t, r, a, cause); out != jobrunner.Interrupted {
		t.Errorf("outcome %+v: want Interrupted", out)
	}
	if s.Detached {
		if !s.Live(a.Run) {
			t.Error("the effect was ended: want it left alone")
		}
		return
	}
	s.wantEnded(t, a)
}

func testCanceledBefore(t *testing.T, s Subject) {
	for _, cause := range []error{jobrunner.ErrCancel, jobrunner.ErrSessionLost} {
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

func testSave(t *testing.T, s Subject) {
	r, a, saves := s.attempt(t, Live)
	started := make(chan int, 1)
	saves.Before(func() {
		select {
		case started <- s.Started(a.Run):
		default:
		}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, a)
	select {
	case <-saves.First():
	case out := <-done:
		t.Fatalf("ended before Save: %+v", out)
	case <-time.After(s.Patience):
		t.Fatalf("no Save within %v", s.Patience)
	}
	if n := <-started; n != 1 {
		t.Errorf("Save was called after %d effects: want 1", n)
	}
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

// testWrites looks at the log of an attempt while it runs and afterwards, and at the end of it that goes into the record.
func testWrites(t *testing.T, s Subject) {
	if s.Says == "" {
		return
	}
	r, a, _ := s.attempt(t, Live)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := s.start(ctx, r, a)
	has := func() bool { return strings.Contains(fmt.Sprint(a.Log), s.Says) }
	s.eventually(t, fmt.Sprintf("%q in the log of a live attempt", s.Says), has)
	cancel(jobrunner.ErrCancel)
	s.wait(t, done)
	if !has() {
		t.Errorf("the log has %q after the end: want %q in it", a.Log, s.Says)
	}

	r, a, _ = s.attempt(t, Succeed)
	out := s.wait(t, s.start(t.Context(), r, a))
	if out.Output == "" {
		out.Output = fmt.Sprint(a.Log) // as the worker has it
	}
	if !has() || !strings.Contains(out.Output, s.Says) || len(out.Output) > nightwatch.MaxOutput {
		t.Errorf("the log has %q, and the output is %q: want %q in both", a.Log, out.Output, s.Says)
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
