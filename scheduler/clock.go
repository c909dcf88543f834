package scheduler

import "time"

// wallClock is the machine's clock. Where a fault test sets it wrong it has no monotonic reading: that one never is.
func wallClock() time.Time {
	now := time.Now()
	// gofail: var schedulerClock int
	// now = now.Round(0).Add(time.Duration(schedulerClock) * time.Millisecond)
	return now
}
