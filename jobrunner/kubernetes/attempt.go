package kubernetes

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Why work on an attempt goes no further.
var (
	// errStop: the attempt is to be ended.
	errStop = errors.New("the attempt is to end")
	// errInterrupted: this node may do nothing more for it.
	errInterrupted = errors.New("the attempt is not this node's any longer")
	// errLate: the attempt has not begun within the task's startWithin, and must not any more.
	errLate = errors.New("too late to begin")
	// errGone: the API server says that there is no such Job.
	errGone = errors.New("the Job is gone")
)

// refused is an attempt that could not be started.
type refused struct{ outcome jobrunner.Outcome }

func (e refused) Error() string { return e.outcome.Reason + ": " + e.outcome.Message }

// attempt is the work on one attempt.
type attempt struct {
	*jobrunner.Attempt
	runner  *Runner
	cluster *cluster
	log     hclog.Logger
	id      identity
	// job is what the record says of the Job.
	job nightwatch.Job
	// unsure is when a create was sent last whose answer is unknown, zero if there is none: its Job may appear at any time.
	unsure time.Time
	// startBy is when a run that has not begun is missed, zero when it never is; lastErr is why the last request failed.
	startBy time.Time
	lastErr error
	// ctx is the caller's. work outlives a wish to end the attempt, for what that takes, until the node may not act for it
	// any more. firm outlives also, for the time of one request, that the node stops: what has been created is to be on record.
	ctx, work, firm context.Context
}

// deadlineEvery is how often an attempt that is being ended asks whether this node may still act for it.
const deadlineEvery = time.Second

// noImage stands in the tombstone of a task that is gone, or of which no Job can be made. It is never pulled.
const noImage = "nightwatch.invalid/tombstone"

func (r *Runner) newAttempt(ctx context.Context, a *jobrunner.Attempt) (at *attempt, release func()) {
	at = &attempt{Attempt: a, runner: r, log: a.Logger, id: identityOf(&a.Record, a.ClusterID), startBy: a.StartBy, ctx: ctx}
	if at.log == nil {
		at.log = hclog.NewNullLogger()
	}
	record := a.Record
	if record.Job == nil {
		r.Prepare(&record, a.ClusterID)
	}
	at.job, at.cluster = *record.Job, r.cluster(&record)
	if a.Task == nil { // the run is only to be ended
		copied := *a
		copied.Task = &nightwatch.Task{Image: noImage}
		at.Attempt = &copied
	}
	work, endWork := context.WithCancel(silent(context.WithoutCancel(ctx)))
	firm, endFirm := context.WithCancel(silent(context.WithoutCancel(ctx)))
	at.work, at.firm = work, firm
	stop := context.AfterFunc(ctx, func() {
		if wish(ctx) {
			// ctx says nothing more: that the node stops, or loses its session, shows by the deadline alone.
			for work.Err() == nil && time.Until(at.Deadline()) > 0 {
				sleep(work, deadlineEvery)
			}
		}
		endWork()
		if errors.Is(context.Cause(ctx), jobrunner.ErrStopping) {
			sleep(firm, r.config.RequestTimeout)
		}
		endFirm()
	})
	return at, func() { stop(); endWork(); endFirm() }
}

// Run performs one attempt: see the package's documentation.
func (r *Runner) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	at, release := r.newAttempt(ctx, a)
	defer release()
	outcome, err := at.run()
	if errors.Is(err, errStop) || errors.Is(err, errLate) {
		outcome, err = at.end()
	}
	var no refused
	switch {
	case err == nil:
		return outcome
	case errors.As(err, &no):
		return no.outcome
	}
	if !errors.Is(err, errInterrupted) {
		at.log.Error("attempt given up", "error", err)
	}
	return jobrunner.Interrupted
}

func (at *attempt) run() (jobrunner.Outcome, error) {
	if err := at.over(); err != nil {
		return jobrunner.Outcome{}, err
	}
	if err := at.locate(at.ctx); err != nil {
		return jobrunner.Outcome{}, err
	}
	job, err := at.start()
	if err != nil {
		return jobrunner.Outcome{}, err
	}
	return at.follow(job)
}

// wish tells whether ctx, which has ended, asks for the end of the attempt, as against that of the node's work on it.
func wish(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, jobrunner.ErrCancel) || errors.Is(cause, jobrunner.ErrTimeout) || errors.Is(cause, context.DeadlineExceeded)
}

// late tells whether the time has passed within which a run has to begin.
func (at *attempt) late() bool { return !at.startBy.IsZero() && time.Now().After(at.startBy) }

// stopped is the outcome of an attempt that has been ended, or that never began.
func (at *attempt) stopped() jobrunner.Outcome {
	if at.ctx.Err() != nil {
		return jobrunner.Stopped(at.ctx)
	}
	message := "could not be started within " + at.Task.StartWithin.String()
	if at.lastErr != nil {
		message += ": " + at.lastErr.Error()
	}
	return jobrunner.Outcome{Phase: nightwatch.PhaseMissed, Reason: nightwatch.ReasonStartWithin, Message: message}
}

// over is errStop or errInterrupted once ctx has ended.
func (at *attempt) over() error {
	switch {
	case at.ctx.Err() == nil:
		return nil
	case wish(at.ctx):
		return errStop
	default:
		return errInterrupted
	}
}

