package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

// tellTime answers for one time, which may be to come.
func (y *inquiry) tellTime(asked time.Time) {
	from, checkable := y.a.checkable()
	at := y.meant(asked.UTC(), from.time)
	y.answer.At = at
	known := checkable && y.times != nil && at.After(from.time)
	y.answer.Expected = known && y.has(at)
	if r := y.record(at); r != nil {
		y.tellRun(r)
		return
	}
	ranged, found := Find(y.a.Ledger, at)
	found = found && at.After(y.a.Ledger.Since)
	status := y.a.Status
	switch {
	case found && (y.answer.Expected || at.Equal(ranged.From) || at.Equal(ranged.To)):
		y.tellRange(ranged, at)
	case y.answer.Expected && at.After(y.a.Now):
		y.tellFuture(at)
	case y.answer.Expected && at.After(status.Cursor):
		y.tellUndecided(at)
	case y.answer.Expected:
		y.say(Unaccounted, "%s was due, its time is over, and neither a record nor the ledger tells of it: this is a fault, see the audit of the task.", y.clock.text(at))
	case known:
		y.tellUnexpected(at)
	case found:
		y.answer.Range = &ranged
		y.say(ranged.Reason, "Whether %s itself was due cannot be told any more; the %d times from %s to %s %s%s.", y.clock.text(at), ranged.Count,
			y.clock.text(ranged.From), y.clock.text(ranged.To), ended(ranged.Outcome, "were"), because(ranged.Reason, over(ranged.Reason), ""))
	default:
		y.tellUnknown(at, from, checkable)
	}
	y.requestedAround(asked)
}

// meant is the nominal time that a time given by a person stands for. The times of the schedule say so after since only.
func (y *inquiry) meant(asked, since time.Time) time.Time {
	at := asked.Truncate(time.Millisecond)
	width := time.Duration(0)
	switch {
	case at.Nanosecond() != 0 || y.record(at) != nil || at.After(since) && y.has(at):
		return at
	case at.Second() == 0:
		width = time.Minute
	default:
		width = time.Second
	}
	within := []time.Time{}
	if last := at.Add(width - time.Millisecond); y.times != nil && last.After(since) {
		within, _ = y.times.Between(later(at, since), last, 2)
	}
	for i := range y.a.Runs {
		if r := &y.a.Runs[i]; recordOf(r) && r.NominalTime.After(at) && r.NominalTime.Before(at.Add(width)) {
			within = append(within, r.NominalTime)
		}
	}
	slices.SortFunc(within, time.Time.Compare)
	within = slices.CompactFunc(within, time.Time.Equal)
	if len(within) == 1 {
		return within[0]
	}
	return at
}

// has tells whether the schedule in force has the time.
func (y *inquiry) has(at time.Time) bool { return y.times != nil && hasTime(y.times, at) }

func hasTime(times *schedule.Schedule, at time.Time) bool {
	next, ok := times.Next(at.Add(-time.Millisecond))
	return ok && next.Equal(at)
}

// record is the run of a nominal time.
func (y *inquiry) record(at time.Time) *nightwatch.Run {
	for i := range y.a.Runs {
		if r := &y.a.Runs[i]; recordOf(r) && r.NominalTime.Equal(at) {
			return r
		}
	}
	return nil
}

func recordOf(r *nightwatch.Run) bool {
	return r.ID == nightwatch.ScheduledRunID(r.NominalTime) || strings.HasPrefix(r.ID, "dep-")
}

// tellRange answers for a time that a range of the ledger tells of.
func (y *inquiry) tellRange(r nightwatch.LedgerRange, at time.Time) {
	y.answer.Range = &r
	y.say(r.Reason, "%s %s%s.", y.clock.noted(at, y.note(at)), ended(r.Outcome, "was"), because(r.Reason, over(r.Reason), ""))
	if r.Count > 1 {
		y.detail("So were all %d times from %s to %s.", r.Count, y.clock.text(r.From), y.clock.text(r.To))
	}
	y.detail("It has no record of its own: either it never became a run, or its record has left the history.")
}

