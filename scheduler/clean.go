package scheduler

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

const (
	// maxRemovals bounds the records that one transaction removes.
	maxRemovals = 50
	// foldBeside is how many records beyond the limits of its history a task may have before some of them go in a transaction
	// that is about runs too.
	foldBeside = 16
	// keepLost is how long the record of a run that lost a session stays, so that a stopped predecessor that wakes
	// up finds out.
	keepLost = time.Hour
)

// cleanRemains removes what an earlier life of the key left behind, be the task gone or put anew: live runs are
// canceled, then their records, the ledger, the accepted value and, last of all, the status go.
func cleanRemains(p *plan) {
	uid, remains := p.earlierLife()
	if !remains {
		return
	}
	p.uid, p.remains = uid, true
	tendRuns(p, true)
	tendStray(p)
	if p.txn.Empty() {
		abandonRemains(p)
	}
	if live := p.live(); len(live) > 0 {
		p.saveRemainsStatus(live)
		return
	}
	if !p.txn.Empty() || p.liveShards() {
		return // records that became terminal just now go with the next transaction
	}
	var leaving []*runView
	awaited := false
	for r := range p.t.records {
		switch {
		case r.run.Live(), p.t.task.present() && r.run.TaskUID == p.t.task.create:
			continue // of another life than the status said
		case p.awaited(r):
			awaited = true // those that come after it look at it at once
			continue
		}
		leaving = append(leaving, r)
	}
	slices.SortFunc(leaving, func(a, b *runView) int { return strings.Compare(a.run.ID, b.run.ID) })
	for _, r := range leaving[:min(len(leaving), maxRemovals)] {
		p.remove(p.keys.Run(p.t.name, r.run.ID), r.mod)
	}
	if awaited || len(leaving) > maxRemovals {
		return
	}
	// If we die here, between transactions, the status still says that there is something to remove.
	if p.t.ledgerAt.present() {
		p.remove(p.keys.Ledger(p.t.name), p.t.ledgerAt.mod)
	}
	if p.t.accepted.present() {
		p.remove(p.keys.Accepted(p.t.name), p.t.accepted.mod)
	}
	if p.t.statusAt.present() {
		p.remove(p.keys.Status(p.t.name), p.t.statusAt.mod)
	}
}

// earlierLife tells whether keys of another life of the task are there, and of which.
func (p *plan) earlierLife() (uid int64, remains bool) {
	t := p.t
	switch {
	case t.status.UID != 0 && !t.current(): // else what the status says is no life of it
		uid = t.status.UID
	case t.def != nil:
		uid = t.def.UID
	default:
		for r := range t.records {
			uid = max(uid, r.run.TaskUID)
		}
		if len(t.runs) == 0 && len(t.shards) == 0 && !t.accepted.present() && !t.ledgerAt.present() && !t.statusAt.present() {
			return 0, false
		}
	}
	return uid, !t.task.present() || uid != t.task.create
}

// saveRemainsStatus says that the task waits for the runs of its earlier life.
func (p *plan) saveRemainsStatus(live []*runView) {
	if !p.t.statusAt.present() {
		return
	}
	before := p.status
	p.status.ActiveCount, p.status.Active, p.status.Next = len(live), nil, nil
	for _, r := range live[:min(len(live), maxActive)] {
		p.status.Active = append(p.status.Active, r.run.ID)
	}
	p.status.Reason = nightwatch.ReasonDeleting
	if p.t.task.present() {
		p.status.Reason = nightwatch.ReasonPreviousDeleting
	}
	if sameStatus(&before, &p.status) && !p.inDoubt {
		return
	}
	p.status.UpdateTime = p.now
	p.put(p.keys.Status(p.t.name), p.t.statusAt.mod, &p.status)
}

