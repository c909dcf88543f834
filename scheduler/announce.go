package scheduler

import (
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// What is due soon is given to a node before its time, which the node waits for by itself: the record and the queue key
// are there then, and the start takes one transaction, the claim. The cursor stays where it is, so that the occurrence
// has not been decided on. The claim compares what the announcement was decided on (the record, the task's key, the
// freezes) and not the term: it outlives the scheduler that made it. Once the occurrence is due the cursor goes over it,
// as over any that has its record.
//
// Until then the announcement must not be in anybody's way. Whatever else is to become of the task (an edit, a request, a
// freeze, a node that is gone) withdraws it first, in a transaction of its own that removes the record as if it had never
// been. That transaction and the claim both compare the record: one of them is refused. So does the one that has the cursor go
// over the time, and a withdrawal compares the status, where the cursor is. So goes one that no node has any more, of which nobody hears until its time has passed.
const (
	// announceLead is how long before its time a run is announced.
	announceLead = 500 * time.Millisecond
	// announceEvery has those that are due one after the other be announced together, in few requests.
	announceEvery = 100 * time.Millisecond
)

// announced is the run that was given to a node ahead of its time, if the cursor has not gone over that yet.
func (p *plan) announced() *runView {
	if p.def == nil || !p.def.Task.Recurring() || p.status.Cursor.IsZero() {
		return nil
	}
	for _, r := range slices.Backward(p.t.ordered) {
		if at := r.run.NominalTime; at.After(p.status.Cursor) && r.run.TaskUID == p.uid && r.run.Backfill == "" && r.run.ID == nightwatch.ScheduledRunID(at) {
			return r
		}
	}
	return nil
}

// settleAnnounced sees to the run that was announced: it has the cursor go over one that has begun or is due, and
// withdraws one that something has come in the way of. withdrawn says that this is all for this transaction.
func (p *plan) settleAnnounced(horizon time.Time, edited bool) (withdrawn bool) {
	r := p.announced()
	if r == nil {
		return false
	}
	begun := !r.run.Live() || r.run.Phase == nightwatch.PhaseRunning || !r.run.StartTime.IsZero()
	due := later(r.run.NominalTime, r.run.NotBefore)
	missed := p.now.Sub(due) > onTime && p.view.sessions[r.run.Session] == nil // that is for catch-up to decide on
	still, _ := p.standsStill()
	switch {
	case begun:
	case still != "", missed, due.After(horizon) && (edited || !p.standsBy(r)):
		p.remove(p.keys.Run(p.t.name, r.run.ID), r.mod)
		p.txn.Seen(p.keys.Status(p.t.name), p.t.statusAt.mod) // the cursor has not gone over it
		if queued(&r.run) {
			queue := p.keys.Queue(r.run.Node, p.t.name, r.run.ID)
			p.write(queue, func() { p.txn.Delete(queue) })
		}
		return true
	case due.After(horizon):
		p.early = r
		p.wakeBy(due.Add(mirrorEvery)) // its claim is heard of before
		return false
	}
	p.seenRecord(r.run.ID)
	p.met = r
	p.status.Cursor = r.run.NominalTime
	p.status.StartedRuns++
	return false
}

// seenRecord has the transaction compare whether the run of the time that the cursor goes over first has a record, as far as is
// known. It may have been announced or withdrawn by a transaction of ours whose answer was lost, and of which the watch has
// not told yet; that wrote no status.
func (p *plan) seenRecord(id string) {
	key := p.keys.Run(p.t.name, id)
	if r := p.t.runs[id]; r != nil {
		p.txn.Alive(key, r.create)
	} else {
		p.txn.Seen(key, 0)
	}
}

// standsBy tells whether a run that was announced still is with a node that waits for its time, and in nobody's way.
func (p *plan) standsBy(r *runView) bool {
	return r.run.Phase == nightwatch.PhaseAssigned && p.view.sessions[r.run.Session] != nil && !p.view.stranded(&r.run) &&
		r.run.Cancel == nil && p.mayAnnounce(r)
}

// mayAnnounce tells whether nothing of a task is under way but r that its next occurrence could be in the way of.
func (p *plan) mayAnnounce(r *runView) bool {
	namespace, _, _ := strings.Cut(p.t.name, "/")
	if n, _ := p.view.namespace(namespace); n.Limits.Running > 0 || len(p.t.requests) > 0 || len(p.status.Backfills) > 0 {
		return false // a backfill may make its next run at any moment
	}
	if p.def.Task.OverlapPolicy() == nightwatch.OverlapAllow {
		return true
	}
	for _, live := range p.live() {
		if live != r {
			return false
		}
	}
	return true
}

// announces tells whether occurrences of a task may be announced: not where one takes what others may want until its
// time, or where more than its own key says when and how it runs.
func announces(task *nightwatch.Task) bool {
	return task.Recurring() && task.After == nil && task.AfterFinish == 0 && task.Jitter == 0 && task.RunTimeout == 0 && task.Pool == "" &&
		task.Split() == 0 && len(task.Calendars.Names()) == 0
}

// announce gives the next occurrence to a node if its time is near, and else asks for another look when it is.
func (p *plan) announce() {
	next := p.upcoming
	if next.IsZero() || p.early != nil {
		return
	}
	early := next.Add(-announceLead).Truncate(announceEvery)
	switch {
	case !announces(&p.def.Task) || p.t.task.mod != p.def.Revision || !p.mayAnnounce(nil) || p.status.Still != "":
		p.wakeBy(next)
		return
	case early.After(p.now):
		p.wakeBy(early)
		return
	case !next.After(p.now) || p.full():
		p.wakeBy(next)
		return
	}
	id := nightwatch.ScheduledRunID(next)
	if p.t.runs[id] != nil {
		p.wakeBy(next) // somebody put it there, and the occurrence will have been met
		return
	}
	r := p.newRun(id, next)
	node, _, _ := choose(p.view.nodes, p.load, p.siblings(&r.run), &p.def.Task, &r.run)
	if node == nil || node.busy(p.load, wish(&p.def.Task, &r.run)) {
		delete(p.runs, id)
		p.wakeBy(next)
		return
	}
	p.seenTask()
	r.run.Phase, r.run.NotBefore, r.run.Announced = nightwatch.PhaseAssigned, next, true
	if policy := p.def.Task.OverlapPolicy(); waitsForEarlier(policy) {
		r.run.Overlap = policy
	}
	p.give(r, &p.def.Task, node)
	p.saveRun(r, r.run)
	p.early = r
	p.lazy = p.lazy && next.Sub(p.now) >= announceEvery // it has time
	p.wakeBy(next.Add(mirrorEvery))
}
