package schedule

import (
	"math"
	"time"
)

const (
	// lostDate is the size of a gap, in seconds, that is not a change of the clock
	// but of the date: what was in it was never due.
	lostDate = 24 * 60 * 60
	// lookBack is more than any two offsets of a zone differ by (a day and some
	// seconds), so a fold reaches no further, and a clock cannot show a time whose
	// wall second is that far from the Unix second.
	lookBack = 48 * 60 * 60
	// maxPeriods bounds a search whose zone is ill-formed; an ordinary one looks at
	// a few.
	maxPeriods = 8 * searchYears
)

// daylight is what becomes of fixed times when the clock changes: Spec.DaylightSaving, compiled.
type daylight uint8

const (
	daylightOnce daylight = iota
	daylightSkip
	daylightBoth
)

// parseDaylight reads Spec.DaylightSaving.
func parseDaylight(text string) (daylight, *Error) {
	switch text {
	case "", Once:
		return daylightOnce, nil
	case Skip:
		return daylightSkip, nil
	case Both:
		return daylightBoth, nil
	}
	return 0, refuse("daylightSaving", text, "is not known: want %s, %s or %s", Once, Skip, Both)
}

func (d daylight) String() string {
	return [...]string{daylightOnce: Once, daylightSkip: Skip, daylightBoth: Both}[d]
}

// period is a stretch of time in which a zone's offset does not change. The next
// one may have the same offset.
type period struct {
	start, end int64 // Unix seconds, [start, end)
	offset     int64 // seconds east of UTC
}

func periodAt(loc *time.Location, sec int64) period {
	p := period{start: math.MinInt64, end: math.MaxInt64}
	if loc == time.UTC {
		return p
	}
	t := time.Unix(sec, 0).In(loc)
	_, offset := t.Zone()
	p.offset = int64(offset)
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.start = start.Unix()
	}
	if !end.IsZero() {
		p.end = end.Unix()
	}
	if p.end <= sec {
		// On 31 December of leap years ZoneBounds says that the zone ended the day
		// before, where only a rule is left to tell. Look again at the next midnight.
		p.end = (floorDiv(sec, daySeconds) + 1) * daySeconds
	}
	return p
}

func (c *cronPart) next(after int64) (int64, bool) {
	from := floorDiv(after, 1000) + 1
	var due int64
	var ok bool
	switch {
	case c.follows:
		due, ok = c.nextShown(from)
	case c.daylight == daylightBoth:
		due, ok = c.nextBoth(from)
	default:
		due, ok = c.nextFixed(from)
	}
	due *= 1000
	if !ok || due > lastMilli {
		return 0, false
	}
	return due, true
}

// nextShown returns the first Unix second at or after from at which the zone's
// clock shows a matching time.
func (c *cronPart) nextShown(from int64) (int64, bool) {
	p := periodAt(c.loc, from)
	for range maxPeriods {
		wall, ok := c.nextWall(from + p.offset)
		if ok && p.holds(wall) {
			return wall - p.offset, true
		}
		// Not before the clock changes. What it shows then is later (a gap, maybe with
		// the match in it) or earlier (a fold, maybe with a match before this one, or
		// with the last one of the expression's years). No fold reaches back to where
		// this search began when that is long before; then all up to shortly before the
		// match can be left out.
		far := p.end
		switch {
		case p.end < from+lookBack:
		case !ok:
			return 0, false
		default:
			far = max(far, wall-lookBack)
		}
		from = far
		p = periodAt(c.loc, from)
	}
	return 0, false
}

// nextFixed returns the first Unix second at or after from at which the zone's
// clock reaches a matching time for the first time.
//
// What counts is the latest time that the clock has shown so far, not the present one
// (see reach). That one rule covers folds (a time is reached in the first pass only),
// gaps (all times in one are reached at its end), and two changes close together.
func (c *cronPart) nextFixed(from int64) (int64, bool) {
	p := periodAt(c.loc, from-1) // from may be the end of a gap
	wall, ok := c.nextWall(c.unreached(p, from))
	for range maxPeriods {
		if !ok {
			return 0, false
		}
		a, found := reach(c.loc, p, wall)
		if !found {
			return 0, false
		}
		if a.gap == 0 || c.daylight != daylightSkip && !a.lost() {
			return a.sec, true
		}
		p = a.after
		wall, ok = c.nextWall(a.shown())
	}
	return 0, false
}

// nextBoth returns the first Unix second at or after from at which the zone's
// clock shows a matching time, or has just jumped over one.
func (c *cronPart) nextBoth(from int64) (int64, bool) {
	p := periodAt(c.loc, from-1) // from may be the end of a gap
	for range maxPeriods {
		wall, ok := c.nextWall(from + p.offset)
		if ok && p.holds(wall) {
			return wall - p.offset, true
		}
		if p.end >= from+lookBack { // as in nextShown
			if !ok {
				return 0, false
			}
			if far := wall - lookBack; far > p.end {
				from = far
				p = periodAt(c.loc, from-1)
				continue
			}
		}
		before := p.end + p.offset
		from = p.end
		p = periodAt(c.loc, from)
		reached := from + p.offset
		if jumped, ok := c.nextWall(before); ok && jumped < reached && reached-before < lostDate {
			return from, true
		}
	}
	return 0, false
}

// unreached returns the earliest time that the zone's clock has not reached
// before from. The second before from lies in p.
func (c *cronPart) unreached(p period, from int64) int64 {
	wall := from + p.offset
	for start := p.start; start > from-lookBack; {
		before := periodAt(c.loc, start-1)
		wall = max(wall, start+before.offset)
		start = before.start
	}
	return wall
}

// holds reports whether the clock shows the wall second before the period's end.
func (p period) holds(wall int64) bool {
	return p.end == math.MaxInt64 || wall < p.end+p.offset
}
