package jobrunner

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// failing is an attempt that fails with an exit code.
func failing(code int) func(context.Context, *Attempt) Outcome {
	return func(context.Context, *Attempt) Outcome {
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonExitCode, Message: "exit status", ExitCode: &code, Output: "oops\n"}
	}
}

func withRetry(fields string) string {
	return strings.TrimSuffix(onceTask, "}") + "," + fields + "}"
}

func TestFailedAttemptIsFollowedByAnother(t *testing.T) {
	r := newRig(t).start()
	r.process.run = failing(3)
	r.accept(withRetry(`"retry":{"attempts":3,"backoff":"1m","factor":2}`))
	r.give("rev-5")
	run := r.wait("rev-5", "waits for its retry", in(nightwatch.PhasePending))
	if run.Attempt != 2 || run.Failures != 1 || run.Reason != nightwatch.ReasonRetry || run.Node != "" || run.Session != "" || run.Output != "oops\n" || !run.EndTime.IsZero() {
		t.Errorf("%+v", run)
	}
	failed := run.Attempts[0]
	if failed.Attempt != 1 || failed.Node != "n1" || failed.Reason != nightwatch.ReasonExitCode || *failed.ExitCode != 3 || failed.StartTime.IsZero() {
		t.Errorf("%+v", failed)
	}
	if wait := run.NotBefore.Sub(failed.EndTime); wait != time.Minute {
		t.Errorf("it waits %s", wait)
	}
	r.clean()

	// The next one, as the scheduler gives it; it is the third that is the last.
	r.give("rev-5", func(next *nightwatch.Run) { *next = given(run, r.session.ID()) })
	run = r.wait("rev-5", "waits again", func(run nightwatch.Run) bool { return run.Failures == 2 })
	if run.Attempt != 3 || len(run.Attempts) != 2 || run.NotBefore.Sub(run.Attempts[1].EndTime) != 2*time.Minute {
		t.Errorf("%+v", run)
	}
	r.give("rev-5", func(next *nightwatch.Run) { *next = given(run, r.session.ID()) })
	run = r.wait("rev-5", "has failed", in(nightwatch.PhaseFailed))
	if run.Attempt != 3 || run.Reason != nightwatch.ReasonExitCode || *run.ExitCode != 3 || run.EndTime.IsZero() || len(run.Attempts) != 2 {
		t.Errorf("%+v", run)
	}
	r.clean()
}

// given is a waiting run as the scheduler assigns it when its time has come.
func given(run nightwatch.Run, session string) nightwatch.Run {
	run.Phase, run.Node, run.Session, run.NotBefore = nightwatch.PhaseAssigned, "n1", session, time.Time{}
	return run
}

func TestFailuresThatAreNotRetried(t *testing.T) {
	hinted := func(hint nightwatch.RetryHint, reason string) func(context.Context, *Attempt) Outcome {
		return func(context.Context, *Attempt) Outcome {
			return Outcome{Phase: nightwatch.PhaseFailed, Reason: reason, Hint: hint}
		}
	}
	permanent, retryable := nightwatch.HintOf(nightwatch.Permanent(errNotOurs)), nightwatch.HintOf(nightwatch.Retryable(errNotOurs))
	for _, row := range []struct {
		name, task string
		run        func(context.Context, *Attempt) Outcome
		again      bool
	}{
		{name: "no retry", task: onceTask, run: failing(1)},
		{name: "another exit code", task: withRetry(`"retry":{"attempts":2,"on":[75]}`), run: failing(1)},
		{name: "that exit code", task: withRetry(`"retry":{"attempts":2,"on":[75]}`), run: failing(75), again: true},
		{name: "another reason", task: withRetry(`"retry":{"attempts":2,"on":"Timeout"}`), run: hinted(nightwatch.NoHint, "Signal")},
		{name: "permanent", task: withRetry(`"retry":{"attempts":2}`), run: hinted(permanent, "HandlerError")},
		{name: "retryable, not listed", task: withRetry(`"retry":{"attempts":2,"on":"Timeout"}`), run: hinted(retryable, "HandlerError"), again: true},
		{name: "no time is left", task: withRetry(`"runTimeout":"1m","retry":{"attempts":2,"backoff":"2m"}`), run: failing(1)},
		{name: "canceled", task: withRetry(`"retry":{"attempts":2}`), run: func(context.Context, *Attempt) Outcome { return Outcome{Phase: nightwatch.PhaseCanceled} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t).start()
			r.process.run = row.run
			r.accept(row.task)
			r.give("rev-5")
			run := r.wait("rev-5", "is over", func(run nightwatch.Run) bool {
				return run.Phase != nightwatch.PhaseAssigned && run.Phase != nightwatch.PhaseRunning
			})
			if again := run.Phase == nightwatch.PhasePending; again != row.again {
				t.Errorf("%+v", run)
			}
			r.clean()
		})
	}
}

func TestRunTimeoutEndsTheAttempt(t *testing.T) {
	r := newRig(t).start()
	r.process.run = untilEnded
	r.accept(withRetry(`"runTimeout":"10s","retry":{"attempts":5,"backoff":"1ms"}`))
	r.give("rev-5", func(run *nightwatch.Run) { run.CreateTime = time.Now().Add(-9500 * time.Millisecond).UTC() })
	run := r.wait("rev-5", "has failed", in(nightwatch.PhaseFailed))
	if run.Reason != nightwatch.ReasonTimeout || !strings.Contains(run.Message, "runTimeout") || run.Attempt != 1 {
		t.Errorf("%+v", run)
	}
	r.clean()
}

// A wish to cancel that meets the end of a failed attempt ends the run.
func TestCancelMeetsARetry(t *testing.T) {
	r := newRig(t).start()
	hold := make(chan struct{})
	r.process.run = func(_ context.Context, a *Attempt) Outcome {
		<-hold
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonExitCode}
	}
	r.accept(withRetry(`"retry":{"attempts":5}`))
	r.give("rev-5")
	r.wait("rev-5", "runs", in(nightwatch.PhaseRunning))
	// Only the record has the wish: the worker learns of it when its own write is refused.
	run, revision, err := r.store.Run(t.Context(), demo, "rev-5")
	if err != nil {
		t.Fatal(err)
	}
	run.Cancel = &nightwatch.Cancel{By: "me", Reason: nightwatch.ReasonCancelRequested, Why: "enough", Time: time.Now().UTC()}
	if _, err := r.client.Put(t.Context(), r.keys.Run(demo, "rev-5"), string(encode(&run))); err != nil || revision == 0 {
		t.Fatal(err)
	}
	close(hold)
	run = r.wait("rev-5", "is canceled", in(nightwatch.PhaseCanceled))
	if run.Reason != nightwatch.ReasonCancelRequested || run.Attempt != 1 {
		t.Errorf("%+v", run)
	}
	r.clean()
}
