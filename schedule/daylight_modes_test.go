package schedule

import (
	"testing"
)

func TestDaylightSavingModes(t *testing.T) {
	for _, tc := range []struct {
		name, mode, zone, expr, after string
		want                          []string
	}{
		// New York: 2026-03-08 02:00 EST is 03:00 EDT, 2026-11-01 02:00 EDT is 01:00 EST.
		{"gap", Skip, "America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z", []string{"2026-03-09T02:30:00-04:00"}},
		{"gap: asked within a second of it", Skip, "America/New_York", "30 2 * * *", "2026-03-08T01:59:59-05:00", []string{"2026-03-09T02:30:00-04:00"}},
		{"gap: its end is no gap", Skip, "America/New_York", "0 3 * * *", "2026-03-07T12:00:00Z", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T03:00:00-04:00"}},
		{"gap: its first second", Skip, "America/New_York", "0 2 * * *", "2026-03-07T12:00:00Z", []string{"2026-03-09T02:00:00-04:00"}},
		{"gap: times before and after", Skip, "America/New_York", "30 1,2,3 * * *", "2026-03-08T00:00:00-05:00",
			[]string{"2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00", "2026-03-09T01:30:00-04:00"}},
		{"gap: on the one day of the expression", Skip, "America/New_York", "30 2 8 3 *", "2026-01-01T00:00:00Z", []string{"2027-03-08T02:30:00-05:00"}},
		{"gap: wildcard", Skip, "America/New_York", "30 * * * *", "2026-03-08T01:30:00-05:00", []string{"2026-03-08T03:30:00-04:00"}},
		{"fold: the first time", Skip, "America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"fold: asked between the passes", Skip, "America/New_York", "45 1 * * *", "2026-11-01T01:10:00-05:00", []string{"2026-11-02T01:45:00-05:00"}},
		{"fold: wildcard", Skip, "America/New_York", "*/30 1 * * *", "2026-11-01T01:00:00-04:00",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00"}},
		{"midnight gap in São Paulo", Skip, "America/Sao_Paulo", "@daily", "2018-11-03T12:00:00Z", []string{"2018-11-05T00:00:00-02:00"}},
		{"midnight gap in Cairo", Skip, "Africa/Cairo", "@daily", "2026-04-23T12:00:00Z", []string{"2026-04-25T00:00:00+03:00"}},
		{"the lost date in Apia", Skip, "Pacific/Apia", "0 12 * * *", "2011-12-29T00:00:00-10:00", []string{"2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"}},
		{"UTC", Skip, "", "30 2 * * *", "2026-03-07T12:00:00Z", []string{"2026-03-08T02:30:00Z"}},

		{"gap", Both, "America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"gap: asked at its end", Both, "America/New_York", "30 2 * * *", "2026-03-08T03:00:00-04:00", []string{"2026-03-09T02:30:00-04:00"}},
		{"gap: asked a second before its end", Both, "America/New_York", "30 2 * * *", "2026-03-08T01:59:59-05:00", []string{"2026-03-08T03:00:00-04:00"}},
		{"gap: several times are one instant", Both, "America/New_York", "0,20,40 2,3 * * *", "2026-03-08T05:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-08T03:20:00-04:00", "2026-03-08T03:40:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"gap: years ahead, on its one day", Both, "America/New_York", "30 2 8 3 *", "2020-03-08T12:00:00Z",
			[]string{"2021-03-08T02:30:00-05:00", "2022-03-08T02:30:00-05:00", "2023-03-08T02:30:00-05:00", "2024-03-08T02:30:00-05:00", "2025-03-08T02:30:00-05:00", "2026-03-08T03:00:00-04:00"}},
		{"gap: a Sunday that is always in it", Both, "Europe/Berlin", "30 2 * 3 sunL", "2026-01-01T00:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2027-03-28T03:00:00+02:00"}},
		{"fold: both times", Both, "America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"}},
		{"fold: asked between the passes", Both, "America/New_York", "15,45 1 * * *", "2026-11-01T01:50:00-04:00",
			[]string{"2026-11-01T01:15:00-05:00", "2026-11-01T01:45:00-05:00", "2026-11-02T01:15:00-05:00"}},
		{"fold: on the one day of the year, asked between the passes", Both, "America/New_York", "30 1 1 11 *", "2026-11-01T01:45:00-04:00",
			[]string{"2026-11-01T01:30:00-05:00", "2027-11-01T01:30:00-04:00"}},
		{"fold: on the one day of the year, wildcard", Both, "America/New_York", "*/30 1 1 11 *", "2026-11-01T01:45:00-04:00",
			[]string{"2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00", "2027-11-01T01:00:00-04:00"}},
		{"fold: on the one day of the one year, asked between the passes", Both, "America/New_York", "0 30 1 1 11 * 2026", "2026-11-01T01:45:00-04:00",
			[]string{"2026-11-01T01:30:00-05:00"}},
		{"fold: on the one day of the one year, wildcard", Both, "America/New_York", "0 */30 1 1 11 * 2026", "2026-11-01T01:45:00-04:00",
			[]string{"2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00"}},
		{"fold: its end is due once", Both, "America/New_York", "0 1,2 * * *", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"}},
		{"fold: wildcard", Both, "America/New_York", "30 * * * *", "2026-11-01T00:45:00-04:00",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"}},
		{"midnight fold in Havana", Both, "America/Havana", "@daily", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T00:00:00-04:00", "2026-11-01T00:00:00-05:00", "2026-11-02T00:00:00-05:00"}},
		{"fold into the day before in São Paulo", Both, "America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00:00Z",
			[]string{"2018-02-17T23:30:00-02:00", "2018-02-17T23:30:00-03:00", "2018-02-18T23:30:00-03:00"}},
		{"half an hour in Lord Howe", Both, "Australia/Lord_Howe", "15,45 1,2 * * *", "2026-04-05T01:20:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-05T02:15:00+10:30"}},
		{"two hours in Troll", Both, "Antarctica/Troll", "0 1,2 * * *", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z"}},
		{"a date twice in Kwajalein", Both, "Pacific/Kwajalein", "0 12 * * *", "1969-09-29T12:00:00+11:00",
			[]string{"1969-09-30T12:00:00+11:00", "1969-09-30T12:00:00-12:00", "1969-10-01T12:00:00-12:00"}},
		{"the lost date in Apia", Both, "Pacific/Apia", "0 12 * * *", "2011-12-29T00:00:00-10:00",
			[]string{"2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"}},
		{"leap day", Both, "Europe/Berlin", "0 0 29 2 *", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00+01:00"}},
	} {
		t.Run(tc.mode+": "+tc.name, func(t *testing.T) {
			s, err := Parse(Spec{Expressions: []string{tc.expr}, TimeZone: tc.zone, DaylightSaving: tc.mode})
			if err != nil {
				t.Fatal(err)
			}
			checkNext(t, s, tc.after, tc.want...)
		})
	}
}

// TestNeverShown: the search for a time that the clock always jumps over ends.
func TestNeverShown(t *testing.T) {
	for _, expr := range []string{"30 2 * 3 sunL", "* 2 * 3 sunL"} {
		s, err := Parse(Spec{Expressions: []string{expr}, TimeZone: "Europe/Berlin", DaylightSaving: Skip})
		if err != nil {
			t.Fatal(err)
		}
		if next, ok := s.Next(at(t, "2026-01-01T00:00:00Z")); ok || !next.IsZero() {
			t.Errorf("%s: %s", expr, next)
		}
		if prev, ok := s.Prev(at(t, "2026-01-01T00:00:00Z")); !ok || prev.Year() >= 1981 {
			t.Errorf("%s: Prev is %s, want one before daylight saving", expr, prev)
		}
	}
}
