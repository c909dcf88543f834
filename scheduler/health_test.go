package scheduler

import (
	"testing"
	"testing/synctest"
	"time"
)

// The last time that a scheduler wrote before etcd lost its quorum may come to the others long after. They must not stay
// away for long on the strength of it.
func TestClockThatNobodyWritesAnyMoreIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scheduler
		s.health.clock(-11 * time.Second)
		if s.Clock() == nil {
			t.Error("a clock that is off by 11 s counts for nothing")
		}
		<-time.After(15 * time.Second) // by the test's clock
		if err := s.Clock(); err != nil {
			t.Errorf("15 s after the scheduler's last word: %v", err)
		}
	})
}
