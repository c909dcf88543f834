package scheduler

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// decide finds the next transaction for one task, or none. It reads no clock and does no I/O: equal worlds give
// equal plans.
func decide(w *world, t *taskView) *plan {
	p := newPlan(w, t)
	steps := []func(*plan){
		cleanRemains,    // of an earlier life of the key, or of a task that was deleted
		judgeMalformed,  // a key that cannot be a task gets its verdict
		conduct,         // admission, occurrences, live runs, history, status
		answerRequests,  // one, or some that have nothing to do with each other
		dropOldVerdicts, // on requests
	}
	if name, ok := store.CalendarOf(t.name); ok && (t.source.present() || t.calendar != nil || !t.task.present()) {
		steps = []func(*plan){func(p *plan) { judgeCalendar(p, name) }, answerRequests, dropOldVerdicts}
	}
	if name, ok := store.PoolOf(t.name); ok && (t.source.present() || t.pool != nil || !t.task.present()) {
		steps = []func(*plan){func(p *plan) { judgePool(p, name) }, answerRequests, dropOldVerdicts}
	}
	if name, ok := store.NamespaceOf(t.name); ok && (t.source.present() || t.namespace != nil || !t.task.present()) {
		steps = []func(*plan){func(p *plan) { judgeNamespace(p, name) }, answerRequests, dropOldVerdicts}
	}
	turn := len(steps) - 2 // of requests and verdicts
	if p.first = t.passedOver && p.mayAnswerFirst(); p.first {
		steps, turn = slices.Concat(steps[turn:], steps[:turn]), 0
	}
	for i, step := range steps {
		step(p)
		if !p.txn.Empty() || p.remains || p.deferred { // what was settled before the version is judged is not written yet
			p.passedOver = i < turn && len(t.requests)+len(t.verdicts) > 0
			break
		}
	}
	return p
}

// judgeMalformed refuses a value whose key cannot name a task; the verdict goes when the key goes.
func judgeMalformed(p *plan) {
	if !p.t.task.present() || p.t.status.ObservedRevision == p.t.task.mod {
		return
	}
	_, _, err := nightwatch.ParseTaskName(p.t.name)
	if err == nil {
		return
	}
	p.refuse(faultsOf(err))
	p.txn.Seen(p.keys.Task(p.t.name), p.t.task.mod)
	p.saveStatus()
}

// conduct does what a well-named task that is there needs. All of it stands in one transaction, so that no reader
// and no successor sees a part.
func conduct(p *plan) {
	if !p.t.task.present() {
		return
	}
	if p.def == nil { // what is in force has a name
		if _, _, err := nightwatch.ParseTaskName(p.t.name); err != nil {
			return
		}
	}
	restoreStatus(p)
	// What was due before the put under the old value is settled first.
	horizon := p.now
	fresh := p.t.task.mod > p.status.ObservedRevision || p.lostAccepted()
	if fresh {
		horizon = changedAt(p.t, p.now)
	}
	if withdrawn := p.settleAnnounced(horizon, fresh); withdrawn {
		return
	}
	tendRuns(p, false) // a run whose session is gone must not stand in the way of what is due
	settled := p.def == nil || createDue(p, horizon, fresh)
	if fresh && settled && p.txn.Empty() {
		if admit(p); p.deferred {
			p.wakeBy(p.upcoming)
			return
		}
		if p.status.Accepted {
			createDue(p, p.now, false)
		}
	}
	tendRuns(p, false) // once more, for what a new run replaces
	tendStray(p)
	advanceBackfills(p)
	resolveRetried(p)
	countFinished(p)
	foldHistory(p)
	p.lazy = !fresh && p.changes == 0
	p.announce()
	p.saveLedger()
	p.saveStatus()
}

// restoreStatus stands in for a status that somebody deleted or made unreadable: the accepted value says what life
// this is, records and ledger how far its times have been accounted for. Of submissions and of requested runs whose
// records have left the history nothing tells any more.
func restoreStatus(p *plan) {
	if p.def == nil || p.t.status.UID == p.t.task.create {
		return
	}
	p.status = nightwatch.Status{
		UID: p.def.UID, Accepted: true, AcceptedRevision: p.def.Revision, ObservedRevision: p.def.Revision,
		SubmittedRevision: p.def.Revision, Counts: p.ledger.Totals, CreateTime: p.now,
	}
	for _, r := range p.ledger.Ranges {
		p.status.Counts.Add(r.Outcome, r.Count)
	}
	p.status.StartedRuns = p.status.Counts.Succeeded + p.status.Counts.Failed + p.status.Counts.Canceled
	for _, r := range p.t.ordered {
		if r.run.TaskUID == p.uid && occurrence(&r.run) && r.run.Backfill == "" && r.run.Phase != nightwatch.PhaseSkipped && r.run.Phase != nightwatch.PhaseMissed {
			p.status.StartedRuns++
		}
	}
	if p.def.Task.Recurring() {
		p.status.Cursor = later(p.def.Since, p.newest())
	}
	p.restoreUpstreams()
}

