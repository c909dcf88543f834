package scheduler

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A list that breaks off leaves the view as it was; while one is coming, nothing of it is seen.
func TestListByParts(t *testing.T) {
	b, events := crowd(t, 5)
	v := newView(b.keys, func(*taskView) {})
	v.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events}, b.now)
	before := tellTasks(v)
	same := func(when string) {
		t.Helper()
		if got := tellTasks(v); !reflect.DeepEqual(got, before) || v.revision != b.rev {
			t.Errorf("%s: revision %d, %v", when, v.revision, got)
		}
	}
	v.apply(store.Batch{Snapshot: true, Revision: b.rev + 5, Events: events[:3], More: true}, b.now)
	same("a page has come")
	only := b.one(b.keys.Task("default/other"), fiveMinutes, 0)
	v.apply(store.Batch{Snapshot: true, Revision: b.rev + 9, Events: []store.Event{only}, More: true}, b.now)
	same("the list has begun anew")
	v.apply(store.Batch{Snapshot: true, Revision: b.rev + 9, Page: 1}, b.now)
	if v.revision != b.rev+9 || len(v.tasks) != 1 || v.known("default/other") == nil {
		t.Errorf("revision %d, %v", v.revision, tellTasks(v))
	}
}

// A task of which all that had come is deleted, and which comes again, is the one that comes again.
func TestListOfATaskThatGoesAndComes(t *testing.T) {
	b, events := crowd(t, 0)
	v := newView(b.keys, func(*taskView) {})
	page := 0
	part := func(events ...store.Event) {
		v.apply(store.Batch{Snapshot: true, More: true, Page: page, Revision: b.rev, Events: events}, b.now)
		page++
	}
	slices.SortFunc(events, func(a, b store.Event) int { return strings.Compare(a.Key, b.Key) })
	part(events[0])
	gone := events[0]
	gone.Value, gone.Deleted = nil, true
	part(gone)
	part(events...)
	v.apply(store.Batch{Snapshot: true, Page: page, Revision: b.rev}, b.now)
	if task := v.known(demo); task == nil || task.def == nil || task.status.Phase != nightwatch.PhaseScheduled {
		t.Errorf("%+v", task)
	}
}

// A task that a term has looked at is not looked at again because of a list that shows it as it was.
func TestRelistLooksAtWhatHasChanged(t *testing.T) {
	b, events := crowd(t, 50)
	s := newScheduler(&link{memory: newMemory(t)}, b.keys, Config{Now: func() time.Time { return b.now }})
	s.view.spare = 0
	s.startLeading(lease{term: testTerm{t.Context()}, ended: make(chan struct{})})
	s.lastTick = time.Now()
	list := func() {
		s.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events})
		s.view.shrink(len(s.view.tasks), true)
	}
	list()
	if n := s.agenda.rest.len(); n != 51 {
		t.Fatalf("%d tasks to look at", n)
	}
	for s.agenda.rest.len() > 0 {
		s.pass(t.Context(), b.now)
	}
	for ; s.inFlight > 0; s.settle(<-s.results) { // the scheduler's clock
	}
	if n := len(s.agenda.timed); n != 51 {
		t.Errorf("%d have their time", n)
	}
	list()
	if rest, timed, pending := s.agenda.rest.len(), len(s.agenda.timed), s.agenda.pending(); rest != 0 || timed != 51 || pending != 0 {
		t.Errorf("%d to be looked at, %d and %d have their time", rest, pending, timed)
	}
	b.rev++
	events = append(events, b.one(b.keys.Of(store.Freezes)+"default", "", 0))
	list()
	if n := s.agenda.rest.len(); n != 51 {
		t.Errorf("with a freeze that came meanwhile %d are to be looked at", n)
	}
}

// partial is a view that takes in a list by parts while what is listed changes, as store.Follower hands it on, and then hears of
// what happens until the next list.
type partial struct {
	b       *board
	view    *view
	whole   bool
	waiting []store.Event // what the watch has not told of yet
	parts   int
	pages   []stretch
}

// stretch is what pages told of: the keys from the stretch before on, to this one, at a revision.
type stretch struct {
	to       string
	revision int64
}

const endOfKeys = "\xff"

// page has the next keys come.
func (l *partial) page(keys int) {
	from := ""
	if n := len(l.pages); n > 0 {
		from = l.pages[n-1].to
	}
	var there []string
	for key := range l.b.entries {
		if key >= from {
			there = append(there, key)
		}
	}
	slices.Sort(there)
	to := endOfKeys
	if len(there) > keys {
		there = there[:keys]
		to = there[keys-1] + "\x00"
	}
	var events []store.Event
	for _, key := range there {
		events = append(events, l.b.entries[key])
	}
	l.pages = append(l.pages, stretch{to, l.b.rev})
	l.part(l.b.rev, events)
}

func (l *partial) part(revision int64, events []store.Event) {
	l.view.apply(store.Batch{Snapshot: true, More: true, Page: l.parts, Revision: revision, Events: events}, l.b.now)
	l.parts++
}

