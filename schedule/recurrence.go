package schedule

import (
	"fmt"
	"slices"
	"time"
)

const (
	maxEventDays  = 20_000     // of all events of a file together
	maxEventSteps = 10_000_000 // dates looked at for them, times what each is held against: some tenths of a second
	monthSteps    = 8          // what a month costs in steps, whether it has dates or not
	lastRuleYear  = 2099
)

// budget is what the events of one file may still cost.
type budget struct {
	days  int64
	steps int
}

func (b *budget) spendDays(n int64) error {
	if b.days -= n; b.days < 0 {
		return fmt.Errorf("with it the events have more than %d days up to the end of %d: want fewer, or UNTIL or COUNT",
			maxEventDays, lastRuleYear)
	}
	return nil
}

func (b *budget) spendSteps(n int) error {
	if b.steps -= n; b.steps < 0 {
		return fmt.Errorf("with it the rules take more than %d steps up to the end of %d: want simpler ones, or UNTIL",
			maxEventSteps, lastRuleYear)
	}
	return nil
}

// frequency is the period of a rule.
type frequency int

const (
	daily frequency = iota + 1
	weekly
	monthly
	yearly
)

// recurrence is an RRULE of an all-day event (RFC 5545, section 3.3.10), without BYWEEKNO. Empty lists hold every
// date; in the others negative numbers count from the end.
type recurrence struct {
	freq      frequency
	interval  int
	count     int   // 0: no end
	until     int64 // days since the Unix epoch
	weekStart time.Weekday
	months    uint16 // bit m; 0: all
	monthDays []int
	yearDays  []int
	weekdays  []nthWeekday
	positions []int // of the dates in a period (BYSETPOS)
}

// nthWeekday is a BYDAY item: MO with n 0 is every Monday, 2MO the second one and -1MO the last one of the month, or of
// the year for a yearly rule without BYMONTH.
type nthWeekday struct {
	n   int
	day time.Weekday
}

// after calls do with the dates of the rule after start, which counts as the first, in order.
func (r *recurrence) after(start int64, allowed *budget, do func(day int64) error) error {
	left := r.count - 1 // without a count it begins below 0 and never is 0
	if left == 0 {
		return nil
	}
	var dates []int64
	for k := 0; ; k++ {
		first, last := r.period(start, k)
		if first > r.until {
			return nil
		}
		var err error
		if dates, err = r.dates(dates[:0], first, last, allowed); err != nil {
			return err
		}
		for _, day := range dates {
			if day <= start {
				continue
			}
			if day > r.until {
				return nil
			}
			if err := do(day); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
	}
}

// period returns the first and last day of the k-th period, counted from that of start.
func (r *recurrence) period(start int64, k int) (first, last int64) {
	k *= r.interval
	year, month, _ := dateOf(start)
	switch r.freq {
	case yearly:
		return firstOf(year+k, time.January), firstOf(year+k+1, time.January) - 1
	case monthly:
		m := month + time.Month(k)
		return firstOf(year, m), firstOf(year, m+1) - 1
	case weekly:
		into := (weekdayOf(start) - r.weekStart + 7) % 7
		first = start - int64(into) + 7*int64(k)
		return first, first + 6
	default:
		return start + int64(k), start + int64(k)
	}
}

// dates appends the dates of one period to list.
func (r *recurrence) dates(list []int64, first, last int64, allowed *budget) ([]int64, error) {
	each := 1 + len(r.monthDays) + len(r.yearDays) + len(r.weekdays) + len(r.positions)
	for day := first; day <= last; {
		// A month costs, even one without dates: there are rules that never match.
		if err := allowed.spendSteps(monthSteps); err != nil {
			return nil, err
		}
		year, month, _ := dateOf(day)
		if r.months != 0 && r.months>>month&1 == 0 {
			day = firstOf(year, month+1)
			continue
		}
		m := monthOf(year, month)
		end := min(last, m.first+int64(m.length)-1)
		if err := allowed.spendSteps(each * int(end-day+1)); err != nil {
			return nil, err
		}
		for ; day <= end; day++ {
			if r.matches(m, int(day-m.first)+1, weekdayOf(day)) {
				list = append(list, day)
			}
		}
	}
	return r.atPositions(list), nil
}

// monthIn is a month as its year has it.
type monthIn struct {
	first      int64 // its first day, since the Unix epoch
	length     int   // in days
	before     int   // days of the year before it
	yearLength int
}

func monthOf(year int, month time.Month) monthIn {
	first, newYear := firstOf(year, month), firstOf(year, time.January)
	return monthIn{
		first:      first,
		length:     int(firstOf(year, month+1) - first),
		before:     int(first - newYear),
		yearLength: int(firstOf(year+1, time.January) - newYear),
	}
}

// matches tells whether a date of a month of the rule is one of the rule.
func (r *recurrence) matches(m monthIn, day int, w time.Weekday) bool {
	yearDay := m.before + day
	if len(r.monthDays) > 0 && !counted(r.monthDays, day, m.length) ||
		len(r.yearDays) > 0 && !counted(r.yearDays, yearDay, m.yearLength) {
		return false
	}
	if len(r.weekdays) == 0 {
		return true
	}
	if r.freq == yearly && r.months == 0 {
		day, m.length = yearDay, m.yearLength
	}
	return slices.ContainsFunc(r.weekdays, func(want nthWeekday) bool {
		return want.day == w && (want.n == 0 || want.n == (day-1)/7+1 || want.n == -((m.length-day)/7+1))
	})
}

// counted tells whether the n-th of length is in list, which may count it from the end.
func counted(list []int, n, length int) bool {
	return slices.Contains(list, n) || slices.Contains(list, n-length-1)
}

// atPositions keeps the dates of a period that BYSETPOS names.
func (r *recurrence) atPositions(dates []int64) []int64 {
	if len(r.positions) == 0 {
		return dates
	}
	kept := dates[:0]
	for i, day := range dates {
		if counted(r.positions, i+1, len(dates)) {
			kept = append(kept, day)
		}
	}
	return kept
}
