package jobrunner

import "time"

// wallClock is the machine's clock. Where a fault test sets it wrong it has no monotonic reading: that one never is.
func wallClock() time.Time {
	now := time.Now()
	// gofail: var jobrunnerClock int
	// now = now.Round(0).Add(time.Duration(jobrunnerClock) * time.Millisecond)
	return now
}

// now is the time by the scheduler's clock, as well as the node knows it. What the scheduler wrote, and what it will read, is
// measured by that; when things happened here is by the node's own.
func (w *Worker) now() time.Time { return wallClock().Add(w.cfg.ClockOffset()) }
