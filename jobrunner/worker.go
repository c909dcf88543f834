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
	// ClockOffset is by how much the scheduler's clock is ahead of the node's, where that is known to be off by seconds; 0
	// where it is not. Nil: nobody knows.
	ClockOffset func() time.Duration
	// Runners by name.
	Runners map[string]Runner
	// DrainTimeout is how long a stopping worker waits for attempts that cannot be handed over.
	DrainTimeout time.Duration
	// Logs keeps what attempts write; nil keeps but the end of it, in the record.
	Logs Logs
	// Secrets are what {fromFile: NAME} stands for; nil: such attempts are refused.
	Secrets Secrets
	// Callbacks are how attempts can be told from outside how they ended; nil: none can.
	Callbacks *Callbacks
	Logger    hclog.Logger
	Metrics   *Metrics
}

// sweepEvery is how often a worker looks for locks and runs of its session that nothing here stands behind.
const sweepEvery = 10 * time.Second

// Worker does the runs that the scheduler gives to one session of a node.
type Worker struct {
	cfg   Config
	keys  store.Keys
	turns turns

	ended chan struct{} // told when a job has ended

	mu       sync.Mutex
	jobs     map[string]*job   // by queue key
	queue    map[string]queued // by key
	draining bool              // what comes is handed back
	stopping bool              // for good
	drains   int               // how many there were
	timer    *time.Timer       // of the last one that Drain began
	// patience is of the jobs that begin now. It ends with the session, or when a drain's time is up: afterlife later the
	// last writes are given up.
	patience context.Context
	lose     context.CancelFunc // of patience
}

// queued is a run as our queue tells of it.
type queued struct {
	run               nightwatch.Run
	created, revision int64 // of the key
}

// NewWorker is a Worker for the session in cfg. It does no I/O.
func NewWorker(cfg Config) *Worker {
	if cfg.ClockOffset == nil {
		cfg.ClockOffset = func() time.Duration { return 0 }
	}
	w := &Worker{
		cfg: cfg, keys: cfg.Store.Keys(), ended: make(chan struct{}, 1),
		jobs: map[string]*job{}, queue: map[string]queued{},
	}
	w.patience, w.lose = context.WithCancel(cfg.Life)
	return w
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
		w.stop()
	case <-w.cfg.Life.Done():
	}
	if w.cfg.Life.Err() != nil {
		w.endAll(ErrSessionLost)
	}
	w.hurry()
	w.idle(nil)
	stopFollowing()
	background.Wait()
	w.idle(nil) // what the queue has told of since is handed back
}

// Drain has the worker give back what it has, as a stop does, and go on: whatever comes is handed back at once, until
// Drain(false) has it take runs again; what still runs by then goes on. It does not block, and is safe for concurrent use.
func (w *Worker) Drain(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopping || on == w.draining:
	case on:
		drain := w.handOver()
		w.timer = time.AfterFunc(w.cfg.DrainTimeout, func() { w.timeIsUp(drain) })
	default:
		w.draining = false
		if w.timer.Stop(); w.patience.Err() != nil {
			w.patience, w.lose = context.WithCancel(w.cfg.Life)
		}
	}
}

// stop hands back what can be, and waits for the rest; when the time is up it tells that to end too.
func (w *Worker) stop() {
	w.mu.Lock()
	w.stopping = true
	drain := w.handOver()
	w.mu.Unlock()

	ctx, cancel := context.WithTimeout(w.cfg.Life, w.cfg.DrainTimeout)
	defer cancel()
	if w.idle(ctx.Done()) || w.cfg.Life.Err() != nil {
		return
	}
	w.timeIsUp(drain)
}

// handOver begins a drain, whose number it returns: what can be handed back at once is. It is called with w.mu held.
func (w *Worker) handOver() (drain int) {
	w.draining = true
	for _, j := range w.jobs {
		if j.detached || !j.holds() {
			j.end(ErrStopping)
		}
	}
	w.drains++
	return w.drains
}

// timeIsUp ends what a drain has waited for long enough, unless it was called off.
func (w *Worker) timeIsUp(drain int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.draining || w.drains != drain {
		return
	}
	if len(w.jobs) > 0 {
		w.cfg.Logger.Warn("drain timeout: ending what still runs", "timeout", w.cfg.DrainTimeout, "runs", len(w.jobs))
	}
	for _, j := range w.jobs {
		j.end(ErrStopping)
	}
	w.lose()
}

// hurry has the last writes end soon.
func (w *Worker) hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.lose()
}

// idle waits until no job is left. It is false if over was closed first.
func (w *Worker) idle(over <-chan struct{}) bool {
	for {
		w.mu.Lock()
		left := len(w.jobs)
		w.mu.Unlock()
		if left == 0 {
			return true
		}
		select {
		case <-w.ended:
		case <-over:
			return false
		}
	}
}

func (w *Worker) endAll(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining, w.stopping = true, true
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
			w.queue[e.Key] = queued{run, e.CreateRevision, e.ModRevision}
			w.told(e.Key, w.queue[e.Key])
		}
	}
}

// gone ends the attempt whose queue key was deleted: the run has ended or is another's, or somebody deleted it by hand.
func (w *Worker) gone(key string) {
	delete(w.queue, key)
	if j := w.jobs[key]; j != nil {
		j.end(ErrSessionLost)
	}
}

// told starts an attempt, or tells a running one what the scheduler wrote into its record.
func (w *Worker) told(key string, q queued) {
	switch j := w.jobs[key]; {
	case j == nil:
		w.start(key, q)
	case j.created == q.created:
		j.told(q.run, q.revision)
	default:
		// The run was given back and is given to us again. That begins when the job that gave it back has ended.
		j.end(ErrSessionLost)
	}
}

// start has a new job do what the queue told of. It is called with w.mu held.
func (w *Worker) start(key string, q queued) {
	j := w.newJob(key, q)
	if w.draining {
		j.end(ErrStopping)
	}
	w.begin(j, (*job).do)
}

// begin has do see to j, and then to what the queue has told of under its key since: another assignment, or that somebody
// deleted the key while the run was ours. It is called with w.mu held.
func (w *Worker) begin(j *job, do func(*job)) {
	w.jobs[j.key] = j
	if w.stopping {
		j.end(ErrStopping)
	}
	go func() {
		do(j)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.jobs, j.key)
		switch q, there := w.queue[j.key]; {
		case there && q.created != j.created:
			w.start(j.key, q)
		case !there && j.running() && w.cfg.Life.Err() == nil:
			w.begin(w.newJob(j.key, queued{j.run, j.created, j.revision}), (*job).giveUpClaim)
		}
		select {
		case w.ended <- struct{}{}:
		default:
		}
	}()
}

func (w *Worker) openLog(id LogID) Log {
	if w.cfg.Logs == nil {
		return nil
	}
	return w.cfg.Logs.Open(id)
}
