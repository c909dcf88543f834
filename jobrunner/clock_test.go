package jobrunner

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// A node whose clock is behind takes a run that is due for one that is early. Once it knows, it does not wait.
func TestWrongClockDoesNotWait(t *testing.T) {
	var off atomic.Int64
	r := newRig(t, func(c *Config) { c.ClockOffset = func() time.Duration { return time.Duration(off.Load()) } })
	r.start()
	r.told(r.give("waits", func(run *nightwatch.Run) { run.NotBefore = time.Now().Add(time.Hour) }))
	off.Store(int64(time.Hour))
	r.wait("waits", "has run", in(nightwatch.PhaseSucceeded))
}

// What bounds a run of a node whose clock is known to be wrong is measured by the scheduler's: how long it may take as a whole,
// until when it may start, and when it is tried again.
func TestWrongClockIsAllowedFor(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": -time.Hour, "behind": time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.ClockOffset = func() time.Duration { return off } })
			bounds := make(chan time.Duration, 1)
			r.process.run = func(ctx context.Context, a *Attempt) Outcome {
				end, _ := ctx.Deadline()
				bounds <- time.Until(end)
				return succeed(ctx, a)
			}
			r.start()
			created := func(run *nightwatch.Run) { // now, by the scheduler's clock
				run.CreateTime = time.Now().Add(off).UTC()
				run.NominalTime = run.CreateTime
			}
			r.accept(`{"process":{"command":["true"]},"runTimeout":"10m","startWithin":"5m"}`)
			r.give("a", created)
			if run := r.wait("a", "ends", func(run nightwatch.Run) bool { return run.Phase.Terminal() }); run.Phase != nightwatch.PhaseSucceeded {
				t.Errorf("%+v", run)
			}
			if left := <-bounds; left < 8*time.Minute || left > 10*time.Minute {
				t.Errorf("it may take %s", left)
			}
			if left := time.Until((<-r.process.attempts).StartBy); left < 3*time.Minute || left > 5*time.Minute {
				t.Errorf("it may start within %s", left)
			}
			r.process.run = failing(3)
			r.accept(withRetry(`"runTimeout":"1h","retry":{"attempts":2,"backoff":"10m"}`))
			r.give("b", created)
			run := r.wait("b", "waits for its retry", in(nightwatch.PhasePending))
			// Of a clock that is ahead the scheduler knows: its own may only seem to be behind.
			if wait := run.NotBefore.Sub(time.Now().Add(max(off, 0))); wait < 8*time.Minute || wait > 10*time.Minute {
				t.Errorf("it is tried again in %s", wait)
			}
			if failed := run.Attempts[0].EndTime; run.NotBefore.Sub(failed) != 10*time.Minute {
				t.Errorf("not before %s, after an attempt that ended at %s", run.NotBefore, failed)
			}
		})
	}
}
