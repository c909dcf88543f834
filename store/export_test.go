package store

// MaxFlying is maxFlying.
const MaxFlying = maxFlying

// Waiting is how many transactions wait to be sent.
func (s *Store) Waiting() int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return len(s.group.waiting)
}
