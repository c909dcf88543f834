package scheduler

import (
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A pool bounds what runs at once of the tasks that name it. What it has given is counted from the records of runs, and
// what transactions give that are under way or in doubt is reserved, as the room of nodes is; every assignment compares the accepted value of
// its pool. A run whose Job may exist holds its place in the pool although its node is lost.
//
// Starts are spread: the loop keeps the time of the last one of each pool, and a new scheduler takes the moment of its
// election for it, which is after whatever its predecessor started. So no two starts are closer than the pool says,
// whoever leads, at the price of one pause more at an election.

// judgePool keeps what the system says of a pool.
func judgePool(p *plan, name string) {
	inForce := int64(0)
	if p.t.pool != nil {
		inForce = p.t.pool.Revision
	}
	p.judge(p.keys.Pool(name), p.keys.AcceptedPool(name), p.keys.PoolStatus(name), inForce, func(revision int64, value []byte) (any, error) {
		pool, err := nightwatch.ParsePool(name, value)
		if err != nil {
			return nil, err
		}
		return nightwatch.AcceptedPool{Revision: revision, Pool: *pool}, nil
	})
}

// judge keeps what the system says of a value that users write beside tasks: its verdict and the version in force. When
// its key goes, so do both.
func (p *plan) judge(key, accepted, verdict string, inForce int64, parse func(revision int64, value []byte) (any, error)) {
	source := p.t.source
	p.txn.Seen(key, source.mod)
	switch {
	case !source.present():
		if p.t.accepted.present() {
			p.remove(accepted, p.t.accepted.mod)
		}
		if p.t.statusAt.present() {
			p.remove(verdict, p.t.statusAt.mod)
		}
		return
	case p.t.status.ObservedRevision == source.mod && p.t.status.AcceptedRevision == inForce:
		return
	}
	status := nightwatch.PoolStatus{ObservedRevision: source.mod, UpdateTime: p.now}
	value, err := parse(source.mod, p.t.sourceValue)
	if err != nil {
		status.Errors, status.AcceptedRevision = faultsOf(err), inForce
	} else {
		status.Accepted, status.AcceptedRevision = true, source.mod
		p.put(accepted, p.t.accepted.mod, value)
	}
	p.put(verdict, p.t.statusAt.mod, status)
}

// poolLacks is why a run must wait for its pool, as a reason and a message; empty when it need not.
func (p *plan) poolLacks(r *runView, task *nightwatch.Task) (reason, message string) {
	name := task.Pool
	if name == "" || p.occupies(r) {
		return "", ""
	}
	t := p.view.tasks[store.PoolTail(name)]
	if t == nil || t.pool == nil {
		if t != nil && t.source.present() {
			return nightwatch.ReasonPoolMissing, fmt.Sprintf("pool %q has never been accepted: see %s", name, p.keys.PoolStatus(name))
		}
		return nightwatch.ReasonPoolMissing, fmt.Sprintf("pool %q is not there: put %s", name, p.keys.Pool(name))
	}
	pool := &t.pool.Pool
	if limit := int(pool.Slots); limit > 0 && p.view.used.pools[name]+p.reserved.pools[name] >= limit {
		return nightwatch.ReasonPoolFull, fmt.Sprintf("as many runs of pool %q are live as it has slots", name)
	}
	if pool.StartsPerMinute > 0 {
		pause := time.Minute / time.Duration(pool.StartsPerMinute)
		last := later(p.reserved.since, p.reserved.started[name])
		if ready := last.Add(pause); ready.After(p.now) && !last.After(p.now) { // else the clock has stepped back
			if p.reserved.ready.IsZero() || ready.Before(p.reserved.ready) {
				p.reserved.ready = ready
			}
			return nightwatch.ReasonPoolRate, fmt.Sprintf("pool %q lets no two runs start within %s", name, nightwatch.Duration(pause))
		}
	}
	return "", ""
}

// occupies tells whether a run has its place in its pool and its namespace. It keeps that until it ends or is to begin
// anew, whatever an edit says: a Job that is there must be followed, and ended.
func (p *plan) occupies(r *runView) bool {
	stored := p.t.find(r.run.ID)
	return stored != nil && stored.run.Occupies()
}

// enterPool has a run take its place.
func (p *plan) enterPool(r *runView, name string) {
	if p.occupies(r) {
		return
	}
	r.run.Pool = name
	if name == "" {
		return
	}
	if t := p.view.tasks[store.PoolTail(name)]; t != nil {
		p.txn.Seen(p.keys.AcceptedPool(name), t.accepted.mod)
	}
	p.reserved.started[name] = p.now
}

// crowded tells of a reason that it says nothing but that there is no room at the moment: which one it is may change many
// times while a run waits, and the record keeps the first.
func crowded(reason string) bool {
	switch reason {
	case nightwatch.ReasonNoCapacity, nightwatch.ReasonPoolFull, nightwatch.ReasonPoolRate, nightwatch.ReasonNamespaceFull:
		return true
	}
	return false
}
