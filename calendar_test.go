package nightwatch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

const christmas = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n" +
	"DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func TestParseCalendar(t *testing.T) {
	for _, test := range []struct{ name, value string }{
		{name: "JSON", value: `{"description":"d","days":["2026-12-25/2026-12-26"]}`},
		{name: "YAML", value: "days: [2026-12-25, --12-26]"},
		{name: "iCalendar in YAML", value: "ics: |\n  " + strings.ReplaceAll(strings.TrimSpace(christmas), "\r\n", "\n  ")},
		{name: "an iCalendar file as it is", value: christmas},
		{name: "an iCalendar file after a byte order mark", value: "\ufeff" + christmas},
		{name: "JSON after a byte order mark", value: "\ufeff{\n\t\"days\": [\"2026-12-25/2026-12-26\"]}"},
		{name: "YAML after a byte order mark", value: "\ufeffdays: [2026-12-25, --12-26]"},
	} {
		c, err := nightwatch.ParseCalendar("holidays", []byte(test.value))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var stored nightwatch.AcceptedCalendar
		unmarshal(t, canonical(t, nightwatch.AcceptedCalendar{Revision: 3, Calendar: *c}), &stored)
		for _, days := range []*nightwatch.Calendar{c, &stored.Calendar} {
			in := days.Compiled()
			if !in.Contains(2026, time.December, 25) || !in.Contains(2026, time.December, 26) || in.Contains(2026, time.December, 27) {
				t.Errorf("%s: other days", test.name)
			}
		}
	}
}

func TestCalendarWarnings(t *testing.T) {
	meeting := strings.Replace(christmas, "END:VEVENT", "END:VEVENT\r\nBEGIN:VEVENT\r\nUID:2\r\nDTSTART:20261224T090000Z\r\nEND:VEVENT", 1)
	c, err := nightwatch.ParseCalendar("holidays", []byte(meeting))
	if err != nil {
		t.Fatal(err)
	}
	var stored nightwatch.AcceptedCalendar
	unmarshal(t, canonical(t, nightwatch.AcceptedCalendar{Revision: 3, Calendar: *c}), &stored)
	want := nightwatch.FieldError{Field: "ics", Reason: "1 of 2 events is at a time of day and does not count: only all-day events do"}
	for _, days := range []*nightwatch.Calendar{c, &stored.Calendar} {
		if got := days.Warnings(); len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got := new(nightwatch.Calendar).Warnings(); got != nil {
		t.Errorf("one that nobody has read warns: %+v", got)
	}
}

func TestCalendarsThatAreRefused(t *testing.T) {
	for _, test := range []refused{
		{name: "empty", value: "", field: "", reason: "value is empty"},
		{name: "no days", value: `{"description":"none"}`, field: "days", reason: "missing: want days, ics or both"},
		{name: "unknown field", value: `{"Days":["Sat"]}`, field: "Days", reason: `did you mean "days"?`},
		{name: "a day", value: `{"days":["Sat","Caturday"]}`, field: "days[1]", reason: `"Caturday"`},
		{name: "31 February", value: `{"days":["2026-02-31"]}`, field: "days[0]", reason: `"2026-02-31"`},
		{name: "not a calendar", value: `{"ics":"hello"}`, field: "ics", reason: ""},
		{name: "too large", value: strings.Repeat(" ", nightwatch.MaxCalendar+1), field: "", reason: "at most 524288"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := nightwatch.ParseCalendar("holidays", []byte(test.value))
			test.check(t, err)
		})
	}
	_, err := nightwatch.ParseCalendar("Holi/days", []byte(`{"days":["Sat"]}`))
	refused{value: "the name", field: "key", reason: `calendar "Holi/days": want`}.check(t, err)
}
