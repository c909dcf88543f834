package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// settle is how long a function runs before its start is recorded: one that returns sooner frees the task's mutex as it
// finishes.
const settle = 100 * time.Millisecond

// Func is a handler. It returns when its work is done or its context has ended, soon.
type Func = func(ctx context.Context, run jobrunner.Run) error

// Run implements jobrunner.Runner. It returns when the function has, or Grace after its context ended.
func (r *Runner) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	timed, cancelTimeout := jobrunner.WithTimeout(ctx, a)
	defer cancelTimeout()
	working, giveUp := context.WithCancelCause(timed)
	defer giveUp(nil)

	if a.Task.Handler == nil {
		return failed(nightwatch.ReasonStartRefused, "the task has no handler to call")
	}
	name := a.Task.Handler.Name
	fn := r.handler(name)
	switch {
	case r.disabled(name):
		return failed(nightwatch.ReasonStartRefused, fmt.Sprintf("handler %q is switched off on this node", name))
	case fn == nil:
		return failed(nightwatch.ReasonStartRefused, fmt.Sprintf("no handler %q is registered on this node", name))
	case working.Err() != nil:
		return jobrunner.Stopped(working)
	case !time.Now().Before(a.Deadline()):
		return jobrunner.Interrupted
	}
	returned := make(chan jobrunner.Outcome, 1)
	// If the node dies from here on, so does the function.
	go call(working, fn, a, returned)

	settled := time.NewTimer(settle)
	defer settled.Stop()
	for {
		select {
		case out := <-returned:
			// What a function says once its context has ended is mostly that.
			if working.Err() != nil && out.Reason == nightwatch.ReasonHandlerError {
				return jobrunner.Stopped(working)
			}
			return out
		case <-working.Done():
			return r.stop(working, returned)
		case <-settled.C:
			if err := a.Save(working, func(*nightwatch.Run) {}); err != nil && working.Err() == nil {
				giveUp(jobrunner.ErrSessionLost)
			}
		}
	}
}

// stop waits for a function whose context has ended.
func (r *Runner) stop(ctx context.Context, returned <-chan jobrunner.Outcome) jobrunner.Outcome {
	grace := time.NewTimer(r.Grace)
	defer grace.Stop()
	select {
	case out := <-returned:
		stopped := jobrunner.Stopped(ctx)
		if stopped.Phase != "" && out.Reason == nightwatch.ReasonPanic {
			stopped.Output = out.Output
		}
		return stopped
	case <-grace.C:
		stopped := jobrunner.Stopped(ctx)
		if stopped.Phase != "" {
			stopped.Message = fmt.Sprintf("the handler was left behind: it did not return within %v of its context's end", r.Grace)
		}
		return stopped
	}
}

// call runs fn and says how it ended, also when it does not return.
func call(ctx context.Context, fn Func, a *jobrunner.Attempt, returned chan<- jobrunner.Outcome) {
	out := failed(nightwatch.ReasonPanic, "the handler ended its goroutine (runtime.Goexit)")
	defer func() {
		if value := recover(); value != nil {
			text := stack()
			out = failed(nightwatch.ReasonPanic, fmt.Sprint(value))
			out.Output = beginning(text)
			fmt.Fprintf(a.Log, "panic: %s\n\n%s\n", out.Message, text)
			a.Logger.Error("the handler panicked", "panic", out.Message, "stack", string(text))
		}
		returned <- out
	}()
	if err := fn(ctx, a.Run); err != nil {
		a.Note("the handler returned an error: %v", err)
		reason := nightwatch.ReasonHandlerError
		if errors.As(err, new(mismatch)) {
			reason, err = nightwatch.ReasonStartRefused, nightwatch.Permanent(err)
		}
		out = failed(reason, err.Error())
		out.Hint = nightwatch.HintOf(err)
		return
	}
	out = jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded}
}

// stack is the panicking goroutine's stack from the call of panic on, without the calls that wrote this down.
func stack() []byte {
	text := debug.Stack()
	if goroutine, rest, found := bytes.Cut(text, []byte("\n")); found {
		if at := bytes.Index(rest, []byte("\npanic(")); at >= 0 {
			text = slices.Concat(goroutine, rest[at:])
		}
	}
	return text
}

// beginning is as much of a stack as a record has room for: the innermost calls are what a reader needs.
func beginning(text []byte) string {
	var tail jobrunner.Tail
	_, _ = tail.Write(text[:min(len(text), nightwatch.MaxOutput)])
	return tail.String()
}

func failed(reason, message string) jobrunner.Outcome {
	return jobrunner.Outcome{Phase: nightwatch.PhaseFailed, Reason: reason, Message: jobrunner.Clip(message)}
}
