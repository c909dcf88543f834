package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// simNode claims runs and finishes them by the protocol of package jobrunner; in between it only lets time pass.
type simNode struct {
	link *link
	name string
	now  func() time.Time
	// work says how long an attempt takes and how it ends. It is called once an attempt starts, and never twice for
	// the same one.
	work func(nightwatch.Run) (time.Duration, nightwatch.Phase)

	mu    sync.Mutex
	jobs  map[string]*simJob
	turns map[string]chan struct{} // dispatches of one task take turns
	lease clientv3.LeaseID
}

// simTTL is how long the keys of a dead node stay.
const simTTL = 5 * time.Second

// live is one session: from the announcement until ctx ends, when the node dies on the spot. It returns when the
// session's keys are gone.
func (n *simNode) live(ctx context.Context) {
	n.lease = clientv3.LeaseID(n.link.put(n.link.keys.Of(store.Meta)+"lease/"+n.name, "")) // a number nobody had
	n.jobs, n.turns = map[string]*simJob{}, map[string]chan struct{}{}
	node := n.link.keys.Node(n.name)
	n.link.put(node, nightwatch.Node{
		Name: n.name, Session: n.session(), Capacity: 100, Handlers: []string{"work"},
		Runners: []string{nightwatch.RunnerProcess, nightwatch.RunnerHandler, nightwatch.RunnerHTTP},
	}, n.lease)
	var work sync.WaitGroup
	n.link.follow(ctx, n.link.keys.QueueOf(n.name), func(error) {}, func(b store.Batch) {
		for _, e := range b.Events {
			n.apply(ctx, &work, e)
		}
	})
	work.Wait()
	wait(context.WithoutCancel(ctx), simTTL)
	gone := []string{node}
	for _, e := range n.link.below(n.link.keys.Of(store.Locks)) {
		if strings.HasSuffix(e.Key, "/"+n.session()) {
			gone = append(gone, e.Key)
		}
	}
	n.link.del(gone...)
}

func (n *simNode) session() string { return strconv.FormatInt(int64(n.lease), 16) }

// apply takes in a change of the queue.
func (n *simNode) apply(ctx context.Context, work *sync.WaitGroup, e store.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	j := n.jobs[e.Key]
	if e.Deleted {
		if j != nil {
			j.end()
			delete(n.jobs, e.Key)
		}
		return
	}
	var run nightwatch.Run
	if json.Unmarshal(e.Value, &run) != nil || run.Session != n.session() {
		return
	}
	if j != nil && j.created == e.CreateRevision {
		j.hear(run, e.ModRevision)
		return
	}
	before := make(chan struct{})
	if j != nil {
		j.end()
		before = j.done
	} else {
		close(before)
	}
	jobCtx, end := context.WithCancel(ctx)
	j = &simJob{
		n: n, key: e.Key, created: e.CreateRevision, ctx: jobCtx, end: end, run: run, revision: e.ModRevision,
		told: make(chan struct{}, 1), done: make(chan struct{}),
	}
	n.jobs[e.Key] = j
	work.Go(func() {
		defer close(j.done)
		defer end()
		<-before
		j.do()
	})
}

// turn waits for its turn to dispatch a run of task. It is nil when ctx ended first.
func (n *simNode) turn(ctx context.Context, task string) (leave func()) {
	n.mu.Lock()
	turn := n.turns[task]
	if turn == nil {
		turn = make(chan struct{}, 1)
		n.turns[task] = turn
	}
	n.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return sync.OnceFunc(func() { <-turn })
	case <-ctx.Done():
		return nil
	}
}

// simJob is one run in the hands of a node.
type simJob struct {
	n       *simNode
	key     string // of the queue
	created int64
	ctx     context.Context
	end     context.CancelFunc
	told    chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	run      nightwatch.Run
	revision int64
	locked   int64
}

func (j *simJob) hear(run nightwatch.Run, revision int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if revision <= j.revision {
		return
	}
	j.revision, j.run.Cancel, j.run.Term = revision, run.Cancel, run.Term
	select {
	case j.told <- struct{}{}:
	default:
	}
}

func (j *simJob) known() (nightwatch.Run, int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.run, j.revision
}

func (j *simJob) know(run nightwatch.Run, revision int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if revision > j.revision {
		j.run, j.revision = run, revision
	} else {
		run.Cancel, run.Term = j.run.Cancel, j.run.Term // the watch was faster
		j.run = run
	}
}

func (j *simJob) do() {
	run, _ := j.known()
	if wait(j.ctx, run.NotBefore.Sub(j.n.now())); j.ctx.Err() != nil {
		return
	}
	leave := j.n.turn(j.ctx, run.Task)
	if leave == nil {
		return
	}
	defer leave()
	if !j.claim() {
		return
	}
	if run, _ = j.known(); run.Cancel != nil {
		j.finish(nightwatch.PhaseCanceled)
		return
	}
	takes, phase := j.n.work(run)
	if takes > 100*time.Millisecond && !j.write(func(*nightwatch.Run) {}, false) {
		return
	}
	if takes > 100*time.Millisecond {
		leave() // the effect is on record, which frees the mutex
	}
	timer := time.NewTimer(takes)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			j.finish(phase)
			return
		case <-j.told:
			if run, _ = j.known(); run.Cancel != nil {
				j.finish(nightwatch.PhaseCanceled)
				return
			}
		case <-j.ctx.Done():
			return
		}
	}
}

