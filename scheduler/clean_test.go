package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A key that is deleted and put again is another task: it waits until nothing of the earlier life is left.
func TestTaskPutAnewWaitsForTheRunsOfItsEarlierLife(t *testing.T) {
	for _, task := range []string{onceTask, kubernetesJob, with(`"overlap":"allow"`)} {
		t.Run(task, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(task)
			b.settle(demo)
			b.goTo("10:05")
			first := b.status()
			id := first.Active[0]
			b.claim(id)
			b.settle(demo)

			b.del(b.keys.Task(demo))
			second := b.put(task)
			b.moveTo("10:05:01")
			b.settle(demo)
			if r := b.run(id); r.Cancel == nil || r.Cancel.Reason != nightwatch.ReasonTaskReplaced || r.Phase != nightwatch.PhaseRunning {
				t.Errorf("the run of the earlier life: %+v", r)
			}
			b.goTo("10:30")
			if n := len(b.runs()); n != 1 {
				t.Errorf("%d records, want the earlier life's alone: %q", n, b.runs())
			}
			s := b.status()
			if s.Reason != nightwatch.ReasonPreviousDeleting || s.UID != first.UID || s.ActiveCount != 1 {
				t.Errorf("while it waits: %+v", s)
			}
			b.set(b.keys.Request(demo, "r1"), `{"action":"run"}`)
			b.settle(demo)
			if n := len(b.runs()); n != 1 {
				t.Errorf("a request made a run meanwhile: %q", b.runs())
			}

			b.finish(id, nightwatch.PhaseCanceled)
			b.settle(demo)
			s = b.status()
			if s.UID != second || s.AcceptedRevision != second || s.Counts.Canceled != 0 || s.Reason == nightwatch.ReasonPreviousDeleting {
				t.Errorf("after it waited: %+v", s)
			}
			if b.run(id) != nil {
				t.Error("the earlier life's record is left")
			}
			for _, line := range b.runs() {
				runID, _, _ := strings.Cut(line, " ")
				if r := b.run(runID); r.TaskUID != second {
					t.Errorf("%s is of life %d, want %d", r.ID, r.TaskUID, second)
				}
			}
		})
	}
}

