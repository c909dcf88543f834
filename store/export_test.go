package store

import "testing"

// MaxFlying is maxFlying, MaxLinger maxLinger.
const (
	MaxFlying = maxFlying
	MaxLinger = maxLinger
)

// Waiting is how many transactions wait to be sent.
func (s *Store) Waiting() int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return len(s.group.waiting)
}

// ListOften has followers list again as soon as Resync says.
func ListOften(t *testing.T) {
	before := relistShare
	relistShare = 0
	t.Cleanup(func() { relistShare = before })
}
