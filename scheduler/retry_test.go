package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// failAttempt does what a node does whose attempt failed and is to be followed by another.
func (b *board) failAttempt(id string, wait time.Duration) {
	b.t.Helper()
	r := b.run(id)
	queue := b.keys.Queue(r.Node, demo, id)
	r.Again(nightwatch.FailedAttempt{EndTime: b.now, Reason: nightwatch.ReasonExitCode}, b.now.Add(wait))
	b.set(b.keys.Run(demo, id), r, queue, nil)
	b.settle(demo)
}

func TestRetryWaitsForItsTime(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"retry":{"attempts":3},"startWithin":"1m"`))
	b.settle(demo)
	b.goTo("10:05")
	id := idAt("10:05")
	b.claim(id)
	b.failAttempt(id, 2*time.Minute)
	b.wantRuns(id + " Pending Retry")
	b.mirror()
	if s := b.status(); s.Phase != nightwatch.PhasePending || s.Reason != nightwatch.ReasonRetry || s.ActiveCount != 1 {
		t.Errorf("%s %s: %d live", s.Phase, s.Reason, s.ActiveCount)
	}
	if p := b.decide(demo); !p.wake.Equal(at("10:07")) {
		t.Errorf("wake %s", p.wake)
	}
	b.goTo("10:06:59")
	b.wantRuns(id + " Pending Retry")
	b.goTo("10:07")
	b.wantRuns(id + " Assigned") // startWithin is about the first start
	b.claim(id)
	b.failAttempt(id, 10*time.Minute)
	b.goTo("10:10") // it is live as it waits
	b.wantRuns(id+" Pending Retry", idAt("10:10")+" Skipped Overlap")
}

// A retry is run by the version in force, whatever ran the attempt before.
func TestEditWhileARetryWaits(t *testing.T) {
	const handler, process = `"handler":{"name":"work"}`, `"process":{"command":["true"]}`
	for _, row := range []struct{ name, before, after, want string }{
		{"from a handler", handler, process, nightwatch.RunnerProcess},
		{"to a handler", process, handler, nightwatch.RunnerHandler},
		{"from a Job", `"image":"busybox"`, handler, nightwatch.RunnerHandler},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			task := `{"schedule":"5 * * * *","retry":{"attempts":3},`
			b.put(task + row.before + "}")
			b.settle(demo)
			b.goTo("10:05")
			b.claim(idAt("10:05"))
			b.failAttempt(idAt("10:05"), time.Minute)
			b.put(task + row.after + "}")
			b.settle(demo)
			b.goTo("10:06")
			if r := b.run(idAt("10:05")); r.Phase != nightwatch.PhaseAssigned || r.Runner != row.want {
				t.Errorf("%s (%s) by the runner %q, want %q", r.Phase, r.Message, r.Runner, row.want)
			}
		})
	}
}

// A node whose clock was an hour ahead has written when its attempt ended, and until when the next one waits.
func TestRetryAfterAClockThatWasAhead(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"retry":{"attempts":3}`))
	b.settle(demo)
	b.goTo("10:05")
	id := idAt("10:05")
	b.claim(id)
	r := b.run(id)
	queue := b.keys.Queue(r.Node, demo, id)
	ended := b.now.Add(time.Hour)
	r.Again(nightwatch.FailedAttempt{EndTime: ended, Reason: nightwatch.ReasonExitCode}, ended.Add(10*time.Second))
	b.set(b.keys.Run(demo, id), r, queue, nil)
	b.settle(demo)
	b.goTo("10:05:09")
	b.wantRuns(id + " Pending Retry")
	if r := b.run(id); !r.NotBefore.Equal(at("10:05:10")) || !r.Attempts[0].EndTime.Equal(at("10:05")) {
		t.Errorf("not before %s, after an attempt that ended at %s", r.NotBefore, r.Attempts[0].EndTime)
	}
	b.goTo("10:05:10")
	b.wantRuns(id + " Assigned")
}

func TestCancelOfARetry(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"retry":{"attempts":3}`))
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.failAttempt(idAt("10:05"), time.Hour)
	b.set(b.keys.Request(demo, "stop"), `{"action":"cancel"}`)
	b.settle(demo)
	b.wantRuns(idAt("10:05") + " Canceled CancelRequested")
}

func TestRunTimeoutOfARunThatWaits(t *testing.T) {
	for _, row := range []struct {
		name  string
		steps func(b *board, id string)
	}{
		{"for its retry", func(b *board, id string) { b.claim(id); b.failAttempt(id, time.Hour) }},
		{"for a node", func(b *board, _ string) { b.del(b.keys.Node("n1")); b.settle(demo) }},
		{"to be claimed", func(*board, string) {}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(`{"process":{"command":["true"]},"schedule":"5 10 * * *","runTimeout":"30m"}`)
			b.settle(demo)
			b.goTo("10:05")
			id := idAt("10:05")
			row.steps(b, id)
			b.goTo("10:34:59")
			if r := b.run(id); !r.Live() {
				t.Fatalf("%+v", r)
			}
			b.goTo("10:35")
			b.wantRuns(id + " Failed Timeout")
			if left := b.below(store.Queue); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// deadLetter is a board whose task failed at 10:05, for good.
func deadLetter(t *testing.T) *board {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"schedule":"5 10 * * *","startWithin":"1m"}`)
	b.settle(demo)
	b.goTo("10:05")
	b.complete(nightwatch.PhaseFailed)
	b.goTo("10:30")
	return b
}

