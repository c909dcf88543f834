package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

// Audit lists every expected time after since beside what became of it. An expected time is accounted for by exactly
// one record of its own or by one range; a range must tell of exactly as many times as it covers. Times behind the
// status' cursor are not decided yet; they are a fault once they are overdue by more than 10 s while the task neither
// stands still nor has had all its runs.
func Audit(a Account, since time.Time) Report {
	a = a.ofRuns()
	w := audit{a: a, since: since, records: map[int64][]*nightwatch.Run{}}
	w.report = Report{Task: a.Task, Revision: a.Revision, Now: a.Now, Totals: map[nightwatch.Phase]int64{}}
	if since.Before(a.Ledger.Since) {
		w.report.Earlier, w.report.EarlierTo = a.Ledger.Totals, a.Ledger.Since
	}
	w.open()
	w.expect()
	w.judgeRanges()
	w.judgeRuns()
	return w.close()
}

// audit is a report in the making.
type audit struct {
	a      Account
	report Report
	since  time.Time

	times    *schedule.Schedule // nil: what was expected is not known
	from, to time.Time          // what is checked
	records  map[int64][]*nightwatch.Run
	ranges   []*tally
	last     *tally // the range of the newest entry, when it may grow
}

// tally is a range and what was found of it among the expected times.
type tally struct {
	nightwatch.LedgerRange
	covered        int64       // times that it must tell of
	inside         []time.Time // times between its ends that have records
	sawFrom, sawTo bool
}

// open finds out what can be checked.
func (w *audit) open() {
	for _, r := range w.a.Ledger.Ranges {
		w.ranges = append(w.ranges, &tally{LedgerRange: r})
	}
	slices.SortStableFunc(w.ranges, func(x, y *tally) int { return x.From.Compare(y.From) })
	for i := range w.a.Runs {
		if r := &w.a.Runs[i]; w.scheduled(r) {
			w.records[r.NominalTime.UnixMilli()] = append(w.records[r.NominalTime.UnixMilli()], r)
		}
	}
	first, ok := w.a.checkable()
	times, missing := w.a.Times()
	switch {
	case !ok:
		w.report.Unchecked = first.why
		return
	case len(missing) > 0:
		w.report.Unchecked = "calendars that the task uses are not in force: " + strings.Join(missing, ", ")
		return
	case times.AfterFinish():
		w.report.Unchecked = "with afterFinish times depend on when runs end: only whether the next one is overdue is checked"
		w.checkFollowing(times)
		return
	}
	if !first.time.After(w.since) {
		first = bound{w.since, "as asked for"}
	}
	w.times, w.from, w.report.FromReason = times, first.time, first.why
}

// scheduled tells whether a run is the record of a nominal time.
func (w *audit) scheduled(r *nightwatch.Run) bool {
	return r.ID == nightwatch.ScheduledRunID(r.NominalTime) && w.a.Accepted != nil && r.TaskUID == w.a.Accepted.UID
}

// checkFollowing checks the one time of a task with afterFinish that can be known.
func (w *audit) checkFollowing(times *schedule.Schedule) {
	next, ok := w.a.following(times)
	if !ok || next.After(w.a.Now) || w.a.exhausted() {
		return
	}
	w.undecided(next, w.a.still() == "" && w.a.Now.Sub(next) > overdue)
}

// expect goes through the expected times.
func (w *audit) expect() {
	if w.times == nil {
		return
	}
	cursor := w.a.Status.Cursor
	w.to = cursor
	if w.a.Now.After(w.to) && w.a.Value != nil && !w.a.exhausted() {
		w.to = w.a.Now
	}
	if !w.to.After(w.from) {
		w.to = w.from
		return
	}
	expected, more := w.times.Between(w.from, w.to, maxExpected)
	if more {
		w.to, w.report.More = expected[len(expected)-1], true
	}
	w.report.Expected = int64(len(expected))
	still := w.a.still()
	var open []*tally // ranges that have begun
	begun := 0
	for _, t := range expected {
		for ; begun < len(w.ranges) && !w.ranges[begun].From.After(t); begun++ {
			open = append(open, w.ranges[begun])
		}
		open = slices.DeleteFunc(open, func(r *tally) bool { return r.To.Before(t) })
		records := w.records[t.UnixMilli()]
		delete(w.records, t.UnixMilli())
		places := len(records)
		for _, r := range open {
			if r.tells(t, len(records) > 0) {
				places++
			}
		}
		switch {
		case places > 0:
			w.accounted(t, records, open, places > 1)
		case t.After(cursor):
			w.undecided(t, still == "" && w.a.Now.Sub(w.times.Due(t)) > overdue)
		default:
			w.report.unaccounted(t)
			w.add(nil, Entry{From: t, To: t, Count: 1, State: StateUnaccounted, Message: "its time is over, and nothing tells of it"})
		}
	}
}

