package jobrunner

import (
	"context"
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
			w.giveUpOrphans(ctx)
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
		task, holder, _ := store.SplitLast(tail)
		if holder != w.cfg.Session {
			continue
		}
		response, err := w.cfg.Store.Client().Get(callCtx, key)
		if err != nil || len(response.Kvs) == 0 || w.dispatching(task) {
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

func (w *Worker) dispatching(task string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, busy := w.tasks[task]
	return busy
}

// giveUpOrphans hands back the runs in our queue that no job here is doing, so that they are not ours for ever.
func (w *Worker) giveUpOrphans(ctx context.Context) {
	w.mu.Lock()
	var orphans []*job
	for key, run := range w.queue {
		if w.jobs[key] == nil {
			orphans = append(orphans, w.newJob(key, run, 0))
		}
	}
	w.mu.Unlock()
	for _, j := range orphans {
		run, revision, err := w.cfg.Store.Run(ctx, j.run.Task, j.run.ID)
		if err != nil || run.Session != w.cfg.Session || !run.Live() || w.busy(j.key) {
			continue
		}
		j.run, j.revision = run, revision
		delivery := nightwatch.AtLeastOnce
		if run.Phase == nightwatch.PhaseRunning {
			delivery = w.delivery(ctx, run.Task)
		}
		w.cfg.Logger.Warn("giving up a run that nothing here is doing", "task", run.Task, "run", run.ID)
		j.interrupt(delivery)
	}
}

func (w *Worker) busy(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs[key] != nil
}

// delivery is the task's, or the careful one when it cannot be read.
func (w *Worker) delivery(ctx context.Context, task string) string {
	accepted, err := w.cfg.Store.Accepted(ctx, task)
	if err != nil {
		return nightwatch.AtMostOnce
	}
	return accepted.Task.Delivery
}
