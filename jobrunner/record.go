package jobrunner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// save writes the record as long as it is this session's, and frees the task's mutex with it once the effect is on
// record: for a Job, its uid. Like the last writes it gives up when the worker has long stopped, whatever ctx is.
func (j *job) save(ctx context.Context, change func(*nightwatch.Run)) error {
	patient, cancel := j.patiently(ctx)
	defer cancel()
	err := j.write(patient, change, false)
	// gofail: var afterSave struct{}
	switch {
	case err == nil:
	case ctx.Err() != nil && !errors.Is(err, errNotOurs):
		return err // it is the caller's patience that has ended
	default:
		j.end(ErrSessionLost)
		return fmt.Errorf("%w: %w", ErrSessionLost, err)
	}
	j.mu.Lock()
	freed := j.locked == 0
	j.mu.Unlock()
	if freed {
		j.leave()
	}
	return nil
}

// dispatched tells whether writing record ends the dispatch.
func (j *job) dispatched(record *nightwatch.Run) bool {
	return !j.detached || record.Job != nil && record.Job.UID != ""
}

// finish makes the run terminal and takes it off the queue. The result is kept until etcd takes it: it is refused
// only once the run is another's, who then answers for it. It gives up when the worker has long stopped.
func (j *job) finish(outcome Outcome) {
	ctx, cancel := j.lastWrites()
	defer cancel()
	ended := wallClock().UTC().Truncate(time.Millisecond) // once: a repeated write is the same write
	err := j.write(ctx, func(r *nightwatch.Run) {
		r.Phase, r.Reason, r.Message = outcome.Phase, outcome.Reason, Clip(outcome.Message)
		r.Submitted = nil
		if r.Cancel != nil && outcome.Reason == nightwatch.ReasonCancelRequested {
			var message string
			if r.Phase, r.Reason, message = r.Cancel.End(); r.Message == "" {
				r.Message = message
			}
		}
		r.ExitCode, r.EndTime, r.Output = outcome.ExitCode, ended, lastOutput(outcome)
		r.Usage = outcome.Usage
		if outcome.Phase == nightwatch.PhaseMissed {
			r.StartTime, r.AttemptTime = time.Time{}, time.Time{} // it was claimed, and never began
		}
	}, true)
	// gofail: var afterFinish struct{}
	j.report(err, "end", "phase", outcome.Phase, "reason", outcome.Reason)
}

// lastOutput is the end of what an attempt wrote.
func lastOutput(outcome Outcome) string {
	var tail Tail
	_, _ = tail.Write([]byte(outcome.Output))
	return tail.String()
}

// handBack gives a run of which nothing was started back to wait for another node, or for what the reason says.
func (j *job) handBack(reason string) {
	if errors.Is(context.Cause(j.ctx), ErrSessionLost) {
		return
	}
	ctx, cancel := j.lastWrites()
	defer cancel()
	err := j.write(ctx, func(r *nightwatch.Run) {
		pending(r, reason)
		j.unclaim(r)
	}, true)
	j.report(err, "hand back", "reason", reason)
}

// unclaim takes out of a record what a claim wrote on the strength of which nothing was started.
func (j *job) unclaim(r *nightwatch.Run) {
	if j.fresh {
		r.StartTime, r.AttemptTime = time.Time{}, time.Time{}
	}
	if j.claimed && !j.again || j.fresh {
		r.Job = nil
	}
}

// interrupt gives back a claimed run of a node that stops. A Job goes on and is followed by the next node; of
// anything else the attempt is over, and delivery says whether another follows.
func (j *job) interrupt(delivery string) {
	if !j.detached && delivery == nightwatch.AtMostOnce {
		j.finish(Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonNodeLost, Message: "the node stopped, or was drained, in mid-run"})
		return
	}
	ctx, cancel := j.lastWrites()
	defer cancel()
	err := j.write(ctx, func(r *nightwatch.Run) {
		pending(r, nightwatch.ReasonHandedBack)
		if !j.detached {
			r.Attempt++
			r.Job = nil
		}
	}, true)
	j.report(err, "hand over")
}

// reassign gives back a claimed run that the task's newer version wants run another way, elsewhere, or split otherwise.
// Nothing was started.
func (j *job) reassign(runner string) {
	ctx, cancel := j.lastWrites()
	defer cancel()
	err := j.write(ctx, func(r *nightwatch.Run) {
		pending(r, "")
		r.Runner, r.Cluster = runner, ""
		j.unclaim(r)
	}, true)
	j.report(err, "reassign", "runner", runner)
}

func pending(r *nightwatch.Run, reason string) {
	r.Phase, r.Reason, r.Message = nightwatch.PhasePending, reason, ""
	r.Node, r.Session = "", ""
}