func TestDeadLetterIsRetried(t *testing.T) {
	b := deadLetter(t)
	b.set(b.keys.Request(demo, "a"), `{"action":"retry","params":{"n":1}}`)
	b.settle(demo)
	if v := b.verdict("a"); !v.Accepted || v.Run != "req-a" {
		t.Fatalf("%+v", v)
	}
	r := b.run("req-a")
	if r.RetryOf != idAt("10:05") || !r.NominalTime.Equal(at("10:05")) || string(r.Params["n"]) != "1" || r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%+v", r)
	}
	b.complete(nightwatch.PhaseFailed) // this one did not make it good
	if r := b.run(idAt("10:05")); !r.Dead() {
		t.Errorf("%+v", r)
	}
	b.set(b.keys.Request(demo, "b"), `{"action":"retry","run":"`+idAt("10:05")+`"}`)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	if r := b.run(idAt("10:05")); r.ResolvedBy != "req-b" || r.Phase != nightwatch.PhaseFailed {
		t.Errorf("%+v", r)
	}
	if c := b.status().Counts; c.Failed != 2 || c.Succeeded != 1 {
		t.Errorf("%+v", c)
	}
	b.set(b.keys.Request(demo, "c"), `{"action":"retry","run":"`+idAt("10:05")+`"}`)
	b.settle(demo)
	if v := b.verdict("c"); v.Accepted || v.Errors[0].Field != "run" {
		t.Errorf("a second time: %+v", v)
	}
	// Resolved records leave the history like others, counted once.
	b.put(`{"process":{"command":["true"]},"schedule":"5 10 * * *","history":{"failed":0,"succeeded":0}}`)
	b.settle(demo)
	b.wantRuns()
	b.wantSpans("10:05:00-10:05:00 1 Failed")
	if c := b.status().Counts; c.Failed != 2 || c.Succeeded != 1 {
		t.Errorf("%+v", c)
	}
}

func TestDeadLetterIsDropped(t *testing.T) {
	b := deadLetter(t)
	b.set(b.keys.Request(demo, "x"), `{"action":"drop"}`)
	b.settle(demo)
	if v := b.verdict("x"); !v.Accepted || v.Run != idAt("10:05") {
		t.Fatalf("%+v", v)
	}
	if r := b.run(idAt("10:05")); r.Dead() || r.Phase != nightwatch.PhaseFailed || r.ResolvedBy != "req-x" {
		t.Errorf("%+v", r)
	}
	for id, request := range map[string]string{
		"none":    `{"action":"retry"}`,
		"again":   `{"action":"drop","run":"` + idAt("10:05") + `"}`,
		"unknown": `{"action":"drop","run":"req-zzz"}`,
	} {
		b.set(b.keys.Request(demo, id), request)
		b.settle(demo)
		if v := b.verdict(id); v.Accepted || v.Errors[0].Field != "run" {
			t.Errorf("%s: %+v", request, v)
		}
	}
	if c := b.status().Counts; c.Failed != 1 {
		t.Errorf("%+v", c)
	}
}

func TestOnlyWhatHasEndedIsRetried(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.goTo("10:05")
	b.set(b.keys.Request(demo, "a"), `{"action":"retry","run":"`+idAt("10:05")+`"}`)
	b.settle(demo)
	if v := b.verdict("a"); v.Accepted {
		t.Errorf("a live run: %+v", v)
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.set(b.keys.Request(demo, "b"), `{"action":"retry","run":"`+idAt("10:05")+`"}`)
	b.settle(demo)
	if v := b.verdict("b"); v.Accepted {
		t.Errorf("a run that succeeded: %+v", v)
	}
}

// A chain of retries does not grow a record without bound.
func TestRetryOfLargeParams(t *testing.T) {
	b := deadLetter(t)
	for i, accepted := range []bool{true, false} {
		id := fmt.Sprint("r", i)
		b.set(b.keys.Request(demo, id), fmt.Sprintf(`{"action":"retry","params":{"p%d":%q}}`, i, strings.Repeat("x", 40_000)))
		b.settle(demo)
		if v := b.verdict(id); v.Accepted != accepted || !accepted && v.Errors[0].Field != "params" {
			t.Errorf("%d: %+v", i, v)
		}
		b.complete(nightwatch.PhaseFailed)
	}
}

// The attempts that failed and those that were lost with their nodes are listed alike, and counted apart.
func TestLostAttemptsAreListed(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	id := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},"retry":{"attempts":3}}`))
	b.settle(demo)
	b.claim(id, func(r *nightwatch.Run) { r.AttemptTime = b.now })
	b.node("n2")
	b.moveTo("10:01")
	b.del(b.keys.Node("n1"))
	b.settle(demo)
	b.moveTo("10:02")
	b.claim(id, func(r *nightwatch.Run) { r.AttemptTime = b.now })
	b.failAttempt(id, 0)
	b.settle(demo)
	r := b.run(id)
	want := []nightwatch.FailedAttempt{
		{Attempt: 1, Node: "n1", StartTime: at("10:00"), EndTime: at("10:01"), Reason: nightwatch.ReasonNodeLost, Message: `node "n1" was lost in mid-run`},
		r.Attempts[len(r.Attempts)-1],
	}
	if text(r.Attempts) != text(want) || r.Attempts[1].Attempt != 2 || r.Attempts[1].Node != "n2" || r.Attempts[1].Reason != nightwatch.ReasonExitCode {
		t.Errorf("attempts %s", text(r.Attempts))
	}
	if r.Attempt != 3 || r.Failures != 1 || r.LostSessions != 1 {
		t.Errorf("%+v", r)
	}
	// A run that was not claimed when its node went has lost no attempt.
	b.node("n3")
	b.del(b.keys.Node("n2"))
	b.settle(demo)
	if r := b.run(id); len(r.Attempts) != 2 || r.Attempt != 3 || r.Node != "n3" {
		t.Errorf("%+v", r)
	}
}
