package process

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// settle is how long a process runs before its start is recorded: one that ends sooner frees the task's mutex as it
// finishes.
const settle = 100 * time.Millisecond

// Run implements jobrunner.Runner. It returns when nothing of the attempt's tree is alive.
func (r *Runner) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	ctx, cancel := jobrunner.WithTimeout(ctx, a)
	defer cancel()
	spec, err := r.command(a)
	if err != nil {
		return refused(err)
	}
	l, err := r.guard(ctx)
	switch {
	case ctx.Err() != nil:
		return jobrunner.Stopped(ctx)
	case errors.Is(err, errClosed):
		return jobrunner.Interrupted
	case err != nil:
		return refused(err)
	case !time.Now().Before(a.Deadline()):
		return jobrunner.Interrupted
	}
	c := l.add(a.Deadline)
	defer l.remove(c)
	spec.ID, spec.Deadline = c.id, bootDeadline(a.Deadline())
	spec.Env = append(spec.Env, markerName+"="+l.marker(c.id))
	// If the node dies or is stopped from here on, the guard ends what it has started, and starts nothing past the
	// deadline: either way nothing of the attempt runs when another session may have it.
	if err := l.send(request{Start: spec}); err != nil {
		<-l.lost
	}
	return r.follow(ctx, a, l, c)
}

// follow reports what becomes of an attempt that has been handed to the guard.
func (r *Runner) follow(ctx context.Context, a *jobrunner.Attempt, l *link, c *call) jobrunner.Outcome {
	settled := time.NewTimer(settle)
	settled.Stop()
	defer settled.Stop()
	done, lost, givenUp := ctx.Done(), l.lost, false
	for {
		select {
		case <-c.wrote:
			deliver(a, l, c)
		case ev := <-c.events:
			deliver(a, l, c)
			switch {
			case ev.Refused != "":
				return refused(errors.New(ev.Refused))
			case ev.Late:
				if ctx.Err() != nil {
					return jobrunner.Stopped(ctx)
				}
				return jobrunner.Interrupted
			case ev.Exited != nil:
				return ended(ctx, ev.Exited, givenUp)
			case done != nil:
				settled.Reset(settle)
			}
		case <-done:
			done = nil
			settled.Stop()
			l.end(c, r.grace(ctx))
		case <-settled.C:
			if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil && ctx.Err() == nil {
				done, givenUp = nil, true
				l.end(c, 0)
			}
		case <-lost:
			if len(c.events) > 0 {
				continue
			}
			deliver(a, l, c)
			return r.orphaned(ctx, l, givenUp)
		}
	}
}

// deliver writes the output that has come into the attempt's log.
func deliver(a *jobrunner.Attempt, l *link, c *call) {
	for _, ev := range c.take() {
		if ev.Dropped > 0 {
			a.Note("%d bytes of output were dropped: it came faster than it could be taken", ev.Dropped)
		}
		_, _ = a.Log.Write(ev.Wrote)
		l.took(c, len(ev.Wrote))
	}
}

// grace is none once another session may have the run.
func (r *Runner) grace(ctx context.Context) time.Duration {
	if errors.Is(context.Cause(ctx), jobrunner.ErrSessionLost) {
		return 0
	}
	return r.cfg.Grace
}

// orphaned is the outcome of an attempt whose guard is gone, and whose processes therefore are.
func (r *Runner) orphaned(ctx context.Context, l *link, givenUp bool) jobrunner.Outcome {
	switch {
	case l.closing.Load() || givenUp:
		return jobrunner.Interrupted
	case ctx.Err() != nil:
		return jobrunner.Stopped(ctx)
	}
	return jobrunner.Outcome{
		Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonGuardLost,
		Message: fmt.Sprintf("the guard of the node's processes ended, and they with it: %v", l.why()),
	}
}

// ended is the outcome of an attempt whose tree is gone.
func ended(ctx context.Context, x *exit, givenUp bool) jobrunner.Outcome {
	code := x.Code
	if x.Signal != 0 {
		code = 128 + x.Signal
	}
	out := jobrunner.Outcome{ExitCode: &code, Output: x.Output, Usage: x.Usage.record()}
	switch {
	case givenUp || x.By == byDeadline || x.By == byClose:
		return jobrunner.Interrupted
	case x.Refused != "":
		return refused(errors.New(x.Refused))
	case x.By == byRequest:
		stopped := jobrunner.Stopped(ctx)
		if stopped == jobrunner.Interrupted {
			return stopped
		}
		stopped.ExitCode, stopped.Output, stopped.Usage = out.ExitCode, out.Output, out.Usage
		return stopped
	case x.OOM && code != 0:
		out.Phase, out.Reason = nightwatch.PhaseFailed, nightwatch.ReasonOOMKilled
		out.Message = fmt.Sprintf("out of memory within process.limits.memory, exit code %d", code)
	case x.Signal != 0:
		out.Phase, out.Reason = nightwatch.PhaseFailed, nightwatch.ReasonSignal
		out.Message = fmt.Sprintf("ended by signal %d (%v)", x.Signal, syscall.Signal(x.Signal))
	case code != 0:
		out.Phase, out.Reason = nightwatch.PhaseFailed, nightwatch.ReasonExitCode
		out.Message = fmt.Sprintf("exit code %d", code)
	default:
		out.Phase = nightwatch.PhaseSucceeded
	}
	return out
}

func (u usage) record() *nightwatch.Usage {
	return &nightwatch.Usage{
		UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(), MaxRSSBytes: u.MaxRSS, LimitedBy: u.LimitedBy,
	}
}

func refused(err error) jobrunner.Outcome {
	return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonStartRefused, Message: err.Error()}
}
