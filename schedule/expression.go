package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// descriptors are the names that stand for five fields. They may be written in any case.
var descriptors = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// reading is how a Spec's expressions are read: all that it says apart from their text.
type reading struct {
	loc      *time.Location // unless an expression names its own
	daylight daylight
	and      bool   // dayMatch: and
	key      string // what H spreads by
}

// parseExpression reads one expression: an optional zone, then a descriptor or
// fields.
func parseExpression(text string, r reading) (part, error) {
	if len(text) > maxExpressionBytes {
		return nil, fmt.Errorf("%d bytes are too many: want at most %d", len(text), maxExpressionBytes)
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("is empty: want a cron expression like 0 3 * * *")
	}

	zoned := false
	if prefix, name, ok := strings.Cut(words[0], "="); ok && (prefix == "TZ" || prefix == "CRON_TZ") {
		if name == "" {
			return nil, fmt.Errorf("%s= has no time zone after it: %s", prefix, wantZone)
		}
		var reason string
		if r.loc, reason = loadZone(name); reason != "" {
			return nil, fmt.Errorf("%s=%q: %s", prefix, cut(name), reason)
		}
		if words = words[1:]; len(words) == 0 {
			return nil, fmt.Errorf("nothing follows %s=%s: want a cron expression after it", prefix, name)
		}
		zoned = true
	}

	if !strings.HasPrefix(words[0], "@") {
		return parseFields(words, r)
	}
	name := strings.ToLower(words[0])
	switch fields, known := descriptors[name]; {
	case name == "@every" && zoned:
		return nil, errors.New("@every counts from the Unix epoch and has no time zone: leave the zone out")
	case name == "@every":
		return parseEvery(strings.Join(words[1:], " "))
	case name == "@reboot":
		return nil, errors.New("@reboot names no time, and a cluster does not reboot: a task without a schedule runs once")
	case !known:
		return nil, fmt.Errorf("%q is not known: want @yearly, @monthly, @weekly, @daily, @hourly or @every with a duration", cut(words[0]))
	case len(words) > 1:
		return nil, fmt.Errorf("%s stands alone: nothing may follow it", words[0])
	default:
		return parseFields(strings.Fields(fields), r)
	}
}

// parseFields finds or compiles five fields, six with seconds first, or seven with
// years last as well.
func parseFields(words []string, r reading) (part, error) {
	switch len(words) {
	case 5:
		words = append([]string{"0"}, words...)
	case 6, 7:
	default:
		return nil, fmt.Errorf("has %d fields: want 5 (minute, hour, day of month, month, day of week), "+
			"6 with seconds first, or 7 with seconds first and years last", len(words))
	}
	if err := resolveHashes(words[:len(fields)], r.key); err != nil {
		return nil, err
	}
	key := cronKey{text: strings.Join(words, " "), zone: r.loc.String(), daylight: r.daylight, and: r.and}
	c, err := cronParts.get(key, func() (*cronPart, error) {
		e, err := readFields(words)
		if err != nil {
			return nil, err
		}
		return compile(e, r)
	})
	if err != nil {
		return nil, err // not c: a nil *cronPart is not a nil part
	}
	return c, nil
}

// expression is what the fields say, without a zone.
type expression struct {
	values sets
	star   [6]bool // an item of the field was a wildcard, with a step or without
	rules  dayRules
	years  []yearRange
}

// readFields reads six fields and maybe years; no H is in them.
func readFields(words []string) (e expression, err error) {
	var plain [6]string
	for i, f := range fields {
		take := func(item string) (bool, error) { return e.rules.take(i, item) }
		if plain[i], e.star[i], err = f.rewrite(words[i], take); err != nil {
			return expression{}, err
		}
	}
	if len(words) > len(fields) {
		if e.years, err = parseYears(words[len(fields)]); err != nil {
			return expression{}, err
		}
	}
	e.values, err = parseSets(plain)
	return e, err
}