// claim makes the run this session's to do, and tells whether it did.
func (j *simJob) claim() bool {
	keys := j.n.link.keys
	for j.ctx.Err() == nil {
		record, revision := j.known()
		record.Phase, record.Reason, record.Message = nightwatch.PhaseRunning, "", ""
		if record.StartTime.IsZero() {
			record.StartTime = j.n.now().UTC().Truncate(time.Millisecond)
		}
		var txn store.Txn
		key := keys.Run(record.Task, record.ID)
		txn.Seen(key, revision)
		announced := record.Announced
		if announced {
			txn.Seen(keys.Task(record.Task), record.TaskRevision)
			record.Announced, record.NotBefore = false, nothing
		}
		if record.Cancel == nil {
			for _, freeze := range keys.Freezes(record.Task) {
				txn.Seen(freeze, 0)
			}
			txn.NoneBelow(keys.LocksOf(record.Task))
			txn.Put(j.lock(), nil)
		}
		txn.Put(key, []byte(text(&record)))
		response, err := j.n.link.Commit(j.ctx, &txn)
		switch {
		case err == nil:
			if record.Cancel == nil {
				j.locked = response.Header.Revision
			}
			j.know(record, response.Header.Revision)
			return true
		case !errors.Is(err, nightwatch.ErrRefused):
			wait(j.ctx, 50*time.Millisecond)
			continue
		}
		var now nightwatch.Run
		e := j.n.link.get(key)
		if e.ModRevision == 0 || json.Unmarshal(e.Value, &now) != nil || !j.mine(&now) {
			return false
		}
		switch {
		case e.ModRevision != revision:
			if now.Phase == nightwatch.PhaseRunning { // an earlier try, whose answer was lost
				now.Phase = nightwatch.PhaseAssigned
				j.n.link.del(j.lock())
			}
			j.know(now, e.ModRevision)
		case slices.ContainsFunc(keys.Freezes(record.Task), func(freeze string) bool { return j.n.link.get(freeze).ModRevision != 0 }):
			j.giveBack(nightwatch.ReasonFrozen)
			return false
		case announced:
			j.giveBack("") // the task has changed
			return false
		default:
			j.giveBack(nightwatch.ReasonLocked)
			return false
		}
	}
	return false
}

func (j *simJob) lock() string { return j.n.link.keys.LocksOf(j.run.Task) + j.n.session() }

func (j *simJob) mine(now *nightwatch.Run) bool {
	return now.Session == j.n.session() && now.Attempt == j.run.Attempt && now.Live()
}

func (j *simJob) giveBack(reason string) {
	j.write(func(r *nightwatch.Run) {
		r.Phase, r.Reason, r.Message, r.Node, r.Session = nightwatch.PhasePending, reason, "", "", ""
	}, true)
}

func (j *simJob) finish(phase nightwatch.Phase) {
	ended := j.n.now().UTC().Truncate(time.Millisecond)
	j.write(func(r *nightwatch.Run) {
		r.Phase, r.EndTime = phase, ended
		if phase == nightwatch.PhaseCanceled {
			r.Phase, r.Reason, r.Message = r.Cancel.End()
		}
	}, true)
}

// write changes the record until etcd answers, and frees the lock with it; off takes the run off the queue.
func (j *simJob) write(change func(*nightwatch.Run), off bool) bool {
	for j.ctx.Err() == nil {
		record, revision := j.known()
		change(&record)
		value := []byte(text(&record))
		key := j.n.link.keys.Run(record.Task, record.ID)
		var txn store.Txn
		txn.Seen(key, revision)
		txn.Put(key, value)
		if off {
			txn.Delete(j.key)
		}
		if j.locked != 0 {
			txn.Alive(j.lock(), j.locked)
			txn.Delete(j.lock())
		}
		response, err := j.n.link.Commit(j.ctx, &txn)
		switch {
		case err == nil:
			j.know(record, response.Header.Revision)
			j.locked = 0
			return true
		case !errors.Is(err, nightwatch.ErrRefused):
			wait(j.ctx, 50*time.Millisecond)
			continue
		}
		var now nightwatch.Run
		e := j.n.link.get(key)
		switch {
		case bytes.Equal(e.Value, value): // an earlier try, whose answer was lost
			j.know(record, e.ModRevision)
			j.locked = 0
			return true
		case e.ModRevision == 0, json.Unmarshal(e.Value, &now) != nil, !j.mine(&now):
			return false
		case e.ModRevision == revision:
			j.locked = 0
		default:
			j.hear(now, e.ModRevision)
		}
	}
	return false
}
