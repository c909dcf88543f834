package schedule

import (
	"slices"
	"testing"
	"time"
)

func TestNextUTC(t *testing.T) {
	for _, tc := range []struct {
		name, expr, after string
		want              []string
	}{
		{"strictly later", "*/5 * * * *", "2026-11-20T14:15:00Z", []string{"2026-11-20T14:20:00Z", "2026-11-20T14:25:00Z"}},
		{"a nanosecond before", "*/5 * * * *", "2026-11-20T14:14:59.999999999Z", []string{"2026-11-20T14:15:00Z"}},
		{"a nanosecond after", "*/5 * * * *", "2026-11-20T14:15:00.000000001Z", []string{"2026-11-20T14:20:00Z"}},
		{"over midnight and month", "0 9 * * *", "2026-11-30T09:00:00Z", []string{"2026-12-01T09:00:00Z"}},
		{"over the year", "30 23 31 12 *", "2026-12-31T23:30:00Z", []string{"2027-12-31T23:30:00Z"}},
		{"seconds", "15,45 59 23 * * *", "2026-12-31T23:59:15Z", []string{"2026-12-31T23:59:45Z", "2027-01-01T23:59:15Z"}},
		{"weekday", "0 8 * * mon-fri", "2026-11-20T08:00:00Z", []string{"2026-11-23T08:00:00Z"}}, // a Friday
		{"Sunday as 7", "0 8 * * 7", "2026-11-20T08:00:00Z", []string{"2026-11-22T08:00:00Z", "2026-11-29T08:00:00Z"}},
		{"fri-sun", "0 0 * * fri-sun", "2026-11-20T08:00:00Z", []string{"2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z"}},
		{"both days restricted: or", "0 0 13 * 5", "2026-11-01T00:00:00Z",
			[]string{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
		{"full range is restricted: or", "0 0 1-31 * 1", "2026-11-01T00:00:00Z", []string{"2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"}},
		{"stepped star is not: and", "0 0 */2 * 1", "2026-11-01T00:00:00Z", []string{"2026-11-09T00:00:00Z", "2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z"}},
		{"impossible date or weekday", "0 0 30 2 1", "2026-01-31T00:00:00Z", []string{"2026-02-02T00:00:00Z"}},
		{"31st", "0 0 31 * *", "2026-03-31T00:00:00Z", []string{"2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-31T00:00:00Z"}},
		{"leap day over 2100", "0 0 29 2 *", "2096-02-29T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"leap day on a Sunday, 40 years", "0 0 29 2 */7", "2088-02-29T00:00:00Z", []string{"2128-02-29T00:00:00Z"}},
		{"leap day of 2000", "0 0 29 2 *", "1999-01-01T00:00:00Z", []string{"2000-02-29T00:00:00Z"}},
		{"before 1970", "0 12 * * *", "1912-04-14T23:40:00Z", []string{"1912-04-15T12:00:00Z"}},
		{"across 1970", "*/30 * * * * *", "1969-12-31T23:59:29.5Z", []string{"1969-12-31T23:59:30Z", "1970-01-01T00:00:00Z"}},
		{"@every is anchored to the epoch", "@every 90s", "2026-11-20T14:15:01Z", []string{"2026-11-20T14:16:30Z", "2026-11-20T14:18:00Z"}},
		{"@every before 1970", "@every 7m", "1969-12-31T23:50:00Z", []string{"1969-12-31T23:53:00Z", "1970-01-01T00:00:00Z"}},
		{"@every below a second", "@every 250ms", "2026-11-20T14:15:00.1Z", []string{"2026-11-20T14:15:00.25Z", "2026-11-20T14:15:00.5Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkNext(t, mustParse(t, tc.expr, ""), tc.after, tc.want...)
		})
	}
}

func TestEveryWithOffset(t *testing.T) {
	s, err := Parse(Spec{Every: 30 * time.Second, Offset: 5500 * time.Millisecond, TimeZone: "Asia/Kathmandu"})
	if err != nil {
		t.Fatal(err)
	}
	checkNext(t, s, "2026-11-20T14:15:05.4999Z", "2026-11-20T14:15:05.5Z", "2026-11-20T14:15:35.5Z", "2026-11-20T14:16:05.5Z")
	checkNext(t, s, "1969-12-31T23:59:00Z", "1969-12-31T23:59:05.5Z", "1969-12-31T23:59:35.5Z", "1970-01-01T00:00:05.5Z")
}

func TestUnion(t *testing.T) {
	s, err := Parse(Spec{TimeZone: "Asia/Shanghai", Expressions: []string{
		"0 9 * * *", "CRON_TZ=UTC 0 1 * * *", "TZ=Europe/Berlin 0 9 * * *", "@every 12h",
	}})
	if err != nil {
		t.Fatal(err)
	}
	// 09:00 in Shanghai and 01:00 UTC are one instant.
	checkNext(t, s, "2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", "2026-11-20T08:00:00Z", "2026-11-20T12:00:00Z", "2026-11-21T00:00:00Z")
	times, more := s.Between(at(t, "2026-11-20T01:00:00Z"), at(t, "2026-11-21T01:00:00Z"), 10)
	var got []string
	for _, v := range times {
		got = append(got, v.Format(time.RFC3339))
	}
	want := []string{"2026-11-20T08:00:00Z", "2026-11-20T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"}
	if !slices.Equal(got, want) || more {
		t.Fatalf("Between = %v, %v, want %v, false", got, more, want)
	}
}

func TestBetweenBounds(t *testing.T) {
	s := mustParse(t, "0 * * * *", "")
	from, to := at(t, "2026-11-20T10:00:00Z"), at(t, "2026-11-20T13:00:00Z")
	for _, tc := range []struct {
		name     string
		from, to time.Time
		max      int
		count    int
		more     bool
	}{
		{"exact", from, to, 3, 3, false},
		{"room", from, to, 1 << 60, 3, false},
		{"short", from, to, 2, 2, true},
		{"zero max", from, to, 0, 0, true},
		{"negative max", from, to, -1, 0, true},
		{"zero max and nothing there", from, from.Add(time.Minute), 0, 0, false},
		{"empty span", from, from, 3, 0, false},
		{"reversed span", to, from, 3, 0, false},
		{"to is not reached", from, to.Add(-1), 3, 2, false},
		{"to beyond the calendar", from, time.Unix(1<<60, 0), 3, 3, true},
		{"from beyond the calendar", time.Unix(1<<60, 0), time.Unix(1<<61, 0), 3, 0, false},
		{"before the calendar", time.Unix(-1<<60, 0), time.Unix(-1<<59, 0), 3, 0, false},
		{"from before the calendar", time.Unix(-1<<60, 0), to, 3, 3, true},
	} {
		times, more := s.Between(tc.from, tc.to, tc.max)
		if len(times) != tc.count || more != tc.more {
			t.Errorf("%s: %d times, more %v; want %d, %v", tc.name, len(times), more, tc.count, tc.more)
		}
	}
}

func TestCalendarEnds(t *testing.T) {
	for _, expr := range []string{"* * * * * *", "0 0 1 1 *", "0 0 29 2 *", "@every 10ms", "@every 1h"} {
		for _, zone := range []string{"", "Asia/Shanghai", "America/New_York", "Pacific/Apia"} {
			s := mustParse(t, expr, zone)
			for _, after := range []time.Time{
				{}, time.Unix(-1<<62, 0), time.Unix(1<<62, 0), time.Unix(1<<63-1, 0), time.Unix(-1<<63, 0),
				lastTime, lastTime.Add(-1), lastTime.Add(-time.Second), lastTime.Add(-time.Hour), lastTime.Add(1),
				time.Time{}.Add(-1), time.Time{}.Add(1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, -1),
			} {
				next, ok := s.Next(after)
				switch {
				case ok && (next.IsZero() || !next.After(after) || next.Year() > 9999 || next.Year() < 1):
					t.Errorf("%s: Next(%v) = %v", s, after, next)
				case !ok && !next.IsZero():
					t.Errorf("%s: Next(%v) = %v and none", s, after, next)
				case !ok && after.Year() < 9900 && after.Year() > 0:
					t.Errorf("%s: Next(%v): none", s, after)
				}
			}
		}
	}
	checkNext(t, mustParse(t, "0 0 1 1 *", ""), "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z")
	checkNext(t, mustParse(t, "59 23 31 12 *", ""), "9998-12-31T23:59:00Z", "9999-12-31T23:59:00Z")
	if next, ok := mustParse(t, "0 0 29 2 *", "").Next(at(t, "9996-03-01T00:00:00Z")); ok {
		t.Errorf("after the last leap day: %v", next)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	for _, expr := range []string{"*/5 * * * *", "0 9 * * mon-fri", "30 2 * * *", "0 0 29 2 *", "@every 30s"} {
		for _, zone := range []string{"", "America/New_York"} {
			s := mustParse(t, expr, zone)
			after := at(t, "2026-03-07T12:00:00Z")
			if n := testing.AllocsPerRun(100, func() { s.Next(after) }); n != 0 {
				t.Errorf("%s: %v allocations", s, n)
			}
		}
	}
}
