package scheduler

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch/store"
)

// Who leads and can write nothing is not ready, though the watch goes on; what is due waits, and is in no list meanwhile.
func TestOverdueWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:00"), 9)
		var full atomic.Bool
		s := r.scheduler(func(l *link) {
			l.lose = func(*store.Txn) loss {
				if full.Load() {
					return requestLost
				}
				return arrives
			}
		})
		r.node("n1", nil)
		r.lead(s)
		r.task(demo, `{"process":{"command":["true"]},"every":"10s","overlap":"allow"}`)
		for _, step := range []struct {
			full, overdue bool
			pass          time.Duration
		}{{false, false, time.Minute}, {true, false, overdueAfter}, {true, true, 10 * time.Second}, {false, false, 2 * maxRest}} {
			full.Store(step.full)
			r.pass(step.pass)
			if err := s.Overdue(); step.overdue != (err != nil) {
				t.Errorf("at %s: %v", r.now().Format("15:04:05"), err)
			}
		}
	})
}

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
