package schedule

import "time"

const (
	firstWindow = 60 * 1000
	// lastWindow is no longer than what every next looks ahead.
	lastWindow = 49 * 366 * daySeconds * 1000
)

// Prev returns the last due time strictly before the given one, in UTC. It reports
// false when there is none; the time is then the zero time.
//
// Going back is asking Next from earlier and earlier, and then halving: that is right
// for everything that Next is right for, daylight saving and calendars too.
func (s *Schedule) Prev(before time.Time) (time.Time, bool) {
	if !before.After(firstTime) {
		return time.Time{}, false
	}
	// All due times before the given one are at or before high.
	high := lastMilli
	if ms, ok := milli(before.Add(-1)); ok {
		high = ms
	}
	// A window's end is where the one before began, so that none is passed over.
	low, last, found := high, int64(0), false
	for window := int64(firstWindow); !found; window = min(2*window, lastWindow) {
		if low < firstMilli || low < s.starts {
			return time.Time{}, false
		}
		low -= window
		last, found = s.nextUntil(low, high)
	}
	// last is due. What is due after it, up to high, is at or before last's window's end.
	for low = last; low < high; {
		mid := low + (high-low)/2
		if due, ok := s.nextUntil(mid, high); ok {
			low, last = due, due
		} else {
			high = mid
		}
	}
	return time.UnixMilli(last).UTC(), true
}

// nextUntil is next for times at or before an end.
func (s *Schedule) nextUntil(after, end int64) (int64, bool) {
	due, ok := s.next(max(after, firstMilli-1))
	if !ok || due > end {
		return 0, false
	}
	return due, true
}