// foldHistory moves records beyond the task's limits into the ledger, in the same transaction: as a rule in the one that
// counts the run that takes the place, so that what is due does not wait for it. A task of which something is due at every
// look has no such transaction. Only runs that have been counted go, none that lost a session within the hour, and none that a
// task that comes after this one has yet to look at.
func foldHistory(p *plan) {
	if p.def == nil || !p.t.task.present() || p.changes > 0 && !p.overfull() {
		return
	}
	kept := map[nightwatch.Phase]int{}
	all := p.all()
	slices.Reverse(all) // newest first
	var leaving []*runView
	for _, r := range all {
		if r.run.Live() {
			continue
		}
		class := r.run.Phase
		if class == nightwatch.PhaseCanceled || class == nightwatch.PhaseMissed {
			class = nightwatch.PhaseFailed
		}
		// One that this transaction counts takes its place in the history, and does not leave it yet.
		if kept[class]++; kept[class] <= p.def.Task.Keep(class) || !p.counts(r) || p.awaited(r) || p.writes(p.keys.Run(p.t.name, r.run.ID)) {
			continue
		}
		if stays := p.lostAt(r).Add(keepLost); stays.After(p.now) {
			p.wakeBy(stays)
			continue
		}
		leaving = append(leaving, r)
	}
	least, most := 1, maxRemovals
	if p.changes > 0 {
		least, most = foldBeside, foldBeside
	}
	if len(leaving) < least {
		return
	}
	slices.SortFunc(leaving, func(a, b *runView) int {
		return cmp.Or(a.run.NominalTime.Compare(b.run.NominalTime), cmp.Compare(a.create, b.create))
	})
	for _, r := range leaving[:min(len(leaving), most)] { // the oldest first, as the ledger keeps the newest
		if !p.shedShards(r.run.ID) {
			break
		}
		p.fold(r)
	}
	// The counts that these runs are in must be the ones that stand in the store.
	p.txn.Seen(p.keys.Status(p.t.name), p.t.statusAt.mod)
}

// overfull tells that more records are there than limits and foldBeside allow.
func (p *plan) overfull() bool {
	most := foldBeside
	for _, class := range []nightwatch.Phase{nightwatch.PhaseSucceeded, nightwatch.PhaseFailed, nightwatch.PhaseSkipped} {
		most += p.def.Task.Keep(class)
	}
	return len(p.t.runs) > most
}

// lostAt is when a run ended, or a shard of it, that had lost a session; zero: none had.
func (p *plan) lostAt(r *runView) (at time.Time) {
	if r.run.LostSessions > 0 {
		at = r.run.EndTime
	}
	for _, shard := range p.t.shards[r.run.ID] {
		if shard.run.LostSessions > 0 {
			at = later(at, shard.run.EndTime)
		}
	}
	return at
}

// fold takes a record away and enters its occurrence in the ledger.
func (p *plan) fold(r *runView) {
	p.remove(p.keys.Run(p.t.name, r.run.ID), r.mod)
	if occurrence(&r.run) {
		at := r.run.NominalTime
		p.enter(nightwatch.LedgerRange{From: at, To: at, Count: 1, Outcome: r.run.Phase, Reason: r.run.Reason})
	}
}

// occurrence tells whether a run met an occurrence of its task, as against a request.
func occurrence(r *nightwatch.Run) bool {
	return r.ID == nightwatch.ScheduledRunID(r.NominalTime) || strings.HasPrefix(r.ID, "rev-") || strings.HasPrefix(r.ID, "dep-")
}

// dropOldVerdicts removes verdicts on requests an hour after they were given.
func dropOldVerdicts(p *plan) {
	var old []verdictView
	for _, v := range p.t.verdicts {
		if expires := v.time.Add(nightwatch.VerdictTTL); expires.After(p.now) {
			p.wakeBy(expires)
		} else {
			old = append(old, v)
		}
	}
	slices.SortFunc(old, func(a, b verdictView) int { return strings.Compare(a.key, b.key) })
	for _, v := range old[:min(len(old), maxRemovals)] {
		p.remove(v.key, v.mod)
	}
}
