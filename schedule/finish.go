package schedule

import "time"

// AfterFinish tells whether times depend on when runs end: then Next, Prev and Between have none, and Following tells.
func (s *Schedule) AfterFinish() bool { return s.after > 0 }

// Following returns the next due time of an AfterFinish schedule, in UTC: as long after the end of the last run as the
// schedule says, but strictly later than after, and not before StartsAt. With no run so far ended is the zero time;
// then it is the first millisecond later than after. It reports false when that is at or behind EndsAt or beyond year
// 9999, and for schedules of another kind; the time is then the zero time.
func (s *Schedule) Following(ended, after time.Time) (time.Time, bool) {
	earliest, ok := milli(after)
	if !ok || !s.AfterFinish() {
		return time.Time{}, false
	}
	due := max(earliest+1, s.starts)
	if !ended.IsZero() {
		end, ok := milli(ended.Add(time.Millisecond - 1)) // rounded up, so that the pause is not cut short
		if !ok {
			return time.Time{}, false
		}
		due = max(due, end+s.after)
	}
	if due >= s.ends || due > lastMilli {
		return time.Time{}, false
	}
	return time.UnixMilli(due).UTC(), true
}
