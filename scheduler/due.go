package scheduler

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

var nothing time.Time

// maxAccounted bounds how many occurrences one transaction accounts for; the rest follows in the next.
const maxAccounted = 10_000

// createDue accounts for what is due up to horizon: by runs, or by ranges of the ledger. Time that stands still
// (suspended, frozen, without a calendar) is settled by one range when it ends, or when an edit ends the version it
// belongs to. It tells whether that is all there was.
func createDue(p *plan, horizon time.Time, edited bool) (settled bool) {
	p.upcoming = nothing
	if p.def.Task.After != nil {
		before := int64(everything)
		if edited {
			before = p.t.task.mod
		}
		return p.followUpstreams(before)
	}
	if !p.def.Task.Recurring() {
		submit(p)
		return true
	}
	at, changed := p.calendarChange()
	if changed = changed && !at.After(horizon); changed {
		horizon, edited = at, true
	}
	still, _ := p.standsStill()
	returned := p.status.Still == nightwatch.ReasonCalendarMissing && still != p.status.Still // what it was missing for is told now
	if still != "" && !edited && !returned || p.exhausted() {
		return true
	}
	times := p.times()
	switch {
	case times == nil:
		return true // nobody can say what was due under a version whose calendar is missing
	case times.AfterFinish():
		p.follow(times, horizon, still)
		return true
	}
	// A calendar that has changed took the times before it with it, for good.
	p.status.Cursor = p.from()
	due, more := times.Between(p.status.Cursor, horizon, maxAccounted)
	if still == "" || returned {
		still = p.status.Still // it has just ended
		if end := p.t.thawed; still == nightwatch.ReasonFrozen && !end.IsZero() {
			// It ended by itself, some time before this look: what was due from then on counts.
			frozen, _ := slices.BinarySearchFunc(due, end, time.Time.Compare)
			if frozen == 0 {
				still = ""
			} else if frozen < len(due) {
				due, more = due[:frozen], true
			}
		}
	}
	if last := len(due) - 1; last >= 0 && !more && !edited && still == "" && times.Due(due[last]).After(horizon) {
		due = due[:last] // its jitter is not over
	}
	if len(due) > 0 {
		p.seenTask()
		p.seenRecord(nightwatch.ScheduledRunID(due[0]))
		if still != "" {
			p.account(due, nightwatch.PhaseSkipped, still)
		} else {
			more = p.occur(times, due, more)
		}
	}
	if more {
		p.wakeBy(p.now)
		return false
	}
	if changed {
		p.wakeBy(p.now.Add(calendarPoll)) // what was due from then on is for the calendar to say
		return false
	}
	if next, ok := times.Next(p.status.Cursor); ok && !p.exhausted() {
		p.upcoming = times.Due(next)
	}
	return true
}

// standsStill is the reason for which the task's time does not count at the moment, if it does not, and a sentence
// on it.
func (p *plan) standsStill() (reason, message string) {
	if p.def.Task.Suspend {
		return nightwatch.ReasonSuspended, ""
	}
	if name := p.missingCalendar(); name != "" { // before a freeze, as only that can say later what was due meanwhile
		return nightwatch.ReasonCalendarMissing, p.calendarMessage(name)
	}
	if what, frozen := p.view.frozen(p.t.name); frozen {
		return nightwatch.ReasonFrozen, p.view.freezeMessage(what)
	}
	return "", ""
}

// exhausted tells whether the task has had all the runs that it may have.
func (p *plan) exhausted() bool {
	limit := int64(p.def.Task.MaxRuns)
	return limit > 0 && p.status.StartedRuns >= limit
}

// occur turns due times, oldest first, into runs and ranges, and moves the cursor over them. further says that newer
// ones follow. It tells whether some were left for another transaction.
func (p *plan) occur(times *schedule.Schedule, due []time.Time, further bool) (more bool) {
	if further {
		// With so many behind them none of these is among the newest that are caught up with.
		p.account(due[:len(due)-maxCatchUp], nightwatch.PhaseMissed, nightwatch.ReasonCatchUp)
		return true
	}
	keep := catchUp(due, times.Due, p.now, p.def.Task.CatchUpPolicy())
	p.account(due[:len(due)-len(keep)], nightwatch.PhaseMissed, nightwatch.ReasonCatchUp)
	tooLate := 0
	for tooLate < len(keep) && p.tooLate(times.Due(keep[tooLate])) {
		tooLate++
	}
	p.account(keep[:tooLate], nightwatch.PhaseMissed, nightwatch.ReasonStartWithin)
	keep = keep[tooLate:]
	for i, nominal := range keep {
		if p.full() {
			return true
		}
		if p.exhausted() {
			return false
		}
		p.status.Cursor = nominal
		if p.t.runs[nightwatch.ScheduledRunID(nominal)] != nil {
			continue // its record is there, so the occurrence has been met
		}
		p.meet(nominal, times.Due(nominal), i < len(keep)-1)
	}
	return false
}

