package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones work on machines and in images that have no zone files
)

const (
	maxExpressions     = 32  // in one list
	maxExpressionBytes = 256 // of one expression, its zone prefix included
)

// Spec is what a user wrote of "when". Exactly one of Expressions and Every is set.
type Spec struct {
	// Expressions are cron expressions of 5 fields, of 6 with seconds first, or
	// descriptors (@daily, @every 90s). A list is a union. At most 32.
	Expressions []string
	// Every is an interval that counts from the Unix epoch plus Offset: whole
	// milliseconds, at least 10ms.
	Every time.Duration
	// Offset moves the instants of Every: whole milliseconds, at least 0 and less
	// than Every. Default 0.
	Offset time.Duration
	// TimeZone is the IANA name of the zone in which Expressions are read, unless
	// they name their own. It has no part in Every. Default UTC.
	TimeZone string
}

// Schedule is a Spec that was found good. It is immutable and safe for
// concurrent use.
type Schedule struct {
	parts []part // at least one; without duplicates, in canonical order
}

// part is one member of the union. Its times are milliseconds since the Unix
// epoch, within firstMilli and lastMilli.
type part interface {
	// next returns the first due time strictly after the given one.
	next(after int64) (due int64, ok bool)
	// String returns the canonical form; equal forms mean equal times.
	String() string
}

// Parse checks a spec and compiles it. The error, if any, is an *Error that
// names the field. It never panics.
func Parse(spec Spec) (*Schedule, error) {
	// A nil *Error must not become an error that is not nil.
	s, err := parse(spec)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func parse(spec Spec) (*Schedule, *Error) {
	loc, reason := loadZone(spec.TimeZone)
	if reason != "" {
		return nil, refuse("timeZone", spec.TimeZone, "%s", reason)
	}
	switch {
	case len(spec.Expressions) == 0 && spec.Every == 0:
		return nil, refuse("schedule", "", "nothing is set: want a cron expression, or every with an interval of at least %s", minEvery)
	case len(spec.Expressions) > 0 && spec.Every != 0:
		return nil, refuse("every", spec.Every.String(), "schedule and every exclude each other: want one of them")
	case len(spec.Expressions) > 0 && spec.Offset != 0:
		return nil, refuse("offset", spec.Offset.String(), "goes with every, not with schedule")
	case len(spec.Expressions) > maxExpressions:
		return nil, refuse("schedule", "", "%d expressions are too many: want at most %d", len(spec.Expressions), maxExpressions)
	}

	if len(spec.Expressions) == 0 {
		every, err := parseInterval(spec.Every, spec.Offset)
		if err != nil {
			return nil, err
		}
		return &Schedule{parts: []part{every}}, nil
	}

	parts := make([]part, 0, len(spec.Expressions))
	for i, text := range spec.Expressions {
		p, err := parseExpression(text, loc)
		if err != nil {
			field := "schedule"
			if len(spec.Expressions) > 1 {
				field = fmt.Sprintf("schedule[%d]", i)
			}
			return nil, refuse(field, text, "%s", err)
		}
		parts = append(parts, p)
	}
	return &Schedule{parts: union(parts)}, nil
}

// String returns the canonical form, the same for all spellings of the same
// schedule: five fields where the second is 0, numbers instead of names and
// descriptors, "CRON_TZ=Zone " before what is not in UTC, " | " between the
// sorted members of a union. An interval reads "@every 30s", and with an offset
// "@every 30s offset 5s". Parse accepts a member again and finds the same times,
// unless it has an offset or is longer, spelled out, than an expression may be.
func (s *Schedule) String() string {
	texts := make([]string, len(s.parts))
	for i, p := range s.parts {
		texts[i] = p.String()
	}
	return strings.Join(texts, " | ")
}

// union sorts parts by their canonical form and drops repeated ones.
func union(parts []part) []part {
	if len(parts) == 1 {
		return parts
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(parts, func(a, b part) bool { return a.String() == b.String() })
}
