package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxInstants     = 1000 // in Spec.At
	maxInstantBytes = 40   // more than any instant has
)

const wantInstant = "want 2026-12-01T09:00:00+08:00, or 2026-12-01T09:00 in timeZone"

// instants is a part that is due at given times.
type instants struct {
	times []int64 // milliseconds, ascending, without duplicates
}

func parseInstants(texts []string, loc *time.Location) (*instants, *Error) {
	if len(texts) > maxInstants {
		return nil, refuse("at", "", "%d instants are too many: want at most %d", len(texts), maxInstants)
	}
	times := make([]int64, len(texts))
	for i, text := range texts {
		var err error
		if times[i], err = parseInstant(text, loc); err != nil {
			field := "at"
			if len(texts) > 1 {
				field = fmt.Sprintf("at[%d]", i)
			}
			return nil, refuse(field, text, "%s", err)
		}
	}
	slices.Sort(times)
	return &instants{slices.Compact(times)}, nil
}

func (i *instants) next(after int64) (int64, bool) {
	at, _ := slices.BinarySearch(i.times, after+1)
	if at == len(i.times) {
		return 0, false
	}
	return i.times[at], true
}

func (i *instants) String() string {
	texts := make([]string, len(i.times))
	for k, ms := range i.times {
		texts[k] = instantText(ms)
	}
	return "at " + strings.Join(texts, ", ")
}

// instantText is an instant in UTC, as At takes it.
func instantText(ms int64) string {
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

// parseInstant reads an instant, with its offset or without one as the zone's clock shows it: milliseconds since the
// Unix epoch. What is wrong reads well after the value.
func parseInstant(text string, loc *time.Location) (int64, error) {
	layout, local, ok := instantLayout(text)
	if !ok {
		return 0, fmt.Errorf("is not an instant: %s", wantInstant)
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		reason := "not an instant"
		var wrong *time.ParseError
		if errors.As(err, &wrong) && wrong.Message != "" {
			reason = strings.TrimPrefix(wrong.Message, ": ")
		}
		return 0, fmt.Errorf("%s: %s", reason, wantInstant)
	}
	if t.Nanosecond()%1e6 != 0 {
		return 0, errors.New("is not in whole milliseconds")
	}
	ms := t.UnixMilli()
	if local {
		wall := t.Unix()
		sec, ok := instantOf(loc, wall)
		if !ok {
			return 0, fmt.Errorf("%s never was in %s: the clock skipped that date", t.Format(time.DateOnly), loc)
		}
		ms = sec * 1000
		if _, offset := time.Unix(sec, 0).In(loc).Zone(); sec+int64(offset) == wall {
			ms += int64(t.Nanosecond() / 1e6) // not when it is the end of a gap
		}
	}
	if ms < firstMilli || ms > lastMilli {
		return 0, errors.New("is outside the calendar: want a year from 1 to 9999")
	}
	return ms, nil
}

// instantLayout finds the layout of a text that has an instant's shape. time.Parse alone lets through what is none,
// such as hours of one digit and commas before fractions.
func instantLayout(text string) (layout string, local, ok bool) {
	if len(text) > maxInstantBytes {
		return "", false, false
	}
	const minutes, seconds = "2006-01-02T15:04", "2006-01-02T15:04:05"
	rest, ok := cutShape(text, "dddd-dd-ddTdd:dd")
	if !ok {
		return "", false, false
	}
	layout = minutes
	if after, ok := cutShape(rest, ":dd"); ok {
		layout, rest = seconds, after
		if fraction, ok := cutShape(rest, ".d"); ok {
			rest = strings.TrimLeft(fraction, "0123456789")
		}
	}
	if rest == "" {
		return layout, true, true
	}
	layout += "Z07:00"
	if rest == "Z" {
		return layout, false, true
	}
	sign := strings.TrimLeft(rest[:1], "+-")
	after, ok := cutShape(rest[1:], "dd:dd")
	return layout, false, ok && sign == "" && after == ""
}

// cutShape cuts a prefix of a shape in which d is a digit and all else itself.
func cutShape(text, shape string) (rest string, ok bool) {
	if len(text) < len(shape) {
		return text, false
	}
	for i := range len(shape) {
		c := text[i]
		if shape[i] == 'd' && (c < '0' || c > '9') || shape[i] != 'd' && c != shape[i] {
			return text, false
		}
	}
	return text[len(shape):], true
}

// parseBounds reads StartsAt and EndsAt.
func (s *Schedule) parseBounds(spec Spec) *Error {
	s.starts, s.ends = noStart, noEnd
	for _, b := range []struct {
		field, text string
		bound       *int64
	}{{"startsAt", spec.StartsAt, &s.starts}, {"endsAt", spec.EndsAt, &s.ends}} {
		if b.text == "" {
			continue
		}
		ms, err := parseInstant(b.text, s.zone)
		if err != nil {
			return refuse(b.field, b.text, "%s", err)
		}
		*b.bound = ms
	}
	if s.ends <= s.starts {
		return refuse("endsAt", spec.EndsAt, "is not after startsAt (%s): no time is between them", instantText(s.starts))
	}
	return nil
}
