package schedule

import (
	"errors"
	"fmt"
	"strings"
)

const maxComponents = 16 // that may lie within each other

// The reader of iCalendar text is our own, because a value that anybody can put must not hold up or end a process that
// other tasks depend on, and because this package does no I/O. Of the libraries, golang-ical v0.3.4 imports net/http,
// and rrule-go v1.8.2 panics on FREQ=MONTHLY;BYDAY=-6MO and looks for 30 February up to the year 9999 whatever UNTIL
// says, in one call that cannot be stopped; go-ical stands on rrule-go and reads EXDATE for RDATE.

// component is what BEGIN and END hold: its properties, and not those of components within it.
type component struct {
	name       string
	line       int
	properties []property
}

// eventDays returns the days of the all-day events of an iCalendar file, and a warning when other events do not count.
func eventDays(text string) (spans []dayRange, warning string, err error) {
	// A mistake in what follows costs the calendar, not the process.
	defer func() {
		if p := recover(); p != nil {
			spans, warning, err = nil, "", fmt.Errorf("is not an iCalendar file: %v", p)
		}
	}()
	components, err := readEvents(text)
	if err != nil {
		return nil, "", err
	}
	timed := 0
	replaced := make(map[instance]bool)
	events := make([]*event, 0, len(components))
	for _, c := range components {
		e, err := readEvent(c)
		if err != nil {
			return nil, "", err
		}
		if e.replaces {
			replaced[e.instance] = true
		}
		switch {
		case e.canceled:
		case e.allDay:
			events = append(events, e)
		default:
			timed++
		}
	}
	if len(events) == 0 {
		return nil, "", errors.New("has no all-day event: want a VEVENT with a line like DTSTART;VALUE=DATE:20261001")
	}
	allowed := &budget{days: maxEventDays, steps: maxEventSteps}
	for _, e := range events {
		if err := e.each(allowed, func(day int64) {
			if e.replaces || !replaced[instance{e.uid, day}] {
				spans = append(spans, dayRange{day, day + e.length - 1})
			}
		}); err != nil {
			return nil, "", e.wrong(err)
		}
	}
	return spans, timedWarning(timed, timed+len(events)), nil
}

// timedWarning says how many of all events that are not canceled are at a time of day; it is empty when none is.
func timedWarning(timed, all int) string {
	const only = "only all-day events do"
	switch timed {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("1 of %d events is at a time of day and does not count: %s", all, only)
	default:
		return fmt.Sprintf("%d of %d events are at a time of day and do not count: %s", timed, all, only)
	}
}