// lostAccepted tells whether somebody deleted the accepted value of what the status says is in force: the task's value is it,
// and is accepted again. One that an older program cannot read it leaves alone.
func (p *plan) lostAccepted() bool {
	if p.t.accepted.present() || !p.status.Accepted || p.status.AcceptedRevision != p.t.task.mod {
		return false
	}
	_, err := nightwatch.ParseTask(p.t.name, p.t.value)
	return err == nil
}

// newest is the latest time of an occurrence that has a record or is in the ledger.
func (p *plan) newest() time.Time {
	newest := p.ledger.Since
	if n := len(p.ledger.Ranges); n > 0 {
		newest = p.ledger.Ranges[n-1].To
	}
	for _, r := range p.t.ordered {
		if r.run.TaskUID == p.uid && occurrence(&r.run) {
			newest = later(newest, r.run.NominalTime)
		}
	}
	for _, r := range p.runs {
		if !r.present() && occurrence(&r.run) {
			newest = later(newest, r.run.NominalTime)
		}
	}
	return newest
}

// refuse puts the faults of the newest value into the status. The accepted version stays in force.
func (p *plan) refuse(faults nightwatch.InvalidError) {
	p.status.Accepted, p.status.Errors, p.status.Warnings = false, faults, nil
	p.status.ObservedRevision, p.status.UID = p.t.task.mod, p.t.task.create
	if p.status.CreateTime.IsZero() {
		p.status.CreateTime = changedAt(p.t, p.now)
	}
}

// admit judges the newest value of a task.
func admit(p *plan) {
	def, err := nightwatch.ParseTask(p.t.name, p.t.value)
	drawn := err == nil && draws(p.def, def)
	if p.deferred = drawn && p.drawing; p.deferred {
		return
	}
	if drawn {
		err = p.cycle(def)
	}
	p.txn.Seen(p.keys.Task(p.t.name), p.t.task.mod)
	if err != nil {
		p.refuse(faultsOf(err))
		return
	}
	before, again := p.def, p.lostAccepted()
	if p.status.Still != nightwatch.ReasonFrozen && !again {
		p.status.Still = "" // that was the version before; its time has been settled
	}
	p.def = &nightwatch.Accepted{Key: p.t.name, Revision: p.t.task.mod, UID: p.t.task.create, Since: changedAt(p.t, p.now), Task: *def}
	switch {
	case again:
		p.def.Since = later(p.status.EarliestTime, later(p.status.Cursor, p.newest())) // what was due after that is still to be met
	case before == nil:
		p.status.EarliestTime = p.def.Since
	default:
		// An edit never brings back what was before it, whatever the clock does.
		p.def.Since = later(later(p.def.Since, before.Since), later(p.status.Cursor, p.newest()))
	}
	p.status.Accepted, p.status.Errors, p.status.Warnings = true, nil, def.Warnings()
	p.status.UID, p.status.ObservedRevision, p.status.AcceptedRevision = p.t.task.create, p.t.task.mod, p.t.task.mod
	if p.status.CreateTime.IsZero() {
		p.status.CreateTime = changedAt(p.t, p.now)
	}
	if def.Recurring() {
		p.status.PendingRevision = 0
		p.status.Cursor = p.def.Since // occurrences count from the put
		if warning, none := def.NoTimeLeft(p.times(), p.from()); none {
			p.status.Warnings = append(p.status.Warnings, warning)
		}
	} else {
		p.status.Cursor = nothing
		switch {
		case again: // whether it has been submitted stands in the status
		case def.After != nil:
			p.status.PendingRevision = 0
		case before == nil || submits(&before.Task, def):
			p.status.PendingRevision = p.t.task.mod
		}
	}
	if drawn {
		p.draw()
	}
	p.put(p.keys.Accepted(p.t.name), p.t.accepted.mod, p.def)
	p.beginUpstreams()
}

// submits tells whether putting def over before is a submission of a task without a schedule: any put is, the same
// bytes too, unless it changes nothing but suspend, history or priority.
func submits(before, def *nightwatch.Task) bool {
	if before.Recurring() || before.After != nil {
		return true
	}
	a, b := encodeAny(before), encodeAny(def)
	if a == b {
		return true
	}
	bare := func(t nightwatch.Task) string {
		t.Suspend, t.History, t.Priority = false, nightwatch.History{}, 0
		return encodeAny(&t)
	}
	return bare(*before) != bare(*def)
}
