package schedule

import (
	"slices"
	"time"
)

// walls are the times of a part as its zone's clock shows them, or would if it did not jump: wall seconds, in
// milliseconds. A time that is moved to another day keeps its time of day on this clock.
type walls interface {
	// next returns the first one at or after another, due or not.
	next(wall int64) (int64, bool)
	// nextDue leaves out those that are not due.
	nextDue(wall int64) (int64, bool)
	// unreached returns a wall second that is not later than any that the clock reaches first at from or after. The
	// second before from lies in p.
	unreached(p period, from int64) int64
}

// cronWalls are those of an expression.
type cronWalls struct{ *cronPart }

func (c cronWalls) next(wall int64) (int64, bool) {
	sec, ok := c.nextWall(floorDiv(wall+999, 1000))
	return sec * 1000, ok
}

func (c cronWalls) nextDue(wall int64) (int64, bool) {
	for range maxPeriods {
		next, ok := c.next(wall)
		if !ok {
			return 0, false
		}
		sec := next / 1000
		a, ok := reach(c.loc, periodAt(c.loc, sec-lookBack), sec)
		if !ok {
			return 0, false
		}
		// A gap may end on another day; its times are that day's.
		due := !a.lost() && !c.follows && c.daylight != daylightSkip &&
			floorDiv(a.shown(), daySeconds) == floorDiv(sec, daySeconds)
		if a.gap == 0 || due {
			return next, true
		}
		wall = a.shown() * 1000
	}
	return 0, false
}

// listedWalls are sorted, those of instants.
type listedWalls []int64

func wallsOf(i *instants, loc *time.Location) listedWalls {
	list := make(listedWalls, len(i.times))
	for k, due := range i.times {
		list[k] = due + periodAt(loc, floorDiv(due, 1000)).offset*1000
	}
	slices.Sort(list)
	return list
}

func (l listedWalls) next(wall int64) (int64, bool) {
	i, _ := slices.BinarySearch(l, wall)
	if i == len(l) {
		return 0, false
	}
	return l[i], true
}

func (l listedWalls) nextDue(wall int64) (int64, bool) { return l.next(wall) }

// unreached may be earlier than it could be, by a fold.
func (l listedWalls) unreached(p period, from int64) int64 { return from - 1 + p.offset }

// arrive is instantOf in milliseconds. All times in a gap are due at its end.
func arrive(loc *time.Location, wall int64) (int64, bool) {
	sec := floorDiv(wall, 1000)
	at, ok := instantOf(loc, sec)
	if !ok {
		return 0, false
	}
	if at+periodAt(loc, at).offset != sec {
		return at * 1000, true
	}
	return at*1000 + wall - sec*1000, true
}
