package schedule

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNote(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spec  Spec
		after string
		due   string // the next time after it
		want  string
	}{
		{
			name: "ordinary day", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-27T12:00:00Z", due: "2026-03-28T02:30:00+01:00",
		},
		{
			name: "gap in Berlin", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
			want: "daylight saving: 02:30 does not exist on 2026-03-29 in Europe/Berlin",
		},
		{
			name: "gap in Berlin, both", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Both},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
			want: "daylight saving: 02:30 does not exist on 2026-03-29 in Europe/Berlin",
		},
		{
			name: "gap in Berlin, the first of several", spec: Spec{Expressions: []string{"45,15 2 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
			want: "daylight saving: 02:15 does not exist on 2026-03-29 in Europe/Berlin",
		},
		{
			name: "gap in Berlin, with seconds", spec: Spec{Expressions: []string{"10 30 2 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
			want: "daylight saving: 02:30:10 does not exist on 2026-03-29 in Europe/Berlin",
		},
		{
			name: "gap in Berlin, its end is asked for as well", spec: Spec{Expressions: []string{"0 2,3 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
		},
		{
			name: "gap in Berlin, follows the clock", spec: Spec{Expressions: []string{"*/30 * * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-29T01:30:00+01:00", due: "2026-03-29T03:00:00+02:00",
		},
		{
			name: "fold in Berlin", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-10-24T12:00:00Z", due: "2026-10-25T02:30:00+02:00",
			want: "daylight saving: 02:30 comes twice on 2026-10-25 in Europe/Berlin, this is the first",
		},
		{
			name: "fold in Berlin, skip", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Skip},
			after: "2026-10-24T12:00:00Z", due: "2026-10-25T02:30:00+02:00",
			want: "daylight saving: 02:30 comes twice on 2026-10-25 in Europe/Berlin, this is the first",
		},
		{
			name: "fold in Berlin, both: first", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Both},
			after: "2026-10-24T12:00:00Z", due: "2026-10-25T02:30:00+02:00",
			want: "daylight saving: 02:30 comes twice on 2026-10-25 in Europe/Berlin, this is the first",
		},
		{
			name: "fold in Berlin, both: second", spec: Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "Europe/Berlin", DaylightSaving: Both},
			after: "2026-10-25T02:30:00+02:00", due: "2026-10-25T02:30:00+01:00",
			want: "daylight saving: 02:30 comes twice on 2026-10-25 in Europe/Berlin, this is the second",
		},
		{
			name: "fold in Berlin, follows the clock", spec: Spec{Expressions: []string{"30 * * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-10-25T02:00:00+02:00", due: "2026-10-25T02:30:00+02:00",
		},
		{
			name: "fold in Berlin, its end", spec: Spec{Expressions: []string{"0 3 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-10-24T12:00:00Z", due: "2026-10-25T03:00:00+01:00",
		},
		{
			name: "gap in New York", spec: Spec{Expressions: []string{"0 2 * * *"}, TimeZone: "America/New_York"},
			after: "2026-03-07T12:00:00Z", due: "2026-03-08T03:00:00-04:00",
			want: "daylight saving: 02:00 does not exist on 2026-03-08 in America/New_York",
		},
		{
			name: "fold in New York", spec: Spec{Expressions: []string{"0 1 * * *"}, TimeZone: "America/New_York"},
			after: "2026-10-31T12:00:00Z", due: "2026-11-01T01:00:00-04:00",
			want: "daylight saving: 01:00 comes twice on 2026-11-01 in America/New_York, this is the first",
		},
		{
			name: "half an hour in Lord Howe, gap", spec: Spec{Expressions: []string{"15 2 * * *"}, TimeZone: "Australia/Lord_Howe"},
			after: "2026-10-03T00:00:00Z", due: "2026-10-04T02:30:00+11:00",
			want: "daylight saving: 02:15 does not exist on 2026-10-04 in Australia/Lord_Howe",
		},
		{
			name: "half an hour in Lord Howe, fold", spec: Spec{Expressions: []string{"45 1 * * *"}, TimeZone: "Australia/Lord_Howe"},
			after: "2026-04-04T00:00:00Z", due: "2026-04-05T01:45:00+11:00",
			want: "daylight saving: 01:45 comes twice on 2026-04-05 in Australia/Lord_Howe, this is the first",
		},
		{
			name: "half an hour in Lord Howe, before the fold", spec: Spec{Expressions: []string{"15 1 * * *"}, TimeZone: "Australia/Lord_Howe"},
			after: "2026-04-04T00:00:00Z", due: "2026-04-05T01:15:00+11:00",
		},
		{
			name: "midnight gap in São Paulo", spec: Spec{Expressions: []string{"@daily"}, TimeZone: "America/Sao_Paulo"},
			after: "2018-11-03T12:00:00Z", due: "2018-11-04T01:00:00-02:00",
			want: "daylight saving: 00:00 does not exist on 2018-11-04 in America/Sao_Paulo",
		},
		{
			name: "midnight fold in São Paulo", spec: Spec{Expressions: []string{"30 23 * * *"}, TimeZone: "America/Sao_Paulo"},
			after: "2018-02-17T12:00:00Z", due: "2018-02-17T23:30:00-02:00",
			want: "daylight saving: 23:30 comes twice on 2018-02-17 in America/Sao_Paulo, this is the first",
		},
		{
			name: "the lost date in Apia, noon", spec: Spec{Expressions: []string{"0 12 * * *"}, TimeZone: "Pacific/Apia"},
			after: "2011-12-29T12:00:00-10:00", due: "2011-12-31T12:00:00+14:00",
		},
		{
			name: "the lost date in Apia, midnight after", spec: Spec{Expressions: []string{"0 0 * * *"}, TimeZone: "Pacific/Apia"},
			after: "2011-12-29T12:00:00-10:00", due: "2011-12-31T00:00:00+14:00",
		},
		{
			name: "a date twice in Kwajalein", spec: Spec{Expressions: []string{"0 12 * * *"}, TimeZone: "Pacific/Kwajalein"},
			after: "1969-09-29T12:00:00+11:00", due: "1969-09-30T12:00:00+11:00",
			want: "daylight saving: 12:00 comes twice on 1969-09-30 in Pacific/Kwajalein, this is the first",
		},
		{
			name:  "union, another asks for the end of the gap",
			spec:  Spec{Expressions: []string{"30 2 * * *", "0 3 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
		},
		{
			name:  "union, another follows the clock",
			spec:  Spec{Expressions: []string{"30 2 * * *", "*/30 * * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-10-25T02:00:00+02:00", due: "2026-10-25T02:30:00+02:00",
		},
		{
			name:  "union, another zone has the time as it is",
			spec:  Spec{Expressions: []string{"30 2 * * *", "CRON_TZ=Asia/Tokyo 0 10 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-29T00:30:00Z", due: "2026-03-29T01:00:00Z",
		},
		{
			name:  "union, another is due at another time",
			spec:  Spec{Expressions: []string{"30 2 * * *", "0 4 * * *"}, TimeZone: "Europe/Berlin"},
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
			want: "daylight saving: 02:30 does not exist on 2026-03-29 in Europe/Berlin",
		},
		{
			name: "interval", spec: Spec{Every: time.Hour, TimeZone: "Europe/Berlin"},
			after: "2026-10-25T00:00:00Z", due: "2026-10-25T01:00:00Z",
		},
		{
			name: "instant", spec: Spec{At: []string{"2026-10-25T02:30"}, TimeZone: "Europe/Berlin"},
			after: "2026-10-24T00:00:00Z", due: "2026-10-25T00:30:00Z",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			checkNext(t, s, tc.after, tc.due)
			if got := s.Note(at(t, tc.due)); got != tc.want {
				t.Errorf("Note(%s) = %q, want %q", tc.due, got, tc.want)
			}
		})
	}
}

func TestNoteOfCalendars(t *testing.T) {
	for _, tc := range []struct {
		name, expr, zone string
		days             []string // excluded
		onExcluded       string
		after, due, want string
	}{
		{
			name: "not moved", expr: "0 9 L * *", zone: "Asia/Shanghai", days: []string{"2026-10-01/2026-10-07"}, onExcluded: NextIncluded,
			after: "2026-09-01T00:00:00Z", due: "2026-09-30T09:00:00+08:00",
		},
		{
			name: "moved on", expr: "0 9 3 * *", zone: "Asia/Shanghai", days: []string{"2026-10-01/2026-10-07"}, onExcluded: NextIncluded,
			after: "2026-09-30T00:00:00Z", due: "2026-10-08T09:00:00+08:00", want: "calendar: moved from 2026-10-03",
		},
		{
			name: "moved back", expr: "0 9 3 * *", zone: "Asia/Shanghai", days: []string{"2026-10-01/2026-10-07"}, onExcluded: PreviousIncluded,
			after: "2026-09-20T00:00:00Z", due: "2026-09-30T09:00:00+08:00", want: "calendar: moved from 2026-10-03",
		},
		{
			name: "moved to where it is due anyhow", expr: "0 9 3,8 * *", zone: "Asia/Shanghai", days: []string{"2026-10-01/2026-10-07"},
			onExcluded: NextIncluded, after: "2026-09-30T00:00:00Z", due: "2026-10-08T09:00:00+08:00",
		},
		{
			name: "its own time in a gap", expr: "30 2 * * *", zone: "Europe/Berlin", days: []string{"Sat"}, onExcluded: Skip,
			after: "2026-03-28T12:00:00Z", due: "2026-03-29T03:00:00+02:00",
			want: "daylight saving: 02:30 does not exist on 2026-03-29 in Europe/Berlin",
		},
		{
			name: "moved into a gap", expr: "30 2 28 * *", zone: "Europe/Berlin", days: []string{"Sat"}, onExcluded: NextIncluded,
			after: "2026-03-27T12:00:00Z", due: "2026-03-29T03:00:00+02:00", want: "calendar: moved from 2026-03-28",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calendar, err := ParseCalendar(tc.days, "")
			if err != nil {
				t.Fatal(err)
			}
			s := mustParse(t, tc.expr, tc.zone).On(Calendars{Exclude: []*Calendar{calendar}, OnExcluded: tc.onExcluded})
			checkNext(t, s, tc.after, tc.due)
			if got := s.Note(at(t, tc.due)); got != tc.want {
				t.Errorf("Note(%s) = %q, want %q", tc.due, got, tc.want)
			}
		})
	}
}

// A fixed time has a note exactly when the clock shows something else, or the same again within two days.
func TestNoteAgreesWithTheClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCron(t, rapid.SampledFrom(oracleZones).Draw(t, "zone"))
		s := &Schedule{parts: []part{c}, starts: noStart, ends: noEnd, zone: c.loc}
		due, ok := s.Next(genTime(t))
		if !ok {
			t.Skip("no time")
		}
		local := due.In(c.loc)
		twice := false
		const step = 15 * time.Minute // all changes since 1970 are by a multiple, but for one in Liberia
		for other := local.Add(-48 * time.Hour); other.Before(local.Add(48 * time.Hour)); other = other.Add(step) {
			twice = twice || other.Format(time.DateTime) == local.Format(time.DateTime) && !other.Equal(local)
		}
		note := s.Note(due)
		want := ""
		switch {
		case c.follows:
		case !c.shows(local):
			want = "does not exist"
		case twice:
			want = "this is the first"
		}
		if (note == "") != (want == "") || !strings.Contains(note, want) {
			t.Fatalf("%s: Note(%s) = %q, want %q", s, local, note, want)
		}
	})
}
