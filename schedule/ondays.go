package schedule

import (
	"math"
	"slices"
	"time"
)

const (
	dayMilli   = daySeconds * 1000
	searchDays = searchYears * 366
	maxMove    = 366 // days that a time is moved by at most
)

// Calendars say on which days a schedule's times count: those in any of Include (all days, when it is empty) that
// are in none of Exclude.
type Calendars struct {
	Include, Exclude []*Calendar
	// OnExcluded says what becomes of a time on any other day: Skip (default) drops it, NextIncluded moves it to the
	// same time of the next day that counts, PreviousIncluded to that of the last one before; when there is none within
	// 366 days it is dropped.
	OnExcluded string
}

// On is s on the days that calendars say; they take the place of those of an earlier On. Without calendars it is s.
//
// Days are those of an expression's own zone, and for an interval or an instant those of Spec.TimeZone. The time to
// which another is moved is found as a fixed time of that day: right after the gap when the clock jumps over it, the
// first time when the clock shows it twice. Times that meet at one instant are one. The times of an interval are never
// moved: one on a day that does not count is dropped. Spec.StartsAt, EndsAt and Jitter apply to times as moved.
//
// A search gives up after 50 years without a day that counts, and where neither years nor instants are given, after 50
// years without a time on one or moved to one.
func (s *Schedule) On(calendars Calendars) *Schedule {
	if len(calendars.Include)+len(calendars.Exclude) == 0 {
		return s
	}
	calendars.Include, calendars.Exclude = slices.Clone(calendars.Include), slices.Clone(calendars.Exclude)
	on := *s
	on.parts = make([]part, len(s.parts))
	for i, p := range s.parts {
		if earlier, ok := p.(*onDays); ok {
			p = earlier.inner
		}
		on.parts[i] = newOnDays(p, s.zone, calendars)
	}
	return &on
}

// onDays is a part on the days that calendars say. Some of its times are its own, those of the inner part on days that
// count; the others were moved there.
type onDays struct {
	inner            part
	loc              *time.Location // whose days count
	include, exclude []*Calendar
	// step is the way to the day to which a time is moved: 1, or -1; 0 when it is dropped.
	step  int64
	walls walls // of inner; nil when step is 0
	// listed: inner has given years or instants and comes to its end, however many years lie between two of them.
	listed bool
}

func newOnDays(inner part, zone *time.Location, calendars Calendars) *onDays {
	o := &onDays{inner: inner, loc: zone, include: calendars.Include, exclude: calendars.Exclude}
	switch calendars.OnExcluded {
	case NextIncluded:
		o.step = 1
	case PreviousIncluded:
		o.step = -1
	}
	switch p := inner.(type) {
	case *cronPart:
		o.loc, o.walls, o.listed = p.loc, cronWalls{p}, len(p.years) > 0
	case *instants:
		o.listed = true
		if o.step != 0 {
			o.walls = wallsOf(p, o.loc)
		}
	default:
		o.step = 0
	}
	return o
}

// String is that of the inner part: days have no canonical form.
func (o *onDays) String() string { return o.inner.String() }

func (o *onDays) next(after int64) (int64, bool) {
	due, ok := o.own(after)
	if o.step == 0 {
		return due, ok
	}
	before := int64(math.MaxInt64)
	if ok {
		before = due
	}
	if moved, _, ok := o.moved(after, before); ok {
		return moved, true
	}
	return due, ok
}

// own returns the first of the part's own times after one.
func (o *onDays) own(after int64) (int64, bool) {
	due, ok := o.inner.next(after)
	for last := int64(math.MaxInt64); ok; {
		sec := floorDiv(due, 1000)
		p := periodAt(o.loc, sec)
		wall := sec + p.offset
		day := floorDiv(wall, daySeconds)
		if o.includes(day) {
			return due, true
		}
		if last == math.MaxInt64 || o.listed {
			last = day + searchDays
		}
		later, found := o.nextIncluded(day+1, last)
		if !found {
			return 0, false
		}
		// To the beginning of that day, unless the clock changes before: then it may show an earlier one first, but only
		// soon, since no fold reaches far back.
		begin := later*daySeconds - p.offset
		switch {
		case begin <= p.end:
		case p.end < sec+lookBack:
			begin = p.end
		default:
			begin = max(p.end, later*daySeconds-lookBack)
		}
		due, ok = o.inner.next(begin*1000 - 1)
	}
	return 0, false
}

// movedFrom returns the date from which the time that is due, in milliseconds, was moved. ok is false when it was not.
func (o *onDays) movedFrom(due int64) (year int, month time.Month, day int, ok bool) {
	if o.step == 0 {
		return 0, 0, 0, false
	}
	if own, ok := o.own(due - 1); ok && own == due {
		return 0, 0, 0, false
	}
	moved, from, ok := o.moved(due-1, due+1)
	if !ok || moved != due {
		return 0, 0, 0, false
	}
	year, month, day = dateOf(from)
	return year, month, day, true
}

