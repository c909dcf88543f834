package scheduler

import (
	"fmt"
	"sync"
	"time"
)

// Bounds of what counts as healthy.
const (
	// staleAfter is how long the view may go without hearing from etcd.
	staleAfter = 20 * time.Second
	// overdueAfter is how late the scheduler may be with anything.
	overdueAfter = 5 * time.Second
	// MaxClockOffset is how far a node's clock may be off the scheduler's.
	MaxClockOffset = 2 * time.Second
	// offsetHolds is how long a measured offset counts. Whoever leads writes its time every second: when nobody does any
	// more, the others must not stay away, be it that its clock was wrong, or that etcd had no quorum and its last time
	// came to them late.
	offsetHolds = 10 * time.Second
)

// health is what other goroutines may ask of the loop. Ages are by the monotonic clock, whatever the node's says.
type health struct {
	mu       sync.Mutex
	heardAt  time.Time
	err      error
	late     time.Duration
	stuck    time.Duration // for how long etcd has taken no writes
	offset   time.Duration
	offsetAt time.Time
	offSince time.Time // the clock has been found off each time since; zero: the last time it was not
}

func (h *health) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heardAt = time.Now()
}

func (h *health) problem(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *health) overdue(late, stuck time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late, h.stuck = late, stuck
}

func (h *health) clock(offset time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offset, h.offsetAt = offset, time.Now()
	switch {
	case offset.Abs() <= MaxClockOffset:
		h.offSince = time.Time{}
	case h.offSince.IsZero():
		h.offSince = h.offsetAt
	}
}

func (h *health) age() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.heardAt.IsZero() {
		return 0
	}
	return time.Since(h.heardAt)
}

// Watching is nil while the view is fresh. Safe for concurrent use.
func (s *Scheduler) Watching() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	switch age := time.Since(s.health.heardAt); {
	case s.health.err != nil:
		return s.health.err
	case s.health.heardAt.IsZero():
		return fmt.Errorf("the keys have not been read yet")
	case age > staleAfter:
		return fmt.Errorf("etcd was last heard %s ago", age.Round(time.Second))
	}
	return nil
}

// Overdue is nil while nothing due waits for this node, be it for a decision or for its writing. Safe for concurrent use.
func (s *Scheduler) Overdue() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	switch h := &s.health; {
	case h.stuck > overdueAfter:
		return fmt.Errorf("etcd has taken no write for %s", h.stuck.Round(time.Millisecond))
	case h.late > overdueAfter:
		return fmt.Errorf("a task is overdue by %s", h.late.Round(time.Millisecond))
	}
	return nil
}

// ClockOffset is by how much the scheduler's clock is ahead of this node's, if that is known to be more than MaxClockOffset either
// way, and else 0. That it is behind is believed as MayLead does: a time that comes late looks like that. Safe for concurrent use.
func (s *Scheduler) ClockOffset() time.Duration {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.offset < 0 && !s.health.sure() {
		return 0
	}
	return s.health.off()
}

// off is the offset, 0 if it is small, or too old to count. It is called with mu held, as sure is.
func (h *health) off() time.Duration {
	if h.offset.Abs() > MaxClockOffset && time.Since(h.offsetAt) < offsetHolds {
		return h.offset
	}
	return 0
}

// sure tells whether the clock was found off each time over more than a second.
func (h *health) sure() bool { return h.offsetAt.Sub(h.offSince) > tick }

// Clock is nil unless this node's clock is off the scheduler's by more than MaxClockOffset. Safe for concurrent use.
func (s *Scheduler) Clock() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if offset := s.health.off(); offset != 0 {
		return fmt.Errorf("the scheduler's clock is %s off this one", offset.Round(time.Millisecond))
	}
	return nil
}

// MayLead is Clock for who stands for the role: nil unless the clock was found off each time over more than a second. What a
// scheduler wrote last before etcd was away comes late to everybody, and all at once. Safe for concurrent use.
func (s *Scheduler) MayLead() error {
	s.health.mu.Lock()
	sure := s.health.sure()
	s.health.mu.Unlock()
	if !sure {
		return nil
	}
	return s.Clock()
}
