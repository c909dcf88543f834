package jobrunner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// job is one run in the hands of this worker.
type job struct {
	w        *Worker
	key      string // of the queue
	log      hclog.Logger
	runner   Runner
	detached bool // its effect lives apart from the node
	ctx      context.Context
	end      context.CancelCauseFunc
	leave    func()        // ends the process's own exclusion of the task's dispatch
	writing  chan struct{} // held by who writes the record
	token    string        // of the run's log, should it have none yet
	feedback *Feedback     // of the attempt under way; nil before it
	inTurn   bool          // it has taken the turn of its dispatch
	patience context.Context

	mu       sync.Mutex
	run      nightwatch.Run
	created  int64 // CreateRevision of the queue key: another one is another assignment
	revision int64 // ModRevision of the run's record
	claimed  bool
	fresh    bool            // nobody had claimed the run before
	again    bool            // this very attempt was claimed before, and has a Job's name on record: its effect may exist
	whole    *nightwatch.Run // that this is a shard of, once it is claimed; nil: it is none
	heard    time.Time       // when the queue told of it, by the monotonic clock
	locked   int64           // CreateRevision of our key under locks/, 0 when we have none
	failures int             // tries in a row that etcd did not answer
	holder   int64           // of the task's mutex, when it was last found held: the CreateRevision of his key
	refused  time.Time       // and when he was first found to hold it, by the monotonic clock
}

// hearing is how long it takes at most, as a rule, until a node hears of an announcement. Whatever its clock says, it starts
// nothing by more than that too early.
const hearing = 250 * time.Millisecond

// errNotOurs says that the run belongs to another session, or has ended.
var errNotOurs = errors.New("the run is no longer this session's")

func (w *Worker) newJob(key string, q queued) *job {
	run := q.run
	ctx, end := context.WithCancelCause(context.WithoutCancel(w.cfg.Life))
	runner := w.cfg.Runners[run.Runner]
	_, detached := runner.(Preparer)
	return &job{
		w: w, key: key, run: run, created: q.created, revision: q.revision, runner: runner, detached: detached, ctx: ctx, end: end,
		log:   w.cfg.Logger.With("task", run.Task, "run", run.ID, "attempt", run.Attempt),
		leave: func() {}, writing: make(chan struct{}, 1), token: rand.Text(), patience: w.patience, heard: time.Now(),
	}
}

// told takes in what the scheduler wrote into the record: its revision, and a wish to cancel.
func (j *job) told(run nightwatch.Run, revision int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if revision <= j.revision {
		return
	}
	j.revision = revision
	j.run.Cancel, j.run.Term = run.Cancel, run.Term
	if run.Cancel != nil && j.claimed {
		j.end(ErrCancel)
	}
}

// holds tells whether the run has been claimed.
func (j *job) holds() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.claimed
}

// running tells whether the run has been claimed, and this job has written nothing that ended that.
func (j *job) running() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.claimed && j.run.Phase == nightwatch.PhaseRunning
}

// do sees the run through: wait, claim, effect, record.
func (j *job) do() {
	defer j.end(nil)
	defer func() { j.leave() }()
	if !j.wait() {
		j.handBack(nightwatch.ReasonHandedBack)
		return
	}
	if err := j.takeTurn(); err != nil {
		j.handBack(nightwatch.ReasonHandedBack)
		return
	}
	// gofail: var beforeClaim struct{}
	accepted, err := j.claim()
	var refused refusal
	switch {
	case errors.As(err, &refused):
		j.log.Debug("claim refused", "reason", string(refused))
		j.handBack(string(refused))
		return
	case errors.Is(err, errNotOurs), errors.Is(err, ErrSessionLost):
		j.log.Debug("claim", "error", err)
		return
	case errors.Is(err, ErrStopping):
		j.handBack(nightwatch.ReasonHandedBack)
		return
	case err != nil:
		j.log.Warn("claim", "error", err) // a later sweep gives the run back
		return
	}
	j.attempt(accepted)
}

