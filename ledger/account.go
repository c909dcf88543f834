package ledger

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

// Account is everything there is to know of one task at one revision.
type Account struct {
	// Task is "<namespace>/<task>".
	Task string
	// Now is the reader's clock.
	Now time.Time
	// Revision is the one at which all of it was read.
	Revision int64
	// Value is what the user put, at TaskRevision; nil and 0 when the task's key is gone.
	Value        []byte
	TaskRevision int64
	// Accepted is the version in force, nil when none ever was.
	Accepted *nightwatch.Accepted
	// Status is nil when the scheduler has not looked at the task yet.
	Status *nightwatch.Status
	Ledger nightwatch.Ledger
	// Runs are the task's records, the oldest nominal time first; those of shards may be among them.
	Runs []nightwatch.Run
	// Freezes are the freeze keys that cover the task, by their tails: "<namespace>/<task>", "<namespace>", "_cluster".
	Freezes map[string]nightwatch.Freeze
	// FreezeErrors say what is wrong with the values of some of them, which freeze all the same, by the same tails.
	FreezeErrors map[string]string
	// Calendars are those of the version in force that are in force themselves, by name.
	Calendars map[string]nightwatch.AcceptedCalendar
	// Nodes are the live ones.
	Nodes []nightwatch.Node
}

// Times are those of the version in force, on the days that its calendars say. They are nil when the task has none of
// its own, and when any of its calendars is missing.
func (a Account) Times() (times *schedule.Schedule, missing []string) {
	if a.Accepted == nil || !a.Accepted.Task.Recurring() {
		return nil, nil
	}
	return a.Accepted.Task.TimesOn(a.calendar)
}

func (a Account) calendar(name string) *schedule.Calendar {
	accepted := a.Calendars[name]
	return accepted.Calendar.Compiled()
}

// ofRuns is the account without the records of shards: each is part of a run, which is what is told of.
func (a Account) ofRuns() Account {
	a.Runs = slices.DeleteFunc(slices.Clone(a.Runs), func(r nightwatch.Run) bool { return r.Shard != nil })
	return a
}

// bound is a time up to which nothing can be said of what was expected, and why.
type bound struct {
	time time.Time
	why  string
}

// checkable is from when on, exclusive, the version in force and the ledger tell what was expected and what became of
// it: the latest of several bounds. It is false when they tell nothing at all, and the bound then says why.
func (a Account) checkable() (bound, bool) {
	switch {
	case a.Accepted == nil:
		return bound{why: "no version of the task was ever accepted"}, false
	case a.Status == nil:
		return bound{why: "the task's status is not there"}, false
	case a.Accepted.Task.After != nil:
		return bound{why: "the task has no times of its own: it is due when those that it comes after have run"}, false
	case !a.Accepted.Task.Recurring():
		return bound{why: "the task has no schedule: it runs once for each time it is put"}, false
	case a.Accepted.Task.Times() == nil:
		return bound{why: "the version in force was not read by the store"}, false
	case a.Accepted.Since.IsZero():
		return bound{why: "the version in force does not tell since when it counts"}, false
	}
	latest := bound{a.Accepted.Since, "the version in force counts from then on"}
	if a.Ledger.Since.After(latest.time) {
		latest = bound{a.Ledger.Since, "the ledger tells of later times only"}
	}
	for _, name := range a.Accepted.Task.Calendars.Names() {
		if since := a.Calendars[name].Since; since.After(latest.time) {
			latest = bound{since, "calendar " + name + " changed then"}
		}
	}
	return latest, true
}

// from is the time after which times are still to be met: the cursor, or the change of a calendar since.
func (a Account) from() time.Time {
	from := a.Status.Cursor
	if a.Status.Still == nightwatch.ReasonCalendarMissing {
		return from
	}
	for _, name := range a.Accepted.Task.Calendars.Names() {
		from = later(from, a.Calendars[name].Since)
	}
	return from
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// still is the reason for which no time of the task counts or is met at the moment; empty: there is none.
func (a Account) still() string {
	_, missing := a.Times()
	switch {
	case a.Value == nil:
		return nightwatch.ReasonDeleting
	case a.Status != nil && a.Status.Reason == nightwatch.ReasonPreviousDeleting:
		return nightwatch.ReasonPreviousDeleting
	case a.Accepted != nil && a.Accepted.Task.Suspend:
		return nightwatch.ReasonSuspended
	case len(missing) > 0:
		return nightwatch.ReasonCalendarMissing
	case len(a.Freezes) > 0:
		return nightwatch.ReasonFrozen
	case a.Status != nil:
		return a.Status.Still // what ended it may be so new that the scheduler has not acted on it
	}
	return ""
}

// exhausted tells whether the task has had all the runs that it may have.
func (a Account) exhausted() bool {
	if a.Accepted == nil || a.Status == nil {
		return false
	}
	limit := int64(a.Accepted.Task.MaxRuns)
	return limit > 0 && a.Status.StartedRuns >= limit
}

// following is the next time of a task with afterFinish; false while a run of it is live, and when there is none.
func (a Account) following(times *schedule.Schedule) (time.Time, bool) {
	ended := a.Status.LastEndTime
	for i := range a.Runs {
		switch run := &a.Runs[i]; {
		case run.Live():
			return time.Time{}, false
		case run.EndTime.After(ended):
			ended = run.EndTime
		}
	}
	return times.Following(ended, a.Status.Cursor)
}

// live are the runs that are not terminal, in the order of Runs.
func (a Account) live() []*nightwatch.Run {
	var live []*nightwatch.Run
	for i := range a.Runs {
		if a.Runs[i].Live() {
			live = append(live, &a.Runs[i])
		}
	}
	return live
}

// frozenBy are the tails of the freeze keys that cover the task, the narrowest first.
func (a Account) frozenBy() []string {
	namespace, _, _ := strings.Cut(a.Task, "/")
	rank := func(tail string) int { return slices.Index([]string{a.Task, namespace}, tail) }
	return slices.SortedFunc(maps.Keys(a.Freezes), func(x, y string) int {
		if (rank(x) < 0) != (rank(y) < 0) {
			return rank(y) - rank(x)
		}
		return rank(x) - rank(y)
	})
}
