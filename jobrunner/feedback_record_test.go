package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

func TestWhatAnAttemptSaysStandsInItsRecord(t *testing.T) {
	for _, tt := range []struct {
		name       string
		outcome    Outcome
		checkpoint string // what is left of it
	}{
		{name: "succeeds", outcome: Outcome{Phase: nightwatch.PhaseSucceeded}},
		{name: "fails", outcome: Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonHandlerError}, checkpoint: "page 7"},
		{name: "canceled", outcome: Outcome{Phase: nightwatch.PhaseCanceled, Reason: nightwatch.ReasonCancelRequested}, checkpoint: "page 7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			release := make(chan struct{})
			r.process.run = func(ctx context.Context, a *Attempt) Outcome {
				a.Run.Progress(0.5, "page 7 of 14")
				if err := a.Run.SaveCheckpoint(ctx, []byte("page 7")); err != nil {
					t.Error(err)
				}
				<-release
				a.Run.Progress(1, "done")
				if err := a.Run.SetResult(map[string]int{"pages": 14}); err != nil {
					t.Error(err)
				}
				return tt.outcome
			}
			r.start().give("a")
			run := r.wait("a", "has a checkpoint", func(run nightwatch.Run) bool { return string(run.Checkpoint) == "page 7" })
			if run.Phase != nightwatch.PhaseRunning || run.Progress == nil || run.Progress.Fraction != 0.5 || run.Progress.Message != "page 7 of 14" {
				t.Errorf("%s", encode(&run))
			}
			close(release)
			run = r.wait("a", "ends", in(tt.outcome.Phase))
			if run.Progress == nil || run.Progress.Message != "done" || string(run.Result) != `{"pages":14}` || string(run.Checkpoint) != tt.checkpoint {
				t.Errorf("%s: want the last words, and checkpoint %q", encode(&run), tt.checkpoint)
			}
			r.clean()
		})
	}
}

func TestProgressIsSeenWhileTheAttemptIsSilent(t *testing.T) {
	r := newRig(t)
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		for i := range 101 {
			a.Run.Progress(float64(i)/100, "")
		}
		<-ctx.Done()
		return Stopped(ctx)
	}
	r.start().give("a")
	r.wait("a", "shows the last", func(run nightwatch.Run) bool { return run.Progress != nil && run.Progress.Fraction == 1 })
}

// A node that stops gives its handler time to save; whoever has the run next goes on from there.
func TestCheckpointGoesToTheNextAttempt(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		a.Run.Progress(0.5, "half")
		if err := a.Run.SetResult("so far"); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		if err := a.Run.SaveCheckpoint(context.WithoutCancel(ctx), []byte("page 7")); err != nil {
			t.Error(err)
		}
		return Stopped(ctx)
	}
	r.start().give("a")
	<-r.process.attempts
	r.stop()
	<-r.stopped
	given := r.record("a")
	if given.Phase != nightwatch.PhasePending || given.Attempt != 2 || string(given.Checkpoint) != "page 7" || given.Progress == nil || string(given.Result) != `"so far"` {
		t.Fatalf("%s", encode(&given))
	}

	next := NewWorker(r.cfg)
	r.Worker, r.stopped = next, make(chan struct{})
	told, release := make(chan string, 1), make(chan struct{})
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		told <- string(a.Run.Checkpoint())
		<-release
		return succeed(ctx, a)
	}
	r.start().give("a", func(run *nightwatch.Run) {
		session := run.Session
		*run = given
		run.Phase, run.Node, run.Session = nightwatch.PhaseAssigned, "n1", session
	})
	if got := <-told; got != "page 7" {
		t.Errorf("checkpoint %q", got)
	}
	if run := r.record("a"); run.Progress != nil || run.Result != nil || string(run.Checkpoint) != "page 7" {
		t.Errorf("%s: want nothing but the checkpoint of the attempt before", encode(&run))
	}
	close(release)
	if run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded)); run.Checkpoint != nil || run.Progress != nil || run.Result != nil {
		t.Errorf("%s", encode(&run))
	}
	r.clean()
}

func TestRetryKeepsTheCheckpoint(t *testing.T) {
	r := newRig(t)
	r.accept(`{"process":{"command":["true"]},"retry":{"attempts":2,"backoff":"1h"}}`)
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		if err := a.Run.SaveCheckpoint(ctx, []byte("page 7")); err != nil {
			t.Error(err)
		}
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonHandlerError, Message: "no paper"}
	}
	r.start().give("a")
	if run := r.wait("a", "waits", in(nightwatch.PhasePending)); run.Attempt != 2 || string(run.Checkpoint) != "page 7" {
		t.Errorf("%s", encode(&run))
	}
}

