package scheduler

import (
	"context"
	"encoding/json"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/store"
)

// Term is one holding of the scheduler role, as election.Term is.
type Term interface {
	// Revision is the term's number: the CreateRevision of the leader key.
	Revision() int64
	// Guard is the comparison that every write of the term carries.
	Guard() clientv3.Cmp
	// ConfirmedAt is a revision at which the term was in force: what earlier ones wrote is older.
	ConfirmedAt() int64
	// Context ends with the term.
	Context() context.Context
}

// lease lends the role to the loop; ended is closed when the loop has stopped acting.
type lease struct {
	term  Term
	ended chan struct{}
	last  clockTick // of the terms before, where the view may not know of it
}

// Lead acts as the scheduler for the length of the term, and returns when the term or ctx has ended and every write
// under way has been answered: then, and not before, may the role be resigned.
func (s *Scheduler) Lead(ctx context.Context, term Term) error {
	l := lease{term: term, ended: make(chan struct{})}
	if s.cfg.Cold || s.health.age() == 0 {
		// What was put since then was put after it. A list will not tell, once this term has had a tick.
		l.last = s.readClock(term.Context())
	}
	select {
	case s.terms <- l:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-term.Context().Done():
		return context.Cause(term.Context())
	}
	<-l.ended
	return nil
}

// readClock is the last tick, if there was one. It asks again and again until ctx ends.
func (s *Scheduler) readClock(ctx context.Context) (last clockTick) {
	var txn store.Txn
	txn.Get(s.keys.MetaClock())
	for {
		response, err := s.cluster.Commit(ctx, &txn)
		if err == nil {
			for _, kv := range response.Responses[0].GetResponseRange().Kvs {
				var clock clockValue
				if json.Unmarshal(kv.Value, &clock) == nil {
					last = clockTick{kv.ModRevision, clock.Time}
				}
			}
			return last
		}
		pause := time.NewTimer(minRest)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return clockTick{}
		}
	}
}

func (s *Scheduler) startLeading(l lease) {
	s.backlog.take(s.keys, s.takeIn)
	s.view.ticks = nil
	if l.last.revision > 0 {
		s.view.ticked(l.last)
	}
	s.lease = &l
	s.caughtUp, s.lastTick, s.restUntil, s.rest, s.refused = l.term.ConfirmedAt(), time.Time{}, time.Time{}, 0, 0
	s.stuck = time.Time{}
	s.reserved.since, s.reserved.started = s.cfg.Now().Truncate(time.Millisecond), map[string]time.Time{} // as decisions have it
	s.lookAtAll(true)
	s.metrics.leading.Set(1)
	s.log.Info("leading", "term", l.term.Revision(), "tasks", len(s.view.tasks))
}

// lookAtAll begins a new agenda, of a term or after a list. Tasks that nothing is known to be wanted of are looked at last:
// there may be a million of them, and others have something due.
func (s *Scheduler) lookAtAll(begins bool) {
	s.agenda = newAgenda()
	s.agenda.rest.tasks, s.agenda.timed = make([]*taskView, 0, len(s.view.tasks)), make(dueHeap, 0, len(s.view.tasks))
	now := s.cfg.Now()
	for _, t := range s.view.tasks {
		t.dirty, t.waitsTurn, t.heapIndex = false, false, -1
		if begins {
			t.looked = false
			if t.details != nil {
				t.retryAt = time.Time{}
			}
		}
		next, calm := t.calm(now)
		switch {
		case t.details == nil && t.looked:
			s.agenda.at(t, t.wakeAt())
			continue
		case !calm:
			s.agenda.now(t)
			continue
		}
		s.agenda.rest.push(t)
		if !next.IsZero() {
			s.agenda.at(t, next)
		}
	}
}

// calm tells that a task's status shows nothing that is to be done before its next time, and when that is.
func (t *taskView) calm(now time.Time) (next time.Time, calm bool) {
	switch {
	case t.details == nil:
		if t.packed.next == restless {
			return nothing, false
		}
		next = timeOf(t.packed.next)
	case !t.settled():
		return nothing, false
	case len(t.status.Next) > 0:
		next = t.status.Next[0]
	}
	return next, next.IsZero() || next.After(now)
}

// settled is calm, whatever the time.
func (t *taskView) settled() bool {
	s := &t.status
	if t.def == nil || !t.task.present() || s.ObservedRevision != t.task.mod || s.UID != t.task.create || s.PendingRevision != 0 ||
		s.Still != "" || len(s.Upstream) > 0 || len(s.Backfills) > 0 || len(t.requests) > 0 {
		return false
	}
	for r := range t.records {
		if r.run.Live() || r.mod > s.CountedRevision {
			return false
		}
	}
	return true
}

// stopLeading waits for the writes under way, so that nothing of this term happens after it says that it ended.
func (s *Scheduler) stopLeading() {
	if s.lease == nil {
		return
	}
	for s.inFlight > 0 {
		s.settle(<-s.results)
	}
	s.log.Info("stopped leading", "term", s.lease.term.Revision())
	s.metrics.leading.Set(0)
	s.health.overdue(0, 0)
	s.settleDoubts(true) // the term's guard refuses them
	close(s.lease.ended)
	s.lease = nil
	s.agenda = newAgenda()
}
