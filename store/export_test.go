package store

import (
	"testing"
	"time"
)

// What a committer keeps to.
const (
	MaxFlying = maxFlying
	FullBatch = fullBatch
)

// Linger has transactions wait for so long that nobody waits for.
func Linger(t *testing.T, d time.Duration) {
	before := maxLinger
	maxLinger = d
	t.Cleanup(func() { maxLinger = before })
}

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
