package schedule

import (
	"math/bits"
	"time"
)

// Wall seconds are what a zone's clock shows, as seconds since the clock showed
// the epoch's date: Unix seconds plus the zone's offset. They are a calendar
// without zones and gaps.

const (
	daySeconds  = 24 * 60 * 60
	searchYears = 50
)

// nextWall returns the first wall second at or after from that matches, within
// searchYears, or within the expression's years when it has some. It goes by months
// and bit sets, never minute by minute.
func (c *cronPart) nextWall(from int64) (int64, bool) {
	date := floorDiv(from, daySeconds)
	clock, within := c.nextClock(int(from - date*daySeconds))

	year, month, day := time.Unix(from, 0).UTC().Date()
	first := date - int64(day-1) // the month's first day, in days since the epoch
	if !within {
		day++ // maybe past the month's end; then no bit is left below
		clock = c.firstClock()
	}
	lastYear := year + searchYears
	if len(c.years) > 0 {
		lastYear = finalYear
		wanted, ok := c.yearAfter(year - 1)
		if !ok {
			return 0, false
		}
		if wanted != year {
			year, month, day, clock = wanted, c.firstMonth(), 1, c.firstClock()
			first = firstOf(year, month)
		}
	}
	for {
		if c.months>>month&1 != 0 {
			if due := c.dueDays(year, month, first) >> day << day; due != 0 {
				found := bits.TrailingZeros32(due)
				if found != day {
					clock = c.firstClock()
				}
				return (first+int64(found-1))*daySeconds + int64(clock), true
			}
		}
		// On to the next month of the expression.
		day, clock = 1, c.firstClock()
		if later := c.months >> (month + 1); later != 0 {
			month += time.Month(1 + bits.TrailingZeros16(later))
		} else {
			month = c.firstMonth()
			var ok bool
			if year, ok = c.yearAfter(year); !ok || year > lastYear {
				return 0, false
			}
		}
		first = firstOf(year, month)
	}
}

// firstOf is the first day of a month, in days since the epoch.
func firstOf(year int, month time.Month) int64 {
	return floorDiv(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Unix(), daySeconds)
}

func (c *cronPart) firstMonth() time.Month {
	return time.Month(bits.TrailingZeros16(c.months))
}

// nextClock returns the first matching second of the day at or after from, if
// there is one before midnight.
func (c *cronPart) nextClock(from int) (clock int, ok bool) {
	h, m, s := from/3600, from/60%60, from%60
	if c.hours>>h&1 != 0 {
		if c.minutes>>m&1 != 0 {
			if later := c.seconds >> s; later != 0 {
				return from + bits.TrailingZeros64(later), true
			}
		}
		if later := c.minutes >> (m + 1); later != 0 {
			m += 1 + bits.TrailingZeros64(later)
			return h*3600 + m*60 + bits.TrailingZeros64(c.seconds), true
		}
	}
	if later := c.hours >> (h + 1); later != 0 {
		h += 1 + bits.TrailingZeros32(later)
		return h*3600 + c.firstClock()%3600, true
	}
	return 0, false
}

// firstClock returns the first matching second of a day.
func (c *cronPart) firstClock() int {
	return bits.TrailingZeros32(c.hours)*3600 + bits.TrailingZeros64(c.minutes)*60 + bits.TrailingZeros64(c.seconds)
}
