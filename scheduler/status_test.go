package scheduler

import (
	"reflect"
	"strings"
	"testing"
	"time"

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
				b.mirror()
				if s := b.status(); s.Phase != step.phase || s.Reason != step.reason {
					t.Errorf("%s: phase %q, reason %q; want %q, %q", step.name, s.Phase, s.Reason, step.phase, step.reason)
				}
			}
		})
	}
}

// What only repeats the records is written at most every so often, so that a short run costs no write for being under way.
func TestStatusFollowsRecordsAtItsPace(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.goTo("10:05")
	born := b.status()
	b.claim(idAt("10:05"))
	b.settle(demo)
	if s := b.status(); !reflect.DeepEqual(s, born) {
		t.Errorf("%+v was written at once", s)
	}
	if p := b.decide(demo); !p.wake.Equal(b.now.Add(mirrorEvery)) {
		t.Errorf("it is looked at again at %s", p.wake)
	}
	b.mirror()
	if s := b.status(); s.LastRun.Phase != nightwatch.PhaseRunning {
		t.Errorf("%+v does not follow", s.LastRun)
	}
	b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
	b.settle(demo)
	if s := b.status(); s.Counts.Succeeded != 1 || s.LastRun.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v: what is more than a repetition has to wait", s)
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
	load := b.load("65", "")
	b.relist()
	if p := b.decide(demo); !p.txn.Empty() {
		t.Errorf("after a list: %v", p.touched)
	}
	if b.load("65", "") != load || load != 1 {
		t.Errorf("load %d, before %d", b.load("65", ""), load)
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
			if got := b.view.known(demo).putTime; !got.Equal(at(row.want)) {
				t.Errorf("put at %s, want %s", got, row.want)
			}
			b.moveTo("10:40")
			b.relist()
			if got := b.view.known(demo).putTime; !got.Equal(at(row.want)) {
				t.Errorf("put at %s after another list, want %s", got, row.want)
			}
		})
	}
}

func TestStatusSaysWhoFrozeIt(t *testing.T) {
	for _, row := range []struct{ name, value, want string }{
		{"nothing", "", "freeze/default/demo is there"},
		{"all of it", `{"by":"ana","note":"audit","until":"2026-11-20T12:00:00Z"}`, "freeze/default/demo is there, by ana, until 2026-11-20T12:00:00Z: audit"},
		{"a typo", `{"by":"ana","untl":"2026-11-20T12:00:00Z"}`, `untl: unknown field`},
		{"not a time", `{"until":"noon"}`, `until: "noon": want a time`},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.put(fiveMinutes)
			b.set(b.keys.Of(store.Freezes)+demo, row.value)
			b.settle(demo)
			if s := b.status(); s.Phase != nightwatch.PhaseSuspended || !strings.Contains(s.Message, row.want) {
				t.Errorf("%s: %s", s.Phase, s.Message)
			}
		})
	}
}

func TestStatusWarns(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(`{"process":{"command":["true"]},"schedule":"0 0 13 * 5"}`)
	b.settle(demo)
	if s := b.status(); !s.Accepted || len(s.Warnings) != 1 || s.Warnings[0].Field != "schedule" || !strings.Contains(s.Warnings[0].Reason, "dayMatch") {
		t.Errorf("both days restricted: %+v", s.Warnings)
	}
	b.put(`{"process":{"command":["true"]},"at":"2026-11-20T09:00:00Z"}`)
	b.settle(demo)
	if s := b.status(); !s.Accepted || s.Phase != nightwatch.PhaseFinished || len(s.Warnings) != 1 || s.Warnings[0].Field != "at" {
		t.Errorf("an instant in the past: %s %+v", s.Phase, s.Warnings)
	}
	b.put(`{"process":{"command":["true"]},"at":"2026-11-20T11:00:00Z"}`)
	b.settle(demo)
	if s := b.status(); s.Warnings != nil || s.Phase != nightwatch.PhaseScheduled {
		t.Errorf("an instant to come: %s %+v", s.Phase, s.Warnings)
	}
}

func TestStatusMarksTimesThatMoved(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.putCalendar("weekend", `{"days":["Sat","Sun"]}`)
	b.put(`{"process":{"command":["true"]},"schedule":"0 9 * * 6","calendars":{"exclude":["weekend"],"onExcluded":"next-included"}}`)
	b.settle(demo)
	s := b.status()
	if len(s.Next) != maxNext || s.Next[0].Format(time.RFC3339) != "2026-11-23T09:00:00Z" {
		t.Fatalf("next %v", s.Next)
	}
	if len(s.NextNotes) != maxNext || !s.NextNotes[0].Time.Equal(s.Next[0]) || !strings.Contains(s.NextNotes[0].Note, "2026-11-21") {
		t.Errorf("notes %+v", s.NextNotes)
	}
	b.put(`{"process":{"command":["true"]},"schedule":"30 2 * * *","timeZone":"Europe/Berlin","startsAt":"2027-03-27"}`)
	b.settle(demo)
	if s := b.status(); s.Accepted {
		t.Errorf("a date for a time is accepted: %+v", s.Next)
	}
	b.put(`{"process":{"command":["true"]},"schedule":"30 2 * * *","timeZone":"Europe/Berlin","startsAt":"2027-03-27T00:00"}`)
	b.settle(demo)
	s = b.status()
	if len(s.NextNotes) != 1 || s.NextNotes[0].Time.Format(time.RFC3339) != "2027-03-28T01:00:00Z" || !strings.Contains(s.NextNotes[0].Note, "02:30") {
		t.Errorf("next %v, notes %+v", s.Next, s.NextNotes)
	}
}

func TestJitterDelaysTheStart(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"jitter":"3m"`))
	b.settle(demo)
	def := b.view.known(demo).def
	start := def.Task.Times().Due(at("10:05"))
	if start.Equal(at("10:05")) || start.After(at("10:08")) {
		t.Fatalf("start %s: choose another name for the demo task if its hash is 0", start)
	}
	b.goTo("10:05")
	b.wantRuns()
	if p := b.decide(demo); !p.wake.Equal(start) {
		t.Errorf("wake %s, want %s", p.wake, start)
	}
	b.now = start.Add(-time.Millisecond)
	b.settle(demo)
	b.wantRuns()
	b.now = start
	b.settle(demo)
	b.wantRuns(idAt("10:05") + " Assigned")
	r := b.run(idAt("10:05"))
	if !r.NominalTime.Equal(at("10:05")) || !r.NotBefore.Equal(start) {
		t.Errorf("%+v", r)
	}
}

// An edit in the middle of the delay does not lose the occurrence, nor does it start early.
func TestEditInTheMiddleOfTheJitter(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"jitter":"3m"`))
	b.settle(demo)
	start := b.view.known(demo).def.Task.Times().Due(at("10:05"))
	b.moveTo("10:05")
	b.put(fiveMinutes)
	b.settle(demo)
	b.wantRuns(idAt("10:05") + " Pending NotBefore")
	b.now = start
	b.settle(demo)
	b.wantRuns(idAt("10:05") + " Assigned")
}
