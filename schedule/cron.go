package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// cronPart is a compiled cron expression. Schedules share it; it is never changed.
type cronPart struct {
	seconds, minutes uint64 // bit n: value n
	hours, days      uint32
	months           uint16
	plainWeekdays    uint8 // the values of day of week, without the rules
	dayRules
	years []yearRange // none: every year

	// due holds the days that match in a month, by the day of week of its first day
	// and its length less 28.
	due [7][4]uint32
	// bothDays: day of month and day of week are both restricted. either: then a day
	// is due that matches one of them; otherwise it must match both.
	bothDays, either bool
	// follows: times are matched against what the clock shows, through both passes
	// of a fold; otherwise each is fixed, and daylight says what a change does to it.
	follows  bool
	daylight daylight

	loc  *time.Location
	text string // canonical
}

// compile makes a cronPart, or says why it can never match.
func compile(e expression, r reading) (*cronPart, error) {
	both := !e.star[dayOfMonth] && !e.star[dayOfWeek]
	c := &cronPart{
		seconds:       e.values[second],
		minutes:       e.values[minute],
		hours:         uint32(e.values[hour]),
		days:          uint32(e.values[dayOfMonth]),
		months:        uint16(e.values[month]),
		plainWeekdays: uint8(e.values[dayOfWeek]),
		dayRules:      e.rules,
		years:         e.years,
		bothDays:      both,
		either:        both && !r.and,
		follows:       e.star[minute] || e.star[hour],
		daylight:      r.daylight,
		loc:           r.loc,
		text:          canonical(e, r.loc),
	}
	if c.follows || c.loc == time.UTC {
		c.daylight = daylightOnce // the others mean the same
	}
	for first := range c.due {
		for more := range c.due[first] {
			dates, weekdays := c.matching(monthShape{first, 28 + more})
			if c.either {
				c.due[first][more] = dates | weekdays
			} else {
				c.due[first][more] = dates & weekdays
			}
		}
	}
	if err := c.possible(); err != nil {
		return nil, err
	}
	if len(c.years) > 0 {
		// So few times that the clock may leave all of them out: 30 December 2011 in Apia.
		if _, ok := c.next(firstMilli); !ok {
			return nil, fmt.Errorf("can never match: the clock in %s skips every time that it names, or comes to it after the end of 9999 in UTC", c.loc)
		}
	}
	return c, nil
}

// matching holds the days of a month that match day of month, and those that match day of week.
func (c *cronPart) matching(s monthShape) (dates, weekdays uint32) {
	dates = c.days&s.all() | c.dates(s)
	weekdays = c.weekdays(s)
	for day := 1; day <= s.length; day++ {
		if c.plainWeekdays>>s.weekday(day)&1 != 0 {
			weekdays |= 1 << day
		}
	}
	return dates, weekdays
}

// possible refuses what no year can match, or none of the expression's years.
func (c *cronPart) possible() error {
	kinds := yearKinds(c.years)
	likeYear := [2]int{2001, 2000} // by whether it is a leap year
	var dates uint32               // of any month
	for january, leaps := range kinds {
		for leap, there := range leaps {
			if !there {
				continue
			}
			first := january
			for m := time.January; m <= time.December; m++ {
				s := monthShape{first, monthLength(likeYear[leap], m)}
				if c.months>>m&1 != 0 {
					if c.due[s.first][s.length-28] != 0 {
						return nil
					}
					d, _ := c.matching(s)
					dates |= d
				}
				first = (first + s.length) % 7
			}
		}
	}
	return c.impossible(dates != 0)
}

// impossible says why no month of the expression has a day that is due. dates: it has days that match day of month.
func (c *cronPart) impossible(dates bool) error {
	var names []string
	for m := time.January; m <= time.December; m++ {
		if c.months>>m&1 != 0 {
			names = append(names, m.String())
		}
	}
	months := strings.Join(names, " or ")
	if len(names) == 12 {
		months = "any month"
	}
	if len(c.years) > 0 {
		months += " of " + cut(spellYears(c.years))
	}
	if dates {
		return fmt.Errorf("can never match: no day in %s matches both day of month and day of week", months)
	}
	day, suffix := c.days, ""
	if day == 0 {
		day, suffix = c.nearest, "W"
	}
	nor := ""
	if c.either {
		nor = ", and no day there matches day of week"
	}
	return fmt.Errorf("can never match: day of month %d%s does not exist in %s%s", bits.TrailingZeros32(day), suffix, months, nor)
}

// monthLength is how many days a month has.
func monthLength(year int, m time.Month) int {
	switch m {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// dueDays holds the days of a month that match. first is the month's first day
// in days since the Unix epoch.
func (c *cronPart) dueDays(year int, m time.Month, first int64) uint32 {
	const epochWeekday = int64(time.Thursday)
	weekday := (first + epochWeekday) - 7*floorDiv(first+epochWeekday, 7)
	return c.due[weekday][monthLength(year, m)-28]
}

func (c *cronPart) String() string { return c.text }
