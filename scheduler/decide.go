package scheduler

import (
	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// decide finds the next transaction for one task, or none. It reads no clock and does no I/O: equal worlds give
// equal plans.
func decide(w *world, t *taskView) *plan {
	p := newPlan(w, t)
	if name, ok := store.CalendarOf(t.name); ok && (t.source.present() || t.calendar != nil || !t.task.present()) {
		judgeCalendar(p, name)
		return p
	}
	for _, step := range []func(*plan){
		cleanRemains,    // of an earlier life of the key, or of a task that was deleted
		judgeMalformed,  // a key that cannot be a task gets its verdict
		conduct,         // admission, occurrences, live runs, status
		answerRequests,  // one at a time
		foldHistory,     // records beyond the limits
		dropOldVerdicts, // on requests
	} {
		step(p)
		if !p.txn.Empty() || p.remains {
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
	if _, _, err := nightwatch.ParseTaskName(p.t.name); err != nil || !p.t.task.present() {
		return
	}
	restoreStatus(p)
	// What was due before the put under the old value is settled first.
	horizon := p.now
	fresh := p.t.task.mod > p.status.ObservedRevision
	if fresh && p.t.putTime.Before(horizon) {
		horizon = p.t.putTime
	}
	settled := p.def == nil || createDue(p, horizon, fresh)
	if fresh && settled && p.txn.Empty() {
		admit(p)
		if p.status.Accepted {
			createDue(p, p.now, false)
		}
	}
	tendRuns(p, false)
	advanceBackfills(p)
	countFinished(p)
	p.saveLedger()
	p.saveStatus()
}

// restoreStatus stands in for a status that somebody deleted or made unreadable: the accepted value says what life
// this is.
func restoreStatus(p *plan) {
	if p.t.status.UID != 0 || p.def == nil {
		return
	}
	p.status = nightwatch.Status{
		UID: p.def.UID, Accepted: true, AcceptedRevision: p.def.Revision, ObservedRevision: p.def.Revision,
		SubmittedRevision: p.def.Revision, Cursor: p.now, CreateTime: p.now,
	}
}

// refuse puts the faults of the newest value into the status. The accepted version stays in force.
func (p *plan) refuse(faults nightwatch.InvalidError) {
	p.status.Accepted, p.status.Errors, p.status.Warnings = false, faults, nil
	p.status.ObservedRevision, p.status.UID = p.t.task.mod, p.t.task.create
	if p.status.CreateTime.IsZero() {
		p.status.CreateTime = p.now
	}
}

// admit judges the newest value of a task.
func admit(p *plan) {
	def, err := nightwatch.ParseTask(p.t.name, p.t.value)
	p.txn.Seen(p.keys.Task(p.t.name), p.t.task.mod)
	if err != nil {
		p.refuse(faultsOf(err))
		return
	}
	if p.status.Still != nightwatch.ReasonFrozen {
		p.status.Still = "" // that was the version before; its time has been settled
	}
	before := p.def
	p.def = &nightwatch.Accepted{Key: p.t.name, Revision: p.t.task.mod, UID: p.t.task.create, Since: p.t.putTime.UTC(), Task: *def}
	p.status.Accepted, p.status.Errors, p.status.Warnings = true, nil, def.Warnings()
	p.status.UID, p.status.ObservedRevision, p.status.AcceptedRevision = p.t.task.create, p.t.task.mod, p.t.task.mod
	if p.status.CreateTime.IsZero() {
		p.status.CreateTime = p.now
	}
	if def.Recurring() {
		p.status.PendingRevision = 0
		// Occurrences count from the put; an edit never brings back what was before it, and a clock that stepped back
		// never moves the cursor back.
		if p.def.Since.After(p.now) {
			p.def.Since = p.now
		}
		p.def.Since = later(p.status.Cursor, p.def.Since)
		p.status.Cursor = p.def.Since
		p.warnOfNoTime()
	} else {
		p.status.Cursor = nothing
		if before == nil || submits(&before.Task, def) {
			p.status.PendingRevision = p.t.task.mod
		}
	}
	p.put(p.keys.Accepted(p.t.name), p.t.accepted.mod, p.def)
}

// warnOfNoTime says so when the version just accepted has no time from now on.
func (p *plan) warnOfNoTime() {
	times := p.times()
	if times == nil || times.AfterFinish() {
		return
	}
	if _, ok := times.Next(p.from()); !ok {
		field := "schedule"
		if len(p.def.Task.At) > 0 {
			field = "at"
		}
		p.status.Warnings = append(p.status.Warnings, nightwatch.FieldError{Field: field, Reason: "has no time from now on: nothing will run"})
	}
}

// submits tells whether putting def over before is a submission of a task without a schedule: any put is, the same
// bytes too, unless it changes nothing but suspend, history or priority.
func submits(before, def *nightwatch.Task) bool {
	if before.Recurring() {
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
