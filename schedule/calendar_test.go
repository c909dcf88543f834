package schedule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustCalendar(t testing.TB, days ...string) *Calendar {
	t.Helper()
	c, err := ParseCalendar(days, "")
	if err != nil {
		t.Fatalf("ParseCalendar(%q): %v", days, err)
	}
	return c
}

// day reads a date.
func day(t testing.TB, text string) int64 {
	t.Helper()
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return dayOf(date)
}

// checkDays holds a calendar against dates that it has and dates that it has not.
func checkDays(t *testing.T, c *Calendar, in, out string) {
	t.Helper()
	for want, dates := range map[bool]string{true: in, false: out} {
		for _, text := range strings.Fields(dates) {
			year, month, d := dateOf(day(t, text))
			if got := c.Contains(year, month, d); got != want {
				t.Errorf("Contains(%s) = %t, want %t", text, got, want)
			}
		}
	}
}

func TestCalendarOfDays(t *testing.T) {
	tests := []struct {
		name    string
		days    []string
		in, out string
	}{
		{name: "none", out: "0001-01-01 1970-01-01 2026-10-01 9999-12-31"},
		{name: "a date", days: []string{"2026-10-01"}, in: "2026-10-01", out: "2026-09-30 2026-10-02 2025-10-01 2027-10-01"},
		{name: "dates before the epoch", days: []string{"1969-12-31", "0001-01-01"}, in: "1969-12-31 0001-01-01", out: "1970-01-01 1969-12-30 0001-01-02"},
		{name: "National Day week", days: []string{"2026-10-01/2026-10-07"}, in: "2026-10-01 2026-10-04 2026-10-07", out: "2026-09-30 2026-10-08"},
		{name: "a range of one day", days: []string{"2026-10-01/2026-10-01"}, in: "2026-10-01", out: "2026-09-30 2026-10-02"},
		{name: "ten years", days: []string{"2020-01-01/2029-12-31"}, in: "2020-01-01 2024-02-29 2029-12-31", out: "2019-12-31 2030-01-01"},
		{
			name: "ranges in any order, that overlap, touch and repeat",
			days: []string{"2026-05-10/2026-05-12", "2026-05-01", "2026-05-02/2026-05-03", "2026-05-11", "2026-05-01/2026-05-02", "2026-05-13"},
			in:   "2026-05-01 2026-05-02 2026-05-03 2026-05-10 2026-05-11 2026-05-12 2026-05-13", out: "2026-04-30 2026-05-04 2026-05-09 2026-05-14",
		},
		{name: "Christmas", days: []string{"--12-25"}, in: "1999-12-25 2026-12-25 9999-12-25", out: "2026-12-24 2026-12-26 2026-11-25"},
		{name: "leap day", days: []string{"--02-29"}, in: "2024-02-29 2000-02-29", out: "2026-03-01 2026-02-28 2024-02-28 2024-03-01"},
		{name: "every year's end", days: []string{"--12-24/--12-31"}, in: "2026-12-24 2026-12-31", out: "2026-12-23 2027-01-01"},
		{name: "over the new year", days: []string{"--12-24/--01-02"}, in: "2026-12-24 2026-12-31 2027-01-01 2027-01-02", out: "2026-12-23 2027-01-03 2026-06-01"},
		{name: "over February", days: []string{"--02-28/--03-01"}, in: "2024-02-28 2024-02-29 2024-03-01 2026-02-28 2026-03-01", out: "2026-02-27 2026-03-02"},
		{name: "over the new year to the leap day", days: []string{"--12-31/--02-29"}, in: "2023-12-31 2024-02-29 2026-02-28", out: "2026-03-01 2026-12-30"},
		{name: "all but 1 March", days: []string{"--03-02/--02-29"}, in: "2024-02-29 2026-03-02 2026-02-28 2026-07-01", out: "2024-03-01 2026-03-01"},
		{name: "weekdays in any case", days: []string{"Sat", "sunday", "WED"}, in: "2026-11-21 2026-11-22 2026-11-25 1969-12-31", out: "2026-11-20 2026-11-23 2026-11-24 2026-11-26 1970-01-01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkDays(t, mustCalendar(t, test.days...), test.in, test.out) })
	}
}

func TestCalendarHasNoDateThatDoesNotExist(t *testing.T) {
	c := mustCalendar(t, "2026-03-02", "Mon")
	for _, d := range []struct {
		month time.Month
		day   int
	}{{time.February, 30}, {time.January, 61}, {14, 2}, {time.April, -29}} {
		if c.Contains(2026, d.month, d.day) {
			t.Errorf("Contains(2026, %d, %d)", d.month, d.day)
		}
	}
}

func TestCalendarRefusesDays(t *testing.T) {
	const want = `want a date ("2026-10-01")`
	tests := []struct{ name, entry, reason string }{
		{"empty", "", want},
		{"words", "tomorrow", want},
		{"two weekdays", "Sat/Sun", want},
		{"half a weekday", "satur", want},
		{"one digit", "2026-10-1", want},
		{"basic form", "20261001", want},
		{"spaces", " 2026-10-01", want},
		{"a time", "2026-10-01T00:00:00Z", want},
		{"no such month", "2026-13-01", "there is no such date"},
		{"no such day", "2026-02-29", "there is no such date"},
		{"no such day of a range", "2026-02-20/2026-02-30", "there is no such date"},
		{"year 0", "0000-01-01", "there is no such date"},
		{"no such yearly day", "--02-30", "there is no such date"},
		{"yearly in the short form of ISO 8601", "--1225", want},
		{"reversed", "2026-10-07/2026-10-01", "ends before it begins"},
		{"too long", "2026-01-01/2036-01-01", "longer than 10 years"},
		{"half yearly", "--12-24/2026-12-31", "mixes a date with one of every year"},
		{"half yearly", "2026-12-24/--12-31", "mixes a date with one of every year"},
		{"open", "2026-10-01/", want},
		{"three ends", "2026-10-01/2026-10-02/2026-10-03", want},
		{"too many bytes", strings.Repeat("9", maxCalendarDayBytes+1), "65 bytes are too many"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCalendar([]string{"2026-01-01", test.entry}, "")
			var refused *Error
			if c != nil || !errors.As(err, &refused) {
				t.Fatalf("ParseCalendar(%q) = %v, %v", test.entry, c, err)
			}
			if refused.Field != "days[1]" || refused.Value != test.entry || !strings.Contains(refused.Reason, test.reason) {
				t.Errorf("got %#v, want days[1] and %q", refused, test.reason)
			}
		})
	}
	for _, test := range []struct {
		name, field string
		days        []string
		ics         string
	}{
		{name: "too many entries", field: "days", days: make([]string, maxCalendarDays+1)},
		{name: "too many bytes", field: "ics", ics: strings.Repeat("\n", maxCalendarTextBytes+1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseCalendar(test.days, test.ics)
			var refused *Error
			if !errors.As(err, &refused) || refused.Field != test.field || !strings.Contains(refused.Reason, "are too many: want at most") {
				t.Errorf("got %v, want an error of %s", err, test.field)
			}
		})
	}
}

