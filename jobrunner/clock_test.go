package jobrunner

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// A node whose clock is behind takes a run that is due for one that is early. Once it knows, it does not wait.
func TestWrongClockDoesNotWait(t *testing.T) {
	var off atomic.Bool
	r := newRig(t, func(c *Config) { c.ClockOff = off.Load })
	r.start()
	r.told(r.give("waits", func(run *nightwatch.Run) { run.NotBefore = time.Now().Add(time.Hour) }))
	off.Store(true)
	r.wait("waits", "has run", in(nightwatch.PhaseSucceeded))
}
