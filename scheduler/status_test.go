package scheduler

import (
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestPhasesOfATask(t *testing.T) {
	type step struct {
		name   string
		do     func(b *board, id string)
		phase  nightwatch.Phase
		reason string
	}
	claim := step{"claimed", func(b *board, id string) { b.claim(id) }, nightwatch.PhaseRunning, ""}
	ends := func(phase nightwatch.Phase) func(*board, string) {
		return func(b *board, id string) { b.finish(id, phase) }
	}
	due := func(clock string) func(*board, string) { return func(b *board, _ string) { b.moveTo(clock) } }
	for _, row := range []struct {
		name, task, run string // run: the id, empty for the submission's
		steps           []step
	}{
		{name: "invalid", task: `{"process":{}}`, steps: []step{{"put", nil, nightwatch.PhaseInvalid, ""}}},
		{name: "succeeds", task: onceTask, steps: []step{
			{"put", nil, nightwatch.PhasePending, ""}, claim, {"ends", ends(nightwatch.PhaseSucceeded), nightwatch.PhaseSucceeded, ""},
		}},
		{name: "fails", task: onceTask, steps: []step{
			{"put", nil, nightwatch.PhasePending, ""}, claim, {"ends", ends(nightwatch.PhaseFailed), nightwatch.PhaseFailed, ""},
		}},
		{name: "no node", task: `{"handler":{"name":"nowhere"}}`, steps: []step{{"put", nil, nightwatch.PhasePending, nightwatch.ReasonNoFittingNode}}},
		{name: "suspended", task: `{"process":{"command":["true"]},"suspend":true}`, steps: []step{{"put", nil, nightwatch.PhaseSuspended, nightwatch.ReasonSuspended}}},
		{name: "keeps no records", task: `{"process":{"command":["true"]},"history":{"succeeded":0}}`, steps: []step{
			{"put", nil, nightwatch.PhasePending, ""}, claim, {"ends", ends(nightwatch.PhaseSucceeded), nightwatch.PhaseFinished, ""},
		}},
		{name: "recurring", task: fiveMinutes, run: idAt("10:05"), steps: []step{
			{"put", nil, nightwatch.PhaseScheduled, ""}, {"due", due("10:05"), nightwatch.PhaseRunning, ""}, claim,
			{"ends", ends(nightwatch.PhaseFailed), nightwatch.PhaseScheduled, ""},
			{"frozen", func(b *board, _ string) { b.set(b.keys.Of(store.Freezes)+"default", "") }, nightwatch.PhaseSuspended, nightwatch.ReasonFrozen},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			id := row.run
			if revision := b.put(row.task); id == "" {
				id = nightwatch.SubmittedRunID(revision)
			}
			for _, step := range row.steps {
				if step.do != nil {
					step.do(b, id)
				}
				b.settle(demo)
				if s := b.status(); s.Phase != step.phase || s.Reason != step.reason {
					t.Errorf("%s: phase %q, reason %q; want %q, %q", step.name, s.Phase, s.Reason, step.phase, step.reason)
				}
			}
		})
	}
}

func TestStatusListsAreBounded(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(with(`"overlap":"allow"`))
	for i := range 15 {
		b.set(b.keys.Request(demo, encodeAny(i)), `{"action":"run","overlap":"allow"}`)
		b.settle(demo)
	}
	if s := b.status(); s.ActiveCount != 15 || len(s.Active) != maxActive || len(s.Next) != maxNext || s.LastRun.ID != "req-14" {
		t.Errorf("%+v", s)
	}
}

// What is decided does not depend on whether the view came from a watch or from a list.
func TestRelistChangesNothing(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"overlap":"allow"`))
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.set(b.keys.Of(store.Freezes)+demo, "", b.keys.LocksOf(demo)+"x", "", b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.goTo("10:07")
	load := b.view.load["65"]
	b.relist()
	if p := b.decide(demo); !p.txn.Empty() {
		t.Errorf("after a list: %v", p.written)
	}
	if b.view.load["65"] != load || load != 1 {
		t.Errorf("load %d, before %d", b.view.load["65"], load)
	}
}

// A task that was put while nobody led counts from the last tick before it; what the watch told of keeps its time.
func TestWhenATaskWasPut(t *testing.T) {
	clock := func(b *board) { b.set(b.keys.MetaClock(), clockValue{Time: b.now}) }
	for _, row := range []struct {
		name   string
		before func(b *board)
		want   string
	}{
		{name: "after the last tick", want: "10:00", before: func(b *board) { clock(b); b.moveTo("10:20"); b.put(fiveMinutes) }},
		{name: "with ticks since", want: "10:30", before: func(b *board) { b.put(fiveMinutes); b.moveTo("10:20"); clock(b) }},
		{name: "no tick at all", want: "10:30", before: func(b *board) { b.put(fiveMinutes) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			row.before(b)
			b.view = newView(b.keys, func(*taskView) {}) // another node, which saw none of it
			b.moveTo("10:30")
			b.relist()
			if got := b.view.tasks[demo].putTime; !got.Equal(at(row.want)) {
				t.Errorf("put at %s, want %s", got, row.want)
			}
			b.moveTo("10:40")
			b.relist()
			if got := b.view.tasks[demo].putTime; !got.Equal(at(row.want)) {
				t.Errorf("put at %s after another list, want %s", got, row.want)
			}
		})
	}
}
