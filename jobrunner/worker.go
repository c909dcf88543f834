package jobrunner

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Config says what a Worker works for: one session of one node.
type Config struct {
	Store     *store.Store
	ClusterID string
	Node      string
	// Session and Lease name the session; Life ends with it, and Deadline is until when it may act.
	Session  string
	Lease    clientv3.LeaseID
	Life     context.Context
	Deadline func() time.Time
	// Runners by name.
	Runners map[string]Runner
	// DrainTimeout is how long a stopping worker waits for attempts that cannot be handed over.
	DrainTimeout time.Duration
	Logger       hclog.Logger
	Metrics      *Metrics
}

// sweepEvery is how often a worker looks for locks and runs of its session that nothing here stands behind.
const sweepEvery = 10 * time.Second

// Worker does the runs that the scheduler gives to one session of a node.
type Worker struct {
	cfg  Config
	keys store.Keys

	mu       sync.Mutex
	jobs     map[string]*job // by queue key
	queue    map[string]nightwatch.Run
	tasks    map[string]chan struct{} // serialises the dispatches of one task in this process
	draining bool
	work     sync.WaitGroup
}

// NewWorker is a Worker for the session in cfg. It does no I/O.
func NewWorker(cfg Config) *Worker {
	return &Worker{
		cfg: cfg, keys: cfg.Store.Keys(), jobs: map[string]*job{}, queue: map[string]nightwatch.Run{}, tasks: map[string]chan struct{}{},
	}
}

// Run takes runs from the node's queue until ctx ends, then drains: runs not claimed and Jobs are handed back at
// once, all else is waited for up to DrainTimeout and then ended. When the session's Life ends first, everything is
// let go of at once. It returns when no attempt is left.
func (w *Worker) Run(ctx context.Context) {
	followCtx, stopFollowing := context.WithCancel(w.cfg.Life)
	defer stopFollowing()
	var background sync.WaitGroup
	background.Go(func() {
		follow := store.Follower{
			Client: w.cfg.Store.Client(), Prefix: w.keys.QueueOf(w.cfg.Node),
			Problem: func(err error) {
				if err != nil {
					w.cfg.Logger.Warn("follow the queue", "error", err)
				}
			},
		}
		follow.Run(followCtx, w.apply)
	})
	background.Go(func() { w.sweep(followCtx) })

	select {
	case <-ctx.Done():
		w.drain()
	case <-w.cfg.Life.Done():
	}
	w.endAll(ErrSessionLost)
	w.work.Wait()
	stopFollowing()
	background.Wait()
}

// drain hands back what can be, and waits for the rest.
func (w *Worker) drain() {
	w.mu.Lock()
	w.draining = true
	for _, j := range w.jobs {
		if j.detached || !j.claimed {
			j.end(ErrStopping)
		}
	}
	w.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		w.work.Wait()
	}()
	timer := time.NewTimer(w.cfg.DrainTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
		w.cfg.Logger.Warn("drain timeout: ending what still runs", "timeout", w.cfg.DrainTimeout)
	case <-w.cfg.Life.Done():
		w.endAll(ErrSessionLost)
	}
	w.endAll(ErrStopping)
	<-done
}

func (w *Worker) endAll(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	for _, j := range w.jobs {
		j.end(cause)
	}
}

// apply takes in changes of the node's queue.
func (w *Worker) apply(b store.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.Snapshot {
		there := map[string]bool{}
		for _, e := range b.Events {
			there[e.Key] = true
		}
		for key := range w.queue {
			if !there[key] {
				w.gone(key)
			}
		}
	}
	for _, e := range b.Events {
		var run nightwatch.Run
		switch {
		case e.Deleted:
			w.gone(e.Key)
		case json.Unmarshal(e.Value, &run) != nil || run.Session != w.cfg.Session:
			// Another life of this node's name had it; the scheduler moves it.
		default:
			w.queue[e.Key] = run
			w.told(e.Key, run, e.ModRevision)
		}
	}
}

// gone ends the attempt whose queue key was deleted: the run has ended or is another's.
func (w *Worker) gone(key string) {
	delete(w.queue, key)
	if j := w.jobs[key]; j != nil {
		j.end(ErrSessionLost)
	}
}

// told starts an attempt, or tells a running one what the scheduler wrote into its record.
func (w *Worker) told(key string, run nightwatch.Run, revision int64) {
	if j := w.jobs[key]; j != nil {
		j.told(run, revision)
		return
	}
	j := w.newJob(key, run, revision)
	w.jobs[key] = j
	if w.draining {
		j.end(ErrStopping)
	}
	w.work.Go(func() {
		j.do()
		w.mu.Lock()
		delete(w.jobs, key)
		w.mu.Unlock()
	})
}

// enter waits for its turn to dispatch a run of task; leave ends it. The mutex in etcd is re-entrant within a
// session, so it does not tell two goroutines of one process apart.
func (w *Worker) enter(ctx context.Context, task string) (leave func(), err error) {
	for {
		w.mu.Lock()
		taken, busy := w.tasks[task]
		if !busy {
			mine := make(chan struct{})
			w.tasks[task] = mine
			w.mu.Unlock()
			return sync.OnceFunc(func() {
				w.mu.Lock()
				delete(w.tasks, task)
				w.mu.Unlock()
				close(mine)
			}), nil
		}
		w.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
