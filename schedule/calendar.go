package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxCalendarDays      = 10_000  // entries of a list
	maxCalendarDayBytes  = 64      // of one entry
	maxCalendarTextBytes = 1 << 20 // of an iCalendar file
	maxRangeYears        = 10      // of a range of dates
)

// Calendar is a set of days. It is immutable and safe for concurrent use.
type Calendar struct {
	weekdays  uint8      // bit w: time.Weekday w
	yearly    [13]uint32 // of each month, bit d: day d
	anyYearly bool       // some yearly day is set
	spans     []dayRange // sorted, with a day at least between two
	warnings  []Error
}

// Warnings are what is accepted but may not be what was meant: events of the iCalendar file that do not count because
// they are at a time of day.
func (c *Calendar) Warnings() []Error { return slices.Clone(c.warnings) }

// dayRange is a run of days since the Unix epoch, both ends included.
type dayRange struct{ first, last int64 }

// ParseCalendar reads a calendar from a list of days and from the text of an iCalendar file, either of which may be
// empty. The error, if any, is an *Error whose Field is "days", "days[2]" or "ics". It never panics.
//
// An entry of days is a date ("2026-10-01"), a range of dates with both ends and of at most 10 years
// ("2026-10-01/2026-10-07"), a date of every year as ISO 8601 has it ("--12-25"; "--02-29" is one of leap years), a
// range of those, which may run over the end of the year ("--12-24/--01-02"), or a day of the week in English in any
// case ("Sat", "saturday"). The order does not matter and repeated days do no harm. At most 10,000 entries.
//
// Of an iCalendar file (RFC 5545) of at most 1 MiB, the all-day events count: those whose DTSTART is a date, with
// RRULE, RDATE, EXDATE and single occurrences that another event replaces. So do those that Outlook writes as midnights
// and marks with X-MICROSOFT-CDO-ALLDAYEVENT:TRUE, by their dates as written. Events at a time of day, of which
// Warnings tells, and canceled ones do not. A rule is followed up to the end of 2099, and all events together may have
// 20,000 days. A file without any all-day event is refused.
func ParseCalendar(days []string, ics string) (*Calendar, error) {
	c, err := parseCalendar(days, ics)
	if err != nil {
		return nil, err // through a variable of type error: a nil *Error is not a nil error
	}
	return c, nil
}

func parseCalendar(days []string, ics string) (*Calendar, *Error) {
	if len(days) > maxCalendarDays {
		return nil, refuse("days", "", "%d entries are too many: want at most %d", len(days), maxCalendarDays)
	}
	if len(ics) > maxCalendarTextBytes {
		return nil, refuse("ics", "", "%d bytes are too many: want at most %d", len(ics), maxCalendarTextBytes)
	}
	c := new(Calendar)
	for i, entry := range days {
		if err := c.add(entry); err != nil {
			return nil, refuse(fmt.Sprintf("days[%d]", i), entry, "%s", err)
		}
	}
	if ics != "" {
		spans, warning, err := eventDays(ics)
		if err != nil {
			return nil, refuse("ics", "", "%s", err)
		}
		if warning != "" {
			c.warnings = append(c.warnings, *refuse("ics", "", "%s", warning))
		}
		c.spans = append(c.spans, spans...)
	}
	c.spans = joined(c.spans)
	return c, nil
}

// Contains tells whether a date is in the calendar. A date that does not exist is in none.
func (c *Calendar) Contains(year int, month time.Month, day int) bool {
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if y, m, d := date.Date(); y != year || m != month || d != day {
		return false
	}
	return c.on(dayOf(date))
}