// tellFuture answers for a time that is to come.
func (y *inquiry) tellFuture(at time.Time) {
	when := fmt.Sprintf("%s is to come, in %s", y.clock.noted(at, y.note(at)), lasting(at.Sub(y.a.Now)))
	switch obstacle := y.stillAt(at); {
	case y.a.exhausted():
		y.say(MaxRunsReached, "%s will not run: the task has had all its runs (maxRuns: %d).", y.clock.text(at), y.a.Accepted.Task.MaxRuns)
	case obstacle != "":
		y.say(obstacle, "%s; as things stand nothing will start then (%s): %s.", when, obstacle, waits(obstacle))
	default:
		y.say(InTheFuture, "%s.", when)
	}
	if start := y.times.Due(at); start.After(at) {
		y.detail("Its start is delayed by the task's jitter to %s.", y.clock.text(start))
	}
	y.obstacles(at)
}

// stillAt is why no time of the task will count at a time that is to come, if nobody does anything.
func (y *inquiry) stillAt(at time.Time) string {
	still := y.a.still()
	if still != nightwatch.ReasonFrozen {
		return still
	}
	for _, f := range y.a.Freezes {
		if f.Until.IsZero() || f.Until.After(at) {
			return still
		}
	}
	return ""
}

// tellUndecided answers for a time that is due.
func (y *inquiry) tellUndecided(at time.Time) {
	switch still := y.a.still(); {
	case y.a.exhausted():
		y.say(MaxRunsReached, "%s did not run: the task has had all its runs (maxRuns: %d).", y.clock.text(at), y.a.Accepted.Task.MaxRuns)
	case still != "":
		y.say(still, "%s is due, and nothing starts (%s): %s.", y.clock.noted(at, y.note(at)), still, waits(still))
		y.detail("Once that has ended, it goes to the ledger as skipped for this reason.")
	default:
		y.tellDue(at)
	}
	y.obstacles(at)
}

// tellDue answers for a time that is due and that nothing keeps from being met.
func (y *inquiry) tellDue(at time.Time) {
	start := y.times.Due(at)
	switch late := y.a.Now.Sub(start); {
	case late < 0:
		y.say(NotDecided, "%s is due; its start is delayed by the task's jitter to %s.", y.clock.text(at), y.clock.text(start))
	case late > overdue:
		y.say(NotDecided, "%s has been due for %s, and nothing has become of it: it is overdue, and no scheduler seems to be at work.",
			y.clock.text(at), lasting(late))
	default:
		y.say(NotDecided, "%s has been due for %s, and is about to be met.", y.clock.text(at), lasting(late))
	}
}

// tellUnexpected answers for a time that the schedule does not have.
func (y *inquiry) tellUnexpected(at time.Time) {
	task := &y.a.Accepted.Task
	switch bare := task.Times(); {
	case y.times.AfterFinish():
		y.say(NotInSchedule, "No run was due at %s: the task is due %s after its last run has ended (afterFinish).", y.clock.text(at), task.AfterFinish)
		if next, ok := y.a.following(y.times); ok {
			y.detail("Its next time is %s.", y.clock.text(next))
		}
		y.neighbours(at)
	case hasTime(bare, at):
		zone, where := bare.Zone(at), ""
		if zone.String() != y.clock.zone.String() {
			where = " in " + zone.String()
		}
		day := at.In(zone)
		y.say(NotACalendarDay, "%s is on an excluded day, %s%s: %s.", y.clock.text(at), day.Format("Monday 2006-01-02"), where, y.excludedBy(day))
		switch task.Calendars.OnExcluded {
		case schedule.NextIncluded, schedule.PreviousIncluded:
			y.detail("The task has onExcluded: %s, so its time moves to another day.", task.Calendars.OnExcluded)
		}
		y.around(at)
	default:
		y.say(NotInSchedule, "%s is not among the times of the schedule.", y.clock.text(at))
		y.around(at)
	}
}

// excludedBy says which calendars take a day away, in whose zone the time is given.
func (y *inquiry) excludedBy(at time.Time) string {
	use := y.a.Accepted.Task.Calendars
	year, month, day := at.Date()
	in := func(name string) bool { return y.a.calendar(name).Contains(year, month, day) }
	var by []string
	for _, name := range use.Exclude {
		if in(name) {
			by = append(by, fmt.Sprintf("calendar %q has it, which the task excludes", name))
		}
	}
	if len(use.Include) > 0 && !slices.ContainsFunc(use.Include, in) {
		by = append(by, "none of the calendars that the task includes has it: "+strings.Join(use.Include, ", "))
	}
	return firstOf(strings.Join(by, ", and "), "by the calendars of the task")
}