// Messages get lost: when the caller hears that its checkpoint is saved, it is.
func TestCheckpointWhoseAnswerIsLost(t *testing.T) {
	for name, breaks := range map[string]func(*etcdtest.Proxy){
		"request lost": (*etcdtest.Proxy).DropRequests, "answer lost": (*etcdtest.Proxy).DropResponses, "answer late": (*etcdtest.Proxy).HoldResponses,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			broken, saved := make(chan struct{}), make(chan error, 1)
			r.process.run = func(ctx context.Context, a *Attempt) Outcome {
				<-broken
				saved <- a.Run.SaveCheckpoint(ctx, []byte("page 7"))
				<-ctx.Done()
				return Stopped(ctx)
			}
			r.start().give("a")
			<-r.process.attempts
			breaks(r.proxy)
			close(broken)
			if name != "request lost" {
				r.wait("a", "has it", func(run nightwatch.Run) bool { return string(run.Checkpoint) == "page 7" })
				select {
				case err := <-saved:
					t.Errorf("it returned %v before etcd had answered", err)
				default:
				}
			}
			r.proxy.Resume()
			if err := <-saved; err != nil {
				t.Error(err)
			}
			if run := r.record("a"); string(run.Checkpoint) != "page 7" || run.Phase != nightwatch.PhaseRunning {
				t.Errorf("%s", encode(&run))
			}
		})
	}
}

// A call that its caller gives up costs the attempt nothing.
func TestCheckpointGivenUpByItsCaller(t *testing.T) {
	r := newRig(t)
	broken, gaveUp, resumed := make(chan struct{}), make(chan error, 1), make(chan struct{})
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-broken
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		gaveUp <- a.Run.SaveCheckpoint(short, []byte("page 7"))
		<-resumed
		if err := a.Run.SaveCheckpoint(ctx, []byte("page 8")); err != nil {
			t.Error(err)
		}
		if ctx.Err() != nil {
			t.Errorf("the attempt was ended: %v", context.Cause(ctx))
		}
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonHandlerError}
	}
	r.start().give("a")
	<-r.process.attempts
	r.proxy.HoldResponses()
	close(broken)
	if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrSessionLost) {
		t.Errorf("%v", err)
	}
	r.proxy.Resume()
	close(resumed)
	if run := r.wait("a", "fails", in(nightwatch.PhaseFailed)); string(run.Checkpoint) != "page 8" {
		t.Errorf("%s", encode(&run))
	}
	r.clean()
}

// The run was given to another session: what the attempt saves is refused, and its context ends.
func TestCheckpointOfARunThatWasMoved(t *testing.T) {
	r := newRig(t)
	moved, refused := make(chan struct{}), make(chan error, 1)
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-moved
		refused <- a.Run.SaveCheckpoint(context.WithoutCancel(ctx), []byte("zombie"))
		<-ctx.Done()
		return Stopped(ctx)
	}
	r.start().give("a")
	<-r.process.attempts
	run := r.record("a")
	run.Session, run.Node, run.Attempt, run.Checkpoint = "other", "n2", 2, []byte("theirs")
	if _, err := r.client.Put(t.Context(), r.keys.Run(demo, "a"), string(encode(&run))); err != nil {
		t.Fatal(err)
	}
	close(moved)
	if err := <-refused; !errors.Is(err, ErrSessionLost) {
		t.Errorf("%v: want %v", err, ErrSessionLost)
	}
	r.stop()
	<-r.stopped
	if run := r.record("a"); string(run.Checkpoint) != "theirs" {
		t.Errorf("%s", encode(&run))
	}
}

// A goroutine that its handler left behind goes on talking: the record of the run that has ended does not change.
func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	r := newRig(t)
	r.start().give("a")
	r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	r.clean()
	_, before, err := r.store.Run(t.Context(), demo, "a")
	if err != nil {
		t.Fatal(err)
	}
	late := <-r.process.attempts
	late.Run.Progress(0.1, "still here")
	if err := late.Run.SetResult("late"); !errors.Is(err, errOver) {
		t.Errorf("set result: %v", err)
	}
	if err := late.Run.SaveCheckpoint(t.Context(), []byte("late")); !errors.Is(err, errOver) {
		t.Errorf("save checkpoint: %v", err)
	}
	if err := late.Save(t.Context(), func(run *nightwatch.Run) { run.Checkpoint = []byte("late") }); !errors.Is(err, errNotOurs) {
		t.Errorf("save: %v", err)
	}
	if _, after, err := r.store.Run(t.Context(), demo, "a"); after != before || err != nil {
		t.Errorf("the record was written at %d: want %d, %v", after, before, err)
	}
}

// Whatever is written at one moment, by the runner and by user code, none of it undoes another, and the end comes last.
func TestWritesOfOneRunDoNotUndoEachOther(t *testing.T) {
	r := newRig(t)
	const writers, each = 8, 10
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		var wg sync.WaitGroup
		for writer := range writers {
			wg.Go(func() {
				for i := range each {
					a.Run.Progress(float64(writer*each+i)/(writers*each), "")
					if err := a.Save(ctx, func(run *nightwatch.Run) {
						params := map[string]json.RawMessage{fmt.Sprintf("%d-%d", writer, i): json.RawMessage("1")}
						for name, value := range run.Params {
							params[name] = value
						}
						run.Params = params
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 3 {
			if err := a.Run.SaveCheckpoint(ctx, []byte{byte(i)}); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		a.Run.Progress(1, "all")
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonHandlerError}
	}
	r.start().give("a")
	run := r.wait("a", "fails", in(nightwatch.PhaseFailed))
	if len(run.Params) != writers*each || len(run.Checkpoint) != 1 || run.Checkpoint[0] != 2 || run.Progress.Message != "all" {
		t.Errorf("%d of %d changes, checkpoint %v, progress %+v", len(run.Params), writers*each, run.Checkpoint, run.Progress)
	}
	r.clean()
}