func (j *job) report(err error, what string, args ...any) {
	switch {
	case err == nil:
		j.log.Debug(what, args...)
	case errors.Is(err, errNotOurs):
		j.log.Info("the run is another's by now: "+what+" is left to it", args...)
	default:
		j.log.Error(what, append(args, "error", err)...)
	}
}

// lastWrites outlives the attempt's context: results are worth waiting for, even beyond the session.
func (j *job) lastWrites() (context.Context, context.CancelFunc) {
	return j.patiently(context.WithoutCancel(j.ctx))
}

// patiently is ctx, which ends some time after the session's life, or after the drain's time is up, at the latest.
func (j *job) patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(j.patience, func() {
		timer := time.AfterFunc(afterlife, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

const (
	// afterlife is how long results are kept for etcd once the session or the drain is over.
	afterlife = 3 * time.Second
	// minPause is the first rest between two tries; it doubles up to 64 times that.
	minPause = 50 * time.Millisecond
)

// write changes the record under the revision that we know, again and again until etcd answers. With off set the
// run leaves our queue as well, with the last that the attempt said of itself. errNotOurs says that the run is
// another's.
func (j *job) write(ctx context.Context, change func(*nightwatch.Run), off bool) error {
	// One at a time: of two that start from one revision, one is refused and must not take what the other wrote for
	// what somebody else did.
	select {
	case j.writing <- struct{}{}:
		defer func() { <-j.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		j.mu.Lock()
		record, revision, locked := j.run, j.revision, j.locked
		j.mu.Unlock()
		if !off && record.Phase != nightwatch.PhaseRunning {
			return errNotOurs // ended or given back meanwhile, by this very job
		}
		change(&record)
		if off && j.feedback != nil {
			j.feedback.Fill(&record)
		}
		if record.Phase == nightwatch.PhaseSucceeded {
			record.Checkpoint = nil // there is no next attempt
		}
		value := encode(&record)
		key := j.w.keys.Run(record.Task, record.ID)
		var txn store.Txn
		txn.Seen(key, revision)
		txn.Put(key, value)
		if off {
			txn.Delete(j.key)
		}
		frees := locked != 0 && (off || j.dispatched(&record))
		if frees {
			// gofail: var beforeSave struct{}

			// Deleted by its CreateRevision, so that an ambiguous answer never costs somebody a newer lock. Our key
			// is bound to our lease: once that is gone so is the key, and the comparison has to go with it.
			if j.w.cfg.Life.Err() == nil {
				txn.Alive(j.lockKey(), locked)
				txn.Delete(j.lockKey())
			}
		}
		response, err := j.w.cfg.Store.Commit(ctx, &txn)
		switch {
		case err == nil:
			j.wrote(record, response.Header.Revision, frees)
			return nil
		case ctx.Err() != nil:
			return err
		case errors.Is(err, nightwatch.ErrRefused):
			if done, err := j.afterRefusal(ctx, key, revision, value, frees); done || err != nil {
				return err
			}
		default:
			j.pause(ctx)
		}
	}
}

func (j *job) wrote(record nightwatch.Run, revision int64, freed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	cancel, term := j.run.Cancel, j.run.Term
	j.run = record
	j.run.Term = max(term, record.Term) // the watch may have told of a later one
	if freed {
		j.locked = 0
	}
	j.revision, j.failures = max(j.revision, revision), 0
	if cancel != nil {
		j.run.Cancel = cancel
	}
}

// afterRefusal reads what the record says instead of what it said at the revision that the write was refused at: done
// means that an earlier try of ours stands there.
func (j *job) afterRefusal(ctx context.Context, key string, refusedAt int64, value []byte, frees bool) (done bool, err error) {
	response, err := j.w.cfg.Store.Client().Get(ctx, key)
	if err != nil {
		j.pause(ctx)
		return false, nil // the write is tried again until ctx ends
	}
	if len(response.Kvs) == 0 {
		return false, errNotOurs
	}
	kv := response.Kvs[0]
	if bytes.Equal(kv.Value, value) {
		var record nightwatch.Run
		if err := json.Unmarshal(kv.Value, &record); err != nil {
			return false, err
		}
		j.wrote(record, kv.ModRevision, frees)
		return true, nil
	}
	var now nightwatch.Run
	if err := json.Unmarshal(kv.Value, &now); err != nil {
		return false, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if now.Session != j.w.cfg.Session || now.Attempt != j.run.Attempt || !now.Live() {
		return false, errNotOurs
	}
	if kv.ModRevision == refusedAt {
		// The record is as we knew it, so it was the lock that somebody took away. That excuses nobody from writing
		// down what happened.
		j.locked = 0
		return false, nil
	}
	j.revision = kv.ModRevision
	j.run.Cancel, j.run.Term = now.Cancel, now.Term
	if now.Cancel != nil && j.claimed {
		j.end(ErrCancel)
	}
	return false, nil
}
