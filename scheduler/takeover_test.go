package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// crowd is n tasks like one that is scheduled for 10:05, under names of their own, as a list tells of them, and that one.
func crowd(t *testing.T, n int) (b *board, events []store.Event) {
	b = newBoard(t, "10:00:30")
	b.put(fiveMinutes)
	b.settle(demo)
	if s := b.status(); s.Phase != nightwatch.PhaseScheduled {
		t.Fatalf("%+v: want it scheduled", s)
	}
	for _, e := range b.entries {
		for i := range n {
			other := e
			name := fmt.Sprintf("default/t%d", i)
			other.Key, other.Value = strings.ReplaceAll(e.Key, demo, name), []byte(strings.ReplaceAll(string(e.Value), demo, name))
			events = append(events, other)
		}
	}
	for _, e := range b.entries {
		events = append(events, e)
	}
	return b, events
}

// Who takes over sees to what is due first, however many tasks there are that nothing is wanted of.
func TestTakeOverBeginsWithWhatIsDue(t *testing.T) {
	for name, change := range map[string]func(b *board) store.Event{
		"due": func(b *board) store.Event {
			s := b.status()
			s.Next = append([]time.Time{at("10:00")}, s.Next...)
			return b.one(b.keys.Status(demo), s, 0)
		},
		"put":       func(b *board) store.Event { return b.one(b.keys.Task(demo), onceTask, 0) },
		"requested": func(b *board) store.Event { return b.one(b.keys.Request(demo, "q"), `{"action":"run"}`, 0) },
		"not counted": func(b *board) store.Event {
			run := nightwatch.Run{ID: "r", Task: demo, TaskUID: b.view.known(demo).task.create, Phase: nightwatch.PhaseSucceeded}
			return b.one(b.keys.Run(demo, "r"), run, 0)
		},
		"status is gone": func(b *board) store.Event { return b.one(b.keys.Status(demo), nil, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			b, events := crowd(t, 3000)
			s := newScheduler(&link{memory: newMemory(t)}, b.keys, Config{Now: func() time.Time { return at("10:01") }})
			s.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events})
			b.rev++
			s.apply(store.Batch{Revision: b.rev, Events: []store.Event{change(b)}}) // heard by a standby
			s.startLeading(lease{term: testTerm{t.Context()}, ended: make(chan struct{})})
			s.lastTick = time.Now()
			if n := s.agenda.pending(); n != 1 {
				t.Errorf("%d tasks are to be looked at first", n)
			}
			if got := s.agenda.next(); got.name != demo {
				t.Errorf("the first is %s", got.name)
			}
		})
	}
}

// A term decides nothing before its view shows what terms before wrote.
func TestTakeOverWaitsForTheView(t *testing.T) {
	b, events := crowd(t, 0)
	s := newScheduler(&link{memory: newMemory(t)}, b.keys, Config{Now: func() time.Time { return at("10:05") }})
	s.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events})
	s.startLeading(lease{term: seat{ctx: t.Context(), key: "leader", revision: b.rev + 2}, ended: make(chan struct{})})
	for ; b.rev < s.caughtUp; b.rev++ {
		s.apply(store.Batch{Revision: b.rev})
		if s.pass(t.Context(), at("10:05")); s.inFlight > 1 { // the scheduler's clock
			t.Fatalf("it decides at revision %d", b.rev)
		}
	}
	s.apply(store.Batch{Revision: b.rev})
	if s.pass(t.Context(), at("10:05")); s.inFlight != 2 {
		t.Errorf("%d transactions under way, want the clock's and the task's", s.inFlight)
	}
	s.stopLeading()
}

// All others are looked at too, in passes that leave time for what comes meanwhile, and none has its time forgotten.
func TestTakeOverLooksAtAll(t *testing.T) {
	b, events := crowd(t, 5000)
	s := newScheduler(&link{memory: newMemory(t)}, b.keys, Config{Now: func() time.Time { return at("10:01") }})
	s.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events})
	s.startLeading(lease{term: testTerm{t.Context()}, ended: make(chan struct{})})
	s.lastTick = time.Now()
	timed := func() int {
		n := 0
		for _, task := range s.view.tasks {
			if wake := task.wakeAt(); task.heapIndex >= 0 && (wake.Equal(at("10:05")) || wake.Equal(at("10:05").Add(-announceLead))) {
				n++
			}
		}
		return n
	}
	if n := timed(); n != 5001 {
		t.Errorf("%d tasks have their time as soon as the term begins", n)
	}
	passes := 1
	for ; s.pass(t.Context(), at("10:01")) == 0; passes++ {
	}
	if n := s.agenda.rest.len(); n > 0 || passes < 2 {
		t.Errorf("%d are left after %d passes", n, passes)
	}
	for ; s.inFlight > 0; s.settle(<-s.results) { // the scheduler's clock
	}
	if n := timed(); n != 5001 {
		t.Errorf("%d tasks have their time", n)
	}
	if s.pass(t.Context(), at("10:05")); s.inFlight == 0 {
		t.Error("nothing is under way when all are due")
	}
	s.stopLeading()
}

// A new list reads what has changed.
func TestRelistReadsWhatHasChanged(t *testing.T) {
	b, events := crowd(t, 1)
	v := newView(b.keys, func(*taskView) {})
	v.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events}, b.now)
	def := v.known(demo).def
	s := b.status()
	s.Counts.Failed = 9
	for i, e := range events {
		if e.Key == b.keys.Status(demo) {
			events[i].Value, events[i].ModRevision = []byte(encodeAny(s)), b.rev+1
		}
	}
	v.apply(store.Batch{Snapshot: true, Revision: b.rev + 1, Events: events}, b.now)
	if got := v.known(demo); got.status.Counts.Failed != 9 || got.def == nil || got.def.Revision != def.Revision {
		t.Errorf("%+v", got.status)
	}
}
