package scheduler

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

var nothing time.Time

const (
	// onTime is how late an occurrence may be and still count as met: below it every occurrence runs, above it
	// catch-up decides.
	onTime = time.Second
	// maxAccounted bounds how many occurrences one transaction accounts for; the rest follows in the next.
	maxAccounted = 10_000
	// maxCatchUp is the most that a task may ask to catch up with.
	maxCatchUp = 1000
)

// createDue accounts for what is due up to horizon: by runs, or by ranges of the ledger. Time that stands still
// (suspended, frozen) is settled by one range when it ends, or when an edit ends the version it belongs to. It tells
// whether that is all there was.
func createDue(p *plan, horizon time.Time, edited bool) (settled bool) {
	if !p.def.Task.Recurring() {
		submit(p)
		return true
	}
	still := p.standsStill()
	if still != "" && !edited {
		return true
	}
	times, more := p.def.Task.Times().Between(p.status.Cursor, horizon, maxAccounted)
	if still == "" {
		still = p.status.Still // it has just ended
		if end := p.t.thawed; still == nightwatch.ReasonFrozen && !end.IsZero() {
			// It ended by itself, some time before this look: what was due from then on counts.
			frozen, _ := slices.BinarySearchFunc(times, end, time.Time.Compare)
			if frozen == 0 {
				still = ""
			} else if frozen < len(times) {
				times, more = times[:frozen], true
			}
		}
	}
	if len(times) > 0 {
		p.seenTask()
		if still != "" {
			p.account(times, nightwatch.PhaseSkipped, still)
		} else {
			more = p.occur(times, more)
		}
	}
	if more {
		p.wakeBy(p.now)
		return false
	}
	if next, ok := p.def.Task.Times().Next(later(p.status.Cursor, p.now)); ok {
		p.wakeBy(next)
	}
	return true
}

// standsStill is the reason for which the task's time does not count at the moment, if it does not.
func (p *plan) standsStill() string {
	if p.def.Task.Suspend {
		return nightwatch.ReasonSuspended
	}
	if _, frozen := p.view.frozen(p.t.name); frozen {
		return nightwatch.ReasonFrozen
	}
	return ""
}

// occur turns due times, oldest first, into runs and ranges, and moves the cursor over them. further says that newer
// ones follow. It tells whether some were left for another transaction.
func (p *plan) occur(times []time.Time, further bool) (more bool) {
	if further {
		// With so many behind them none of these is among the newest that are caught up with.
		p.account(times[:len(times)-maxCatchUp], nightwatch.PhaseMissed, nightwatch.ReasonCatchUp)
		return true
	}
	keep := catchUp(times, p.now, p.def.Task.CatchUpPolicy())
	if missed := times[:len(times)-len(keep)]; len(missed) > 0 {
		p.account(missed, nightwatch.PhaseMissed, nightwatch.ReasonCatchUp)
	}
	for _, nominal := range keep {
		if p.full() {
			return true
		}
		id := nightwatch.ScheduledRunID(nominal)
		p.status.Cursor = nominal
		if p.t.runs[id] != nil {
			continue // its record is there, so the occurrence has been met
		}
		r := p.newRun(id, nominal)
		if p.def.Task.OverlapPolicy() == nightwatch.OverlapSkip {
			if blocker := p.blocker(r); blocker != "" {
				p.end(r, nightwatch.PhaseSkipped, nightwatch.ReasonOverlap, "run "+blocker+" is live")
				continue
			}
		}
		p.start(r)
	}
	return false
}

// catchUp is the newest part of times that is to run. What is not older than onTime always is.
func catchUp(times []time.Time, now time.Time, policy nightwatch.CatchUp) []time.Time {
	prompt, _ := slices.BinarySearchFunc(times, now.Add(-onTime), time.Time.Compare)
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
		limit = policy.Max
	}
	from := max(prompt-limit, 0)
	inWindow, _ := slices.BinarySearchFunc(times, now.Add(-time.Duration(policy.Window)), time.Time.Compare)
	return times[min(max(from, inWindow), prompt):]
}

// account puts occurrences that never become runs into the ledger, and moves the cursor over them.
func (p *plan) account(times []time.Time, outcome nightwatch.Phase, reason string) {
	first, last := times[0].UTC(), times[len(times)-1].UTC()
	p.saveLedger(p.ledger.add(span{From: first, To: last, Count: int64(len(times)), Outcome: outcome, Reason: reason}, p.recorded()))
	p.status.Counts.Add(outcome, int64(len(times)))
	p.status.Cursor = last
}

func (p *plan) saveLedger(l ledger) {
	p.ledger = l
	p.put(p.keys.Ledger(p.t.name), p.t.ledgerAt.mod, l)
}

// recorded are the nominal times of the occurrences that have records.
func (p *plan) recorded() []time.Time {
	var times []time.Time
	for _, r := range p.all() {
		if occurrence(&r.run) {
			times = append(times, r.run.NominalTime)
		}
	}
	return times
}

// submit makes the run of a put of a task without a schedule.
func submit(p *plan) {
	if p.status.PendingRevision == 0 || p.standsStill() != "" {
		return
	}
	id := nightwatch.SubmittedRunID(p.status.PendingRevision)
	p.status.SubmittedRevision, p.status.PendingRevision = p.status.PendingRevision, 0
	p.seenTask()
	if p.t.runs[id] != nil {
		return
	}
	r := p.newRun(id, p.now)
	p.startOrQueue(r, p.def.Task.OverlapPolicy())
}

// startOrQueue starts a new run unless its policy has it wait for an earlier one.
func (p *plan) startOrQueue(r *runView, policy string) {
	if policy == nightwatch.OverlapQueueAll {
		r.run.Overlap = policy
		if blocker := p.blocker(r); blocker != "" {
			r.run.Reason, r.run.Message = nightwatch.ReasonOverlap, "run "+blocker+" is live"
			p.saveRun(r, r.run)
			return
		}
	}
	p.start(r)
}

// blocker is an earlier run of the task that is live, if there is one.
func (p *plan) blocker(r *runView) string {
	// New runs are the last of live, so that the first is r itself or an earlier one.
	if live := p.live(); len(live) > 0 && live[0].run.ID != r.run.ID {
		return live[0].run.ID
	}
	return ""
}

// start gives a new run to a node, or writes it down with why it waits.
func (p *plan) start(r *runView) { p.assign(r, r.run) }

// assign gives a run that is Pending to a node, or writes down why it waits; a run whose reason is on record
// already is left as it is.
func (p *plan) assign(r *runView, before nightwatch.Run) {
	node, reason, message := choose(p.view.nodes, p.load, &p.def.Task, &r.run)
	if node == nil {
		p.waits = lacks(reason, &p.def.Task, &r.run)
		if r.present() && before.Phase == nightwatch.PhasePending && before.Reason == reason && before.Message == message &&
			before.Cancel == r.run.Cancel {
			return
		}
		r.run.Reason, r.run.Message = reason, message
		p.saveRun(r, before)
		return
	}
	r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhaseAssigned, "", ""
	r.run.Node, r.run.Session = node.node.Name, node.node.Session
	p.txn.Alive(p.keys.Node(node.node.Name), node.create)
	p.reserved[node.node.Session]++
	p.sessions = append(p.sessions, node.node.Session)
	p.saveRun(r, before)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}
