package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxRuleNumber = 9_999 // COUNT and INTERVAL

// parseRecurrence reads the value of an RRULE. What it leaves open comes from the event's first day. With midnights,
// the event's dates are written as times.
func parseRecurrence(text string, start int64, midnights bool) (*recurrence, error) {
	r := &recurrence{interval: 1, until: firstOf(lastRuleYear+1, time.January) - 1, weekStart: time.Monday}
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(strings.ToUpper(strings.TrimSpace(text)), ";") {
		key, value, _ := strings.Cut(part, "=")
		if seen[key] {
			return nil, fmt.Errorf("has a second %s", cut(key))
		}
		seen[key] = true
		if err := r.set(key, value, midnights); err != nil {
			return nil, fmt.Errorf("%s: %w", cut(part), err)
		}
	}
	if r.freq == 0 {
		return nil, errors.New("has no FREQ: want DAILY, WEEKLY, MONTHLY or YEARLY")
	}
	if seen["UNTIL"] && seen["COUNT"] {
		return nil, errors.New("has UNTIL and COUNT: want one of them")
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.complete(start)
	return r, nil
}

func (r *recurrence) set(key, value string, midnights bool) (err error) {
	switch key {
	case "FREQ":
		r.freq, err = frequencyNamed(value)
	case "INTERVAL":
		r.interval, err = parseWithin(value, 1, maxRuleNumber)
	case "COUNT":
		r.count, err = parseWithin(value, 1, maxRuleNumber)
	case "UNTIL":
		// A DATE, or as many write it the DATE-TIME at the end of one.
		day, clock, _ := strings.Cut(value, "T")
		var until int64
		until, err = parseEventDate(day)
		if midnights {
			until += untilMidnight(clock)
		}
		r.until = min(r.until, until)
	case "WKST":
		var start nthWeekday
		if start, err = parseNthWeekday(value); err == nil && start.n != 0 {
			err = errors.New("want a day of the week, like MO")
		}
		r.weekStart = start.day
	case "BYMONTH":
		var months []int
		months, err = parseList(value, 1, 12)
		for _, m := range months {
			if m < 0 {
				return errors.New("want numbers from 1 to 12")
			}
			r.months |= 1 << m
		}
	case "BYMONTHDAY":
		r.monthDays, err = parseList(value, 1, 31)
	case "BYYEARDAY":
		r.yearDays, err = parseList(value, 1, 366)
	case "BYSETPOS":
		r.positions, err = parseList(value, 1, 366)
	case "BYDAY":
		for item := range strings.SplitSeq(value, ",") {
			day, err := parseNthWeekday(item)
			if err != nil {
				return err
			}
			if !slices.Contains(r.weekdays, day) {
				r.weekdays = append(r.weekdays, day)
			}
		}
	case "BYHOUR", "BYMINUTE", "BYSECOND":
		// The standard has them ignored in rules of dates.
	default:
		err = errors.New("is not supported: want FREQ, UNTIL, COUNT, INTERVAL, WKST, BYMONTH, BYMONTHDAY, BYYEARDAY, BYDAY or BYSETPOS")
	}
	return err
}

func frequencyNamed(name string) (frequency, error) {
	switch name {
	case "DAILY":
		return daily, nil
	case "WEEKLY":
		return weekly, nil
	case "MONTHLY":
		return monthly, nil
	case "YEARLY":
		return yearly, nil
	}
	return 0, errors.New("want DAILY, WEEKLY, MONTHLY or YEARLY")
}

// check refuses what the standard does not allow together.
func (r *recurrence) check() error {
	switch {
	case r.freq == weekly && len(r.monthDays) > 0:
		return errors.New("BYMONTHDAY does not go with FREQ=WEEKLY")
	case r.freq != yearly && len(r.yearDays) > 0:
		return errors.New("BYYEARDAY goes with FREQ=YEARLY only")
	case r.freq < monthly && slices.ContainsFunc(r.weekdays, func(w nthWeekday) bool { return w.n != 0 }):
		return errors.New("numbers in BYDAY go with FREQ=MONTHLY and YEARLY only")
	case len(r.positions) > 0 && len(r.monthDays)+len(r.yearDays)+len(r.weekdays) == 0 && r.months == 0:
		return errors.New("BYSETPOS goes with another BY... only")
	}
	return nil
}

// complete takes from the first day what the rule does not say.
func (r *recurrence) complete(start int64) {
	if len(r.monthDays)+len(r.yearDays)+len(r.weekdays) > 0 {
		return
	}
	_, month, day := dateOf(start)
	switch r.freq {
	case yearly:
		if r.months == 0 {
			r.months = 1 << month
		}
		r.monthDays = []int{day}
	case monthly:
		r.monthDays = []int{day}
	case weekly:
		r.weekdays = []nthWeekday{{day: weekdayOf(start)}}
	case daily:
	}
}

// parseList reads numbers, each from low to high or from -high to -low.
func parseList(text string, low, high int) ([]int, error) {
	var list []int
	for item := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(item)
		if size := max(n, -n); err != nil || size < low || size > high {
			return nil, fmt.Errorf("%q: want a number from %d to %d, or from -%d to -%d", cut(item), low, high, high, low)
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list, nil
}

func parseWithin(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a number from %d to %d", low, high)
	}
	return n, nil
}

// parseNthWeekday reads MO, 2MO, +2MO or -1MO.
func parseNthWeekday(text string) (w nthWeekday, err error) {
	wrong := fmt.Errorf("%q: want a day of the week, like MO, 2MO or -1MO", cut(text))
	if len(text) < 2 {
		return w, wrong
	}
	number, name := text[:len(text)-2], text[len(text)-2:]
	i := slices.Index([]string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}, name)
	if i < 0 {
		return w, wrong
	}
	w.day = time.Weekday(i)
	if number != "" {
		if w.n, err = strconv.Atoi(number); err != nil || w.n == 0 || max(w.n, -w.n) > 53 {
			return w, wrong
		}
	}
	return w, nil
}