// A calendar has a day exactly if one of its entries, read by itself, has it.
func TestCalendarIsTheUnionOfItsEntries(t *testing.T) {
	date := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 1200).Draw(t, "day"))
	})
	rapid.Check(t, func(t *rapid.T) {
		var days []string
		var has []func(time.Time) bool
		for range rapid.IntRange(0, 8).Draw(t, "entries") {
			a, b := date.Draw(t, "a"), date.Draw(t, "b")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				days = append(days, a.Format(time.DateOnly))
				has = append(has, a.Equal)
			case 1:
				if b.Before(a) {
					a, b = b, a
				}
				days = append(days, a.Format(time.DateOnly)+"/"+b.Format(time.DateOnly))
				has = append(has, func(d time.Time) bool { return !d.Before(a) && !d.After(b) })
			case 2:
				days = append(days, a.Format("--01-02"))
				has = append(has, func(d time.Time) bool { return d.Format("0102") == a.Format("0102") })
			case 3:
				from, to := a.Format("0102"), b.Format("0102")
				days = append(days, a.Format("--01-02")+"/"+b.Format("--01-02"))
				has = append(has, func(d time.Time) bool {
					at := d.Format("0102")
					if from <= to {
						return from <= at && at <= to
					}
					return from <= at || at <= to
				})
			case 4:
				days = append(days, a.Weekday().String())
				has = append(has, func(d time.Time) bool { return d.Weekday() == a.Weekday() })
			}
		}
		c, err := ParseCalendar(days, "")
		if err != nil {
			t.Fatal(err)
		}
		for d := time.Date(2023, 6, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2028; d = d.AddDate(0, 0, 1) {
			want := false
			for _, f := range has {
				want = want || f(d)
			}
			if got := c.Contains(d.Date()); got != want {
				t.Fatalf("%q: Contains(%s) = %t", days, d.Format(time.DateOnly), got)
			}
		}
	})
}

