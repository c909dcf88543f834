package scheduler

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Each policy meets three occurrences while the first run is live, and then the end of that run.
func TestOverlapPolicies(t *testing.T) {
	for _, row := range []struct {
		policy          string
		during, at15    []string // with the run of 10:05 claimed: at 10:10, at 10:15
		after, afterAll []string // once it has ended; once all have
	}{
		{
			policy: "skip",
			during: []string{"10:05 Running", "10:10 Skipped Overlap"},
			at15:   []string{"10:05 Running", "10:10 Skipped Overlap", "10:15 Skipped Overlap"},
			after:  []string{"10:05 Succeeded", "10:10 Skipped Overlap", "10:15 Skipped Overlap"},
		},
		{
			policy:   "queue-one",
			during:   []string{"10:05 Running", "10:10 Pending Overlap"},
			at15:     []string{"10:05 Running", "10:10 Pending Overlap", "10:15 Skipped QueueFull"},
			after:    []string{"10:05 Succeeded", "10:10 Assigned", "10:15 Skipped QueueFull"},
			afterAll: []string{"10:05 Succeeded", "10:10 Succeeded", "10:15 Skipped QueueFull"},
		},
		{
			policy:   "queue-all",
			during:   []string{"10:05 Running", "10:10 Pending Overlap"},
			at15:     []string{"10:05 Running", "10:10 Pending Overlap", "10:15 Pending Overlap"},
			after:    []string{"10:05 Succeeded", "10:10 Assigned", "10:15 Pending Overlap"},
			afterAll: []string{"10:05 Succeeded", "10:10 Succeeded", "10:15 Succeeded"},
		},
		{
			policy:   "replace",
			during:   []string{"10:05 Running", "10:10 Pending Overlap"},
			at15:     []string{"10:05 Running", "10:10 Canceled Replaced", "10:15 Pending Overlap"},
			after:    []string{"10:05 Succeeded", "10:10 Canceled Replaced", "10:15 Assigned"},
			afterAll: []string{"10:05 Succeeded", "10:10 Canceled Replaced", "10:15 Succeeded"},
		},
		{
			policy:   "allow",
			during:   []string{"10:05 Running", "10:10 Assigned"},
			at15:     []string{"10:05 Running", "10:10 Assigned", "10:15 Assigned"},
			after:    []string{"10:05 Succeeded", "10:10 Assigned", "10:15 Assigned"},
			afterAll: []string{"10:05 Succeeded", "10:10 Succeeded", "10:15 Succeeded"},
		},
	} {
		t.Run(row.policy, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			want := func(lines []string) {
				t.Helper()
				var ids []string
				for _, line := range lines {
					clock, rest, _ := strings.Cut(line, " ")
					ids = append(ids, idAt(clock)+" "+rest)
				}
				b.wantRuns(ids...)
			}
			b.node("n1")
			b.put(with(`"overlap":"` + row.policy + `"`))
			b.settle(demo)
			b.goTo("10:05")
			b.claim(idAt("10:05"))
			b.goTo("10:10")
			want(row.during)
			if r := b.run(idAt("10:05")); (r.Cancel != nil) != (row.policy == "replace") {
				t.Errorf("cancel %+v", r.Cancel)
			}
			b.goTo("10:15")
			want(row.at15)
			b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
			b.settle(demo)
			want(row.after)
			if row.afterAll != nil {
				for range 2 {
					b.complete(nightwatch.PhaseSucceeded)
				}
				want(row.afterAll)
			}
			if s := b.status(); !s.Cursor.Equal(at("10:15")) {
				t.Errorf("cursor %s", s.Cursor)
			}
		})
	}
}

