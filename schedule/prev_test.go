package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPrev(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spec   Spec
		before string
		want   string // empty: none
	}{
		{"strictly before", Spec{Expressions: []string{"*/5 * * * *"}}, "2026-11-20T14:15:00Z", "2026-11-20T14:10:00Z"},
		{"a nanosecond after", Spec{Expressions: []string{"*/5 * * * *"}}, "2026-11-20T14:15:00.000000001Z", "2026-11-20T14:15:00Z"},
		{"of a union", Spec{Expressions: []string{"0 9 * * *", "@every 12h"}}, "2026-11-20T12:00:00Z", "2026-11-20T09:00:00Z"},
		{"leap day over 1900", Spec{Expressions: []string{"0 0 29 2 *"}}, "1904-02-29T00:00:00Z", "1896-02-29T00:00:00Z"},
		{"leap day on a Sunday, 40 years", Spec{Expressions: []string{"0 0 29 2 */7"}}, "2128-02-29T00:00:00Z", "2088-02-29T00:00:00Z"},
		{"years long ago", Spec{Expressions: []string{"0 0 9 1 12 * 1975"}}, "9000-01-01T00:00:00Z", "1975-12-01T09:00:00Z"},
		{"before the years", Spec{Expressions: []string{"0 0 9 1 12 * 2026"}}, "2026-12-01T09:00:00Z", ""},
		{"interval below a second", Spec{Every: 250 * time.Millisecond}, "2026-11-20T14:15:00.5Z", "2026-11-20T14:15:00.25Z"},
		{"interval of a century", Spec{Every: 100 * 365 * 24 * time.Hour}, "2026-11-20T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"instants", Spec{At: []string{"2026-11-01T00:00Z", "2026-12-01T00:00Z"}}, "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z"},
		{"instant long ago", Spec{At: []string{"0700-11-01T00:00Z"}}, "2026-12-01T00:00:00Z", "0700-11-01T00:00:00Z"},
		{"before the first instant", Spec{At: []string{"2026-11-01T00:00Z"}}, "2026-11-01T00:00:00Z", ""},
		{"gap", Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "America/New_York"}, "2026-03-09T02:30:00-04:00", "2026-03-08T03:00:00-04:00"},
		{"between the passes of a fold", Spec{Expressions: []string{"30 1 * * *"}, TimeZone: "America/New_York"},
			"2026-11-01T01:45:00-05:00", "2026-11-01T01:30:00-04:00"},
		{"the second pass", Spec{Expressions: []string{"30 1 * * *"}, TimeZone: "America/New_York", DaylightSaving: Both},
			"2026-11-01T01:45:00-05:00", "2026-11-01T01:30:00-05:00"},
		{"over the lost date in Apia", Spec{Expressions: []string{"0 12 * * *"}, TimeZone: "Pacific/Apia"},
			"2011-12-31T12:00:00+14:00", "2011-12-29T12:00:00-10:00"},
		{"beyond the calendar", Spec{Expressions: []string{"@yearly"}}, "9999-12-31T23:59:59.999999999Z", "9999-01-01T00:00:00Z"},
		{"the calendar's beginning", Spec{Expressions: []string{"@yearly"}}, "0002-01-01T00:00:00Z", ""},
		{"before the calendar", Spec{Expressions: []string{"@yearly"}}, "0001-01-01T00:00:00Z", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := s.Prev(at(t, tc.before))
			if ok != (tc.want != "") || ok && !got.Equal(at(t, tc.want)) || !ok && !got.IsZero() {
				t.Fatalf("%s: Prev(%s) = %s, %v, want %s", s, tc.before, got, ok, tc.want)
			}
		})
	}
	for _, before := range []time.Time{{}, time.Unix(1<<62, 0), time.Unix(-1<<62, 0), time.Unix(1<<63-1, 0)} {
		if prev, ok := mustParse(t, "@daily", "").Prev(before); ok != !prev.IsZero() || ok && !prev.Before(before) {
			t.Errorf("Prev(%v) = %v, %v", before, prev, ok)
		}
	}
}

// TestPrevUndoesNext: between a time and the Next of it nothing is due, and Prev of that Next's Next is that Next.
func TestPrevUndoesNext(t *testing.T) {
	zones := append([]string{"UTC"}, oracleZones...)
	rapid.Check(t, func(t *rapid.T) {
		c := genCron(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		s := &Schedule{parts: []part{c}, starts: noStart, ends: noEnd}
		after := genTime(t)
		first, ok := s.Next(after)
		if !ok {
			return
		}
		if second, ok := s.Next(first); ok {
			if prev, ok := s.Prev(second); !ok || !prev.Equal(first) {
				t.Fatalf("%s: Prev(%s) = %s, want %s", s, second, prev, first)
			}
		}
		if prev, ok := s.Prev(first); ok {
			if prev.After(after) {
				t.Fatalf("%s: Prev(%s) = %s, but Next(%s) is later", s, first, prev, after)
			}
			if next, ok := s.Next(prev); !ok || !next.Equal(first) {
				t.Fatalf("%s: Next(Prev(%s)) = %s", s, first, next)
			}
		}
	})
}
