package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// cronPart is a compiled cron expression.
type cronPart struct {
	seconds, minutes uint64 // bit n: value n
	hours, days      uint32
	months           uint16

	// weekdays[w] holds the days of a month that begins on weekday w which fall on
	// a day of week of the expression.
	weekdays [7]uint32
	// anyWeekday: every day of week is in, so weekdays need not be looked at.
	anyWeekday bool
	// either: a day is due that matches days or weekdays, instead of both.
	either bool
	// follows: times are matched against what the clock shows, through both passes
	// of a fold; otherwise each is fixed and due once.
	follows bool

	loc  *time.Location
	text string // canonical
}

// compile makes a cronPart, or says why no date can ever match.
func compile(s sets, star [6]bool, loc *time.Location) (*cronPart, error) {
	c := &cronPart{
		seconds:    s[second],
		minutes:    s[minute],
		hours:      uint32(s[hour]),
		days:       uint32(s[dayOfMonth]),
		months:     uint16(s[month]),
		anyWeekday: s[dayOfWeek] == fields[dayOfWeek].all(),
		either:     !star[dayOfMonth] && !star[dayOfWeek],
		follows:    star[minute] || star[hour],
		loc:        loc,
		text:       canonical(s, star, loc),
	}
	for first := range c.weekdays {
		for day := 1; day <= 31; day++ {
			if s[dayOfWeek]>>((first+day-1)%7)&1 != 0 {
				c.weekdays[first] |= 1 << day
			}
		}
	}
	if err := c.possible(); err != nil {
		return nil, err
	}
	return c, nil
}

// possible refuses what no year can match. Every date falls on every day of the
// week in the 400 years after which the calendar repeats, 29 February too, so
// only day of month and month can exclude each other.
func (c *cronPart) possible() error {
	if c.either {
		return nil
	}
	var names []string
	for m := time.January; m <= time.December; m++ {
		if c.months>>m&1 == 0 {
			continue
		}
		if c.days&monthDays(2000, m) != 0 { // a leap year
			return nil
		}
		names = append(names, m.String())
	}
	return fmt.Errorf("can never match: day of month %d does not exist in %s",
		bits.TrailingZeros32(c.days), strings.Join(names, " or "))
}

// monthDays holds the days that a month has.
func monthDays(year int, m time.Month) uint32 {
	length := 31
	switch m {
	case time.April, time.June, time.September, time.November:
		length = 30
	case time.February:
		length = 28
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			length = 29
		}
	}
	return uint32(1<<(length+1) - 2)
}

// dueDays holds the days of a month that match. first is the month's first day
// in days since the Unix epoch.
func (c *cronPart) dueDays(year int, m time.Month, first int64) uint32 {
	exist := monthDays(year, m)
	if c.anyWeekday && !c.either {
		return exist & c.days
	}
	const epochWeekday = int64(time.Thursday)
	weekdays := c.weekdays[(first+epochWeekday)-7*floorDiv(first+epochWeekday, 7)]
	if c.either {
		return exist & (c.days | weekdays)
	}
	return exist & c.days & weekdays
}

func (c *cronPart) String() string { return c.text }
