package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// property is a content line of RFC 5545, section 3.1.
type property struct {
	name   string // upper case
	params string // as written, without the first ";"
	value  string
	line   int // of its beginning in the file, from 1
}

// eachLine calls do for each content line, unfolded. Lines end in LF or CRLF; empty ones are passed over.
func eachLine(text string, do func(property) error) error {
	text = strings.TrimPrefix(text, "\ufeff")
	for line := 1; text != ""; {
		begin := line
		var content string
		var folded *strings.Builder // only for the few lines that are
		for first := true; text != "" && (first || text[0] == ' ' || text[0] == '\t'); first = false {
			physical, rest, _ := strings.Cut(text, "\n")
			text, line = rest, line+1
			physical = strings.TrimSuffix(physical, "\r")
			if first {
				content = physical
				continue
			}
			if folded == nil {
				folded = new(strings.Builder)
				folded.WriteString(content)
			}
			folded.WriteString(physical[1:])
		}
		if folded != nil {
			content = folded.String()
		}
		if strings.TrimSpace(content) == "" {
			continue
		}
		p, ok := readProperty(content)
		if !ok {
			return fmt.Errorf("line %d: %q is not a line of an iCalendar file: want NAME:value", begin, cut(content))
		}
		p.line = begin
		if err := do(p); err != nil {
			return fmt.Errorf("line %d: %w", begin, err)
		}
	}
	return nil
}

// readProperty splits a content line: NAME;PARAM=value;PARAM="a:b":value.
func readProperty(content string) (p property, ok bool) {
	end := strings.IndexAny(content, ";:")
	if end <= 0 {
		return p, false
	}
	for _, c := range []byte(content[:end]) {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return p, false
		}
	}
	p.name = strings.ToUpper(content[:end])
	quoted := false
	for i := end; i < len(content); i++ {
		switch c := content[i]; {
		case c == '"':
			quoted = !quoted
		case c == ':' && !quoted:
			p.params = strings.TrimPrefix(content[end:i], ";")
			p.value = content[i+1:]
			return p, true
		}
	}
	return p, false
}

// param returns the value of a parameter, or nothing. The ones asked for have values that need no quotes, but may
// have them.
func (p property) param(name string) string {
	for one := range strings.SplitSeq(p.params, ";") {
		if key, value, _ := strings.Cut(one, "="); strings.EqualFold(key, name) {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// date reads a DATE. The VALUE that says so is left out by many.
func (p property) date(value string) (int64, error) {
	value = strings.TrimSpace(value)
	if kind := p.param("VALUE"); kind != "" && !strings.EqualFold(kind, "DATE") {
		return 0, fmt.Errorf("has VALUE=%s: want dates for an all-day event", cut(kind))
	}
	return parseEventDate(value)
}

// hasTime tells whether the value is a DATE-TIME.
func (p property) hasTime() bool {
	kind := p.param("VALUE")
	return kind == "" && strings.Contains(p.value, "T") || strings.EqualFold(kind, "DATE-TIME")
}

// midnight reads a DATE, or the DATE-TIME at the beginning of one, which some write of all-day events.
func (p property) midnight(value string) (int64, error) {
	return parseEventDate(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(value), "Z"), "T000000"))
}

// parseEventDate reads YYYYMMDD. What is wrong reads well after the value.
func parseEventDate(text string) (int64, error) {
	const layout, want = "20060102", "want one like 20261001"
	if rest, ok := cutShape(text, "dddddddd"); !ok || rest != "" {
		return 0, errors.New("is not a date: " + want)
	}
	date, err := time.Parse(layout, text)
	if err != nil || date.Year() < 1 {
		return 0, errors.New("there is no such date: " + want)
	}
	return dayOf(date), nil
}

// parseDays reads a DURATION of whole days or weeks: P2D, P1W.
func parseDays(text string) (int64, error) {
	text = strings.TrimSpace(text)
	digits, hasP := strings.CutPrefix(strings.TrimPrefix(text, "+"), "P")
	unit := int64(1)
	if weeks, ok := strings.CutSuffix(digits, "W"); ok {
		digits, unit = weeks, 7
	} else if digits, ok = strings.CutSuffix(digits, "D"); !ok {
		digits = ""
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || !hasP || n == 0 {
		return 0, errors.New("want whole days or weeks, like P2D or P1W")
	}
	return int64(n) * unit, nil
}