// call makes one request, if this node may still act for the run when its turn comes, for which it waits until ctx ends.
// The request ends with the time until which the node may act, at the latest, or when base does.
func (at *attempt) call(ctx, base context.Context, request func(context.Context) error) error {
	over, err := at.cluster.pace.turn(ctx)
	if err != nil {
		return at.why(ctx)
	}
	defer over()
	deadline := at.Deadline()
	now := time.Now() // after the deadline was asked for, which may take its time
	if !now.Before(deadline) || errors.Is(at.over(), errInterrupted) {
		return errInterrupted
	}
	if limit := now.Add(at.runner.config.RequestTimeout); limit.Before(deadline) {
		deadline = limit
	}
	base, cancel := context.WithDeadline(base, deadline)
	defer cancel()
	return request(base)
}

// why is the error of work that ended because ctx, which is at.ctx or at.work, did.
func (at *attempt) why(ctx context.Context) error {
	if err := at.over(); ctx == at.ctx && err != nil {
		return err
	}
	return errInterrupted
}

// loudAfter is how many failures of a request are nothing to wake anybody for.
const loudAfter = 5

// retry repeats a request, which must bear that, until it succeeds or is refused for good. It ends early when ctx, which
// is at.ctx or at.work, does; a wish to end the attempt does not end the request itself, as its answer is wanted then too.
func (at *attempt) retry(ctx context.Context, what string, request func(context.Context) error) error {
	return at.retryOn(ctx, at.work, what, request)
}

// retryOn is retry whose requests end with base.
func (at *attempt) retryOn(ctx, base context.Context, what string, request func(context.Context) error) error {
	for pace := (backoff{}); ; {
		err := at.call(ctx, base, request)
		if err == nil || final(err) || errors.Is(err, errInterrupted) || errors.Is(err, errStop) || errors.Is(err, errLate) {
			return err
		}
		at.lastErr = err
		if base.Err() != nil {
			return errInterrupted
		}
		delay := pace.after(err)
		if pace.tries == loudAfter {
			at.log.Warn("request keeps failing", "request", what, "error", err)
		} else {
			at.log.Debug("request repeated", "request", what, "error", err)
		}
		if err := at.pause(ctx, delay, nil); err != nil {
			return err
		}
	}
}

// pause waits for d or until wake receives. It returns an error when ctx, which is at.ctx or at.work, ends.
func (at *attempt) pause(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return at.why(ctx)
	case <-wake:
	case <-timer.C:
	}
	return nil
}

// locate makes sure that this runner reaches the cluster that the record names, and puts the one that the run was given to
// on record if none is there.
func (at *attempt) locate(ctx context.Context) error {
	if at.job.Cluster != "" {
		return at.find(ctx)
	}
	var uid string
	err := at.retry(ctx, "identify cluster", func(ctx context.Context) (err error) {
		if at.late() {
			return errLate
		}
		uid, err = at.cluster.identify(ctx)
		return unheeded(err) // nothing has been asked for yet that could be refused
	})
	if err != nil {
		return err
	}
	// Without the cluster on record, a successor that reaches another one could create a second Job there. If we die
	// here, nothing has been created, and the successor goes to this cluster or none.
	return at.save(func(job *nightwatch.Job) { job.Cluster = uid })
}

// find finds the cluster that the record names among those of this runner. Clusters that are not known yet are asked in
// turn, so that one that does not answer does not stand before the others.
func (at *attempt) find(ctx context.Context) error {
	turn := 0
	return at.retry(ctx, "identify clusters", func(ctx context.Context) error {
		var unknown []*cluster
		for _, c := range at.runner.clusters {
			switch c.known() {
			case at.job.Cluster:
				at.cluster = c
				return nil
			case "":
				unknown = append(unknown, c)
			}
		}
		if len(unknown) == 0 {
			at.log.Error("the run's Job is in a cluster that this node does not reach", "cluster", at.job.Cluster)
			return errInterrupted
		}
		turn++
		_, err := unknown[turn%len(unknown)].identify(ctx)
		if err == nil {
			err = errors.New("clusters are not identified yet")
		}
		return unheeded(err)
	})
}

// save changes what the record says of the Job. An error means that the run is another's now: touch nothing.
func (at *attempt) save(change func(*nightwatch.Job)) error {
	job := at.job
	change(&job)
	err := at.Save(at.firm, func(run *nightwatch.Run) {
		copied := job
		run.Job = &copied
	})
	if err != nil {
		at.log.Debug("record not changed", "error", err)
		return errInterrupted
	}
	at.job = job
	return nil
}

// get reads the Job on record from the API server itself: errGone if there is none of that name and uid.
func (at *attempt) get(ctx context.Context) (*batchv1.Job, error) {
	var job *batchv1.Job
	err := at.retry(ctx, "get Job", func(ctx context.Context) (err error) {
		job, err = at.cluster.client.BatchV1().Jobs(at.job.Namespace).Get(ctx, at.job.Name, metav1.GetOptions{})
		if final(err) && !apierrors.IsNotFound(err) {
			return unheeded(err) // permissions may come back, and a guess would be wrong for ever
		}
		return err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil, errGone
	case err != nil:
		return nil, err
	case at.job.UID != "" && job.UID != types.UID(at.job.UID):
		return nil, errGone
	}
	return job, nil
}
