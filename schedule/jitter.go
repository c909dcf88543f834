package schedule

import (
	"hash/fnv"
	"time"
)

// parseJitter reads Jitter and the Key that seeds it.
func (s *Schedule) parseJitter(spec Spec) *Error {
	switch {
	case spec.Jitter < 0:
		return refuse("jitter", spec.Jitter.String(), "is negative: want at least 0s")
	case spec.Jitter%time.Millisecond != 0:
		return refuse("jitter", spec.Jitter.String(), "is not in whole milliseconds")
	case spec.Jitter == 0:
		return nil
	}
	s.jitter = spec.Jitter.Milliseconds()
	h := fnv.New64a()
	h.Write([]byte(spec.Key)) // never fails
	s.seed = h.Sum64()
	return nil
}

// Due is when the run of a nominal time is to start: the nominal time, in UTC, delayed by the jitter. The delay depends
// on Key and the nominal time alone, so it is the same on every node and after every restart; it is less than Jitter,
// and the start is before the next nominal time.
//
// It is, modulo Jitter in milliseconds, the output of splitmix64 whose seed is FNV-1a (64 bits) of Key and which has
// made as many steps as the nominal time has milliseconds since the Unix epoch.
func (s *Schedule) Due(nominal time.Time) time.Time {
	if s.jitter == 0 {
		return nominal.UTC()
	}
	ms := nominal.UnixMilli()
	due := ms + int64(splitmix64(s.seed, ms)%uint64(s.jitter))
	if next, ok := s.next(ms); ok {
		due = min(due, next-1)
	}
	return time.UnixMilli(min(due, lastMilli)).UTC()
}

// splitmix64 is step n of that generator, whose steps need not be made one by one: the state is a multiple of a
// constant. See G. Steele, D. Lea, C. Flood: Fast Splittable Pseudorandom Number Generators, 2014.
func splitmix64(seed uint64, n int64) uint64 {
	z := seed + uint64(n)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
