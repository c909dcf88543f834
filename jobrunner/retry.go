package jobrunner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// retryWait tells whether another attempt follows one that failed, and after which wait.
func (j *job) retryWait(task *nightwatch.Task, outcome *Outcome) (wait time.Duration, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	failures := j.run.Failures + 1
	switch {
	case task == nil || outcome.Phase != nightwatch.PhaseFailed || j.run.Cancel != nil || outcome.Hint.Permanent():
		return 0, false
	case failures >= int(task.Retry.Attempts):
		return 0, false
	case !outcome.Hint.Retryable() && !task.Retry.Covers(outcome.Reason, outcome.ExitCode):
		return 0, false
	}
	wait = task.Retry.Wait(failures, rand.Float64()) //nolint:gosec // spreads load, keeps no secret
	if limit := time.Duration(task.RunTimeout); limit > 0 && j.w.now().Sub(j.run.CreateTime)+wait >= limit {
		return 0, false // it would be over before it began
	}
	return wait, true
}

// retry gives the run back for its next attempt. What the failed one left behind stays in the record until then.
func (j *job) retry(outcome Outcome, wait time.Duration) {
	ctx, cancel := j.lastWrites()
	defer cancel()
	// The scheduler is to wait from there. It mends by itself what a clock wrote that is ahead of its own; that ours is seems so
	// too when we hear of its late, and then the wait would be too short.
	ended := wallClock().Add(max(j.w.cfg.ClockOffset(), 0)).UTC().Truncate(time.Millisecond)
	err := j.write(ctx, func(r *nightwatch.Run) {
		if r.Cancel != nil {
			// The wish came as the attempt failed: nothing runs, and nothing is to run.
			r.Phase, r.Reason, r.Message = r.Cancel.End()
			r.EndTime, r.Submitted = ended, nil
		} else {
			r.Again(nightwatch.FailedAttempt{
				StartTime: r.AttemptTime, EndTime: ended, Reason: outcome.Reason, Message: Clip(outcome.Message), ExitCode: outcome.ExitCode,
			}, ended.Add(wait))
		}
		r.ExitCode, r.Output, r.Usage = outcome.ExitCode, lastOutput(outcome), outcome.Usage
	}, true)
	j.report(err, "retry", "reason", outcome.Reason, "wait", wait)
}

// errRunTimeout is the ErrTimeout of the run as a whole.
var errRunTimeout = fmt.Errorf("%w, of the run as a whole", ErrTimeout)

// untilRunTimeout bounds the job's context by the run's own timeout, over all its attempts.
func (j *job) untilRunTimeout(record *nightwatch.Run, task *nightwatch.Task) (context.Context, context.CancelFunc) {
	if task == nil || task.RunTimeout <= 0 {
		return j.ctx, func() {}
	}
	left := record.CreateTime.Add(time.Duration(task.RunTimeout)).Sub(j.w.now())
	return context.WithTimeoutCause(j.ctx, left, errRunTimeout)
}