// What waits is canceled before it has started, what runs by its node.
func TestReplaceEndsTheRunBefore(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"overlap":"replace"`))
	b.settle(demo)
	b.goTo("10:05") // assigned, not claimed
	b.goTo("10:10")
	b.wantRuns(idAt("10:05")+" Canceled Replaced", idAt("10:10")+" Assigned")
	if r := b.run(idAt("10:05")); !strings.Contains(r.Message, idAt("10:10")) {
		t.Errorf("message %q", r.Message)
	}
	b.claim(idAt("10:10"))
	b.goTo("10:15")
	r := b.run(idAt("10:10"))
	if r.Cancel == nil || r.Cancel.Reason != nightwatch.ReasonReplaced || r.Cancel.By != idAt("10:15") {
		t.Fatalf("%+v", r.Cancel)
	}
	b.wantRuns(idAt("10:05")+" Canceled Replaced", idAt("10:10")+" Running", idAt("10:15")+" Pending Overlap")
	b.finish(idAt("10:10"), nightwatch.PhaseCanceled)
	b.settle(demo)
	if r := b.run(idAt("10:15")); r.Phase != nightwatch.PhaseAssigned || r.Cancel != nil {
		t.Errorf("%+v", r)
	}
}

// Of several occurrences that are met at once only the newest starts.
func TestReplaceAfterALeaderlessStretch(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"overlap":"replace","catchUp":{"mode":"all"}`))
	b.settle(demo)
	b.goTo("10:17")
	b.wantRuns(idAt("10:05")+" Skipped Replaced", idAt("10:10")+" Skipped Replaced", idAt("10:15")+" Assigned")
}

func TestQueueAllAfterALeaderlessStretch(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"overlap":"queue-all","catchUp":{"mode":"all"}`))
	b.settle(demo)
	b.goTo("10:17")
	b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Pending Overlap", idAt("10:15")+" Pending Overlap")
}

func TestQueueAllIsBounded(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"1s","overlap":"queue-all","catchUp":{"mode":"all","max":1000}}`)
	b.settle(demo)
	b.goTo("10:16:40")
	b.goTo("10:18:00")
	live, full := 0, 0
	for _, line := range b.runs() {
		switch {
		case strings.HasSuffix(line, " Pending Overlap"), strings.HasSuffix(line, " Assigned"):
			live++
		case strings.HasSuffix(line, " Skipped QueueFull"):
			full++
		}
	}
	if live != maxQueued+1 || full == 0 {
		t.Errorf("%d live, %d dropped for a full queue", live, full)
	}
}

// Puts of a task without a schedule and requests obey the same policies.
func TestSubmissionsAndRequestsObeyOverlap(t *testing.T) {
	t.Run("submissions, queue-one", func(t *testing.T) {
		b := newBoard(t, "10:00")
		b.node("n1")
		task := strings.TrimSuffix(onceTask, "}") + `,"overlap":"queue-one"}`
		first := nightwatch.SubmittedRunID(b.put(task))
		b.settle(demo)
		b.claim(first)
		second := nightwatch.SubmittedRunID(b.put(task))
		b.settle(demo)
		third := nightwatch.SubmittedRunID(b.put(task))
		b.settle(demo)
		b.wantRuns(first+" Running", second+" Pending Overlap", third+" Skipped QueueFull")
	})
	t.Run("submissions, replace", func(t *testing.T) {
		b := newBoard(t, "10:00")
		b.node("n1")
		task := strings.TrimSuffix(onceTask, "}") + `,"overlap":"replace"}`
		first := nightwatch.SubmittedRunID(b.put(task))
		b.settle(demo)
		second := nightwatch.SubmittedRunID(b.put(task))
		b.settle(demo)
		b.wantRuns(first+" Canceled Replaced", second+" Assigned")
	})
	for _, row := range []struct {
		name, request string
		accepted      bool
		runs          []string
	}{
		{name: "the task's own", request: `{"action":"run"}`, runs: []string{idAt("10:05") + " Running"}},
		{name: "replace", request: `{"action":"run","overlap":"replace"}`, accepted: true, runs: []string{idAt("10:05") + " Running", "req-a Pending Overlap"}},
		{name: "queue-one", request: `{"action":"run","overlap":"queue-one"}`, accepted: true, runs: []string{idAt("10:05") + " Running", "req-a Pending Overlap"}},
	} {
		t.Run("request, "+row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(fiveMinutes)
			b.settle(demo)
			b.goTo("10:05")
			b.claim(idAt("10:05"))
			b.set(b.keys.Request(demo, "a"), row.request)
			b.settle(demo)
			if v := b.verdict("a"); v.Accepted != row.accepted {
				t.Errorf("%+v", v)
			}
			b.wantRuns(row.runs...)
			if r := b.run(idAt("10:05")); (r.Cancel != nil) != (row.name == "replace") {
				t.Errorf("cancel %+v", r.Cancel)
			}
			if s := b.status(); !s.Cursor.Equal(at("10:05")) {
				t.Errorf("the request moved the cursor to %s", s.Cursor)
			}
		})
	}
}

