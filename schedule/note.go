package schedule

import (
	"fmt"
	"time"
)

// Note says why the zone's clock shows something else at a due time of s than what s asks for, or shows it at another
// time too: "daylight saving: 02:30 does not exist on 2026-03-29 in Europe/Berlin", "calendar: moved from 2026-10-03".
// It is empty when there is nothing to say: an expression that follows the clock never needs a note, and neither does
// a time that another member of a union asks for as it is. For a time that is not due it means nothing.
func (s *Schedule) Note(due time.Time) string {
	ms, ok := milli(due)
	if !ok {
		return ""
	}
	first := ""
	for _, p := range s.parts {
		if at, ok := p.next(ms - 1); !ok || at != ms {
			continue
		}
		note := noteOf(p, ms)
		if note == "" {
			return ""
		}
		if first == "" {
			first = note
		}
	}
	return first
}

// Zone is whose days count for a due time of s: that of an expression that has it, where that names its own, else
// Spec.TimeZone, as for a time that is not due.
func (s *Schedule) Zone(due time.Time) *time.Location {
	ms, ok := milli(due)
	if !ok {
		return s.zone
	}
	for _, p := range s.parts {
		if at, ok := p.next(ms - 1); !ok || at != ms {
			continue
		}
		if on, ok := p.(*onDays); ok {
			return on.loc
		}
		if c, ok := p.(*cronPart); ok {
			return c.loc
		}
	}
	return s.zone
}

// noteOf is Note for a part that has the time.
func noteOf(p part, due int64) string {
	switch p := p.(type) {
	case *cronPart:
		return p.note(floorDiv(due, 1000))
	case *onDays:
		if year, month, day, ok := p.movedFrom(due); ok {
			return fmt.Sprintf("calendar: moved from %04d-%02d-%02d", year, month, day)
		}
		return noteOf(p.inner, due)
	}
	return ""
}

// note is Note for a due time in Unix seconds.
func (c *cronPart) note(sec int64) string {
	if c.follows || c.loc == time.UTC {
		return ""
	}
	shown := sec + periodAt(c.loc, sec).offset
	if wall, ok := c.nextWall(shown); ok && wall == shown {
		before, after := passes(c.loc, sec)
		switch {
		case before > 0:
			return c.wallNote(wall, "%s comes twice on %s in %s, this is the second")
		case after > 0:
			return c.wallNote(wall, "%s comes twice on %s in %s, this is the first")
		}
		return ""
	}
	// The end of a gap. What was reached before (a fold shortly before the gap) is not what brought it about, unless
	// all passes count.
	before := periodAt(c.loc, sec-1)
	from := c.unreached(before, sec)
	if c.daylight == daylightBoth {
		from = sec + before.offset
	}
	if wall, ok := c.nextWall(from); ok && wall < shown {
		return c.wallNote(wall, "%s does not exist on %s in %s")
	}
	return ""
}

// wallNote puts a wall second and the zone into a note.
func (c *cronPart) wallNote(wall int64, format string) string {
	t := time.Unix(wall, 0).UTC()
	return "daylight saving: " + fmt.Sprintf(format, t.Format(clockLayout(t)), t.Format(time.DateOnly), c.loc)
}

// passes counts the other seconds, before and after one, at which the zone's clock shows the same.
func passes(loc *time.Location, sec int64) (before, after int) {
	here := periodAt(loc, sec)
	wall := sec + here.offset
	for p := here; p.start > sec-lookBack; {
		p = periodAt(loc, p.start-1)
		if at := wall - p.offset; at < sec && p.start <= at && at < p.end {
			before++
		}
	}
	for p := here; p.end < sec+lookBack; {
		p = periodAt(loc, p.end)
		if at := wall - p.offset; at > sec && p.start <= at && at < p.end {
			after++
		}
	}
	return before, after
}
