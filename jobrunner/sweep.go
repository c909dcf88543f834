package jobrunner

import (
	"context"
	"errors"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// sweep heals, on a timer, what should never need it: lock keys of our lease that no dispatch stands behind, and runs
// of our session that nothing here is doing.
func (w *Worker) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.freeLocks(ctx)
			w.giveUpOrphans()
		}
	}
}

// freeLocks deletes lock keys of our lease with no dispatch under way.
func (w *Worker) freeLocks(ctx context.Context) {
	callCtx, cancel := context.WithTimeout(ctx, sweepEvery)
	defer cancel()
	attached, err := w.cfg.Store.Client().TimeToLive(callCtx, w.cfg.Lease, clientv3.WithAttachedKeys())
	if err != nil {
		return // the next sweep, or the end of the lease, sees to it
	}
	prefix := w.keys.Of(store.Locks)
	for _, raw := range attached.Keys {
		key := string(raw)
		tail, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		task, session, run, _ := store.SplitLock(tail)
		if session != w.cfg.Session {
			continue
		}
		turn := task
		if run != "" {
			turn = turnOfShard(task, run)
		}
		response, err := w.cfg.Store.Client().Get(callCtx, key)
		if err != nil || len(response.Kvs) == 0 || w.turns.taken(turn) {
			continue
		}
		// A dispatch that began since has made a key with another CreateRevision.
		var txn store.Txn
		txn.Alive(key, response.Kvs[0].CreateRevision)
		txn.Delete(key)
		if _, err := w.cfg.Store.Commit(callCtx, &txn); err == nil {
			w.cfg.Logger.Warn("freed a lock that no dispatch stood behind", "task", task)
		}
	}
}

// giveUpOrphans hands back the runs in our queue that no job here is doing, so that they are not ours for ever.
func (w *Worker) giveUpOrphans() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, q := range w.queue {
		if w.jobs[key] == nil {
			w.begin(w.newJob(key, q), (*job).giveUp)
		}
	}
}

// giveUp gives back a run that nothing here is doing, if it is this session's still.
func (j *job) giveUp() {
	defer j.end(nil)
	st := j.w.cfg.Store
	run, revision, err := st.Run(j.ctx, j.run.Task, j.run.ID)
	if errors.Is(err, nightwatch.ErrNotFound) {
		// Somebody deleted the record; nobody else would remove the key.
		var txn store.Txn
		txn.Seen(j.w.keys.Run(j.run.Task, j.run.ID), 0)
		txn.Delete(j.key)
		_, _ = st.Commit(j.ctx, &txn) // the next sweep tries again
		return
	}
	if err != nil || run.Session != j.w.cfg.Session || !run.Live() {
		return
	}
	j.log.Warn("giving up a run that nothing here is doing", "phase", run.Phase)
	j.mu.Lock()
	j.run, j.revision = run, revision
	j.mu.Unlock()
	if run.Phase != nightwatch.PhaseRunning {
		j.handBack(nightwatch.ReasonHandedBack)
		return
	}
	j.interrupt(j.w.delivery(j.ctx, run.Task))
}

// giveUpClaim gives back a run that was claimed here, and whose queue key is gone without an end of the run that this node
// wrote. As a rule the scheduler has taken it, perhaps to give it to us again; but if it is Running as ours still, somebody
// deleted the key.
func (j *job) giveUpClaim() {
	defer j.end(nil)
	run, _, err := j.w.cfg.Store.Run(j.ctx, j.run.Task, j.run.ID)
	if err == nil && run.Session == j.w.cfg.Session && run.Phase == nightwatch.PhaseRunning {
		j.giveUp()
	}
}

// delivery is the task's, or the careful one when it cannot be read.
func (w *Worker) delivery(ctx context.Context, task string) string {
	accepted, err := w.cfg.Store.Accepted(ctx, task)
	if err != nil {
		return nightwatch.AtMostOnce
	}
	return accepted.Task.Delivery
}