// tell has the watch tell of some changes.
func (l *partial) tell(changes int) {
	for _, e := range l.waiting[:changes] {
		i := slices.IndexFunc(l.pages, func(s stretch) bool { return e.Key < s.to })
		if i >= 0 && e.ModRevision > l.pages[i].revision {
			l.part(e.ModRevision, []store.Event{e})
		}
		if l.whole {
			l.view.apply(store.Batch{Revision: e.ModRevision, Events: []store.Event{e}}, l.b.now)
		}
	}
	l.waiting = l.waiting[changes:]
}

// done tells whether every page has come.
func (l *partial) done() bool { return len(l.pages) > 0 && l.pages[len(l.pages)-1].to == endOfKeys }

// end is the end of a list.
func (l *partial) end() {
	for !l.done() {
		l.page(3)
	}
	l.tell(len(l.waiting))
	l.view.apply(store.Batch{Snapshot: true, Page: l.parts, Revision: l.b.rev}, l.b.now)
	l.whole, l.parts, l.pages = true, 0, nil
}

// namesIn are those of the tasks that something is known of by names.
func namesIn(m map[string]map[string]*taskView) map[string][]string {
	names := map[string][]string{}
	for name, tasks := range m {
		if len(tasks) > 0 {
			names[name] = slices.Sorted(maps.Keys(tasks))
		}
	}
	return names
}

// What a list by parts leads to is what a list of the last revision leads to, whatever happens while it comes.
func TestListByPartsWhileThingsHappen(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := newOracle(t, r)
		l := &partial{b: o.board, view: newView(o.keys, func(*taskView) {})}
		l.view.spare = rapid.SampledFrom([]int{0, maxSpare}).Draw(r, "spare")
		o.node("n1")
		o.set(o.keys.Task(demo), o.someTask())
		o.quiet()
		o.heard = func(b store.Batch) { l.waiting = append(l.waiting, b.Events...) }
		end := func() {
			l.end()
			whole := newView(o.keys, func(*taskView) {})
			whole.applyWhole(store.Batch{Snapshot: true, Revision: o.rev, Events: slices.Collect(maps.Values(o.entries))}, o.now)
			for _, v := range []*view{l.view, whole} { // what only who heard of it knows
				for _, task := range v.tasks {
					v.open(task)
					task.putTime, task.thawed, task.noticed = nothing, nothing, nothing
				}
			}
			if got, want := tellTasks(l.view), tellTasks(whole); !reflect.DeepEqual(got, want) {
				r.Fatalf("%v\nwant %v", got, want)
			}
			if got, want := l.view, whole; got.revision != want.revision || !reflect.DeepEqual(got.used, want.used) || got.afterAt != want.afterAt || got.clockAt != want.clockAt ||
				!reflect.DeepEqual(slices.Sorted(maps.Keys(got.sessions)), slices.Sorted(maps.Keys(want.sessions))) || fmt.Sprint(got.freezes) != fmt.Sprint(want.freezes) ||
				!reflect.DeepEqual(namesIn(got.users), namesIn(want.users)) || !reflect.DeepEqual(namesIn(got.downstreams), namesIn(want.downstreams)) {
				r.Fatalf("%+v\nwant %+v", got.tables, want.tables)
			}
		}
		actions := o.actions()
		actions["a page"] = func(r *rapid.T) {
			if l.done() {
				end()
			}
			l.page(rapid.IntRange(1, 4).Draw(r, "keys"))
		}
		actions["the watch tells"] = func(r *rapid.T) { l.tell(rapid.IntRange(0, len(l.waiting)).Draw(r, "changes")) }
		r.Repeat(actions)
		end()
	})
}

// To take in a list takes twice as long for a task with twice the records, and not four times.
func TestListOfATaskWithManyRecords(t *testing.T) {
	keys := store.NewKeys("")
	took := func(records int) time.Duration {
		events := make([]store.Event, records)
		for i := range events {
			id := nightwatch.ScheduledRunID(at("10:00").Add(time.Duration(i) * time.Second))
			events[i] = store.Event{
				Key: keys.Run(demo, id), Value: []byte(encodeAny(nightwatch.Run{ID: id, Task: demo, TaskUID: 1, Phase: nightwatch.PhaseSucceeded})),
				CreateRevision: int64(i + 1), ModRevision: int64(i + 1),
			}
		}
		least := time.Hour
		for range 3 {
			v := newView(keys, func(*taskView) {})
			began := time.Now()
			v.apply(store.Batch{Snapshot: true, Revision: int64(records), Events: events}, at("10:00"))
			least = min(least, time.Since(began))
			if n := len(v.known(demo).runs); n != records {
				t.Fatalf("%d records, want %d", n, records)
			}
		}
		return least
	}
	if few, many := took(1000), took(16_000); many > 64*few {
		t.Errorf("%s for 16,000 records, %s for 1,000", many, few)
	}
}
