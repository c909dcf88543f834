package scheduler

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/schedule"
	"github.com/nightwatch-go/nightwatch/store"
)

// oracle follows the demo task over the board, transaction by transaction, and knows what must have become of each of
// its times.
type oracle struct {
	*board
	r *rapid.T

	uid     int64
	cursor  time.Time
	places  map[int64]bool             // the times that must be in one place each, in milliseconds; false: of a submission
	started map[string]bool            // the occurrences that a node has begun, or that ended as if
	folded  map[nightwatch.Phase]int64 // requested runs whose records have left the history
	allowed bool                       // somebody asked for more than one run at a time
	asked   int
	made    map[string]bool // shards
}

func newOracle(t testing.TB, r *rapid.T) *oracle {
	o := &oracle{board: newBoard(trial{t, r}, "10:00:30"), r: r}
	o.now = o.now.Add(7 * time.Millisecond) // no submission is made at the time of an occurrence
	o.begin(0)
	return o
}

// begin forgets the life before.
func (o *oracle) begin(uid int64) {
	o.uid, o.cursor = uid, nothing
	o.made = map[string]bool{}
	o.places, o.started, o.folded = map[int64]bool{}, map[string]bool{}, map[nightwatch.Phase]int64{}
}

// step commits a plan and holds what it did against what it was decided on.
func (o *oracle) step(p *plan) bool {
	o.t.Helper()
	before := taskView{details: &details{}}
	var times *schedule.Schedule
	var from time.Time
	exhausted := false
	if t := o.view.known(demo); t != nil {
		*before.details = *t.details
		before.runs, before.ordered, before.shards = maps.Clone(t.runs), slices.Clone(t.ordered), shardsBefore(t)
		if t.def != nil {
			q := newPlan(o.world, t)
			times, from, exhausted = q.times(), q.from(), q.exhausted()
		}
	}
	if !o.commit(p) {
		return false
	}
	o.now = o.now.Add(time.Millisecond)
	after := o.view.known(demo)
	if after == nil || after.status.UID == 0 {
		o.begin(0)
		return true
	}
	if after.status.UID != o.uid {
		o.begin(after.status.UID)
	}
	cursor := after.status.Cursor
	if !cursor.IsZero() && cursor.Before(o.cursor) {
		o.t.Errorf("the cursor went from %s back to %s", o.cursor, cursor)
	}
	edited := before.status.AcceptedRevision != after.status.AcceptedRevision
	if before.status.UID == after.status.UID && times != nil && !before.status.Cursor.IsZero() {
		switch {
		case !edited:
			o.expect(times, from, cursor, before.runs, after)
		case !exhausted: // else no time counted any more
			o.expect(times, from, after.def.Since, before.runs, after)
		}
	}
	if edited && !cursor.IsZero() {
		if times := newPlan(o.world, after).times(); times != nil {
			o.expect(times, o.known(after), cursor, before.runs, after)
		}
	}
	o.cursor = later(o.cursor, cursor)
	o.compare(&before, after)
	o.compareShards(&before, after)
	return true
}

// expect notes the times that the cursor has gone over.
func (o *oracle) expect(times *schedule.Schedule, from, to time.Time, before map[string]*runView, after *taskView) {
	if times.AfterFinish() {
		if id := nightwatch.ScheduledRunID(to); before[id] == nil && after.runs[id] != nil {
			o.places[to.UnixMilli()] = true
		}
		return
	}
	due, _ := times.Between(from, to, 1_000_000)
	for _, at := range due {
		o.places[at.UnixMilli()] = true
	}
}

// compare holds the records after a change against those before it.
func (o *oracle) compare(before, after *taskView) {
	live, given := 0, 0
	for _, r := range after.runs {
		if r.run.Live() {
			live++
		}
		if queued(&r.run) {
			given++
		}
	}
	if given > 1 && !o.allowed {
		o.t.Errorf("nodes have %d runs", given)
	}
	for id, r := range after.runs {
		was := before.runs[id]
		if was != nil && was.create == r.create {
			if same := was.run; !same.Live() && was.mod != r.mod {
				same.ResolvedBy, same.Term, same.Submitted = r.run.ResolvedBy, r.run.Term, r.run.Submitted
				same.EndRevision = was.mod
				if was.run.ResolvedBy == "" && reflect.DeepEqual(same, r.run) {
					continue
				}
				o.t.Errorf("the terminal record of %s changed: %+v, then %+v", id, was.run, r.run)
			}
			continue
		}
		at := r.run.NominalTime.UnixMilli()
		switch {
		case strings.HasPrefix(id, "rev-"):
			o.places[at] = false
			continue
		case strings.HasPrefix(id, "req-"):
			continue
		case r.run.Backfill != "":
			o.places[at] = true
			maps.DeleteFunc(o.made, func(shard string, _ bool) bool { return strings.HasPrefix(shard, id+".") }) // of the one that was missed
		case r.run.Announced:
			if next, _ := newPlan(o.world, after).times().Next(after.status.Cursor); !next.Equal(r.run.NominalTime) {
				o.t.Errorf("%s was announced, and %s is next", id, next)
			}
		case !o.places[at]:
			o.t.Errorf("%s was invented (%s)", id, r.run.Phase)
		}
		if r.run.Live() {
			if o.started[id] {
				o.t.Errorf("%s was given a run twice", id)
			}
			if after.def.Task.OverlapPolicy() == nightwatch.OverlapSkip && !o.allowed && live > 1 {
				o.t.Errorf("%s is one of %d live runs", id, live)
			}
		}
	}
	for id, r := range after.runs {
		switch r.run.Phase {
		case nightwatch.PhaseRunning, nightwatch.PhaseSucceeded, nightwatch.PhaseFailed, nightwatch.PhaseCanceled:
			o.started[id] = true
		}
	}
	for id, r := range before.runs {
		if after.runs[id] != nil || r.run.TaskUID != o.uid {
			continue
		}
		if r.run.Live() && !r.run.Announced {
			o.t.Errorf("the record of %s, which is live, has gone", id)
		}
		if strings.HasPrefix(id, "req-") {
			o.folded[r.run.Phase]++
		}
	}
}

