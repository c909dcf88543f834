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
		if err := s.MayLead(); err != nil {
			t.Errorf("on the strength of one time: %v", err)
		}
		if off := s.ClockOffset(); off != 0 {
			t.Errorf("off by %s, by one time, which may have come late", off)
		}
		<-time.After(1001 * time.Millisecond)
		if s.health.clock(-11 * time.Second); s.ClockOffset() != -11*time.Second {
			t.Errorf("off by %s, want 11 s", s.ClockOffset())
		}
		if s.health.clock(11 * time.Second); s.ClockOffset() != 11*time.Second {
			t.Errorf("off by %s, want 11 s: no time comes early", s.ClockOffset())
		}
		<-time.After(15 * time.Second) // by the test's clock
		if err := s.Clock(); err != nil {
			t.Errorf("15 s after the scheduler's last word: %v", err)
		}
	})
}

func TestMayLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scheduler
		told := func(want bool, offsets ...time.Duration) {
			t.Helper()
			for _, offset := range offsets {
				<-time.After(1001 * time.Millisecond)
				s.health.clock(offset)
			}
			if got := s.MayLead() == nil; got != want {
				t.Errorf("after %v it may: %v", offsets, got)
			}
		}
		told(true)
		told(true, time.Hour)
		told(false, time.Hour)
		told(false, -time.Hour)
		told(true, 0)
		told(true, -3*time.Second, time.Second, -3*time.Second)
		told(false, -3*time.Second)
		<-time.After(offsetHolds)
		told(true)
	})
}
