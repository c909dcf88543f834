package scheduler

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/schedule"
	"github.com/nightwatch-go/nightwatch/store"
)

const (
	// onTime is how late an occurrence may be and still count as met: below it every occurrence runs, above it
	// catch-up decides.
	onTime = time.Second
	// maxCatchUp is the most that a task may ask to catch up with.
	maxCatchUp = 1000
)

// catchUp is the newest part of times that is to run. What is not later than onTime always is, counted from when it
// was to start.
func catchUp(times []time.Time, start func(nominal time.Time) time.Time, now time.Time, policy nightwatch.CatchUp) []time.Time {
	prompt, _ := slices.BinarySearchFunc(times, now.Add(-onTime), func(nominal, limit time.Time) int {
		return start(nominal).Compare(limit)
	})
	if prompt == 0 {
		return times
	}
	limit := 0
	switch policy.Mode {
	case nightwatch.CatchUpLatest:
		limit = 1
		if prompt < len(times) {
			limit = 0 // the newest is on time
		}
	case nightwatch.CatchUpAll:
		limit = int(policy.Max)
	}
	from := max(prompt-limit, 0)
	inWindow, _ := slices.BinarySearchFunc(times, now.Add(-time.Duration(policy.Window)), time.Time.Compare)
	return times[min(max(from, inWindow), prompt):]
}

// account puts occurrences that never become runs into the ledger, and moves the cursor over them. One that has a
// record, by a backfill, is accounted for already.
func (p *plan) account(times []time.Time, outcome nightwatch.Phase, reason string) {
	for len(times) > 0 {
		n := slices.IndexFunc(times, p.onRecord)
		if n < 0 {
			n = len(times)
		}
		if n > 0 {
			first, last := times[0].UTC(), times[n-1].UTC()
			p.enter(nightwatch.LedgerRange{From: first, To: last, Count: int64(n), Outcome: outcome, Reason: reason})
			p.status.Counts.Add(outcome, int64(n))
			p.status.Cursor = last
		}
		times = times[n:]
		if len(times) > 0 {
			p.status.Cursor = times[0].UTC()
			times = times[1:]
		}
	}
}

func (p *plan) onRecord(nominal time.Time) bool {
	r := p.t.runs[nightwatch.ScheduledRunID(nominal)]
	return r != nil && r.run.TaskUID == p.uid
}

// enter adds a range to the ledger.
func (p *plan) enter(r nightwatch.LedgerRange) {
	p.ledger, p.ledgerChanged = ledger.Add(p.ledger, r, p.adjacent()), true
}

// saveLedger writes the ledger if it has changed.
func (p *plan) saveLedger() {
	if p.ledgerChanged {
		p.put(p.keys.Ledger(p.t.name), p.t.ledgerAt.mod, p.ledger)
	}
}

// adjacent tells of two nominal times whether no other lies between them: none that the version in force knows of, if it
// has times of its own, and none that has a record, which may be of another version. What neither it nor its calendars
// can know of all, as they began to count in between, is not adjacent.
func (p *plan) adjacent() func(end, begin time.Time) bool {
	var marks []time.Time
	var times *schedule.Schedule
	scheduled := p.def != nil && p.def.Task.Recurring() && p.def.Task.AfterFinish == 0
	if scheduled {
		times = p.times()
		marks = append(marks, p.def.Since)
		for _, name := range p.def.Task.Calendars.Names() {
			if t := p.view.tasks[store.CalendarTail(name)]; t != nil && t.calendar != nil {
				marks = append(marks, t.calendar.Since)
			}
		}
	}
	return func(end, begin time.Time) bool {
		if slices.ContainsFunc(marks, func(t time.Time) bool { return !t.Before(end) && t.Before(begin) }) {
			return false
		}
		if scheduled {
			if times == nil {
				return false
			}
			if next, ok := times.Next(end); !ok || !next.Equal(begin) {
				return false
			}
		}
		for _, r := range p.t.ordered {
			if at := r.run.NominalTime; at.After(end) && at.Before(begin) && occurrence(&r.run) {
				return false
			}
		}
		return true
	}
}
