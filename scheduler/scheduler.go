package scheduler

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/store"
)

// Config says how a Scheduler works.
type Config struct {
	// Logger is told what happens. Nil is silence.
	Logger hclog.Logger
	// Now is the node's clock, which says what is due. Default time.Now; a fault test steps it.
	Now func() time.Time
	// Cold has it keep no view of the cluster but during its terms: what a standby costs is spared, and each term begins
	// when all keys have been read.
	Cold bool
}

// cluster is the part of etcd that the loop works with.
type cluster interface {
	// Commit is store.Store's.
	Commit(ctx context.Context, txn *store.Txn) (*clientv3.TxnResponse, error)
	// follow hands on the keys below a prefix as store.Follower does, until ctx ends.
	follow(ctx context.Context, prefix string, problem func(error), apply func(store.Batch))
}

// stored is the cluster behind a Store.
type stored struct{ *store.Store }

func (s stored) follow(ctx context.Context, prefix string, problem func(error), apply func(store.Batch)) {
	f := store.Follower{Client: s.Client(), Prefix: prefix, Problem: problem}
	for _, kind := range abreast {
		if below := s.Keys().Of(kind); strings.HasPrefix(below, prefix) {
			f.Abreast = append(f.Abreast, below)
		}
	}
	f.Run(ctx, apply)
}

const (
	// maxInFlight bounds the transactions under way.
	maxInFlight = 256
	// tick is how often the scheduler writes its clock, and the longest that its loop sleeps: a clock that steps is
	// noticed within it.
	tick = time.Second
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
	unfollow func() // ends what follow began, and waits for that
	view     *view
	backlog  backlog // empty while leading
	listing  bool    // the view is being made anew
	agenda   *agenda
	reserved *usage
	releases []release
	doubts   map[string]*doubt // by task
	inFlight int
	lease    *lease
	caughtUp int64 // the view must reach it before the term acts
	lastTick time.Time
	// While etcd takes no writes, no task asks it before restUntil.
	restUntil time.Time
	rest      time.Duration
	refused   int       // transactions in a row
	stuck     time.Time // etcd takes no writes since then; zero: it does
	// A version that comes after more tasks than before is under way; the view shows the last one from drawn on.
	drawing bool
	drawn   int64
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
		agenda: newAgenda(), reserved: newUsage(), doubts: map[string]*doubt{},
	}
	s.view = newView(keys, s.touched)
	return s
}

// touched is told by the view of every task that changed.
func (s *Scheduler) touched(t *taskView) {
	if s.lease != nil && !s.listing {
		s.agenda.now(t)
	}
}

// Run keeps the view, and acts during the terms that Lead lends, until ctx ends.
func (s *Scheduler) Run(ctx context.Context) {
	s.follow(ctx, !s.cfg.Cold)
	s.loop(ctx)
	s.unfollow()
}

// follow has the loop hear of all keys, or only of the scheduler's clock.
func (s *Scheduler) follow(ctx context.Context, all bool) {
	ctx, cancel := context.WithCancel(ctx)
	prefix, ended := s.keys.Of(store.Meta), make(chan struct{})
	if all {
		prefix = s.keys.Prefix()
	}
	go func() {
		defer close(ended)
		s.cluster.follow(ctx, prefix, s.health.problem, func(b store.Batch) {
			select {
			case s.batches <- b:
			case <-ctx.Done():
			}
		})
	}()
	s.unfollow = func() {
		cancel()
		<-ended
	}
}

// warm follows all keys for the length of a term, where that is not done at all times; chill ends that.
func (s *Scheduler) warm(ctx context.Context) {
	if s.cfg.Cold {
		s.unfollow()
		s.follow(ctx, true)
	}
}

func (s *Scheduler) chill(ctx context.Context) {
	if s.cfg.Cold {
		s.unfollow()
		spare := s.view.spare
		s.view, s.releases, s.reserved, s.drawn = newView(s.keys, s.touched), nil, newUsage(), 0
		s.view.spare = spare
		s.metrics.tasks.Set(0)
		s.follow(ctx, false)
	}
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
			s.chill(ctx)
			continue
		case l := <-s.terms:
			s.startLeading(l)
			s.warm(ctx)
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

// apply brings the view up to date, or has it wait while nothing is decided on it.
func (s *Scheduler) apply(b store.Batch) {
	if !b.More {
		s.health.heard()
	}
	now := s.cfg.Now()
	if s.lease == nil {
		if !b.Snapshot {
			s.compareClocks(b, now)
		}
		switch {
		case s.cfg.Cold:
			return
		case !b.Snapshot && s.backlog.events < maxBacklog:
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
	s.settleDoubts(restored)
	s.metrics.tasks.Set(float64(len(s.view.tasks)))
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
		s.health.overdue(0, s.stuckFor(steady))
		return s.tick
	}
	if s.view.nodesChanged {
		s.findStray()
	}
	if rest := s.restUntil.Sub(steady); rest > 0 {
		s.health.overdue(s.lateness(now), s.stuckFor(steady))
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
		s.health.overdue(s.lateness(now), s.stuckFor(steady))
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

// decide decides on one task. What others of its transactions take that are in doubt is its own.
func (s *Scheduler) decide(w *world, t *taskView) *plan {
	d := s.doubts[t.name]
	if w.inDoubt = d != nil; !w.inDoubt {
		return decide(w, t)
	}
	s.reserve(d, -1)
	defer s.reserve(d, 1)
	return decide(w, t)
}

// look decides on one task and sends the transaction off.
func (s *Scheduler) look(ctx context.Context, w *world, t *taskView) {
	p := s.decide(w, t)
	t.passedOver = p.passedOver
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
	if p.lazy {
		p.txn.Lazy(s.lease.term.Context().Done())
	}
	// gofail: var schedulerBeforeCommit struct{}
	s.commit(ctx, &p.txn, result{task: t.name, takings: p.takings, status: t.statusAt.mod, drawn: p.drawn})
}

func (s *Scheduler) writeClock(ctx context.Context, now time.Time) {
	value, err := json.Marshal(clockValue{Time: now.UTC()})
	if err != nil {
		return
	}
	var txn store.Txn
	txn.If(s.lease.term.Guard())
	txn.Put(s.keys.MetaClock(), value)
	s.commit(ctx, &txn, result{apart: true, clock: now})
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
		s.commit(ctx, &txn, result{apart: true})
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

// stuckFor is for how long etcd has taken no writes, of which there is one a second at least: the scheduler's clock.
func (s *Scheduler) stuckFor(steady time.Time) time.Duration {
	if s.stuck.IsZero() {
		return 0
	}
	return steady.Sub(s.stuck)
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
