package schedule

import (
	"fmt"
	"math/bits"
	"time"
)

const (
	maxEvenTimes   = 4 // times of day that are listed although they are equally far apart
	maxUnevenTimes = 8 // times of day that are listed when they are not
	maxWindows     = 4 // runs of hours that are told one by one
)

// dayTimes is the best way to tell an expression's times of day: the first of these that is set, and when none is,
// field by field.
type dayTimes struct {
	times   []int         // all of them, in seconds of the day
	round   progression   // they go round the clock
	windows []progression // in each of these, all with the same step
}

// progression is n ascending numbers, step apart. A single one has step 1.
type progression struct{ first, last, step, n int }

// dayTimes finds the way.
func (c *cronPart) dayTimes() dayTimes {
	n := bits.OnesCount64(c.seconds) * bits.OnesCount64(c.minutes) * bits.OnesCount32(c.hours)
	if n <= maxEvenTimes {
		return dayTimes{times: c.listTimes()}
	}
	if day, ok := c.even(uint64(c.hours)); ok {
		// Fixed times do not come twice in a day of 25 hours: they are told by the day, not as going round.
		if c.follows && day.step*day.n == daySeconds {
			return dayTimes{round: day}
		}
		return dayTimes{windows: []progression{day}}
	}
	if windows := c.windows(); windows != nil {
		return dayTimes{windows: windows}
	}
	if n <= maxUnevenTimes {
		return dayTimes{times: c.listTimes()}
	}
	return dayTimes{}
}

// listTimes returns all times of day.
func (c *cronPart) listTimes() (times []int) {
	for clock, ok := c.nextClock(0); ok; clock, ok = c.nextClock(clock + 1) {
		if times = append(times, clock); clock == daySeconds-1 {
			break
		}
	}
	return times
}

// even returns the times of day in some hours if they are equally far apart.
func (c *cronPart) even(hours uint64) (progression, bool) {
	seconds, ok1 := even(c.seconds)
	minutes, ok2 := even(c.minutes)
	outer, ok3 := even(hours)
	if !ok1 || !ok2 || !ok3 {
		return progression{}, false
	}
	inner, ok := seconds.within(minutes, 60)
	if !ok {
		return progression{}, false
	}
	return inner.within(outer, 60*60)
}

// windows returns the times of day in each run of hours, nil if they are not equally far apart, few or in many runs.
func (c *cronPart) windows() (windows []progression) {
	for set := uint64(c.hours); set != 0; {
		low := bits.TrailingZeros64(set)
		run := set &^ (set + 1<<low)
		day, ok := c.even(run)
		if !ok || day.n < 3 || len(windows) == maxWindows || len(windows) > 0 && windows[0].step != day.step {
			return nil
		}
		windows = append(windows, day)
		set &^= run
	}
	return windows
}

// even returns the values of a set if they are equally far apart.
func even(set uint64) (progression, bool) {
	p := progression{bits.TrailingZeros64(set), bits.Len64(set) - 1, 1, bits.OnesCount64(set)}
	if p.n == 1 {
		return p, true
	}
	p.step = bits.TrailingZeros64(set&(set-1)) - p.first
	for v := p.first; v <= p.last; v += p.step {
		set &^= 1 << v
	}
	return p, set == 0 && p.first+(p.n-1)*p.step == p.last
}

// within returns p in each unit of outer, which is that long, if the numbers are equally far apart.
func (p progression) within(outer progression, unit int) (progression, bool) {
	all := progression{outer.first*unit + p.first, outer.last*unit + p.last, p.step, outer.n * p.n}
	switch {
	case outer.n == 1:
		return all, true
	case p.n == 1:
		all.step = outer.step * unit
		return all, true
	}
	return all, outer.step == 1 && p.last+p.step == p.first+unit
}

// stretches splits a set: into one progression of at least four values that are not neighbours, else into runs of at
// least three and single values.
func stretches(set uint64) (split []progression) {
	if p, ok := even(set); ok && p.n >= 4 && p.step > 1 {
		return []progression{p}
	}
	for set != 0 {
		low := bits.TrailingZeros64(set)
		n := bits.TrailingZeros64(^(set >> low))
		if n == 2 {
			n = 1
		}
		split = append(split, progression{low, low + n - 1, 1, n})
		set &^= (1<<n - 1) << low
	}
	return split
}

// cycle returns the first and last of at least three neighbouring values if a set has no others. 0 comes after n-1.
func cycle(set uint64, n int) (first, last int, ok bool) {
	count := bits.OnesCount64(set)
	if count < 3 || count == n {
		return 0, 0, false
	}
	for first = range n {
		if set>>first&1 == 0 || set>>((first+n-1)%n)&1 != 0 {
			continue // not where a run begins
		}
		for i := range count {
			if set>>((first+i)%n)&1 == 0 {
				return 0, 0, false
			}
		}
		return first, (first + count - 1) % n, true
	}
	return 0, 0, false
}

// daysTold says which of the day fields restrict the days that are due: a field that matches every day does not, and
// neither does when either field is enough and one matches every day.
func (c *cronPart) daysTold() (dates, weekdays bool) {
	dates = c.days != uint32(fields[dayOfMonth].all())
	weekdays = c.plainWeekdays != uint8(fields[dayOfWeek].all())
	if c.either && !(dates && weekdays) {
		return false, false
	}
	return dates, weekdays
}

// date is the only date of the year that the day of month and the month name, if it is one.
func (c *cronPart) date() (m time.Month, day int, ok bool) {
	ok = bits.OnesCount16(c.months) == 1 && bits.OnesCount32(c.days) == 1 && !c.dateRules()
	return time.Month(bits.TrailingZeros16(c.months)), bits.TrailingZeros32(c.days), ok
}

// monthRun returns the first and last of at least three neighbouring months if there are no others. Over the end of a
// year they run only where every year counts.
func (c *cronPart) monthRun() (first, last time.Month, ok bool) {
	from, to, ok := cycle(uint64(c.months)>>1, 12)
	return time.Month(from + 1), time.Month(to + 1), ok && (from < to || len(c.years) == 0)
}

func (c *cronPart) dateRules() bool { return c.lastDay || c.lastWeekday || c.nearest != 0 }

func (c *cronPart) weekdayRules() bool { return c.lastOf != 0 || c.nth != [7]uint8{} }

// mondayFirst is the order in which days of the week are told.
var mondayFirst = [...]time.Weekday{
	time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday,
}

// clockText is a second of the day as a clock shows it.
func clockText(second int, withSeconds bool) string {
	text := fmt.Sprintf("%02d:%02d", second/3600, second/60%60)
	if withSeconds {
		text += fmt.Sprintf(":%02d", second%60)
	}
	return text
}