// readEvents returns the VEVENTs of a file.
func readEvents(text string) ([]component, error) {
	var open, events []component
	err := eachLine(text, func(p property) error {
		depth := len(open)
		switch {
		case p.name == "BEGIN":
			name := strings.ToUpper(strings.TrimSpace(p.value))
			if depth == 0 && name != "VCALENDAR" {
				return fmt.Errorf("BEGIN:%s: want BEGIN:VCALENDAR first", cut(name))
			}
			if depth == maxComponents {
				return fmt.Errorf("BEGIN:%s: more than %d components lie within each other", cut(name), maxComponents)
			}
			open = append(open, component{name: name, line: p.line})
		case depth == 0:
			return fmt.Errorf("%s: want BEGIN:VCALENDAR before it", cut(p.name))
		case p.name == "END":
			last := open[depth-1]
			if name := strings.ToUpper(strings.TrimSpace(p.value)); name != last.name {
				return fmt.Errorf("END:%s: want END:%s for what begins in line %d", cut(name), cut(last.name), last.line)
			}
			if open = open[:depth-1]; last.name == "VEVENT" {
				events = append(events, last)
			}
		case open[depth-1].name == "VEVENT":
			open[depth-1].properties = append(open[depth-1].properties, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n := len(open); n > 0 {
		return nil, fmt.Errorf("line %d: BEGIN:%s: has no END", open[n-1].line, cut(open[n-1].name))
	}
	return events, nil
}

// instance names one occurrence of an event: what it is part of, and the day that it had there.
type instance struct {
	uid string
	day int64
}

// event is what counts of a VEVENT. Of one that is not all day only the instance is set.
type event struct {
	summary  string
	line     int
	uid      string
	canceled bool
	allDay   bool
	// midnights: its dates are written as times, as Outlook does.
	midnights bool

	start  int64 // days since the Unix epoch
	length int64 // days, at least 1
	rule   *recurrence
	more   []int64 // RDATE
	except map[int64]bool

	// replaces: this is instead of the instance (RECURRENCE-ID).
	replaces bool
	instance instance
}

// singular are the properties of a VEVENT that count and that it may have only one of.
var singular = map[string]bool{
	"DTSTART": true, "DTEND": true, "DURATION": true, "RRULE": true, "RECURRENCE-ID": true,
	"STATUS": true, "SUMMARY": true, "UID": true, outlookAllDay: true,
}

func readEvent(c component) (*event, error) {
	e := &event{line: c.line, length: 1}
	given := make(map[string]property)
	for _, p := range c.properties {
		if !singular[p.name] {
			continue
		}
		if _, again := given[p.name]; again {
			return nil, fmt.Errorf("line %d: the event has a second %s: want one", p.line, p.name)
		}
		given[p.name] = p
	}
	e.summary = strings.TrimSpace(given["SUMMARY"].value)
	e.uid = strings.TrimSpace(given["UID"].value)
	e.canceled = strings.EqualFold(strings.TrimSpace(given["STATUS"].value), "CANCELLED")

	if p, ok := given["RECURRENCE-ID"]; ok {
		if p.param("RANGE") != "" {
			return nil, e.at(p, errors.New("RANGE is not supported: want an event of its own for each date"))
		}
		// One with a time of day is of an event that does not count.
		if day, err := p.midnight(p.value); err == nil && e.uid != "" {
			e.replaces, e.instance = true, instance{e.uid, day}
		}
	}
	start, ok := given["DTSTART"]
	switch {
	case !ok && e.canceled:
		return e, nil
	case !ok:
		return nil, e.wrong(errors.New("has no DTSTART"))
	case start.hasTime():
		if !outlookDay(given) {
			return e, nil
		}
		e.midnights = true
	}
	e.allDay = true
	var err error
	if e.start, err = e.date(start); err != nil {
		return nil, e.at(start, err)
	}
	if err := e.readLength(given); err != nil {
		return nil, err
	}
	if p, ok := given["RRULE"]; ok {
		if e.rule, err = parseRecurrence(p.value, e.start, e.midnights); err != nil {
			return nil, e.at(p, err)
		}
	}
	return e, e.readDates(c.properties)
}

// date reads a property's value as one of the event's dates.
func (e *event) date(p property) (int64, error) {
	if e.midnights {
		return p.midnight(p.value)
	}
	return p.date(p.value)
}

func (e *event) readLength(given map[string]property) error {
	end, hasEnd := given["DTEND"]
	duration, hasDuration := given["DURATION"]
	switch {
	case hasEnd && hasDuration:
		return e.at(duration, errors.New("goes without DTEND: want one of them"))
	case hasEnd:
		day, err := e.date(end)
		if err != nil {
			return e.at(end, err)
		}
		if day < e.start {
			return e.at(end, errors.New("is before DTSTART: want the day after the last one"))
		}
		// The same day is against the standard and usual for a single day.
		e.length = max(1, day-e.start)
	case hasDuration:
		length, err := parseDays(duration.value)
		if err != nil {
			return e.at(duration, err)
		}
		e.length = length
	}
	if e.length > maxEventDays {
		return e.wrong(fmt.Errorf("has %d days: want at most %d", e.length, maxEventDays))
	}
	return nil
}

func (e *event) readDates(properties []property) error {
	for _, p := range properties {
		switch p.name {
		case "EXRULE":
			return e.at(p, errors.New("is not supported: want EXDATE"))
		case "RDATE":
			for value := range strings.SplitSeq(p.value, ",") {
				p.value = value // which an error names
				day, err := e.date(p)
				if err != nil {
					return e.at(p, err)
				}
				e.more = append(e.more, day)
			}
		case "EXDATE":
			if e.except == nil {
				e.except = make(map[int64]bool)
			}
			for value := range strings.SplitSeq(p.value, ",") {
				p.value = value
				day, err := p.midnight(value)
				if err != nil {
					return e.at(p, err)
				}
				e.except[day] = true
			}
		}
	}
	return nil
}

// each calls do with the first day of each occurrence, in no order. RDATE, or an event that replaces an instance of
// another, may name a day again.
func (e *event) each(allowed *budget, do func(day int64)) error {
	one := func(day int64) error {
		if e.except[day] {
			return nil
		}
		if err := allowed.spendDays(e.length); err != nil {
			return err
		}
		do(day)
		return nil
	}
	// DTSTART is the first occurrence even where the rule does not name it (RFC 5545, section 3.8.2.4).
	if err := one(e.start); err != nil {
		return err
	}
	for _, day := range e.more {
		if err := one(day); err != nil {
			return err
		}
	}
	if e.rule == nil {
		return nil
	}
	return e.rule.after(e.start, allowed, one)
}

// at is an error in one line of the event.
func (e *event) at(p property, err error) error {
	return fmt.Errorf("line %d, event %q: %s: %q: %w", p.line, cut(e.summary), p.name, cut(p.value), err)
}

// wrong is an error of the event as a whole.
func (e *event) wrong(err error) error {
	return fmt.Errorf("line %d, event %q: %w", e.line, cut(e.summary), err)
}
