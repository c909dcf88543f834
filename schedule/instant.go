package schedule

import "time"

// instantOf returns the first Unix second at which the zone's clock has reached a wall second: for one in a gap the
// end of the gap, for one that the clock shows twice the first time. ok is false for a date that never was, as
// 30 December 2011 in Apia.
func instantOf(loc *time.Location, wall int64) (sec int64, ok bool) {
	a, ok := reach(loc, periodAt(loc, wall-lookBack), wall)
	return a.sec, ok && !a.lost()
}

// arrival is how a clock comes to a wall second.
type arrival struct {
	sec int64 // the first Unix second at which the clock has reached it
	// gap is what the clock jumped over with it, in seconds; 0: the clock shows it.
	gap int64
	// after is the period that begins there, when there is a gap.
	after period
}

// lost reports whether the wall second is of a date that never was.
func (a arrival) lost() bool { return a.gap >= lostDate }

// shown is what the clock shows on arrival over a gap.
func (a arrival) shown() int64 { return a.sec + a.after.offset }

// reach finds when the zone's clock reaches a wall second that it has not reached before p, nor in p before the
// second that is asked about. It is the one rule of fixed times: the clock has reached a time when it shows that time
// or has jumped over it. ok is false only in an ill-formed zone.
func reach(loc *time.Location, p period, wall int64) (a arrival, ok bool) {
	for range maxPeriods {
		if p.holds(wall) {
			return arrival{sec: wall - p.offset}, true
		}
		if far := wall - lookBack; far > p.end {
			p = periodAt(loc, far) // the clock cannot reach it before
			continue
		}
		at, before := p.end, p.end+p.offset
		p = periodAt(loc, at)
		if reached := at + p.offset; wall < reached {
			return arrival{sec: at, gap: reached - before, after: p}, true
		}
	}
	return arrival{}, false
}