// meet makes the run of an occurrence, under the task's overlap policy. followed says that a newer occurrence is met
// in the same pass.
func (p *plan) meet(nominal, start time.Time, followed bool) {
	r := p.newRun(nightwatch.ScheduledRunID(nominal), nominal)
	if start.After(nominal) {
		r.run.NotBefore = start
	}
	policy := p.def.Task.OverlapPolicy()
	reason, message := p.collide(r, policy)
	if followed && policy == nightwatch.OverlapReplace {
		reason, message = nightwatch.ReasonReplaced, "a newer occurrence was due as well"
	}
	if reason != "" {
		p.end(r, nightwatch.PhaseSkipped, reason, message)
		return
	}
	p.status.StartedRuns++
	if r.run.NotBefore.After(p.now) {
		// Only an edit in the middle of the delay leads here.
		if waitsForEarlier(policy) {
			r.run.Overlap = policy
		}
		r.run.Reason = nightwatch.ReasonNotBefore
		p.wakeBy(r.run.NotBefore)
		p.saveRun(r, r.run)
		return
	}
	p.startOrWait(r, policy)
}

// follow makes the next run of a task that is due some time after its last run has ended.
func (p *plan) follow(times *schedule.Schedule, horizon time.Time, still string) {
	if still == "" && p.status.Still != "" {
		p.status.Cursor = later(p.status.Cursor, horizon) // time stood still until now
	}
	if still != "" || len(p.live()) > 0 {
		return
	}
	next, ok := times.Following(p.lastEnd(), p.from())
	switch {
	case !ok:
	case next.After(horizon):
		p.wakeBy(next)
	default:
		p.seenTask()
		p.status.Cursor = next
		if p.t.runs[nightwatch.ScheduledRunID(next)] != nil {
			p.wakeBy(p.now) // its record is there, so the occurrence has been met
			return
		}
		if p.tooLate(next) {
			p.end(p.newRun(nightwatch.ScheduledRunID(next), next), nightwatch.PhaseMissed, nightwatch.ReasonStartWithin, p.tooLateMessage())
			return
		}
		p.meet(next, next, false)
	}
}

// lastEnd is when the newest finished run of the task ended. Those that have been counted are in the status.
func (p *plan) lastEnd() time.Time {
	end := p.status.LastEndTime
	for _, r := range p.all() {
		if !r.run.Live() && !p.counts(r) {
			end = later(end, p.ended(&r.run))
		}
	}
	return end
}

// ended is when a run ended, by its node's clock, but not before it was made, nor after it is seen to have ended, by the
// scheduler's: however far the two are apart, runs follow each other, and not without a pause.
func (p *plan) ended(r *nightwatch.Run) time.Time {
	end := r.EndTime
	if end.After(p.now) {
		end = p.now
	}
	return later(r.CreateTime, end)
}

// tooLate tells whether a run that was to start then must not start any more.
func (p *plan) tooLate(start time.Time) bool {
	within := time.Duration(p.def.Task.StartWithin)
	return within > 0 && p.now.Sub(start) > within
}

func (p *plan) tooLateMessage() string { return tooLate(p.def.Task.StartWithin) }

func tooLate(within nightwatch.Duration) string { return "could not start within " + within.String() }

// submit makes the run of a put of a task without a schedule.
func submit(p *plan) {
	if still, _ := p.standsStill(); p.status.PendingRevision == 0 || still != "" {
		return
	}
	id := nightwatch.SubmittedRunID(p.status.PendingRevision)
	p.status.SubmittedRevision, p.status.PendingRevision = p.status.PendingRevision, 0
	p.seenTask()
	if p.t.runs[id] != nil {
		return
	}
	// No two occurrences of a task have one time, whatever its clock does: the ledger is in order of time.
	r := p.newRun(id, later(p.now, p.newest().Add(time.Millisecond)))
	r.run.Submitted = p.def
	policy := p.def.Task.OverlapPolicy()
	if reason, message := p.collide(r, policy); reason != "" {
		p.end(r, nightwatch.PhaseSkipped, reason, message)
		return
	}
	p.startOrWait(r, policy)
}

// assign gives a run that is Pending to a node, or writes down why it waits; a run whose reason is on record
// already is left as it is.
func (p *plan) assign(r *runView, before nightwatch.Run) {
	task := p.taskOf(&r.run)
	if p.splits(r, task, before) {
		return
	}
	node, reason, message := choose(p.view.nodes, p.load, p.siblings(&r.run), task, &r.run)
	if reason != nightwatch.ReasonNoFittingNode {
		if why, text := p.namespaceLacks(r); why != "" {
			node, reason, message = nil, why, text
		}
		if why, text := p.poolLacks(r, task); node != nil && why != "" {
			node, reason, message = nil, why, text
		}
	}
	if node == nil {
		p.wait(r, task, before, reason, message)
		return
	}
	r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhaseAssigned, "", ""
	if r.run.Announced {
		r.run.Announced, r.run.NotBefore = false, nothing // the node that it was announced to did not begin it
	}
	p.give(r, task, node)
	p.saveRun(r, before)
}

// wait writes down why no node has a run.
func (p *plan) wait(r *runView, task *nightwatch.Task, before nightwatch.Run, reason, message string) {
	if !crowded(p.waits.reason) { // a node that comes is told of either way
		p.waits, p.lacking = lacks(reason, task, &r.run), message
	}
	if c := r.run.Cancel; c != nil && c.Reason == nightwatch.ReasonTimeout {
		message = c.Why + ", and its Job is to be ended: " + message
	}
	if r.present() && before.Phase == nightwatch.PhasePending && says(&before, reason, message) && before.Cancel == r.run.Cancel {
		return
	}
	r.run.Reason, r.run.Message = reason, message
	p.saveRun(r, before)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}