func TestStartWithin(t *testing.T) {
	for _, row := range []struct {
		name  string
		node  bool
		steps func(*board)
		runs  []string
		spans []string
	}{
		{
			name: "no node in time", steps: func(b *board) { b.goTo("10:05"); b.goTo("10:07"); b.goTo("10:07:00.001") },
			runs: []string{idAt("10:05") + " Missed StartWithin"},
		},
		{
			name: "a node in time", steps: func(b *board) { b.goTo("10:05"); b.node("n1"); b.goTo("10:06:59") },
			runs: []string{idAt("10:05") + " Assigned"},
		},
		{
			name: "assigned and never claimed", node: true, steps: func(b *board) { b.goTo("10:05"); b.goTo("10:07:01") },
			runs: []string{idAt("10:05") + " Missed StartWithin"},
		},
		{
			name: "claimed in time", node: true, steps: func(b *board) { b.goTo("10:05"); b.claim(idAt("10:05")); b.goTo("10:09") },
			runs: []string{idAt("10:05") + " Running"},
		},
		{
			name: "nobody led in time", node: true, steps: func(b *board) { b.goTo("10:08") },
			spans: []string{"10:05:00-10:05:00 1 Missed StartWithin"},
		},
		{
			name: "nobody led for two", node: true, steps: func(b *board) { b.goTo("10:13") },
			spans: []string{"10:05:00-10:05:00 1 Missed CatchUp", "10:10:00-10:10:00 1 Missed StartWithin"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			if row.node {
				b.node("n1")
			}
			b.put(with(`"startWithin":"2m"`))
			b.settle(demo)
			row.steps(b)
			b.wantRuns(row.runs...)
			b.wantSpans(row.spans...)
			if left := b.below(store.Queue); strings.Contains(row.name, "never claimed") && len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

func TestMaxRuns(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"maxRuns":3`))
	b.settle(demo)
	if s := b.status(); len(s.Next) != 3 {
		t.Errorf("next %v", s.Next)
	}
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.goTo("10:10") // skipped: it is no run
	b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
	b.goTo("10:15")
	b.complete(nightwatch.PhaseFailed)
	b.set(b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	if s := b.status(); len(s.Next) != 1 || s.StartedRuns != 2 {
		t.Errorf("%d runs, next %v", s.StartedRuns, s.Next)
	}
	b.goTo("10:20")
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("10:40")
	b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:10")+" Skipped Overlap", idAt("10:15")+" Failed", idAt("10:20")+" Succeeded", "req-a Succeeded")
	s := b.status()
	if s.Phase != nightwatch.PhaseFinished || s.Next != nil || s.StartedRuns != 3 || !s.Cursor.Equal(at("10:20")) {
		t.Errorf("%+v", s)
	}
	if p := b.decide(demo); !p.wake.IsZero() && p.wake.Before(at("10:45")) {
		t.Errorf("it wakes at %s", p.wake)
	}
	b.put(with(`"maxRuns":4`)) // an edit adds one
	b.settle(demo)
	b.goTo("10:45")
	if r := b.run(idAt("10:45")); r == nil || r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("after the edit: %+v", r)
	}
}

// A run that died with its node does not stand in the way of what is due when that is noticed.
func TestOverlapWithARunThatIsLost(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"delivery":"at-most-once"`))
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.del(b.keys.Node("n1"))
	b.node("n2")
	b.goTo("10:10")
	b.wantRuns(idAt("10:05")+" Failed NodeLost", idAt("10:10")+" Assigned")
}

// Each submission is of the value that was put, however many wait and whatever is put after them.
func TestSubmissionsKeepTheirVersions(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	var ids []string
	for _, word := range []string{"one", "two", "three"} {
		ids = append(ids, nightwatch.SubmittedRunID(b.put(`{"process":{"command":["echo","`+word+`"]}}`)))
		b.settle(demo)
	}
	b.put(`{"process":{"command":["echo","later"]},"schedule":"0 0 1 1 *"}`)
	b.settle(demo)
	for i, word := range []string{"one", "two", "three"} {
		r := b.run(ids[i])
		if r.Submitted == nil || r.Submitted.Task.Process.Command[1] != word || r.Submitted.Revision != r.TaskRevision {
			t.Errorf("%s: %+v", word, r.Submitted)
		}
	}
	if s := b.status(); s.LastRun == nil || s.LastRun.Submitted != nil {
		t.Errorf("the status repeats it: %+v", s.LastRun)
	}
	b.set(b.keys.Request(demo, "stop"), `{"action":"cancel","run":"`+ids[2]+`"}`)
	b.settle(demo)
	if r := b.run(ids[2]); r.Phase != nightwatch.PhaseCanceled || r.Submitted != nil {
		t.Errorf("%+v", r)
	}
}

// With allow nothing waits for an earlier run; but without a node for long, runs must not pile up for ever.
func TestAllowIsBounded(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(`{"process":{"command":["true"]},"every":"1s","overlap":"allow","catchUp":{"mode":"all","max":1000}}`)
	b.settle(demo)
	b.goTo("10:16:40")
	b.goTo("10:18:00")
	if s := b.status(); s.ActiveCount != maxQueued+1 || s.Counts.Skipped == 0 {
		t.Errorf("%d live, %+v", s.ActiveCount, s.Counts)
	}
	b.set(b.keys.Request(demo, "x"), `{"action":"run"}`)
	b.settle(demo)
	if v := b.verdict("x"); v.Accepted || v.Errors[0].Field != "overlap" {
		t.Errorf("%+v", v)
	}
	b.wantAccounted()
}

// What a waiting run says stays true while others end before it, and follows the freeze that holds it.
func TestWaitingRunSaysWhatItWaitsFor(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"overlap":"queue-all"`))
	b.settle(demo)
	for _, clock := range []string{"10:05", "10:10", "10:15"} {
		b.goTo(clock)
	}
	b.complete(nightwatch.PhaseSucceeded)
	if r := b.run(idAt("10:15")); strings.Contains(r.Message, "2026") || r.Message == "" {
		t.Errorf("waits for a run that has ended: %+v", r)
	}
	freeze := b.keys.Of(store.Freezes) + demo
	for _, by := range []string{"ana", "bob"} {
		b.set(freeze, `{"by":"`+by+`"}`)
		b.settle(demo)
		if r := b.run(idAt("10:15")); !strings.Contains(r.Message, "by "+by) {
			t.Errorf("frozen by %s: %+v", by, r)
		}
	}
	b.del(freeze)
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:10")+" Succeeded", idAt("10:15")+" Assigned")
}

// Nothing is skipped because of a run that has ended, however late the scheduler hears of it.
func TestWhatRefusesARunIsStillThere(t *testing.T) {
	for _, policy := range []string{nightwatch.OverlapSkip, nightwatch.OverlapQueueOne} {
		t.Run(policy, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(with(`"overlap":"` + policy + `"`))
			b.settle(demo)
			b.goTo("10:05")
			b.claim(idAt("10:05"))
			if policy == nightwatch.OverlapQueueOne {
				b.goTo("10:10")
			}
			b.moveTo("10:15")
			skips := b.decide(demo)
			b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
			if b.commit(skips) {
				t.Errorf("%q", b.runs())
			}
			b.settle(demo)
			if r := b.run(idAt("10:15")); r == nil || r.Phase == nightwatch.PhaseSkipped {
				t.Errorf("%q", b.runs())
			}
		})
	}
}