// Parsing ends, without a panic: a calendar or an Error that names its field. A day of the calendar can be asked for.
func FuzzParseCalendar(f *testing.F) {
	for _, days := range []string{"", "2026-10-01/2026-10-07\n--12-25\nSat", "--02-29/--02-28", "9999-12-31", "0001-01-01/0001-01-02", "--/--", "/", "-- - -"} {
		f.Add(days, "")
	}
	for _, event := range []string{
		"DTSTART;VALUE=DATE:20261001\r\nDTEND;VALUE=DATE:20261008",
		"DTSTART:20261001\nRRULE:FREQ=DAILY",
		"DTSTART:20261001\nRRULE:FREQ=MONTHLY;BYDAY=-6MO",
		"DTSTART:20261001\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;UNTIL=20270101",
		"DTSTART:00010101\nRRULE:FREQ=YEARLY;BYMONTHDAY=-31;BYSETPOS=-1,366;INTERVAL=9999",
		"DTSTART:99991231\nDURATION:P9W\nRRULE:FREQ=WEEKLY;WKST=SU;BYDAY=SU,MO;COUNT=9999",
		"DTSTART;X=\"a:b\";VALUE=DATE:20261001\nRDATE;VALUE=DATE:20261002,20261003\nEXDATE:20261002T000000",
		"UID:a\nRECURRENCE-ID:20261001\nSTATUS:CANCELLED",
	} {
		f.Add("", "BEGIN:VCALENDAR\nBEGIN:VEVENT\n"+event+"\nEND:VEVENT\nEND:VCALENDAR\n")
	}
	f.Add("", "\ufeffBEGIN:VCALENDAR\n END\n\t:\n")
	f.Fuzz(func(t *testing.T, days, ics string) {
		var entries []string
		if days != "" {
			entries = strings.Split(days, "\n")
		}
		c, err := ParseCalendar(entries, ics)
		if err != nil {
			var refused *Error
			if c != nil || !errors.As(err, &refused) || refused.Field == "" || refused.Reason == "" || len(err.Error()) > 1500 {
				t.Fatalf("ParseCalendar = %v, %#v", c, err)
			}
			return
		}
		for i, s := range c.spans {
			if s.last < s.first || i > 0 && s.first <= c.spans[i-1].last+1 {
				t.Fatalf("spans %v", c.spans)
			}
			if !c.on(s.first) || !c.on(s.last) {
				t.Fatalf("%v lacks an end of its span %v", c, s)
			}
		}
		if len(entries) == 0 && ics == "" && fmt.Sprint(*c) != fmt.Sprint(Calendar{}) {
			t.Fatalf("%v from nothing", c)
		}
		s := mustParse(t, "30 2 * * *", "America/New_York").On(Calendars{Exclude: []*Calendar{c}, OnExcluded: NextIncluded})
		now := at(t, "2026-09-30T00:00:00Z")
		for range 3 {
			next, ok := s.Next(now)
			if ok != next.After(now) {
				t.Fatalf("Next(%s) = %s, %t", now, next, ok)
			}
			if !ok {
				break
			}
			now = next
		}
	})
}
