package jobrunner

import (
	"bytes"
	"sync"
	"time"
)

// Spool holds bytes between who writes them and must not wait for long, and who takes them and may be slow. It is full
// at its limit. A write to a full spool waits, for as long as something is being taken from it; when nothing has been for
// as long as its patience, the oldest bytes are dropped for new ones, without any wait, until something is taken again.
// It is safe for concurrent use.
type Spool struct {
	limit    int
	patience time.Duration
	filled   func()

	mu      sync.Mutex
	held    []byte
	dropped int64
	taken   chan struct{} // closed when something is taken or the spool is closed; nil while nobody waits
	stalled bool
	closed  bool
}

// NewSpool makes a spool. filled is called whenever there is something to take that was not there before; it must not
// block.
func NewSpool(limit int, patience time.Duration, filled func()) *Spool {
	return &Spool{limit: limit, patience: patience, filled: filled}
}

// Write adds data. It never fails; a spool that is closed keeps nothing of it.
func (s *Spool) Write(data []byte) (int, error) {
	n := len(data)
	for len(data) > 0 {
		data = s.add(data)
	}
	return n, nil
}

// add returns what is left to add.
func (s *Spool) add(data []byte) []byte {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	if room := s.limit - len(s.held); room == 0 && s.stalled {
		s.drop(len(data))
	} else if room == 0 {
		taken := s.taken
		if taken == nil {
			taken = make(chan struct{})
			s.taken = taken
		}
		s.mu.Unlock()
		s.wait(taken)
		return data
	}
	n := min(len(data), s.limit-len(s.held))
	s.held = append(s.held, data[:n]...)
	first := len(s.held) == n
	s.mu.Unlock()
	if first {
		s.filled()
	}
	return data[n:]
}

// wait returns when something has been taken, or nothing for too long.
func (s *Spool) wait(taken chan struct{}) {
	late := time.NewTimer(s.patience)
	defer late.Stop()
	select {
	case <-taken:
	case <-late.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stalled = s.stalled || s.taken == taken
	}
}

// drop makes room for n bytes, or a quarter of the limit if that is more, and has what is left begin with a line unless
// that is far. It is called with s.mu held.
func (s *Spool) drop(n int) {
	n = min(max(n, s.limit/4), len(s.held))
	near := s.held[n:min(n+s.limit/8, len(s.held))]
	n += bytes.IndexByte(near, '\n') + 1
	s.dropped += int64(n)
	s.held = s.held[:copy(s.held, s.held[n:])]
}

// Take returns all that is held, and how many bytes before it were dropped.
func (s *Spool) Take() (data []byte, dropped int64) { return s.TakeUpTo(s.limit) }

// TakeUpTo is Take of at most limit bytes.
func (s *Spool) TakeUpTo(limit int) (data []byte, dropped int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit >= len(s.held) {
		data, s.held = s.held, nil
	} else {
		data = bytes.Clone(s.held[:max(limit, 0)])
		s.held = s.held[:copy(s.held, s.held[len(data):])]
	}
	dropped, s.dropped = s.dropped, 0
	if len(data) > 0 {
		s.stalled = false
		s.wake()
	}
	return data, dropped
}

// Empty tells whether there is nothing to take.
func (s *Spool) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held) == 0 && s.dropped == 0
}

// Over tells whether the spool is closed and everything has been taken.
func (s *Spool) Over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed && len(s.held) == 0 && s.dropped == 0
}

// Close has writes return at once from now on, with nothing kept; what is held can be taken.
func (s *Spool) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
}

// wake is called with s.mu held.
func (s *Spool) wake() {
	if s.taken != nil {
		close(s.taken)
		s.taken = nil
	}
}
