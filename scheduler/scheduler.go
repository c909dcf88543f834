package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Config says how a Scheduler works.
type Config struct {
	// Logger is told what happens. Nil is silence.
	Logger hclog.Logger
	// Now is the node's clock, which says what is due. Default time.Now; a fault test steps it.
	Now func() time.Time
}

// cluster is the part of etcd that the loop works with.
type cluster interface {
	// Commit is store.Store's.
	Commit(ctx context.Context, txn *store.Txn) (*clientv3.TxnResponse, error)
	// follow hands on all keys as store.Follower does, until ctx ends.
	follow(ctx context.Context, problem func(error), apply func(store.Batch))
}

// stored is the cluster behind a Store.
type stored struct{ *store.Store }

func (s stored) follow(ctx context.Context, problem func(error), apply func(store.Batch)) {
	f := store.Follower{Client: s.Client(), Prefix: s.Keys().Prefix(), Problem: problem}
	for _, kind := range abreast {
		f.Abreast = append(f.Abreast, s.Keys().Of(kind))
	}
	f.Run(ctx, apply)
}

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

const (
	// maxInFlight bounds the transactions under way.
	maxInFlight = 256
	// tick is how often the scheduler writes its clock, and the longest that its loop sleeps: a clock that steps is
	// noticed within it.
	tick = time.Second
	// minRest and maxRest are how long the loop rests after a transaction that etcd gave no answer to or had no room
	// for, or after maxInFlight refusals in a row; the longer, the more have failed.
	minRest = 500 * time.Millisecond
	maxRest = 5 * time.Second
	// impossibleAfter is how long a task rests whose transaction etcd will not take as it is.
	impossibleAfter = time.Minute
	// maxPass is how long the loop decides before it takes in what has come meanwhile.
	maxPass = 10 * time.Millisecond
	// maxShrink is how many tasks a pass tries to pack while nothing else is to be done.
	maxShrink = 1000
)

// Scheduler turns occurrences into runs and gives them to nodes, during the terms it is lent. Outside of them it
// keeps its view of the cluster warm.
//
// It knows two clocks. The node's (Config.Now) says what is due, and may step. How long the loop itself waits, between
// ticks and after failures, is measured by the monotonic one.
type Scheduler struct {
	cluster cluster
	keys    store.Keys
	cfg     Config
	log     hclog.Logger
	metrics *metrics
	health  health
	tick    time.Duration

	batches chan store.Batch
	results chan result
	terms   chan lease

	// The rest belongs to the loop.
	view     *view
	backlog  backlog // empty while leading
	listing  bool    // the view is being made anew
	agenda   *agenda
	reserved *usage
	releases []release
	inFlight int
	lease    *lease
	caughtUp int64 // the view must reach it before the term acts
	lastTick time.Time
	// While etcd takes no writes, no task asks it before restUntil.
	restUntil time.Time
	rest      time.Duration
	refused   int // transactions in a row
	// A version that comes after more tasks than before is under way; the view shows the last one from drawn on.
	drawing bool
	drawn   int64
}

// lease lends the role to the loop; ended is closed when the loop has stopped acting.
type lease struct {
	term  Term
	ended chan struct{}
}

type result struct {
	task     string
	takings  []taking
	revision int64 // etcd's when it answered; 0: it did not
	err      error
	drawn    bool
}

// release gives back reservations once the view shows what they stood for.
type release struct {
	revision int64
	takings  []taking
}

// New is a Scheduler on the keys of st. It does no I/O.
func New(st *store.Store, cfg Config) *Scheduler { return newScheduler(stored{st}, st.Keys(), cfg) }

func newScheduler(c cluster, keys store.Keys, cfg Config) *Scheduler {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Now == nil {
		cfg.Now = wallClock
	}
	s := &Scheduler{
		cluster: c, keys: keys, cfg: cfg, log: cfg.Logger, metrics: newMetrics(), tick: tick,
		batches: make(chan store.Batch), results: make(chan result, maxInFlight), terms: make(chan lease),
		agenda: newAgenda(), reserved: newUsage(),
	}
	s.view = newView(keys, func(t *taskView) {
		if s.lease != nil && !s.listing {
			s.agenda.now(t)
		}
	})
	return s
}