// moved returns the first time after one, and before another, that was moved, and the day from which it was.
//
// It goes by the days that have times, in order; the days to which they go are then in order as well, and a day's
// moved times are all from one run of days that do not count. The times of a run are not in order where they go, so
// the whole run is looked at.
func (o *onDays) moved(after, before int64) (due, from int64, ok bool) {
	sec := floorDiv(after, 1000)
	p := periodAt(o.loc, sec)
	wall := o.walls.unreached(p, sec+1)
	today := floorDiv(wall, daySeconds)

	// The last day that a time before the second one can go to: no fold shows a day again that is more than two before
	// the latest that was shown.
	end := floorDiv(min(before, lastMilli), dayMilli) + 1 + 2
	day := today
	if o.step > 0 {
		for day > today-maxMove && !o.open(p, day-1) {
			day--
		}
	}
	for last := int64(math.MaxInt64); ; {
		source, found := o.walls.next(day * dayMilli)
		if !found {
			return 0, 0, false
		}
		day = floorDiv(source, dayMilli)
		if last == math.MaxInt64 || o.listed {
			last = day + searchDays
		}
		if day > last {
			return 0, 0, false
		}
		if o.open(p, day) {
			if day > end {
				return 0, 0, false
			}
			day++
			continue
		}
		to, found := o.target(p, day)
		if !found {
			if day = o.pastFar(p, day, last); day > last {
				return 0, 0, false
			}
			continue
		}
		if to > end {
			return 0, 0, false
		}
		run := o.runEnd(p, day, to)
		if due, from, ok := o.earliest(to, day, run, wall*1000, after); ok {
			return due, from, due < before
		}
		day = run + 1
	}
}

// earliest returns the first time after one among those that go to a day from a run of days. Times of the clock before
// wall are not after it.
func (o *onDays) earliest(to, first, last, wall, after int64) (due, from int64, ok bool) {
	for clock := max(0, wall-to*dayMilli); clock < dayMilli; clock++ {
		best := int64(dayMilli)
		for day := first; day <= last; {
			source, found := o.walls.next(day*dayMilli + clock)
			if found && source-day*dayMilli < best {
				source, found = o.walls.nextDue(source) // dear, and rarely another one
			}
			if !found {
				break
			}
			if on := floorDiv(source, dayMilli); on > day {
				day = on // where the clock may be too early again
				continue
			}
			if at := source - day*dayMilli; at < best {
				best, from = at, day
			}
			day++
		}
		if best == dayMilli {
			return 0, 0, false
		}
		clock = best
		due, ok = arrive(o.loc, to*dayMilli+best)
		if ok && due > lastMilli {
			return 0, 0, false
		}
		if ok && due > after {
			return due, from, true
		}
	}
	return 0, 0, false
}

// target returns the day to which the times of a day go.
func (o *onDays) target(p period, day int64) (int64, bool) {
	for n := int64(1); n <= maxMove; n++ {
		if o.open(p, day+n*o.step) {
			return day + n*o.step, true
		}
	}
	return 0, false
}

// runEnd returns the last day, from day on, whose times go to the same day.
func (o *onDays) runEnd(p period, day, to int64) int64 {
	if o.step > 0 {
		return to - 1
	}
	for day < to+maxMove && !o.open(p, day+1) {
		day++
	}
	return day
}

// pastFar returns the first day after one without a target that may have one, at most the one after last.
func (o *onDays) pastFar(p period, day, last int64) int64 {
	open := day + 1
	for open <= last && !o.open(p, open) {
		open++
	}
	if o.step > 0 && open <= last {
		return max(day+1, open-maxMove)
	}
	return open
}

func (o *onDays) nextIncluded(day, last int64) (int64, bool) {
	for ; day <= last; day++ {
		if o.includes(day) {
			return day, true
		}
	}
	return 0, false
}

// includes tells whether the calendars let a day count.
func (o *onDays) includes(day int64) bool {
	for _, c := range o.exclude {
		if c.on(day) {
			return false
		}
	}
	for _, c := range o.include {
		if c.on(day) {
			return true
		}
	}
	return len(o.include) == 0
}

// open tells whether times can be moved to a day: it counts, and it is a date that is. The period is one in which most
// of the days asked for lie.
func (o *onDays) open(p period, day int64) bool {
	if !o.includes(day) {
		return false
	}
	if day*daySeconds-p.offset >= p.start && p.holds((day+1)*daySeconds-1) {
		return true
	}
	_, ok := instantOf(o.loc, day*daySeconds+daySeconds/2)
	return ok
}
