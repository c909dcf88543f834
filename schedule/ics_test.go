package schedule

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// vevents puts the lines of events into a file.
func vevents(events ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\n" + e + "\nEND:VEVENT\n")
	}
	return b.String() + "END:VCALENDAR\n"
}

// listed returns the dates of a calendar that has no others than spans.
func listed(c *Calendar) string {
	var dates []string
	for _, s := range c.spans {
		for d := s.first; d <= s.last; d++ {
			year, month, d := dateOf(d)
			dates = append(dates, fmt.Sprintf("%04d-%02d-%02d", year, month, d))
		}
	}
	return strings.Join(dates, " ")
}

func TestICS(t *testing.T) {
	tests := []struct {
		name string
		ics  string
		want string
	}{
		{name: "one day", ics: vevents("DTSTART;VALUE=DATE:20261001"), want: "2026-10-01"},
		{name: "the end is the day after", ics: vevents("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261004"), want: "2026-10-01 2026-10-02 2026-10-03"},
		{name: "an end on the first day", ics: vevents("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261001"), want: "2026-10-01"},
		{name: "a duration in days", ics: vevents("DTSTART;VALUE=DATE:20261230\nDURATION:P3D"), want: "2026-12-30 2026-12-31 2027-01-01"},
		{name: "a duration in weeks", ics: vevents("DTSTART;VALUE=DATE:20261001\nDURATION:+P1W"), want: "2026-10-01 2026-10-02 2026-10-03 2026-10-04 2026-10-05 2026-10-06 2026-10-07"},
		{name: "a date that does not say so", ics: vevents("DTSTART:20261001"), want: "2026-10-01"},
		{name: "any case", ics: strings.ToLower(vevents("DTSTART;VALUE=DATE:20261001")), want: "2026-10-01"},
		{name: "CRLF", ics: strings.ReplaceAll(vevents("DTSTART;VALUE=DATE:20261001"), "\n", "\r\n"), want: "2026-10-01"},
		{name: "byte order mark, empty lines, no last line end", ics: "\ufeff" + strings.TrimSpace(vevents("\nDTSTART;VALUE=DATE:20261001\n\r\n")), want: "2026-10-01"},
		{name: "folded lines", ics: vevents("DTST\n ART;VAL\r\n\tUE=DATE:2026\n 1001"), want: "2026-10-01"},
		{name: "colons in quotes", ics: vevents(`DTSTART;X-A="b:c;d";VALUE="DATE":20261001`), want: "2026-10-01"},
		{
			name: "a time of day is not all day",
			ics:  vevents("DTSTART;VALUE=DATE:20261001", "DTSTART:20261002T090000Z", "DTSTART;TZID=Europe/Berlin:20261003T000000\nDTEND;TZID=Europe/Berlin:20261004T000000", "DTSTART;VALUE=DATE-TIME:20261005T000000"),
			want: "2026-10-01",
		},
		{name: "Outlook's all day", ics: vevents(`DTSTART;TZID="W. Europe Standard Time":20261225T000000` + "\n" + `DTEND;TZID="W. Europe Standard Time":20261227T000000` + "\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE"), want: "2026-12-25 2026-12-26"},
		{name: "Outlook's, in UTC and without an end", ics: vevents("DTSTART:20261225T000000Z\nX-MICROSOFT-CDO-ALLDAYEVENT: true"), want: "2026-12-25"},
		{
			name: "Outlook's rule, exception and moved instance",
			ics: vevents("UID:a\nDTSTART;TZID=CET:20261225T000000\nDTEND;TZID=CET:20261226T000000\nRRULE:FREQ=YEARLY;UNTIL=20301224T230000Z\n"+
				"EXDATE;TZID=CET:20281225T000000\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE",
				"UID:a\nRECURRENCE-ID;TZID=CET:20271225T000000\nDTSTART;TZID=CET:20271227T000000\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE"),
			want: "2026-12-25 2027-12-27 2029-12-25 2030-12-25",
		},
		{
			name: "Outlook's rule, west of Greenwich",
			ics:  vevents("DTSTART;TZID=EST:20261225T000000\nRRULE:FREQ=DAILY;UNTIL=20261226T050000Z\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE"),
			want: "2026-12-25 2026-12-26",
		},
		{
			name: "a rule's last second",
			ics:  vevents("DTSTART;TZID=CET:20261225T000000\nRRULE:FREQ=DAILY;UNTIL=20261226T235959Z\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE"),
			want: "2026-12-25 2026-12-26",
		},
		{
			name: "not Outlook's all day",
			ics: vevents("DTSTART;VALUE=DATE:20261001\nX-MICROSOFT-CDO-ALLDAYEVENT:FALSE", "DTSTART;TZID=CET:20261002T000000\nX-MICROSOFT-CDO-ALLDAYEVENT:FALSE",
				"DTSTART;TZID=CET:20261003T090000\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE", "DTSTART;TZID=CET:20261004T000000\nDTEND;TZID=CET:20261004T120000\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE"),
			want: "2026-10-01",
		},
		{name: "canceled", ics: vevents("DTSTART;VALUE=DATE:20261001", "DTSTART;VALUE=DATE:20261002\nSTATUS:CANCELLED", "STATUS:CANCELLED"), want: "2026-10-01"},
		{name: "alarms and zones are not events", ics: strings.Replace(vevents("DTSTART;VALUE=DATE:20261001\nBEGIN:VALARM\nDURATION:P1D\nDTSTART:20261111\nEND:VALARM"),
			"BEGIN:VEVENT", "BEGIN:VTIMEZONE\nBEGIN:STANDARD\nDTSTART:16011101T020000\nRRULE:FREQ=YEARLY\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT", 1), want: "2026-10-01"},
		{name: "two files in one", ics: vevents("DTSTART:20261001") + vevents("DTSTART:20261005"), want: "2026-10-01 2026-10-05"},
		{name: "more dates and fewer", ics: vevents("DTSTART:20261001\nRRULE:FREQ=DAILY;COUNT=4\nRDATE;VALUE=DATE:20261010,20261012\nRDATE:20261014\nEXDATE;VALUE=DATE:20261002,20261012\nEXDATE;TZID=Asia/Shanghai:20261003T000000"), want: "2026-10-01 2026-10-04 2026-10-10 2026-10-14"},
		{name: "DTSTART excepted", ics: vevents("DTSTART:20261001\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20261001"), want: "2026-10-02"},
		{name: "an instance moved", ics: vevents("UID:a\nDTSTART:20261001\nRRULE:FREQ=YEARLY;COUNT=3", "UID:a\nRECURRENCE-ID;VALUE=DATE:20271001\nDTSTART:20271004"), want: "2026-10-01 2027-10-04 2028-10-01"},
		{name: "an instance canceled, told first", ics: vevents("UID:a\nRECURRENCE-ID;VALUE=DATE:20271001\nSTATUS:CANCELLED\nDTSTART:20271001", "UID:a\nDTSTART:20261001\nRRULE:FREQ=YEARLY;COUNT=3"), want: "2026-10-01 2028-10-01"},
		{name: "an instance becomes a time of day", ics: vevents("UID:a\nDTSTART:20261001\nRRULE:FREQ=YEARLY;COUNT=2", "UID:a\nRECURRENCE-ID;VALUE=DATE:20271001\nDTSTART:20271001T090000Z"), want: "2026-10-01"},
		{name: "an instance of another event", ics: vevents("UID:a\nDTSTART:20261001", "UID:b\nRECURRENCE-ID:20261001\nSTATUS:CANCELLED\nDTSTART:20261001"), want: "2026-10-01"},
		{name: "rules of several days", ics: vevents("DTSTART:20261230\nDTEND:20270102\nRRULE:FREQ=YEARLY;COUNT=2"), want: "2026-12-30 2026-12-31 2027-01-01 2027-12-30 2027-12-31 2028-01-01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCalendar(nil, test.ics)
			if err != nil {
				t.Fatal(err)
			}
			if got := listed(c); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestICSWarnings(t *testing.T) {
	const day, canceled = "DTSTART;VALUE=DATE:20261001", "DTSTART:20261001T090000Z\nSTATUS:CANCELLED"
	for _, test := range []struct {
		name   string
		days   []string
		ics    string
		reason string // empty: no warning
	}{
		{name: "no file", days: []string{"Sat"}},
		{name: "all-day events only", ics: vevents(day, day)},
		{name: "canceled ones", ics: vevents(day, canceled)},
		{
			name: "one", ics: vevents(day, "DTSTART:20261002T090000Z", day, canceled),
			reason: "1 of 3 events is at a time of day and does not count: only all-day events do",
		},
		{
			name: "midnights that nothing marks", ics: vevents(day, "DTSTART:20261002T000000", "DTSTART:20261003T000000\nDTEND:20261004T000000"),
			reason: "2 of 3 events are at a time of day and do not count: only all-day events do",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCalendar(test.days, test.ics)
			if err != nil {
				t.Fatal(err)
			}
			var want []Error
			if test.reason != "" {
				want = []Error{{Field: "ics", Reason: test.reason}}
			}
			if got := c.Warnings(); !slices.Equal(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestICSRules(t *testing.T) {
	tests := []struct {
		name, start, rule string
		want              string // up to UNTIL, or the first four
	}{
		{"daily", "20261230", "FREQ=DAILY;COUNT=3", "2026-12-30 2026-12-31 2027-01-01"},
		{"every third day", "20261230", "FREQ=DAILY;INTERVAL=3;COUNT=3", "2026-12-30 2027-01-02 2027-01-05"},
		{"daily in one month", "20261230", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=-1,1;UNTIL=20280301", "2026-12-30 2027-02-01 2027-02-28 2028-02-01 2028-02-29"},
		{"weekly", "20261120", "FREQ=WEEKLY;COUNT=3", "2026-11-20 2026-11-27 2026-12-04"},
		{"weekends", "20261121", "FREQ=WEEKLY;BYDAY=SA,SU;COUNT=4", "2026-11-21 2026-11-22 2026-11-28 2026-11-29"},
		// From RFC 5545: the same rule with another start of the week.
		{"weeks from Monday", "19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05 1997-08-10 1997-08-19 1997-08-24"},
		{"weeks from Sunday", "19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05 1997-08-17 1997-08-19 1997-08-31"},
		{"monthly", "20261231", "FREQ=MONTHLY;COUNT=4", "2026-12-31 2027-01-31 2027-03-31 2027-05-31"},
		{"last day of the month", "20261130", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=4", "2026-11-30 2026-12-31 2027-01-31 2027-02-28"},
		{"last working day of the month", "20261030", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=4", "2026-10-30 2026-11-30 2026-12-31 2027-01-29"},
		{"Friday the 13th", "20261113", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", "2026-11-13 2027-08-13 2028-10-13"},
		{"fifth Monday", "20261130", "FREQ=MONTHLY;BYDAY=5MO;COUNT=3", "2026-11-30 2027-03-29 2027-05-31"},
		{"sixth Monday from the end: none", "20261130", "FREQ=MONTHLY;BYDAY=-6MO", "2026-11-30"},
		{"yearly", "20261225", "FREQ=YEARLY;COUNT=3", "2026-12-25 2027-12-25 2028-12-25"},
		{"leap day", "20240229", "FREQ=YEARLY;COUNT=3", "2024-02-29 2028-02-29 2032-02-29"},
		{"Thanksgiving", "20261126", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3", "2026-11-26 2027-11-25 2028-11-23"},
		{"election day", "19961105", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=3", "1996-11-05 2000-11-07 2004-11-02"},
		{"Memorial Day", "20260525", "FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=3", "2026-05-25 2027-05-31 2028-05-29"},
		{"20th Monday of the year", "19970519", "FREQ=YEARLY;BYDAY=20MO;COUNT=3", "1997-05-19 1998-05-18 1999-05-17"},
		{"Day of the Programmer", "20260913", "FREQ=YEARLY;BYYEARDAY=256;COUNT=3", "2026-09-13 2027-09-13 2028-09-12"},
		{"last day of the year", "20261231", "FREQ=YEARLY;BYYEARDAY=-1;COUNT=2", "2026-12-31 2027-12-31"},
		{"start that the rule does not name", "20261001", "FREQ=MONTHLY;BYMONTHDAY=15;COUNT=3", "2026-10-01 2026-10-15 2026-11-15"},
		{"until, with a time", "20261001", "FREQ=DAILY;UNTIL=20261003T235959Z", "2026-10-01 2026-10-02 2026-10-03"},
		{"until before the start", "20261001", "FREQ=DAILY;UNTIL=20260101", "2026-10-01"},
		{"times of day are ignored", "20261001", "FREQ=DAILY;COUNT=2;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "2026-10-01 2026-10-02"},
		{"30 February: never, and soon known", "20261001", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "2026-10-01"},
		{"up to the end of 2099", "20971231", "FREQ=YEARLY", "2097-12-31 2098-12-31 2099-12-31"},
		{"from after it", "21010101", "FREQ=YEARLY", "2101-01-01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCalendar(nil, vevents("DTSTART;VALUE=DATE:"+test.start+"\nRRULE:"+test.rule))
			if err != nil {
				t.Fatal(err)
			}
			if got := listed(c); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestICSRefused(t *testing.T) {
	const start = "SUMMARY:Spring Festival\nDTSTART;VALUE=DATE:20261001\n"
	many := func(n int, event string) string {
		return vevents(strings.Split(strings.Repeat(event+"|", n-1)+event, "|")...)
	}
	tests := []struct{ name, ics, reason string }{
		{"only spaces", "  \n", "has no all-day event"},
		{"no event", vevents(), "has no all-day event"},
		{"events at a time of day only", vevents("DTSTART:20261001T090000Z"), "has no all-day event: want a VEVENT with a line like DTSTART;VALUE=DATE:20261001"},
		{"canceled only", vevents(start + "STATUS:CANCELLED"), "has no all-day event"},
		{"not a calendar", "<html>", `line 1: "<html>" is not a line of an iCalendar file: want NAME:value`},
		{"a line without a value", vevents("DTSTART;VALUE=DATE"), `line 5: "DTSTART;VALUE=DATE" is not a line`},
		{"a line after a folded one", vevents("SUMMARY:a\n b\n c\nwhat"), `line 8: "what" is not a line`},
		{"a quote without end", vevents(`DTSTART;X="a:20261001`), "line 5: "},
		{"no BEGIN", "DTSTART:20261001\n", "line 1: DTSTART: want BEGIN:VCALENDAR before it"},
		{"another BEGIN", "BEGIN:VEVENT\n", "line 1: BEGIN:VEVENT: want BEGIN:VCALENDAR first"},
		{"another END", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", "line 3: END:VCALENDAR: want END:VEVENT for what begins in line 2"},
		{"no END", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261001\n", "line 2: BEGIN:VEVENT: has no END"},
		{"too deep", strings.Repeat("BEGIN:VCALENDAR\n", 17), "line 17: BEGIN:VCALENDAR: more than 16 components"},
		{"no start", vevents("SUMMARY:Spring Festival"), `line 4, event "Spring Festival": has no DTSTART`},
		{"no date", vevents("DTSTART;VALUE=DATE:20260230"), `line 5, event "": DTSTART: "20260230": there is no such date: want one like 20261001`},
		{"no date among several", vevents(start + "EXDATE:20261001,20260230"), `line 7, event "Spring Festival": EXDATE: "20260230": there is no such date: want one`},
		{"no date to repeat on", vevents(start + "RDATE:20261001,20260931"), `RDATE: "20260931": there is no such date: want one`},
		{"no date to end on", vevents(start + "RRULE:FREQ=DAILY;UNTIL=20260230"), `UNTIL=20260230: there is no such date: want one`},
		{"year 0", vevents("DTSTART;VALUE=DATE:00000101"), "there is no such date"},
		{"no date of Outlook's", vevents("DTSTART:20260230T000000\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE"), `DTSTART: "20260230T000000": there is no such date`},
		{"a time for a date", vevents("DTSTART;VALUE=DATE:20261001T000000"), `"20261001T000000": is not a date: want one like 20261001`},
		{"two starts", vevents(start + "DTSTART:20261002"), "line 7: the event has a second DTSTART: want one"},
		{"ends before it begins", vevents(start + "DTEND;VALUE=DATE:20260930"), `line 7, event "Spring Festival": DTEND: "20260930": is before DTSTART`},
		{"ends at a time of day", vevents(start + "DTEND;VALUE=DATE-TIME:20261002T000000"), "has VALUE=DATE-TIME: want dates"},
		{"an end and a duration", vevents(start + "DTEND:20261002\nDURATION:P1D"), "goes without DTEND"},
		{"hours", vevents(start + "DURATION:PT36H"), "want whole days or weeks, like P2D or P1W"},
		{"no days", vevents(start + "DURATION:P0D"), "want whole days or weeks"},
		{"less than no days", vevents(start + "DURATION:-P1D"), "want whole days or weeks"},
		{"too long", vevents(start + "DURATION:P9999W"), "has 69993 days: want at most 20000"},
		{"periods", vevents(start + "RDATE;VALUE=PERIOD:20261001T000000Z/P1D"), "has VALUE=PERIOD: want dates"},
		{"an exception at a time of day", vevents(start + "EXDATE:20261001T090000"), "is not a date"},
		{"EXRULE", vevents(start + "EXRULE:FREQ=DAILY"), "is not supported: want EXDATE"},
		{"this and future", vevents(start + "UID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261001"), "RANGE is not supported"},
		{"no frequency", vevents(start + "RRULE:COUNT=3"), `line 7, event "Spring Festival": RRULE: "COUNT=3": has no FREQ`},
		{"another frequency", vevents(start + "RRULE:FREQ=HOURLY"), "FREQ=HOURLY: want DAILY, WEEKLY, MONTHLY or YEARLY"},
		{"another part", vevents(start + "RRULE:FREQ=YEARLY;BYWEEKNO=20"), "BYWEEKNO=20: is not supported: want FREQ, UNTIL"},
		{"another calendar", vevents(start + "RRULE:RSCALE=CHINESE;FREQ=YEARLY"), "RSCALE=CHINESE: is not supported"},
		{"a part twice", vevents(start + "RRULE:FREQ=DAILY;FREQ=DAILY"), "has a second FREQ"},
		{"count and until", vevents(start + "RRULE:FREQ=DAILY;COUNT=2;UNTIL=20270101"), "has UNTIL and COUNT"},
		{"interval 0", vevents(start + "RRULE:FREQ=DAILY;INTERVAL=0"), "INTERVAL=0: want a number from 1 to 9999"},
		{"a huge interval", vevents(start + "RRULE:FREQ=WEEKLY;INTERVAL=1152921504606846976"), "want a number from 1 to 9999"},
		{"month 13", vevents(start + "RRULE:FREQ=YEARLY;BYMONTH=13"), `BYMONTH=13: "13": want a number from 1 to 12`},
		{"month -1", vevents(start + "RRULE:FREQ=YEARLY;BYMONTH=-1"), "want numbers from 1 to 12"},
		{"day 0", vevents(start + "RRULE:FREQ=MONTHLY;BYMONTHDAY=0"), "want a number from 1 to 31, or from -31 to -1"},
		{"no weekday", vevents(start + "RRULE:FREQ=WEEKLY;BYDAY=XX"), `"XX": want a day of the week, like MO, 2MO or -1MO`},
		{"a number for weeks", vevents(start + "RRULE:FREQ=WEEKLY;BYDAY=2MO"), "numbers in BYDAY go with FREQ=MONTHLY and YEARLY only"},
		{"month days for weeks", vevents(start + "RRULE:FREQ=WEEKLY;BYMONTHDAY=1"), "BYMONTHDAY does not go with FREQ=WEEKLY"},
		{"year days for months", vevents(start + "RRULE:FREQ=MONTHLY;BYYEARDAY=1"), "BYYEARDAY goes with FREQ=YEARLY only"},
		{"positions alone", vevents(start + "RRULE:FREQ=MONTHLY;BYSETPOS=1"), "BYSETPOS goes with another BY"},
		{"every day", vevents(start + "RRULE:FREQ=DAILY"), `line 4, event "Spring Festival": with it the events have more than 20000 days up to the end of 2099`},
		{"too many days in all", many(6, "DTSTART:20260101\nDURATION:P500W"), "with it the events have more than 20000 days"},
		{"too many rules without dates", many(400, "DTSTART:00010101\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "with it the rules take more than 10000000 steps"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseCalendar(nil, test.ics)
			var refused *Error
			if c != nil || !errors.As(err, &refused) {
				t.Fatalf("ParseCalendar = %v, %v", c, err)
			}
			if refused.Field != "ics" || !strings.Contains(refused.Reason, test.reason) {
				t.Errorf("got %v, want %q", refused, test.reason)
			}
		})
	}
}

// testdata/holidays.ics is written the way public holiday calendars are.
func TestICSFile(t *testing.T) {
	text, err := os.ReadFile("testdata/holidays.ics")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCalendar([]string{"Sat", "Sun"}, string(text))
	if err != nil {
		t.Fatal(err)
	}
	checkDays(t, c,
		"2026-10-01 2026-10-07 2026-12-25 2030-12-25 2026-11-26 2027-11-25 2027-02-06 2027-05-03 2026-11-21",
		"2026-09-30 2026-10-08 2027-05-04 2026-11-24 2027-10-01 2026-12-24")
}
