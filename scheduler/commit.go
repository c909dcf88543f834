package scheduler

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

const (
	// minRest and maxRest are how long the loop rests after a transaction that etcd gave no answer to or had no room
	// for, or after maxInFlight refusals in a row; the longer, the more have failed.
	minRest = 500 * time.Millisecond
	maxRest = 5 * time.Second
	// impossibleAfter is how long a task rests whose transaction etcd will not take as it is.
	impossibleAfter = time.Minute
)

// result is what became of a transaction.
type result struct {
	task     string
	apart    bool // it is no task's; one of a malformed key has the empty name
	takings  []taking
	status   int64 // the revision of the task's status that it compares, if it takes anything
	revision int64 // etcd's when it answered; 0: it did not
	err      error
	drawn    bool
	clock    time.Time // that was written, if it was
}

// release gives back reservations once the view shows what they stood for.
type release struct {
	revision int64
	takings  []taking
}

// doubt is what transactions of a task take whose outcome nobody knows: etcd may do one of them yet, while the term lasts
// and the task's status is the one that all of them compare.
type doubt struct {
	status  int64          // its revision
	takings map[taking]int // the most that one of them takes
}

// commit sends a transaction and has its result come to the loop. It outlives ctx: an answer is worth waiting for,
// and Commit has a timeout of its own.
func (s *Scheduler) commit(ctx context.Context, txn *store.Txn, r result) {
	s.inFlight++
	go func() {
		response, err := s.cluster.Commit(context.WithoutCancel(ctx), txn)
		if response != nil {
			r.revision = response.Header.Revision
		}
		r.err = err
		s.results <- r
	}()
}

// unreserve gives up what was taken of the load of nodes.
func (s *Scheduler) unreserve(takings []taking) {
	for _, t := range takings {
		s.reserved.add(t, -1)
		s.view.roomChanged = true
	}
}

// doubted keeps reserved what a transaction takes that may be done yet. If the status is another by now it has been done, and
// the view shows it, or it never will be. Until then whatever is decided on the task writes the status, so that this ends.
func (s *Scheduler) doubted(r result) {
	if t := s.view.known(r.task); t == nil || t.statusAt.mod != r.status {
		s.unreserve(r.takings)
		return
	}
	d, took := s.doubts[r.task], map[taking]int{}
	if d == nil {
		d = &doubt{r.status, map[taking]int{}}
		s.doubts[r.task] = d
	}
	for _, taken := range r.takings {
		if took[taken]++; took[taken] > d.takings[taken] {
			d.takings[taken]++
		} else {
			s.unreserve([]taking{taken}) // it is reserved already
		}
	}
}

// reserve adds n times what is in doubt to what is reserved.
func (s *Scheduler) reserve(d *doubt, n int) {
	for taken, most := range d.takings {
		s.reserved.add(taken, n*most)
	}
}

// settleDoubts gives back what is in doubt no longer: of all tasks when nothing of it can come any more.
func (s *Scheduler) settleDoubts(all bool) {
	for name, d := range s.doubts {
		if t := s.view.known(name); !all && t != nil && t.statusAt.mod == d.status {
			continue
		}
		delete(s.doubts, name)
		s.reserve(d, -1)
		s.view.roomChanged = true
	}
}

// settle takes in the answer to a transaction.
func (s *Scheduler) settle(r result) {
	s.inFlight--
	s.metrics.transaction(r.err)
	switch {
	case r.err == nil:
		s.rest, s.restUntil, s.refused = 0, time.Time{}, 0 // etcd takes writes
		s.stuck = time.Time{}
	case s.stuck.IsZero() && !errors.Is(r.err, nightwatch.ErrRefused) && !impossible(r.err):
		s.stuck = time.Now()
	}
	if r.err == nil && !r.clock.IsZero() {
		s.view.ticked(clockTick{r.revision, r.clock})
	}
	if r.drawn {
		s.drawing, s.drawn = false, max(s.drawn, r.revision)
	}
	switch {
	case len(r.takings) == 0:
	case r.err == nil && r.revision > s.view.revision:
		s.releases = append(s.releases, release{r.revision, r.takings})
	case errors.Is(r.err, nightwatch.ErrOutcomeUnknown):
		s.doubted(r)
	default:
		s.unreserve(r.takings)
	}
	if r.apart {
		return
	}
	t := s.view.known(r.task)
	if t == nil {
		return
	}
	t.busy = false
	if r.err != nil {
		t.wrote = nil
	}
	t.heldUntil = max(t.heldUntil, r.revision)
	switch {
	case r.err == nil:
		// gofail: var schedulerAfterCommit struct{}
		s.log.Debug("decided", "task", r.task, "revision", r.revision)
	case errors.Is(r.err, nightwatch.ErrRefused):
		s.log.Debug("decided on old news", "task", r.task, "revision", r.revision)
		if s.refused++; s.refused >= maxInFlight {
			// So much at once is not old news: the leader key is gone, and the term has not heard of it.
			s.refused = 0
			s.tire()
		}
	case impossible(r.err):
		t.retryAt = time.Now().Add(impossibleAfter)
		s.log.Error("transaction", "task", r.task, "error", r.err)
	default:
		// Unknown outcomes are settled by the view: whatever was done shows there, and the same comparisons refuse
		// to do it twice.
		s.tire()
		s.log.Warn("transaction", "task", r.task, "error", r.err, "rest", s.rest)
	}
	s.view.changed(t)
}

// tire has the loop rest because etcd takes none of its writes. Answers to what was sent before the rest began add nothing.
func (s *Scheduler) tire() {
	if now := time.Now(); now.After(s.restUntil) {
		s.rest = min(max(2*s.rest, minRest), maxRest)
		s.restUntil = now.Add(s.rest)
	}
}

// impossible tells that etcd would refuse the same transaction for ever.
func impossible(err error) bool {
	return errors.Is(err, rpctypes.ErrRequestTooLarge) || errors.Is(err, rpctypes.ErrTooManyOps) || errors.Is(err, rpctypes.ErrDuplicateKey)
}