// on tells whether a day since the Unix epoch is in the calendar.
func (c *Calendar) on(day int64) bool {
	if c.weekdays != 0 && c.weekdays>>weekdayOf(day)&1 != 0 {
		return true
	}
	if c.anyYearly {
		if _, month, d := dateOf(day); c.yearly[month]>>d&1 != 0 {
			return true
		}
	}
	// The first span that does not end before day.
	low, high := 0, len(c.spans)
	for low < high {
		if middle := (low + high) / 2; c.spans[middle].last < day {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(c.spans) && c.spans[low].first <= day
}

// add reads one entry of a list of days.
func (c *Calendar) add(entry string) error {
	if len(entry) > maxCalendarDayBytes {
		return fmt.Errorf("%d bytes are too many: %w", len(entry), errWantDay)
	}
	if w, ok := weekdayNamed(entry); ok {
		c.weekdays |= 1 << w
		return nil
	}
	from, to, isRange := strings.Cut(entry, "/")
	if !isRange {
		to = from
	}
	yearly := strings.HasPrefix(from, "--")
	if yearly != strings.HasPrefix(to, "--") {
		return errors.New(`mixes a date with one of every year: want "2026-10-01/2026-10-07" or "--12-24/--12-31"`)
	}
	if yearly {
		// A leap year, so that 29 February is a date.
		from, to = strings.Replace(from, "-", "2000", 1), strings.Replace(to, "-", "2000", 1)
	}
	first, err := parseDate(from)
	if err != nil {
		return err
	}
	last, err := parseDate(to)
	if err != nil {
		return err
	}
	switch {
	case yearly:
		c.addYearly(first, last)
	case last.Before(first):
		return errors.New("ends before it begins: want the earlier date first")
	case !last.Before(first.AddDate(maxRangeYears, 0, 0)):
		return fmt.Errorf("is longer than %d years: want a shorter range, or dates of every year (\"--12-25\")", maxRangeYears)
	default:
		c.spans = append(c.spans, dayRange{dayOf(first), dayOf(last)})
	}
	return nil
}

// addYearly adds the dates from first to last, both of one leap year, over the end of the year when last is the earlier one.
func (c *Calendar) addYearly(first, last time.Time) {
	c.anyYearly = true
	for date := first; ; {
		c.yearly[date.Month()] |= 1 << date.Day()
		if date.Equal(last) {
			return
		}
		if date = date.AddDate(0, 0, 1); date.Year() != first.Year() {
			date = time.Date(first.Year(), time.January, 1, 0, 0, 0, 0, time.UTC)
		}
	}
}

var errWantDay = errors.New(`want a date ("2026-10-01"), a range ("2026-10-01/2026-10-07"), a date of every year ` +
	`("--12-25"), a range of those ("--12-24/--12-31") or a day of the week ("Sat")`)

// parseDate reads YYYY-MM-DD.
func parseDate(text string) (time.Time, error) {
	shaped := len(text) == len(time.DateOnly)
	for i := 0; shaped && i < len(text); i++ {
		if time.DateOnly[i] == '-' {
			shaped = text[i] == '-'
		} else {
			shaped = '0' <= text[i] && text[i] <= '9'
		}
	}
	if !shaped {
		return time.Time{}, errWantDay
	}
	date, err := time.Parse(time.DateOnly, text)
	if err != nil || date.Year() < 1 {
		return time.Time{}, errors.New("there is no such date: " + errWantDay.Error())
	}
	return date, nil
}

// weekdayNamed finds a day of the week by its English name or the first three letters of it.
func weekdayNamed(text string) (time.Weekday, bool) {
	for w := time.Sunday; w <= time.Saturday; w++ {
		if strings.EqualFold(text, w.String()) || strings.EqualFold(text, w.String()[:3]) {
			return w, true
		}
	}
	return 0, false
}

// joined sorts spans and makes one of those that touch.
func joined(spans []dayRange) []dayRange {
	slices.SortFunc(spans, func(a, b dayRange) int { return cmp.Compare(a.first, b.first) })
	var out []dayRange
	for _, s := range spans {
		if n := len(out); n > 0 && s.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, s.last)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// dayOf is the date of t in UTC, in days since the Unix epoch.
func dayOf(t time.Time) int64 { return floorDiv(t.Unix(), daySeconds) }

// dateOf is the date of a day since the Unix epoch.
func dateOf(day int64) (year int, month time.Month, d int) {
	return time.Unix(day*daySeconds, 0).UTC().Date()
}

// weekdayOf is the day of the week of a day since the Unix epoch, which was a Thursday.
func weekdayOf(day int64) time.Weekday {
	since := day + int64(time.Thursday)
	return time.Weekday(since - 7*floorDiv(since, 7))
}