// Lead acts as the scheduler for the length of the term, and returns when the term or ctx has ended and every write
// under way has been answered: then, and not before, may the role be resigned.
func (s *Scheduler) Lead(ctx context.Context, term Term) error {
	l := lease{term: term, ended: make(chan struct{})}
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

// Run keeps the view, and acts during the terms that Lead lends, until ctx ends.
func (s *Scheduler) Run(ctx context.Context) {
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		s.cluster.follow(ctx, s.health.problem, func(b store.Batch) {
			select {
			case s.batches <- b:
			case <-ctx.Done():
			}
		})
	}()
	s.loop(ctx)
	<-followed
}

func (s *Scheduler) loop(ctx context.Context) {
	timer := time.NewTimer(s.tick)
	defer timer.Stop()
	for {
		var termEnded <-chan struct{}
		if s.lease != nil {
			termEnded = s.lease.term.Context().Done()
		}
		select {
		case <-ctx.Done():
			s.stopLeading()
			return
		case <-termEnded:
			s.stopLeading()
			continue
		case l := <-s.terms:
			s.startLeading(l)
		case b := <-s.batches:
			s.apply(b)
		case r := <-s.results:
			s.settle(r)
		case <-timer.C:
		}
		// More of the same is taken in before anything is decided.
		for more := true; more; {
			select {
			case b := <-s.batches:
				s.apply(b)
			case r := <-s.results:
				s.settle(r)
			default:
				more = false
			}
		}
		timer.Reset(s.pass(ctx, s.cfg.Now()))
	}
}

func (s *Scheduler) startLeading(l lease) {
	s.backlog.take(s.keys, s.takeIn)
	s.lease = &l
	s.caughtUp, s.lastTick, s.restUntil, s.rest, s.refused = l.term.ConfirmedAt(), time.Time{}, time.Time{}, 0, 0
	s.reserved.since, s.reserved.started = s.cfg.Now(), map[string]time.Time{}
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
	s.health.overdue(0)
	close(s.lease.ended)
	s.lease = nil
	s.agenda = newAgenda()
}

// apply brings the view up to date, or has it wait while nothing is decided on it.
func (s *Scheduler) apply(b store.Batch) {
	if !b.More {
		s.health.heard()
	}
	now := s.cfg.Now()
	if s.lease == nil && !b.Snapshot {
		s.compareClocks(b, now)
		if s.backlog.events < maxBacklog {
			s.backlog.add(b, now)
			return
		}
	}
	s.backlog.take(s.keys, s.takeIn)
	s.takeIn(b, now)
}

// compareClocks tells how far this node's clock is from the scheduler's.
func (s *Scheduler) compareClocks(b store.Batch, now time.Time) {
	key := s.keys.MetaClock()
	for _, e := range b.Events {
		var clock clockValue
		if e.Key == key && !e.Deleted && json.Unmarshal(e.Value, &clock) == nil {
			s.health.clock(clock.Time.Sub(now))
		}
	}
}

// takeIn brings the view up to date and gives back what the view now shows itself.
func (s *Scheduler) takeIn(b store.Batch, heard time.Time) {
	before := s.view.revision
	s.listing = b.Snapshot
	s.view.apply(b, heard)
	s.listing = false
	switch {
	case b.More:
		return
	case !b.Snapshot:
		s.view.shrink(2*len(b.Events), s.lease != nil)
	case s.lease != nil:
		s.lookAtAll(false) // the agenda names tasks of the view that is gone
	}
	restored := s.view.revision < before
	if restored {
		s.log.Warn("etcd was restored from a backup: what came after it is forgotten", "revision", s.view.revision, "before", before)
		s.drawn, s.caughtUp = 0, min(s.caughtUp, s.view.revision)
	}
	kept := s.releases[:0]
	for _, r := range s.releases {
		if r.revision > s.view.revision && !restored {
			kept = append(kept, r)
			continue
		}
		s.unreserve(r.takings)
	}
	s.releases = kept
	s.metrics.tasks.Set(float64(len(s.view.tasks)))
}

