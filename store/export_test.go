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

// Overdue has requests take up room for so long.
func Overdue(t *testing.T, d time.Duration) {
	before := overdue
	overdue = d
	t.Cleanup(func() { overdue = before })
}

// Waiting is how many transactions wait to be sent.
func (s *Store) Waiting() int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return len(s.group.waiting)
}

// Flying is how many requests take up room among those under way.
func (s *Store) Flying() int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.group.flying
}

// ListOften has followers list again as soon as Resync says.
func ListOften(t *testing.T) {
	before := relistShare
	relistShare = 0
	t.Cleanup(func() { relistShare = before })
}

// LookAgain has those who wait for a key read it so often.
func LookAgain(t *testing.T, d time.Duration) {
	before := lookAgain
	lookAgain = d
	t.Cleanup(func() { lookAgain = before })
}
