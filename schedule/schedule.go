package schedule

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Schedule is a Spec that was found good. It is immutable and safe for
// concurrent use.
type Schedule struct {
	// parts are a union, without duplicates, in canonical order: at least one, and
	// none where after is set.
	parts []part
	// starts and ends are half-open milliseconds, within which all times are; noStart and noEnd where not set.
	starts, ends int64
	after        int64 // milliseconds after the end of a run; 0: not an AfterFinish schedule
	jitter       int64 // milliseconds
	seed         uint64
	zone         *time.Location // of the Spec
	warnings     []Error

	// What the parts have of the Spec, unless it makes no difference to them.
	daylight daylight
	and      bool
}

const (
	noStart = math.MinInt64
	noEnd   = math.MaxInt64
)

// part is one member of the union. Its times are milliseconds since the Unix
// epoch, within firstMilli and lastMilli.
type part interface {
	// next returns the first due time strictly after the given one.
	next(after int64) (due int64, ok bool)
	// String returns the canonical form; in one schedule, equal forms mean equal times.
	String() string
}

// Warnings are what is accepted but may not be what was meant: expressions that restrict both day of month and day of
// week while DayMatch is not given.
func (s *Schedule) Warnings() []Error { return slices.Clone(s.warnings) }

// String returns the canonical form, the same for all spellings of the same
// schedule.
//
// An expression has five fields where the second is 0 and seven with years, numbers
// instead of names and descriptors, H replaced by its value, and "CRON_TZ=Zone "
// before it when it is not in UTC; " | " is between the sorted members of a union.
// Parse accepts a member again, under the same DaylightSaving and DayMatch, and finds
// the same times, unless it is longer, spelled out, than an expression may be. An
// interval reads "@every 30s", and with an offset "@every 30s offset 5s", instants "at"
// and their times in UTC. What else the schedule says follows after semicolons, in
// the words of a task: "0 9 * * *; startsAt 2026-12-01T00:00:00Z; jitter 30s".
func (s *Schedule) String() string {
	var b strings.Builder
	for i, p := range s.parts {
		if i > 0 {
			b.WriteString(" | ")
		}
		b.WriteString(p.String())
	}
	if s.after > 0 {
		b.WriteString("afterFinish " + duration(milliseconds(s.after)))
	}
	if s.daylight != daylightOnce {
		b.WriteString("; daylightSaving " + s.daylight.String())
	}
	if s.and {
		b.WriteString("; dayMatch " + And)
	}
	if s.starts != noStart {
		b.WriteString("; startsAt " + instantText(s.starts))
	}
	if s.ends != noEnd {
		b.WriteString("; endsAt " + instantText(s.ends))
	}
	if s.jitter > 0 {
		b.WriteString("; jitter " + duration(milliseconds(s.jitter)))
	}
	return b.String()
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// union sorts parts by their canonical form and drops repeated ones.
func union(parts []part) []part {
	if len(parts) == 1 {
		return parts
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(parts, func(a, b part) bool { return a.String() == b.String() })
}