// quiet decides on everything until there is nothing more to do, and checks what must hold then.
func (o *oracle) quiet() {
	o.t.Helper()
	for range 3000 {
		if !o.next() {
			for name, t := range o.view.tasks {
				if _, ok := store.CalendarOf(name); ok && calendarChanged(t) {
					o.t.Fatalf("%s waits for ever", name)
				}
			}
			o.check()
			return
		}
	}
	o.t.Fatalf("no end to the transactions")
}

// next does one transaction; false: there is none to do.
func (o *oracle) next() bool {
	o.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(o.view.tasks)) {
		if p := o.decide(name); !p.txn.Empty() {
			if !o.step(p) {
				o.t.Fatalf("%s: refused though the view is current", name)
			}
			return true
		}
	}
	return false
}

func (o *oracle) check() {
	o.t.Helper()
	t := o.view.known(demo)
	if t == nil || t.def == nil || t.status.UID != t.task.create {
		return
	}
	counts, waiting := t.ledger.Totals, 0
	for _, r := range t.runs {
		if !r.run.Live() {
			counts.Add(r.run.Phase, 1)
		} else if r.run.Phase == nightwatch.PhasePending {
			waiting++
		}
	}
	for _, r := range t.ledger.Ranges {
		counts.Add(r.Outcome, r.Count)
	}
	for phase, n := range o.folded {
		counts.Add(phase, n)
	}
	if counts != t.status.Counts {
		o.t.Errorf("counts say %+v, records, ranges and totals %+v", t.status.Counts, counts)
	}
	if waiting > maxQueued+200 { // a node that is lost gives back what it had, and backfills have bounds of their own
		o.t.Errorf("%d runs wait", waiting)
	}
	o.checkPlaces(t)
	o.checkShards(t)
	o.ask()
}

// checkPlaces looks for each time in the records, the ranges and the totals.
func (o *oracle) checkPlaces(t *taskView) {
	o.t.Helper()
	recorded := map[int64]int{}
	for _, r := range t.runs {
		if occurrence(&r.run) {
			recorded[r.run.NominalTime.UnixMilli()]++
		}
	}
	l := t.ledger
	end := l.Since
	for _, r := range l.Ranges {
		if r.To.Before(r.From) || r.Count < 1 || r.Count > 1 && r.To.Equal(r.From) || !r.From.After(end) {
			o.t.Errorf("%+v behind %s", r, end)
		}
		end = r.To
	}
	told, old := make([]int64, len(l.Ranges)), int64(0)
	for ms := range o.places {
		at := time.UnixMilli(ms).UTC()
		i := slices.IndexFunc(l.Ranges, func(r nightwatch.LedgerRange) bool { return !at.Before(r.From) && !at.After(r.To) })
		switch in := recorded[ms]; {
		case in > 1 || in == 1 && i >= 0 && (at.Equal(l.Ranges[i].From) || at.Equal(l.Ranges[i].To)):
			o.t.Errorf("%s has %d records, and range %d", at, in, i)
		case in == 1:
		case i >= 0:
			told[i]++
		case !at.After(l.Since):
			old++
		default:
			o.t.Fatalf("%s is nowhere; the ledger tells of times after %s", at, l.Since)
		}
	}
	for i, r := range l.Ranges {
		if told[i] != r.Count {
			o.t.Errorf("%+v: there are %d times", r, told[i])
		}
	}
	if n := total(l.Totals); n != old {
		o.t.Errorf("the totals tell of %d times, there are %d", n, old)
	}
}

// known is since when the version in force and its calendars say what is due.
func (o *oracle) known(t *taskView) time.Time {
	since := t.def.Since
	for _, name := range t.def.Task.Calendars.Names() {
		if c := o.view.known(store.CalendarTail(name)); c != nil && c.calendar != nil {
			since = later(since, c.calendar.Since)
		}
	}
	return since
}

// ask has package ledger say what it thinks of all this.
func (o *oracle) ask() {
	o.t.Helper()
	a := o.account()
	if report := ledger.Audit(a, nothing); !report.OK {
		report.Entries = nil
		o.t.Errorf("audit: %+v", report)
	}
	var asked []time.Time // now, the first time and the last
	for ms, scheduled := range o.places {
		if at := time.UnixMilli(ms); scheduled && len(asked) == 0 {
			asked = []time.Time{at, at}
		} else if scheduled && at.Before(asked[0]) {
			asked[0] = at
		} else if scheduled {
			asked[1] = later(asked[1], at)
		}
	}
	for _, at := range append(asked, nothing) {
		answer := ledger.Why(a, at)
		if answer.Reason == ledger.Unaccounted || answer.Reason == ledger.BeforeTask || strings.Contains(answer.Headline, "overdue") {
			o.t.Errorf("why %s: %+v", at, answer)
		}
	}
}

// trial is one check of a property as a test: what fails in it is tried again with less.
type trial struct {
	testing.TB
	r *rapid.T
}

func (t trial) Helper()                           { t.r.Helper() }
func (t trial) Logf(format string, args ...any)   { t.r.Helper(); t.r.Logf(format, args...) }
func (t trial) Errorf(format string, args ...any) { t.r.Helper(); t.r.Errorf(format, args...) }
func (t trial) Fatalf(format string, args ...any) { t.r.Helper(); t.r.Fatalf(format, args...) }
