package schedule

import (
	"runtime"
	"sync"
	"time"
	"weak"
)

// Equal expressions share one compiled part and equal zones one *time.Location, so that a million tasks cost little
// more than their own bytes. Like the values of package unique, shared ones are never changed, and go when nothing
// uses them; callers cannot tell.
var (
	cronParts shared[cronKey, cronPart]
	zones     shared[string, time.Location]
)

// cronKey is all that a compiled expression depends on.
type cronKey struct {
	text     string // six fields or seven, H resolved
	zone     string
	daylight daylight
	and      bool
}

// shared holds one value for each key for as long as that value is in use. The zero value is ready, and safe for
// concurrent use.
type shared[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]weak.Pointer[V]
}

// get returns the value of a key, made if there is none. A value that cannot be made is not remembered.
func (s *shared[K, V]) get(key K, build func() (*V, error)) (*V, error) {
	if v := s.find(key); v != nil {
		return v, nil
	}
	v, err := build() // without the lock: it may read files
	if err != nil {
		return nil, err
	}
	return s.keep(key, v), nil
}

func (s *shared[K, V]) find(key K) *V {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[key].Value()
}

// keep puts a new value in, unless another was faster: then that one counts.
func (s *shared[K, V]) keep(key K, v *V) *V {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.entries[key].Value(); first != nil {
		return first
	}
	if s.entries == nil {
		s.entries = make(map[K]weak.Pointer[V])
	}
	s.entries[key] = weak.Make(v)
	runtime.AddCleanup(v, s.drop, key)
	return v
}

// drop takes a key out whose value is gone. The key may have a new value by now, which stays.
func (s *shared[K, V]) drop(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[key].Value() == nil {
		delete(s.entries, key)
	}
}