// tells counts an expected time that the range covers, and tells whether the range is a place of it. A record of its
// own takes a time out of a range, unless it is one of the range's ends.
func (r *tally) tells(t time.Time, recorded bool) bool {
	r.sawFrom = r.sawFrom || t.Equal(r.From)
	r.sawTo = r.sawTo || t.Equal(r.To)
	if recorded && t.After(r.From) && t.Before(r.To) {
		r.inside = append(r.inside, t)
		return false
	}
	r.covered++
	return true
}

// accounted enters a time that has a record or lies in a range.
func (w *audit) accounted(t time.Time, records []*nightwatch.Run, ranges []*tally, twice bool) {
	e := Entry{From: t, To: t, Count: 1, State: StateAccounted}
	var of *tally
	if len(records) > 0 {
		e = recorded(e, records[0])
	} else {
		of = ranges[0]
		e.Outcome, e.Reason = of.Outcome, of.Reason
	}
	if twice {
		w.report.twice(t)
		e.State, of = StateTwice, nil
	}
	w.add(of, e)
}

func recorded(e Entry, r *nightwatch.Run) Entry {
	e.Outcome, e.Reason, e.Message, e.Run = r.Phase, r.Reason, r.Message, r.ID
	return e
}

// undecided enters a time behind the cursor.
func (w *audit) undecided(t time.Time, late bool) {
	e := Entry{From: t, To: t, Count: 1, State: StateUndecided}
	if late {
		w.report.unaccounted(t)
		e.State, e.Message = StateUnaccounted, "it is overdue, and nothing has become of it"
	} else {
		w.report.Undecided++
	}
	w.add(nil, e)
}

// add enters e, or lets the newest entry grow when it is of the same range or, without a record, alike.
func (w *audit) add(of *tally, e Entry) {
	if n := len(w.report.Entries); n > 0 && e.Run == "" && e.State != StateTwice {
		newest := &w.report.Entries[n-1]
		if w.last == of && newest.Run == "" && newest.State == e.State && newest.Message == e.Message {
			newest.To, newest.Count = e.To, newest.Count+1
			return
		}
	}
	w.last = of
	w.report.Entries = append(w.report.Entries, e)
}

// judgeRanges compares what ranges tell with what was found of them.
func (w *audit) judgeRanges() {
	for _, r := range w.ranges {
		switch {
		case !r.To.After(w.since) || w.report.More && r.From.After(w.to):
			continue
		case w.times == nil || !r.To.After(w.from):
			w.list(r.entry(r.To, r.Count, StateUnchecked))
			continue
		}
		begins, ends := r.From.After(w.from), !r.To.After(w.to)
		if !begins && w.from.After(w.since) && r.Count > r.covered {
			w.list(r.entry(w.from, r.Count-r.covered, StateUnchecked))
		}
		switch {
		case begins && !r.sawFrom:
			w.report.extra(r.From)
			w.list(r.entry(r.To, max(r.Count-r.covered, 0), StateExtra))
		case (ends || !w.report.More) && !r.sawTo:
			w.report.extra(r.To)
			w.list(r.entry(r.To, max(r.Count-r.covered, 0), StateExtra))
		case begins && ends && r.Count-r.covered == int64(len(r.inside)):
			for _, t := range r.inside {
				w.report.twice(t)
			}
		case begins && ends && r.Count != r.covered, r.Count < r.covered:
			w.report.Miscounted = append(w.report.Miscounted, Miscount{Range: r.LedgerRange, Expected: r.covered})
		}
	}
}

// entry is the part of a range up to a time.
func (r *tally) entry(to time.Time, count int64, state string) Entry {
	return Entry{From: r.From, To: to, Count: count, State: state, Outcome: r.Outcome, Reason: r.Reason}
}

// judgeRuns enters the records that met no expected time.
func (w *audit) judgeRuns() {
	for i := range w.a.Runs {
		r := &w.a.Runs[i]
		at := r.NominalTime
		if at.IsZero() {
			at = r.CreateTime
		}
		e := recorded(Entry{From: at, To: at, Count: 1, State: StateUnchecked}, r)
		switch {
		case !at.After(w.since) || w.report.More && at.After(w.to):
			continue
		case w.times == nil || !w.scheduled(r):
		case at.After(w.from) && !at.After(w.to):
			if w.records[at.UnixMilli()] == nil {
				continue // it met one
			}
			w.report.extra(at)
			e.State = StateExtra
		}
		w.list(e)
	}
}

// list enters what is not an expected time.
func (w *audit) list(e Entry) { w.report.Entries = append(w.report.Entries, e) }

func (w *audit) close() Report {
	r := &w.report
	r.From, r.To = w.from, w.to
	slices.SortStableFunc(r.Entries, func(x, y Entry) int {
		return cmp.Or(x.From.Compare(y.From), x.To.Compare(y.To))
	})
	for _, e := range r.Entries {
		if e.Outcome != "" {
			r.Totals[e.Outcome] += e.Count
		}
	}
	r.OK = r.UnaccountedCount+r.TwiceCount+r.ExtraCount == 0 && len(r.Miscounted) == 0
	return *r
}