func TestDeletedTaskGoesStatusLast(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"overlap":"allow"`))
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:10") // not claimed: it is canceled at once
	b.claim(idAt("10:05"))
	b.settle(demo)
	b.del(b.keys.Task(demo))
	b.settle(demo)
	if r := b.run(idAt("10:05")); r.Cancel == nil || r.Cancel.Reason != nightwatch.ReasonTaskDeleted {
		t.Errorf("claimed: %+v", r)
	}
	if r := b.run(idAt("10:10")); r.Phase != nightwatch.PhaseCanceled {
		t.Errorf("not claimed: %+v", r)
	}
	if s := b.status(); s.Reason != nightwatch.ReasonDeleting || s.ActiveCount != 1 {
		t.Errorf("%+v", s)
	}
	if q := b.below(store.Queue); len(q) != 1 {
		t.Errorf("queue %q, want the claimed run alone", q)
	}
	b.finish(idAt("10:05"), nightwatch.PhaseCanceled)
	for range 10 {
		p := b.decide(demo)
		if p.txn.Empty() {
			break
		}
		b.commit(p)
		if _, there := b.entries[b.keys.Status(demo)]; !there && len(b.below(store.Runs))+len(b.below(store.Accepted))+len(b.below(store.Ledgers)) > 0 {
			t.Error("the status went before the rest")
		}
	}
	for key := range b.entries {
		if kind, _, _ := b.keys.Parse(key); kind != store.Nodes {
			t.Errorf("%s is left", key)
		}
	}
}

func TestDeletedTaskWithManyRecords(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	b.put(`{"process":{"command":["true"]},"every":"1s","overlap":"allow","history":{"succeeded":1000},"catchUp":{"mode":"all","max":300}}`)
	b.settle(demo)
	b.goTo("10:05")
	if n := len(b.runs()); n != 300 {
		t.Fatalf("%d runs", n)
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.del(b.keys.Task(demo))
	b.settle(demo)
	if len(b.entries) != 1 {
		t.Errorf("%d keys are left", len(b.entries))
	}
}

func TestHistoryIsFoldedIntoTheLedger(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":1,"failed":2}`))
	b.settle(demo)
	for _, occurrence := range []struct {
		clock   string
		outcome nightwatch.Phase
	}{
		{"10:05", nightwatch.PhaseSucceeded}, {"10:10", nightwatch.PhaseSucceeded}, {"10:15", nightwatch.PhaseFailed}, {"10:20", nightwatch.PhaseSucceeded},
		{"10:25", nightwatch.PhaseCanceled}, {"10:30", nightwatch.PhaseFailed}, {"10:35", nightwatch.PhaseSucceeded},
	} {
		b.goTo(occurrence.clock)
		b.complete(occurrence.outcome)
	}
	b.wantRuns(idAt("10:25")+" Canceled", idAt("10:30")+" Failed", idAt("10:35")+" Succeeded")
	b.wantSpans("10:05:00-10:10:00 2 Succeeded", "10:15:00-10:15:00 1 Failed", "10:20:00-10:20:00 1 Succeeded")
	if got, want := b.status().Counts, (nightwatch.Counts{Succeeded: 4, Failed: 2, Canceled: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// Requested runs are no occurrences: they leave without a trace in the ledger, and do not split its ranges.
func TestRequestedRunsLeaveNoRange(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":0}`))
	b.settle(demo)
	b.goTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)
	b.moveTo("10:07")
	b.set(b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("10:10")
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns()
	b.wantSpans("10:05:00-10:10:00 2 Succeeded")
	if c := b.status().Counts; c.Succeeded != 3 {
		t.Errorf("counts %+v", c)
	}
}

func TestRecordOfALostSessionStaysForAnHour(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":0}`))
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.node("n2")
	b.del(b.keys.Node("n1"))
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns(idAt("10:05") + " Succeeded")
	p := b.decide(demo)
	if !p.txn.Empty() || p.wake.IsZero() {
		t.Errorf("wake %s", p.wake)
	}
	b.moveTo("11:04:59")
	b.put(with(`"history":{"succeeded":0},"suspend":true`))
	b.settle(demo)
	if b.run(idAt("10:05")) == nil {
		t.Error("gone within the hour")
	}
	b.goTo("11:05:01")
	if b.run(idAt("10:05")) != nil {
		t.Error("there after the hour")
	}
}

func TestNothingLeavesBeforeItIsCounted(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":0}`))
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
	for p := b.decide(demo); !p.txn.Empty(); p = b.decide(demo) {
		if !b.commit(p) {
			t.Fatal("refused")
		}
		if b.run(idAt("10:05")) == nil && b.status().Counts.Succeeded != 1 {
			t.Fatal("it left the history uncounted")
		}
	}
	if c := b.status().Counts.Succeeded; c != 1 {
		t.Errorf("counted %d times", c)
	}
}

func TestVerdictsGoAfterAnHour(t *testing.T) {
	b := newBoard(t, "10:00")
	b.set(b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.settle(demo)
	if v := b.below(store.Verdicts); len(v) != 1 {
		t.Fatalf("%q", v)
	}
	if p := b.decide(demo); !p.wake.Equal(at("11:00")) {
		t.Errorf("wake %s", p.wake)
	}
	b.goTo("10:59:59")
	if v := b.below(store.Verdicts); len(v) != 1 {
		t.Error("gone before the hour")
	}
	b.goTo("11:00")
	if len(b.entries) != 0 {
		t.Errorf("left: %v", b.entries)
	}
	b.set(b.keys.Verdict(demo, "b"), "garbage")
	b.settle(demo)
	if len(b.entries) != 0 {
		t.Errorf("left: %v", b.entries)
	}
}

// A task of which something is due at every look keeps few more records than one that has time in between.
func TestHistoryOfABusyTask(t *testing.T) {
	b := newBoard(t, "10:00:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"1s","overlap":"allow"}`)
	b.settle(demo)
	most := 0
	for range 200 {
		b.now = b.now.Add(time.Second)
		if !b.commit(b.decide(demo)) {
			t.Fatal("refused")
		}
		for _, line := range b.runs() {
			if id, phase, _ := strings.Cut(line, " "); phase == string(nightwatch.PhaseAssigned) {
				b.claim(id)
				b.finish(id, nightwatch.PhaseSucceeded)
			}
		}
		most = max(most, len(b.runs()))
	}
	if limit := 3 + 3 + 10 + 2*foldBeside; most > limit {
		t.Errorf("%d records, want %d or fewer", most, limit)
	}
	b.settle(demo)
	b.wantAccounted()
}
