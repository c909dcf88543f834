package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones work on machines and in images that have no zone files
)

const (
	maxExpressions     = 32  // in one list
	maxExpressionBytes = 256 // of one expression, its zone prefix included
)

// Spec is what a user wrote of "when". Exactly one of Expressions, Every, At and AfterFinish is set.
type Spec struct {
	// Expressions are cron expressions of 5 fields, of 6 with seconds first, of 7 with years last as well, or
	// descriptors (@daily, @every 90s). A list is a union. At most 32.
	Expressions []string
	// Every is an interval that counts from the Unix epoch plus Offset: whole
	// milliseconds, at least 10ms.
	Every time.Duration
	// Offset moves the instants of Every: whole milliseconds, at least 0 and less
	// than Every. Default 0.
	Offset time.Duration
	// At are instants, each in RFC 3339 with its offset ("2026-12-01T09:00:00+08:00"), or without one as TimeZone's
	// clock shows it ("2026-12-01T09:00"). At most 1000.
	At []string
	// AfterFinish is how long after the end of the last run the next one is due: whole milliseconds, at least 10ms.
	// Such a schedule has no times of its own; see Schedule.Following.
	AfterFinish time.Duration
	// TimeZone is the IANA name of the zone in which Expressions, and instants without an offset, are read, unless
	// expressions name their own. Calendars take their days from it. It has no part in Every. Default UTC.
	TimeZone string
	// DaylightSaving says what becomes of the fixed times of Expressions when the clock changes: Once (default), Skip
	// or Both.
	DaylightSaving string
	// DayMatch is Or (default, as crontab(5) has it) or And: what a day must match when both day of month and day of
	// week are restricted. Given or not decides about a warning; see Schedule.Warnings.
	DayMatch string
	// StartsAt and EndsAt bound the times: none is due before the first, none at or after the second. Written as At is.
	StartsAt, EndsAt string
	// Jitter delays each time by less than this, by a hash of Key and the time, and never to or beyond the next one:
	// whole milliseconds. It changes when a run starts, not its nominal time; see Schedule.Due.
	Jitter time.Duration
	// Key is what H in expressions and Jitter spread by: "<namespace>/<task>".
	Key string
}

// Values of Spec.DaylightSaving, Spec.DayMatch and Calendars.OnExcluded.
const (
	// Once: a time in the gap is due right after it, a time that comes twice is due the first time.
	Once = "once"
	// Skip: a time in the gap is not due, a time that comes twice is due the first time.
	Skip = "skip"
	// Both: a time in the gap is due right after it, a time that comes twice is due both times.
	Both = "both"

	Or  = "or"
	And = "and"

	// NextIncluded and PreviousIncluded move a time from a day that is not included to one that is; Skip drops it.
	NextIncluded     = "next-included"
	PreviousIncluded = "previous-included"
)

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
	s := &Schedule{zone: loc}
	if err := s.parseTimes(spec); err != nil {
		return nil, err
	}
	if err := s.parseBounds(spec); err != nil {
		return nil, err
	}
	if err := s.parseJitter(spec); err != nil {
		return nil, err
	}
	return s, nil
}

// parseTimes reads what times there are: one of Expressions, Every, At and AfterFinish.
func (s *Schedule) parseTimes(spec Spec) *Error {
	mode, err := parseDaylight(spec.DaylightSaving)
	if err != nil {
		return err
	}
	if spec.DayMatch != "" && spec.DayMatch != Or && spec.DayMatch != And {
		return refuse("dayMatch", spec.DayMatch, "is not known: want %s or %s", Or, And)
	}
	if err := spec.checkKinds(); err != nil {
		return err
	}
	switch {
	case spec.Every != 0:
		every, err := parseInterval(spec.Every, spec.Offset)
		if err != nil {
			return err
		}
		s.parts = []part{every}
	case len(spec.At) > 0:
		at, err := parseInstants(spec.At, s.zone)
		if err != nil {
			return err
		}
		s.parts = []part{at}
	case spec.AfterFinish != 0:
		if err := checkEvery(spec.AfterFinish); err != nil {
			return refuse("afterFinish", spec.AfterFinish.String(), "%s", err)
		}
		s.after = spec.AfterFinish.Milliseconds()
	default:
		return s.parseExpressions(spec, mode)
	}
	return nil
}

// checkKinds refuses a spec of no kind or of several.
func (spec *Spec) checkKinds() *Error {
	kinds := [...]struct {
		field, value string
		set          bool
	}{
		{"schedule", "", len(spec.Expressions) > 0},
		{"every", spec.Every.String(), spec.Every != 0},
		{"at", strings.Join(spec.At[:min(1, len(spec.At))], ""), len(spec.At) > 0},
		{"afterFinish", spec.AfterFinish.String(), spec.AfterFinish != 0},
	}
	kind := ""
	for _, k := range kinds {
		switch {
		case !k.set:
		case kind != "":
			return refuse(k.field, k.value, "%s and %s exclude each other: want one of them", kind, k.field)
		default:
			kind = k.field
		}
	}
	switch {
	case kind == "":
		return refuse("schedule", "", "nothing is set: want a cron expression, or every with an interval of at least %s, or at, or afterFinish", minEvery)
	case spec.Offset != 0 && kind != "every":
		return refuse("offset", spec.Offset.String(), "goes with every, not with %s", kind)
	}
	return nil
}

func (s *Schedule) parseExpressions(spec Spec, mode daylight) *Error {
	if len(spec.Expressions) > maxExpressions {
		return refuse("schedule", "", "%d expressions are too many: want at most %d", len(spec.Expressions), maxExpressions)
	}
	r := reading{loc: s.zone, daylight: mode, and: spec.DayMatch == And, key: spec.Key}
	s.parts = make([]part, 0, len(spec.Expressions))
	for i, text := range spec.Expressions {
		field := "schedule"
		if len(spec.Expressions) > 1 {
			field = fmt.Sprintf("schedule[%d]", i)
		}
		p, err := parseExpression(text, r)
		if err != nil {
			return refuse(field, text, "%s", err)
		}
		s.parts = append(s.parts, p)

		c, ok := p.(*cronPart)
		if !ok {
			continue
		}
		if c.bothDays && spec.DayMatch == "" {
			s.warnings = append(s.warnings, *refuse(field, text, "is due on days that match day of month or day of week, not only on those "+
				"that match both: dayMatch: %s asks for both, dayMatch: %s says that this is meant", And, Or))
		}
		s.and = s.and || c.bothDays && !c.either
		s.daylight = max(s.daylight, c.daylight)
	}
	s.parts = union(s.parts)
	return nil
}
