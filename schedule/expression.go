package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// descriptors are the names that stand for five fields.
var descriptors = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// parseExpression reads one expression: an optional zone, then a descriptor or
// fields.
func parseExpression(text string, loc *time.Location) (part, error) {
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
		if loc, reason = loadZone(name); reason != "" {
			return nil, fmt.Errorf("%s=%q: %s", prefix, cut(name), reason)
		}
		if words = words[1:]; len(words) == 0 {
			return nil, fmt.Errorf("nothing follows %s=%s: want a cron expression after it", prefix, name)
		}
		zoned = true
	}

	if !strings.HasPrefix(words[0], "@") {
		return parseFields(words, loc)
	}
	switch fields, known := descriptors[words[0]]; {
	case words[0] == "@every" && zoned:
		return nil, errors.New("@every counts from the Unix epoch and has no time zone: leave the zone out")
	case words[0] == "@every":
		return parseEvery(strings.Join(words[1:], " "))
	case words[0] == "@reboot":
		return nil, errors.New("@reboot names no time, and a cluster does not reboot: a task without a schedule runs once")
	case !known:
		return nil, fmt.Errorf("%q is not known: want @yearly, @monthly, @weekly, @daily, @hourly or @every with a duration", cut(words[0]))
	case len(words) > 1:
		return nil, fmt.Errorf("%s stands alone: nothing may follow it", words[0])
	default:
		return parseFields(strings.Fields(fields), loc)
	}
}

// parseFields compiles five fields, or six with seconds first.
func parseFields(words []string, loc *time.Location) (*cronPart, error) {
	switch len(words) {
	case 5:
		words = append([]string{"0"}, words...)
	case 6:
	default:
		return nil, fmt.Errorf("has %d fields: want 5 (minute, hour, day of month, month, day of week), or 6 with seconds first", len(words))
	}
	var plain [6]string
	var star [6]bool
	for i, f := range fields {
		var err error
		if plain[i], star[i], err = f.rewrite(words[i]); err != nil {
			return nil, err
		}
	}
	sets, err := parseSets(plain)
	if err != nil {
		return nil, err
	}
	return compile(sets, star, loc)
}