// takeTurn waits for the turn of the run's dispatch, if there is to be one: what has its Job on record waits for no other.
func (j *job) takeTurn() error {
	j.mu.Lock()
	j.inTurn = j.needsLock(&j.run)
	j.mu.Unlock()
	if !j.inTurn {
		return nil
	}
	leave, err := j.w.turns.enter(j.ctx, j.turn(), j.run.NominalTime)
	if err == nil {
		j.leave = leave
	}
	return err
}

// wait holds a run that was handed out early until its time. It is false when the run is to be handed back.
func (j *job) wait() bool {
	for {
		early := j.early()
		if early <= 0 {
			return j.ctx.Err() == nil
		}
		timer := time.NewTimer(min(early, time.Second)) // clocks are set
		select {
		case <-timer.C:
		case <-j.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// early is for how long a run is to be held, by this node's clock. A retry is not held while that is known to be off: who
// handed it out has a better one. What was announced is held by the clock only as far as this is credible: it was as early
// when it was made as its record says, by the scheduler's clock, and the queue told of it after that, but not by more than
// hearing, as a rule.
func (j *job) early() time.Duration {
	early := j.run.NotBefore.Sub(wallClock())
	switch {
	case j.run.Announced:
		longest := j.run.NotBefore.Sub(j.run.CreateTime) - time.Since(j.heard)
		if j.w.cfg.ClockOffset() != 0 {
			return longest
		}
		return min(max(early, longest-hearing), longest)
	case j.w.cfg.ClockOffset() != 0:
		return 0
	}
	return early
}

// refusal is why a run goes back to wait, as a reason word.
type refusal string

func (r refusal) Error() string { return string(r) }

// claim makes the run this session's to do, in one transaction: the record says Running, the task's mutex is ours,
// and the task's version is the one in force at that revision. A stop does not cut it off while its outcome is unknown.
func (j *job) claim() (*nightwatch.Accepted, error) {
	ctx, cancel := j.lastWrites()
	defer cancel()
	unknown := false
	for ctx.Err() == nil {
		switch cause := context.Cause(j.ctx); {
		case cause != nil && (!unknown || errors.Is(cause, ErrSessionLost)):
			return nil, cause
		case time.Until(j.w.cfg.Deadline()) <= 0:
			return nil, ErrSessionLost
		}
		txn, record := j.claimTxn()
		response, err := j.w.cfg.Store.Commit(ctx, txn)
		unknown = errors.Is(err, nightwatch.ErrOutcomeUnknown) || unknown && err != nil
		switch {
		case err == nil:
			j.hold(record, response.Header.Revision)
			if errors.Is(context.Cause(j.ctx), ErrStopping) {
				return nil, ErrStopping // nothing has been started
			}
			kvs := response.Responses[len(response.Responses)-1].GetResponseRange().Kvs
			if len(kvs) == 0 || !j.readWhole(response) {
				return nil, nil
			}
			accepted := new(nightwatch.Accepted)
			if err := json.Unmarshal(kvs[0].Value, accepted); err != nil {
				return nil, nil // an accepted value that cannot be read is as good as none
			}
			return accepted, nil
		case errors.Is(err, nightwatch.ErrRefused):
			var err error
			if unknown, err = j.whyRefused(ctx, record, unknown); err != nil {
				return nil, err
			}
		case errors.Is(err, nightwatch.ErrOutcomeUnknown), errors.Is(err, context.DeadlineExceeded):
			// The same comparisons again, as when it was not sent in time: if the first was done they fail, and reading tells.
			j.pause(ctx)
		default:
			return nil, fmt.Errorf("claim: %w", err)
		}
	}
	return nil, ErrSessionLost
}

// hold takes in a claim that was done at revision. The watch may have told of a later change by then.
func (j *job) hold(record nightwatch.Run, revision int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	needed := j.needsLock(&record)
	if j.revision > revision {
		record.Cancel, record.Term = j.run.Cancel, j.run.Term
	}
	j.claimed, j.run, j.revision, j.failures = true, record, max(j.revision, revision), 0
	j.run.Fence = revision
	if needed {
		j.locked = revision
	}
	if record.Cancel != nil {
		j.end(ErrCancel)
	}
}

// needsLock tells whether claiming the record is a dispatch: not when its Job is on record already, nor when the run
// is only to be ended. Such a claim asks for neither the mutex nor the absence of freezes.
func (j *job) needsLock(record *nightwatch.Run) bool {
	return record.Cancel == nil && (record.Job == nil || record.Job.UID == "")
}

func (j *job) claimTxn() (*store.Txn, nightwatch.Run) {
	j.mu.Lock()
	defer j.mu.Unlock()
	record := j.run
	record.Phase, record.Reason, record.Message = nightwatch.PhaseRunning, "", ""
	now := wallClock().UTC().Truncate(time.Millisecond)
	if record.StartTime.IsZero() {
		j.fresh = true
		record.StartTime = now
	}
	if record.Log == nil {
		record.Log = &nightwatch.RunLog{Token: j.token}
	}
	_, prepares := j.runner.(Preparer)
	if j.again = prepares && record.Job != nil; !j.again {
		record.AttemptTime = now
	}
	if preparer, ok := j.runner.(Preparer); ok {
		preparer.Prepare(&record, j.w.cfg.ClusterID)
	} else {
		record.Progress, record.Result = nil, nil // an earlier attempt's
	}
	keys, txn := j.w.keys, new(store.Txn)
	txn.Seen(keys.Run(record.Task, record.ID), j.revision)
	txn.Alive(j.key, j.created) // else it has been given to us again, and that is another job's to do
	if record.Announced {
		txn.Seen(keys.Task(record.Task), record.TaskRevision)
		record.Announced, record.NotBefore = false, time.Time{}
	}
	if j.needsLock(&record) {
		for _, freeze := range keys.Freezes(record.Task) {
			txn.Seen(freeze, 0)
		}
		if record.Shard != nil {
			txn.NoLockBesideShards(keys, record.Task)
		} else {
			txn.NoneBelow(keys.LocksOf(record.Task))
		}
		txn.PutWithLease(j.lockKey(), nil, j.w.cfg.Lease)
	}
	txn.Put(keys.Run(record.Task, record.ID), encode(&record))
	if record.Shard != nil {
		txn.Get(keys.Run(record.Task, record.Shard.Of))
	}
	txn.Get(keys.Accepted(record.Task))
	return txn, record
}

// lockKey is what concurrency.Mutex would use for our session, or where that finds the dispatch of a shard.
func (j *job) lockKey() string {
	if j.run.Shard != nil {
		return j.w.keys.ShardLock(j.run.Task, j.w.cfg.Session, j.run.ID)
	}
	return j.w.keys.LocksOf(j.run.Task) + j.w.cfg.Session
}

// whyRefused finds out why a claim was refused: nil means try again. It tells whether an earlier try may have been done,
// for all that is known now.
func (j *job) whyRefused(ctx context.Context, record nightwatch.Run, unknown bool) (stillUnknown bool, err error) {
	now, err := j.w.cfg.Store.Standing(ctx, record.Task, record.ID, j.key)
	switch {
	case errors.Is(err, nightwatch.ErrNotFound):
		return false, errNotOurs
	case err != nil:
		j.pause(ctx)
		return unknown, nil //nolint:nilerr // the claim is tried again, and this asked again
	case now.Queued != j.created:
		return false, errNotOurs
	}
	j.mu.Lock()
	known, announced := j.revision, j.run.Announced
	j.mu.Unlock()
	switch {
	case now.Revision != known:
		return j.catchUp(ctx, record, now)
	case now.Frozen:
		return false, refusal(nightwatch.ReasonFrozen)
	case now.Locked != 0:
		return false, j.waitForLock(ctx, now.Locked)
	case announced:
		return false, refusal("") // the task has changed
	}
	return false, nil
}

// catchUp takes in a record that is another than the claim compared.
func (j *job) catchUp(ctx context.Context, record nightwatch.Run, now store.Standing) (unknown bool, err error) {
	if now.Run.Session != j.w.cfg.Session || now.Run.Attempt != record.Attempt || !now.Run.Live() {
		return false, errNotOurs
	}
	if now.Run.Phase == nightwatch.PhaseRunning {
		// An earlier try was done though its answer was lost: nobody but us writes a claim of this session. Made
		// Assigned again it can be claimed with an answer; nothing has been started on the strength of it.
		now.Run.Phase = nightwatch.PhaseAssigned
		if err := j.dropOwnLock(ctx); err != nil {
			j.pause(ctx)
			return true, nil
		}
		now.Run.Job = j.run.Job
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	// Should the watch have told of a later one already, the next try is refused, and reads that. But a queue key that
	// somebody put anew has a later revision than any record.
	j.run, j.revision = now.Run, now.Revision
	return false, nil
}

// dropOwnLock removes the lock of an earlier try of this very dispatch. Dispatches of one task take turns here, so it is
// nobody else's. It goes by its CreateRevision: a delete that comes late must not meet the lock of the next claim.
func (j *job) dropOwnLock(ctx context.Context) error {
	if !j.inTurn {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	found, err := j.w.cfg.Store.Client().Get(ctx, j.lockKey(), clientv3.WithKeysOnly())
	if err != nil || len(found.Kvs) == 0 {
		return err
	}
	var txn store.Txn
	txn.Alive(j.lockKey(), found.Kvs[0].CreateRevision)
	txn.Delete(j.lockKey())
	if _, err = j.w.cfg.Store.Commit(ctx, &txn); errors.Is(err, nightwatch.ErrRefused) {
		return nil // an earlier try of this has removed it
	}
	return err
}

// dropTimeout bounds one try of that.
const dropTimeout = 5 * time.Second

// pause rests between two tries, the longer the more have failed in a row: a node with many results to write must not
// storm an etcd that is away.
func (j *job) pause(ctx context.Context) {
	j.mu.Lock()
	long := minPause << min(j.failures, 6)
	j.failures++
	j.mu.Unlock()
	rest(ctx, long)
}

func rest(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// attempt runs what was claimed, and records how it ended.
func (j *job) attempt(accepted *nightwatch.Accepted) {
	j.mu.Lock()
	record := j.run
	j.mu.Unlock()
	if accepted != nil && accepted.UID != record.TaskUID {
		accepted = nil // another life of the task's key
	}
	if submitted := j.common(&record).Submitted; accepted != nil && submitted != nil {
		accepted = submitted // a newer put is another run's
	}
	changed := accepted != nil && (accepted.Task.Runner() != record.Runner || j.reshaped(&record, &accepted.Task))
	elsewhere := changed
	if chooser, ok := j.runner.(Chooser); ok && accepted != nil && !changed {
		elsewhere = !chooser.Suits(&record, &accepted.Task)
	}
	switch {
	case j.runner == nil:
		j.finish(Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonStartRefused,
			Message: fmt.Sprintf("node %q has no runner %q", j.w.cfg.Node, record.Runner)})
		return
	case accepted == nil && !j.again:
		j.finish(Outcome{Phase: nightwatch.PhaseCanceled, Reason: nightwatch.ReasonTaskDeleted})
		return
	case elsewhere && !j.again:
		j.reassign(accepted.Task.Runner())
		return
	case accepted == nil || changed && record.Job.UID == "":
		j.end(ErrCancel) // what an earlier claim may have made is ended, and nothing new made
	}
	a := j.describe(&record, accepted)
	if !j.again && !a.StartBy.IsZero() && time.Now().After(a.StartBy) && j.ctx.Err() == nil {
		j.finish(Outcome{Phase: nightwatch.PhaseMissed, Reason: nightwatch.ReasonStartWithin,
			Message: "could not start within " + a.Task.StartWithin.String()})
		return
	}
	j.log.Debug("start", "runner", record.Runner, "fence", record.Fence)
	j.w.cfg.Metrics.started(record.Runner)
	// gofail: var afterClaim struct{}
	ctx, release := j.untilRunTimeout(&record, a.Task)
	defer release()
	written := newOutput(j.w.openLog(LogOf(&record, record.Attempt)))
	a.Log = written
	j.feedback = Listen(j.w.cfg.Life, a)
	written.mask = a.Mask
	outcome := j.feedback.cleaned(j.runner.Run(ctx, a))
	// gofail: var afterEffect struct{}
	j.feedback.Close()
	written.close()
	if outcome.Output == "" {
		outcome.Output = written.end()
	}
	j.w.cfg.Metrics.ended(record.Runner, outcome)
	wait, again := j.retryWait(a.Task, &outcome)
	switch {
	case again:
		j.retry(outcome, wait)
	case outcome.Phase != "":
		j.finish(outcome)
	case errors.Is(context.Cause(j.ctx), ErrStopping), j.hurried():
		delivery := ""
		if a.Task != nil {
			delivery = a.Task.Delivery
		}
		j.interrupt(delivery)
	}
	// Else the session is lost or the run another's: its record is no longer ours to write.
}

// deadline is the session's, or, for an effect that lives apart from the node, past once the drain's time is up: a stop does
// not wait longer than that for its end, were it canceled. What ends with the node is left the grace of its runner.
func (j *job) deadline() time.Time {
	if j.detached && j.hurried() {
		return time.Time{}
	}
	return j.w.cfg.Deadline()
}

// hurried tells that the node stops, or is drained, and has waited long enough.
func (j *job) hurried() bool { return j.patience.Err() != nil && j.w.cfg.Life.Err() == nil }

// describe is the attempt as its runner sees it.
func (j *job) describe(record *nightwatch.Run, accepted *nightwatch.Accepted) *Attempt {
	a := &Attempt{
		Record: *record, ClusterID: j.w.cfg.ClusterID, Deadline: j.deadline, Logger: j.log, Save: j.save,
		Secrets: j.w.cfg.Secrets, Callbacks: j.w.cfg.Callbacks,
		Adopt: j.again && (record.LostSessions > 0 || record.Job.UID == ""),
	}
	if accepted != nil {
		a.Task = &accepted.Task
		j.mu.Lock()
		j.run.TaskRevision = accepted.Revision
		j.mu.Unlock()
	}
	whole := j.common(record)
	a.Run = userView(record, whole, a.Task, j.w.cfg.ClusterID)
	if shard := record.Shard; shard != nil && shard.Node == "" {
		return a // once one of them has started the others may be late: the scheduler sees to it
	}
	if a.Task != nil && a.Task.StartWithin > 0 && record.Attempt == 1 && whole.Backfill == "" && whole.RetryOf == "" {
		due := record.NominalTime
		if record.NotBefore.After(due) {
			due = record.NotBefore
		}
		a.StartBy = time.Now().Add(due.Add(time.Duration(a.Task.StartWithin)).Sub(j.w.now()))
	}
	return a
}

// userView is what user code is told: of the run as a whole the params, which are laid over the task's, and what it comes
// after.
func userView(record, whole *nightwatch.Run, task *nightwatch.Task, clusterID string) Run {
	namespace, name, _ := strings.Cut(record.Task, "/")
	params := map[string]json.RawMessage{}
	if task != nil {
		maps.Copy(params, task.Params)
	}
	maps.Copy(params, whole.Params)
	view := Run{
		Namespace: namespace, Task: name, ID: record.ID, Attempt: record.Attempt, NominalTime: record.NominalTime,
		Fence: record.Fence, IdempotencyKey: record.IdempotencyKey(clusterID), Params: params, Upstream: whole.Upstream,
	}
	switch {
	case record.Shard != nil:
		view.Shards, view.Shard, view.ShardParam = record.Shard.Count, record.Shard.Index, record.Shard.Param
	case record.Shards != nil:
		view.Shards, view.Shard = record.Shards.Count, -1
	}
	return view
}

func encode(r *nightwatch.Run) []byte {
	data, _ := nightwatch.Encode(r) // a record can always be written
	return data
}
