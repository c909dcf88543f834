package schedule

import (
	"math"
	"time"
)

// The calendar's first and last instant. The first is one millisecond late, so
// that no answer can be the zero time.Time.
var (
	firstTime  = time.Time{}.Add(time.Millisecond)
	lastTime   = time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)
	firstMilli = firstTime.UnixMilli()
	lastMilli  = lastTime.UnixMilli()
)

// Next returns the first due time strictly later than after, in UTC. It reports
// false when there is none, or an expression has none within 50 years (within its
// years, if it names some); the time is then the zero time.
func (s *Schedule) Next(after time.Time) (time.Time, bool) {
	from, ok := milli(after)
	if !ok {
		return time.Time{}, false
	}
	due, ok := s.next(from)
	if !ok {
		return time.Time{}, false
	}
	return time.UnixMilli(due).UTC(), true
}

// next is Next in milliseconds.
func (s *Schedule) next(after int64) (int64, bool) {
	after = max(after+1, s.starts) - 1
	due := s.ends
	found := false
	for _, p := range s.parts {
		if t, ok := p.next(after); ok && t < due {
			due, found = t, true
		}
	}
	return due, found
}

// Between returns the due times in (from, to], ascending and in UTC, at most limit
// of them; more reports that there are further ones in that span. With a limit of
// 0 or less it only says whether there is one.
func (s *Schedule) Between(from, to time.Time, limit int) (times []time.Time, more bool) {
	start, ok := milli(from)
	if !ok {
		return nil, false
	}
	end, ok := milli(to)
	if !ok {
		end = lastMilli
	}
	start = max(start+1, s.starts) - 1
	end = min(end, s.ends-1)

	// One head for each part: its next due time, or none.
	const none = int64(math.MaxInt64)
	advance := func(p part, after int64) int64 {
		if t, ok := p.next(after); ok {
			return t
		}
		return none
	}
	heads := make([]int64, len(s.parts))
	for i, p := range s.parts {
		heads[i] = advance(p, start)
	}
	for {
		due := none
		for _, head := range heads {
			due = min(due, head)
		}
		if due == none || due > end {
			return times, false
		}
		if len(times) >= limit {
			return times, true
		}
		times = append(times, time.UnixMilli(due).UTC())
		for i, p := range s.parts {
			if heads[i] == due {
				heads[i] = advance(p, due)
			}
		}
	}
}

// milli returns t in milliseconds since the Unix epoch, rounded down: a due time
// has whole milliseconds, so it is after t exactly if it is after that. Times before the
// calendar are its beginning; for those at or behind its end ok is false.
func milli(t time.Time) (ms int64, ok bool) {
	if t.Before(firstTime) {
		return firstMilli, true
	}
	if !t.Before(lastTime) {
		return 0, false
	}
	return t.UnixMilli(), true
}