// around names the nearest times of the schedule.
func (y *inquiry) around(at time.Time) {
	task := &y.a.Accepted.Task
	if before, ok := y.times.Prev(at); ok {
		y.detail("The time before it is %s.", y.clock.noted(before, y.note(before)))
	} else {
		y.detail("There is no time before it%s.", given("startsAt", task.StartsAt))
	}
	if after, ok := y.times.Next(at); ok {
		y.detail("The time after it is %s.", y.clock.noted(after, y.note(after)))
	} else {
		y.detail("There is no time after it%s.", given("endsAt", task.EndsAt))
	}
}

func given(field, value string) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", field, value)
}

// neighbours names the records next to a time, where there is no schedule to do so.
func (y *inquiry) neighbours(at time.Time) {
	var before, after *nightwatch.Run
	for i := range y.a.Runs {
		switch r := &y.a.Runs[i]; {
		case r.NominalTime.IsZero():
		case r.NominalTime.Before(at):
			before = r
		case after == nil && r.NominalTime.After(at):
			after = r
		}
	}
	if before != nil {
		y.detail("The run on record before it is %s, %s, %s.", before.ID, y.clock.text(before.NominalTime), lower(before.Phase))
	}
	if after != nil {
		y.detail("The run on record after it is %s, %s, %s.", after.ID, y.clock.text(after.NominalTime), lower(after.Phase))
	}
}

// tellUnknown answers for a time of which nobody can say whether it was expected, and of which nothing tells.
func (y *inquiry) tellUnknown(at time.Time, from bound, checkable bool) {
	status, when := y.a.Status, y.clock.text(at)
	switch {
	case y.a.Accepted == nil:
		y.say(NeverAccepted, "Nothing was due at %s: no version of the task was ever accepted.", when)
		y.verdict()
	case status != nil && at.Before(status.CreateTime) && (status.EarliestTime.IsZero() || at.Before(status.EarliestTime)):
		y.say(BeforeTask, "The task did not exist at %s: it was first seen at %s.", when, y.clock.text(status.CreateTime))
	case !y.a.Ledger.Since.IsZero() && !at.After(y.a.Ledger.Since):
		y.say(BeforeLedger, "%s is older than the ledger tells: up to %s there are totals only.", when, y.clock.text(y.a.Ledger.Since))
		y.detail("Totals up to then: %s.", counts(y.a.Ledger.Totals))
	case y.a.Accepted.Task.After != nil:
		y.say(NoSchedule, "No run is on record for %s: the task has no times of its own, it is due when those that it comes after have run.", when)
		y.neighbours(at)
	case !y.a.Accepted.Task.Recurring():
		y.say(NoSchedule, "No run is on record for %s: the task has no schedule, it runs once for each time it is put.", when)
		y.neighbours(at)
	case len(y.missing) > 0:
		y.say(nightwatch.ReasonCalendarMissing, "Nobody can say whether %s is one of its times: calendars that the task uses are not in force: %s.",
			when, strings.Join(y.missing, ", "))
	case checkable:
		y.say(EarlierVersion, "%s cannot be told any more: %s, %s, and neither a record nor the ledger tells of that time.",
			when, from.why, y.clock.text(from.time))
		if y.has(at) {
			y.detail("The version in force has it among its times, but was not in force then.")
		}
	default:
		y.say(NotLookedAt, "Nothing can be said of %s: %s.", when, from.why)
	}
}

// requestedAround names runs that were asked for within the minute.
func (y *inquiry) requestedAround(asked time.Time) {
	minute := asked.Truncate(time.Minute)
	for i := range y.a.Runs {
		r := &y.a.Runs[i]
		if created := r.CreateTime.Truncate(time.Minute); !recordOf(r) && created.Equal(minute) {
			y.detail("Run %s was made at %s, by a request or a put, not by the schedule; it is %s now.", r.ID, y.clock.text(r.CreateTime), r.Phase)
		}
	}
}

// note is what there is to say of a time of the schedule.
func (y *inquiry) note(at time.Time) string {
	if !y.has(at) {
		return ""
	}
	return y.times.Note(at)
}

func lower(phase nightwatch.Phase) string { return strings.ToLower(string(phase)) }

// ended is a terminal phase as a verb, with "was" or "were" where it needs one.
func ended(phase nightwatch.Phase, be string) string {
	switch phase {
	case nightwatch.PhaseSucceeded, nightwatch.PhaseFailed:
		return lower(phase)
	}
	return be + " " + lower(phase)
}

func counts(c nightwatch.Counts) string {
	return fmt.Sprintf("%d succeeded, %d failed, %d canceled, %d skipped, %d missed", c.Succeeded, c.Failed, c.Canceled, c.Skipped, c.Missed)
}