func (s *Scheduler) unreserve(takings []taking) {
	for _, t := range takings {
		s.reserved.add(t, -1)
		s.view.roomChanged = true
	}
}

// settle takes in the answer to a transaction.
func (s *Scheduler) settle(r result) {
	s.inFlight--
	s.metrics.transaction(r.err)
	if r.err == nil {
		s.rest, s.restUntil, s.refused = 0, time.Time{}, 0 // etcd takes writes
	}
	if r.drawn {
		s.drawing, s.drawn = false, max(s.drawn, r.revision)
	}
	if len(r.takings) > 0 {
		if r.err == nil && r.revision > s.view.revision {
			s.releases = append(s.releases, release{r.revision, r.takings})
		} else {
			s.unreserve(r.takings)
		}
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

// pass decides on every task that is due a look, with one now, and returns how long to sleep at most.
func (s *Scheduler) pass(ctx context.Context, now time.Time) time.Duration {
	if s.lease == nil || s.lease.term.Context().Err() != nil {
		if s.backlog.age() >= maxBehind {
			s.backlog.take(s.keys, s.takeIn)
		}
		s.view.shrink(maxShrink, false)
		return s.tick
	}
	steady := time.Now()
	ticks := steady.Sub(s.lastTick) >= s.tick
	if ticks {
		s.lastTick = steady
		s.writeClock(ctx, now)
		s.endFreezes(ctx, now)
	}
	if s.view.revision < s.caughtUp {
		return s.tick
	}
	if s.view.nodesChanged {
		s.findStray()
	}
	if rest := s.restUntil.Sub(steady); rest > 0 {
		return min(rest, s.tick)
	}
	next := s.agenda.due(now)
	if ready := s.reserved.ready; !ready.IsZero() && !ready.After(now) {
		s.reserved.ready, s.view.roomChanged = time.Time{}, true // a pool has paused long enough
	}
	// Each look takes time: no more are called than can be looked at.
	if free := maxInFlight - s.inFlight; free > 0 && (s.view.nodesChanged || s.view.roomChanged) {
		s.agenda.room(s.view.nodesChanged, min(free, s.view.freePlaces(s.reserved)), func(namespace string) int {
			return s.view.used.namespaces[namespace] + s.reserved.namespaces[namespace]
		}, s.view.weight)
		s.view.nodesChanged, s.view.roomChanged = false, false
	}
	w := &world{
		now: now.UTC().Truncate(time.Millisecond), keys: s.keys, view: s.view, term: s.lease.term.Revision(), reserved: s.reserved,
		drawing: s.drawing || s.view.revision < s.drawn,
	}
	if !w.drawing {
		s.agenda.nextTurn()
	}
	if ticks {
		s.view.shrink(maxShrink, true)
	}
	left := s.agenda.pending() + s.agenda.rest.len()
	for began := time.Now(); left > 0 && s.inFlight < maxInFlight && time.Since(began) < maxPass; left-- {
		t := s.agenda.next()
		if t == nil {
			left = 0
			break
		}
		s.view.open(t)
		switch {
		case s.view.tasks[t.name] != t: // nothing is left of it, or a list has replaced it
			s.agenda.wait(t, place{})
			s.agenda.at(t, time.Time{})
			s.view.roomChanged = s.view.roomChanged || t.hopeful
		case t.busy: // its answer brings it back
		case t.heldUntil > s.view.revision:
			s.agenda.now(t)
		case t.retryAt.After(steady):
			s.agenda.at(t, now.Add(t.retryAt.Sub(steady)))
		default:
			s.look(ctx, w, t)
			s.view.shrink(2, true) // one more than has been unpacked
		}
	}
	if ticks || s.agenda.pending() == 0 {
		s.health.overdue(s.lateness(now))
	}
	s.metrics.waiting.Set(float64(len(s.agenda.waiting)))
	if at := s.agenda.due(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
		next = at
	}
	if ready := s.reserved.ready; !ready.IsZero() && (next.IsZero() || ready.Before(next)) {
		next = ready
	}
	full := s.inFlight >= maxInFlight // an answer wakes the loop
	if !full && (left > 0 || s.view.roomChanged && len(s.agenda.waiting) > 0 || len(s.agenda.turns) > 0 && !w.drawing) {
		return 0
	}
	sleep := s.tick - steady.Sub(s.lastTick)
	if !next.IsZero() {
		sleep = min(sleep, next.Sub(s.cfg.Now()))
	}
	return max(sleep, 0)
}

// look decides on one task and sends the transaction off.
func (s *Scheduler) look(ctx context.Context, w *world, t *taskView) {
	p := decide(w, t)
	s.agenda.at(t, p.wake)
	s.agenda.wait(t, p.waits)
	if p.waits == (place{}) && t.hopeful {
		s.view.roomChanged = true // there may be room for the next one too
	}
	t.hopeful = false
	if p.deferred {
		s.agenda.waitTurn(t)
	}
	for _, err := range p.errs {
		s.log.Error("decide", "task", t.name, "error", err)
	}
	if p.txn.Empty() || len(p.errs) > 0 {
		t.looked = len(p.errs) == 0
		s.unreserve(p.takings)
		return
	}
	s.metrics.observe(w.now, p)
	t.busy, t.wrote, t.looked = true, p.wrote, false
	if p.drawn {
		s.drawing, w.drawing = true, true
	}
	p.txn.If(s.lease.term.Guard())
	// gofail: var schedulerBeforeCommit struct{}
	s.commit(ctx, &p.txn, result{task: t.name, takings: p.takings, drawn: p.drawn})
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

func (s *Scheduler) writeClock(ctx context.Context, now time.Time) {
	value, err := json.Marshal(clockValue{Time: now.UTC()})
	if err != nil {
		return
	}
	var txn store.Txn
	txn.If(s.lease.term.Guard())
	txn.Put(s.keys.MetaClock(), value)
	s.commit(ctx, &txn, result{})
}

// endFreezes removes freezes whose end has come.
func (s *Scheduler) endFreezes(ctx context.Context, now time.Time) {
	for _, f := range s.view.freezes {
		if f.until.IsZero() || f.until.After(now) {
			continue
		}
		var txn store.Txn
		txn.If(s.lease.term.Guard())
		txn.Seen(f.key, f.mod)
		txn.Delete(f.key)
		s.commit(ctx, &txn, result{})
	}
}

// findStray puts the tasks on the list that have a run on a session that is gone, or one that nobody claimed on a node
// that is drained.
func (s *Scheduler) findStray() {
	some := false
	for session := range s.view.used.sessions {
		n := s.view.sessions[session]
		some = some || n == nil || n.drained()
	}
	if !some {
		return
	}
	for _, t := range s.view.tasks {
		if t.details == nil {
			continue // it has no live run
		}
		for r := range t.records {
			if queued(&r.run) && s.view.sessions[r.run.Session] == nil || s.view.stranded(&r.run) {
				s.agenda.now(t)
				break
			}
		}
	}
}

// lateness is by how much the most overdue task is late.
func (s *Scheduler) lateness(now time.Time) time.Duration {
	late := time.Duration(0)
	for _, list := range []fifo{s.agenda.first, s.agenda.others} {
		for _, t := range list.tasks[list.head:] {
			if t.dirty && t.wake != 0 {
				late = max(late, now.Sub(t.wakeAt()))
			}
		}
	}
	return late
}
