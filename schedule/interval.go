package schedule

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// minEvery is the shortest interval.
const minEvery = 10 * time.Millisecond

// interval is due at every multiple of every, plus offset, since the Unix epoch.
type interval struct {
	every  int64 // milliseconds, at least 10
	offset int64 // milliseconds, 0 <= offset < every
}

func parseInterval(every, offset time.Duration) (*interval, *Error) {
	if err := checkEvery(every); err != nil {
		return nil, refuse("every", every.String(), "%s", err)
	}
	switch {
	case offset < 0:
		return nil, refuse("offset", offset.String(), "is negative: want at least 0s and less than every (%s)", duration(every))
	case offset >= every:
		return nil, refuse("offset", offset.String(), "is not less than every (%s)", duration(every))
	case offset%time.Millisecond != 0:
		return nil, refuse("offset", offset.String(), "is not in whole milliseconds")
	}
	return &interval{every: every.Milliseconds(), offset: offset.Milliseconds()}, nil
}

// parseEvery reads what follows "@every".
func parseEvery(text string) (*interval, error) {
	const want = "want one like 90s, 1h30m or 7d"
	if text == "" {
		return nil, errors.New("@every needs a duration: " + want)
	}
	every, ok := parseDuration(text)
	if !ok {
		return nil, fmt.Errorf("%q is not a duration: %s", cut(text), want)
	}
	if err := checkEvery(every); err != nil {
		return nil, fmt.Errorf("@every %s %w", text, err)
	}
	return &interval{every: every.Milliseconds()}, nil
}

// parseDuration reads Go's form, with days before the rest: 7d, 1d12h.
func parseDuration(text string) (time.Duration, bool) {
	const day = 24 * time.Hour
	count, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	days, err := number(count)
	if err != nil || days > int(math.MaxInt64/day) {
		return 0, false
	}
	total := time.Duration(days) * day
	if rest == "" {
		return total, true
	}
	d, err := time.ParseDuration(rest)
	if err != nil || rest == "0" || d < 0 || d > math.MaxInt64-total {
		return 0, false
	}
	return total + d, true
}

// checkEvery returns what is wrong with an interval, to be read after its value.
func checkEvery(every time.Duration) error {
	switch {
	case every <= 0:
		return fmt.Errorf("is not positive: want at least %s", minEvery)
	case every < minEvery:
		return fmt.Errorf("is too short: want at least %s", minEvery)
	case every%time.Millisecond != 0:
		return errors.New("is not in whole milliseconds")
	}
	return nil
}

func (i *interval) next(after int64) (int64, bool) {
	due := (floorDiv(after-i.offset, i.every)+1)*i.every + i.offset
	return due, due <= lastMilli
}

func (i *interval) String() string {
	s := "@every " + duration(time.Duration(i.every)*time.Millisecond)
	if i.offset != 0 {
		s += " offset " + duration(time.Duration(i.offset)*time.Millisecond)
	}
	return s
}

// duration is d.String() without the units that are zero: 1h, not 1h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// floorDiv is a/b rounded down, for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
