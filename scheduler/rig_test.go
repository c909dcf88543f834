package scheduler

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

// rig is a cluster in simulated time: schedulers and nodes on one memory, with a clock that all of them share and that
// can be stepped. It belongs in a bubble of testing/synctest.
type rig struct {
	t      *testing.T
	etcd   *memory
	ctx    context.Context
	offset atomic.Int64 // of the shared clock
	rand   *rand.Rand
	log    *chronicle
	tick   time.Duration
	spare  int        // of its schedulers' views: none, so that whatever can be packed is
	cold   bool       // so are its schedulers
	mu     sync.Mutex // of rand
	actors sync.WaitGroup
}

// newRig begins at a time of the tests' one day, see at.
func newRig(t *testing.T, begin time.Time, seed uint64) *rig {
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{t: t, etcd: newMemory(t), ctx: ctx, rand: rand.New(rand.NewPCG(seed, 0)), tick: tick}
	r.offset.Store(int64(time.Until(begin)))
	r.log = newChronicle(r)
	r.etcd.observe = r.log.observe
	t.Cleanup(func() {
		cancel()
		r.actors.Wait()
	})
	return r
}

// now is the shared clock. It has no monotonic part, as befits one that steps.
func (r *rig) now() time.Time { return time.Now().Round(0).Add(time.Duration(r.offset.Load())).UTC() }

func (r *rig) step(by time.Duration) { r.offset.Add(int64(by)) }

// pass lets time go by.
func (r *rig) pass(d time.Duration) { wait(r.ctx, d) }

// random is below n, from the rig's own seed.
func (r *rig) random(n int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rand.Int64N(n)
}

// late is a delay of up to 5 ms.
func (r *rig) late() time.Duration { return time.Duration(r.random(int64(5 * time.Millisecond))) }

// scheduler starts one, on a link of its own.
func (r *rig) scheduler(change ...func(*link)) *Scheduler {
	l := &link{memory: r.etcd, delay: r.late}
	for _, f := range change {
		f(l)
	}
	s := newScheduler(l, r.etcd.keys, Config{Now: r.now, Cold: r.cold})
	s.tick, s.view.spare = r.tick, r.spare
	r.actors.Go(func() { s.Run(r.ctx) })
	return s
}

// lead gives s the role; leave ends the term, and returns when s has stopped acting.
func (r *rig) lead(s *Scheduler) (leave func()) {
	term, resign := r.etcd.elect(r.ctx, "s")
	ended := make(chan struct{})
	r.actors.Go(func() {
		defer close(ended)
		_ = s.Lead(r.ctx, term)
	})
	return func() {
		resign()
		<-ended
	}
}

// node starts one that dies by itself now and then: it lives for as long as lives says, and is back some seconds
// later. Without lives it stays.
func (r *rig) node(name string, lives func() time.Duration, change ...func(*simNode)) {
	n := &simNode{
		link: &link{memory: r.etcd, delay: r.late}, name: name, now: r.now,
		work: func(run nightwatch.Run) (time.Duration, nightwatch.Phase) {
			r.log.started(run)
			return 50 * time.Millisecond, nightwatch.PhaseSucceeded
		},
	}
	for _, f := range change {
		f(n)
	}
	r.actors.Go(func() {
		for r.ctx.Err() == nil {
			ctx, die := context.WithCancel(r.ctx)
			if lives != nil {
				ctx, die = context.WithTimeout(r.ctx, lives())
			}
			n.live(ctx)
			die()
		}
	})
}

func (r *rig) task(name, value string) { r.etcd.put(r.etcd.keys.Task(name), value) }

// runs are the ids of all runs that a task ever had a record of, in order; of a phase, if one is given.
func (r *rig) runs(task string, phases ...nightwatch.Phase) []string {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	var ids []string
	if life := r.log.lives[task]; life != nil {
		for id, phase := range life.runs {
			if len(phases) == 0 || slices.Contains(phases, phase) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// shards are the ids of all runs that are shards of a task's, as runs are.
func (r *rig) shards(task string, phases ...nightwatch.Phase) []string {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	var ids []string
	if life := r.log.lives[task]; life != nil {
		for id, phase := range life.shards {
			if len(phases) == 0 || slices.Contains(phases, phase) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// account reads what the store would read of a task.
func (r *rig) account(task string) ledger.Account {
	keys := r.etcd.keys
	a := ledger.Account{Task: task, Now: r.now(), Freezes: map[string]nightwatch.Freeze{}, Calendars: map[string]nightwatch.AcceptedCalendar{}}
	if e := r.etcd.get(keys.Task(task)); e.ModRevision != 0 {
		a.Value, a.TaskRevision = e.Value, e.ModRevision
	}
	a.Accepted, a.Status = new(nightwatch.Accepted), new(nightwatch.Status)
	if !r.etcd.read(keys.Accepted(task), a.Accepted) || !r.etcd.read(keys.Status(task), a.Status) {
		r.t.Errorf("%s: no accepted value, or no status", task)
	}
	r.etcd.read(keys.Ledger(task), &a.Ledger)
	for _, e := range r.etcd.below(keys.RunsOf(task)) {
		var run nightwatch.Run
		if err := json.Unmarshal(e.Value, &run); err != nil {
			r.t.Errorf("%s: %v", e.Key, err)
		}
		a.Runs = append(a.Runs, run)
	}
	slices.SortFunc(a.Runs, func(x, y nightwatch.Run) int { return x.NominalTime.Compare(y.NominalTime) })
	for _, e := range r.etcd.below(keys.Of(store.Freezes)) {
		tail := strings.TrimPrefix(e.Key, keys.Of(store.Freezes))
		if slices.Contains(keys.Freezes(task), e.Key) {
			a.Freezes[tail] = nightwatch.Freeze{}
		}
	}
	for _, name := range a.Accepted.Task.Calendars.Names() {
		var calendar nightwatch.AcceptedCalendar
		if r.etcd.read(keys.AcceptedCalendar(name), &calendar) {
			a.Calendars[name] = calendar
		}
	}
	return a
}
