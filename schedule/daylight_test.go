package schedule

import (
	"testing"
	"time"
)

func TestDaylightSaving(t *testing.T) {
	for _, tc := range []struct {
		name, zone, expr, after string
		want                    []string
	}{
		// New York: 2026-03-08 02:00 EST is 03:00 EDT, 2026-11-01 02:00 EDT is 01:00 EST.
		{"gap: right after it", "America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"gap: asked a second before its end", "America/New_York", "30 2 * * *", "2026-03-08T01:59:59-05:00",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"gap: asked at its end", "America/New_York", "30 2 * * *", "2026-03-08T03:00:00-04:00",
			[]string{"2026-03-09T02:30:00-04:00"}},
		{"gap: its first second", "America/New_York", "0 2 * * *", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"gap: its end is no gap", "America/New_York", "0 3 * * *", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T03:00:00-04:00"}},
		{"gap: several times are one instant", "America/New_York", "0,20,40 2,3 * * *", "2026-03-08T05:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-08T03:20:00-04:00", "2026-03-08T03:40:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"gap: seconds of a fixed minute are one instant", "America/New_York", "*/20 30 2 * * *", "2026-03-08T05:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00", "2026-03-09T02:30:20-04:00"}},
		{"gap: on the one day of the expression", "America/New_York", "30 2 8 3 *", "2026-01-01T00:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2027-03-08T02:30:00-05:00"}},
		{"gap: wildcard hour, nothing extra", "America/New_York", "30 * * * *", "2026-03-08T00:45:00-05:00",
			[]string{"2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00"}},
		{"gap: wildcard minute, nothing at all", "America/New_York", "* 2 * * *", "2026-03-07T02:59:00-05:00",
			[]string{"2026-03-09T02:00:00-04:00"}},
		{"gap: stepped wildcard hour", "America/New_York", "0 */2 * * *", "2026-03-08T00:00:00-05:00",
			[]string{"2026-03-08T04:00:00-04:00"}},
		{"gap: full range is not a wildcard", "America/New_York", "30 0-23 * * *", "2026-03-08T01:00:00-05:00",
			[]string{"2026-03-08T01:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00"}},
		{"fold: the first time", "America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"fold: asked between the passes", "America/New_York", "45 1 * * *", "2026-11-01T01:10:00-05:00",
			[]string{"2026-11-02T01:45:00-05:00"}},
		{"fold: its end is due once", "America/New_York", "0 1,2 * * *", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00", "2026-11-02T01:00:00-05:00"}},
		{"fold: wildcard hour, both", "America/New_York", "30 * * * *", "2026-11-01T00:45:00-04:00",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"}},
		{"fold: wildcard minute, both", "America/New_York", "*/30 1 * * *", "2026-11-01T00:45:00-04:00",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:00:00-05:00"}},
		{"fold: every minute", "America/New_York", "* * * * *", "2026-11-01T01:58:00-04:00",
			[]string{"2026-11-01T01:59:00-04:00", "2026-11-01T01:00:00-05:00"}},

		{"midnight gap in São Paulo", "America/Sao_Paulo", "@daily", "2018-11-03T12:00:00Z",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		{"midnight gap in São Paulo, hourly", "America/Sao_Paulo", "@hourly", "2018-11-03T22:30:00-03:00",
			[]string{"2018-11-03T23:00:00-03:00", "2018-11-04T01:00:00-02:00", "2018-11-04T02:00:00-02:00"}},
		{"midnight fold in São Paulo", "America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00:00Z",
			[]string{"2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"}},
		{"midnight gap in Cairo", "Africa/Cairo", "0 0 * * *", "2026-04-23T12:00:00Z",
			[]string{"2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"}},
		{"midnight gap in Cairo, on a Friday", "Africa/Cairo", "15 0 * * fri", "2026-04-20T12:00:00Z",
			[]string{"2026-04-24T01:00:00+03:00", "2026-05-01T00:15:00+03:00"}},
		{"midnight fold in Cairo", "Africa/Cairo", "0 0 * * *", "2026-10-28T12:00:00Z",
			[]string{"2026-10-29T00:00:00+03:00", "2026-10-30T00:00:00+02:00"}},
		{"midnight gap in Havana", "America/Havana", "@daily", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T01:00:00-04:00", "2026-03-09T00:00:00-04:00"}},
		{"midnight fold in Havana", "America/Havana", "@daily", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"}},
		{"half an hour in Lord Howe, gap", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour in Lord Howe, after the gap", "Australia/Lord_Howe", "15,45 2 * * *", "2026-10-03T00:00:00Z",
			[]string{"2026-10-03T02:45:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-04T02:45:00+11:00"}[1:]},
		{"half an hour in Lord Howe, fold", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"half an hour in Lord Howe, every quarter", "Australia/Lord_Howe", "*/15 * * * *", "2026-04-05T01:30:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30"}},
		{"two hours in Troll, gap", "Antarctica/Troll", "30 1 * * *", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T01:30:00+02:00"}},
		{"two hours in Troll, fold", "Antarctica/Troll", "0 1,2 * * *", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-26T01:00:00Z"}},
		{"Ramadan in Casablanca", "Africa/Casablanca", "30 2 * * *", "2026-02-14T12:00:00Z",
			[]string{"2026-02-15T02:30:00+01:00", "2026-02-16T02:30:00Z"}},
		{"end of Ramadan in Casablanca", "Africa/Casablanca", "30 2 * * *", "2026-03-21T12:00:00Z",
			[]string{"2026-03-22T03:00:00+01:00", "2026-03-23T02:30:00+01:00"}},

		{"the lost date in Apia", "Pacific/Apia", "0 12 * * *", "2011-12-29T00:00:00-10:00",
			[]string{"2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"}},
		{"the lost date in Apia, by date", "Pacific/Apia", "0 12 30 12 *", "2011-01-01T00:00:00Z",
			[]string{"2012-12-30T12:00:00+14:00"}},
		{"the lost date in Apia, midnight after", "Pacific/Apia", "0 0 * * *", "2011-12-29T00:00:00-10:00",
			[]string{"2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"}},
		{"the lost date in Apia, hourly", "Pacific/Apia", "@hourly", "2011-12-29T22:00:00-10:00",
			[]string{"2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00"}},
		{"the lost date in Kiritimati", "Pacific/Kiritimati", "0 6 * * *", "1994-12-30T12:00:00-10:00",
			[]string{"1995-01-01T06:00:00+14:00"}},
		{"a date twice in Kwajalein", "Pacific/Kwajalein", "0 12 * * *", "1969-09-29T12:00:00+11:00",
			[]string{"1969-09-30T12:00:00+11:00", "1969-10-01T12:00:00-12:00"}},
		{"a three-hour gap in Casey", "Antarctica/Casey", "0 3 * * *", "2009-10-17T12:00:00Z",
			[]string{"2009-10-18T05:00:00+11:00", "2009-10-19T03:00:00+11:00"}},

		{"the rules go on after 2037", "Europe/Berlin", "30 2 * * *", "2099-03-28T12:00:00Z",
			[]string{"2099-03-29T03:00:00+02:00", "2099-03-30T02:30:00+02:00"}},
		{"end of a leap year that only a rule tells", "Europe/Berlin", "0 */6 * * *", "2096-12-30T18:00:00+01:00",
			[]string{"2096-12-31T00:00:00+01:00", "2096-12-31T06:00:00+01:00", "2096-12-31T12:00:00+01:00", "2096-12-31T18:00:00+01:00", "2097-01-01T00:00:00+01:00"}},
		{"end of a leap year that only a rule tells, fixed", "Australia/Sydney", "30 2 31 12 *", "2095-12-31T02:30:00+11:00",
			[]string{"2096-12-31T02:30:00+11:00", "2097-12-31T02:30:00+11:00"}},
		{"leap day in a zone with daylight saving", "Europe/Berlin", "0 0 29 2 *", "2096-03-01T00:00:00Z",
			[]string{"2104-02-29T00:00:00+01:00"}},
		{"leap day every minute in a zone with daylight saving", "Europe/Berlin", "* 0 29 2 *", "2096-03-01T00:00:00Z",
			[]string{"2104-02-29T00:00:00+01:00", "2104-02-29T00:01:00+01:00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkNext(t, mustParse(t, tc.expr, tc.zone), tc.after, tc.want...)
		})
	}
}

// oracleZones have transitions of every kind since 1970.
var oracleZones = []string{
	"Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Monrovia", "America/Argentina/San_Luis", "America/Asuncion",
	"America/Caracas", "America/Havana", "America/New_York", "America/Nuuk", "America/Santiago", "America/Sao_Paulo",
	"America/Scoresbysund", "America/St_Johns", "Antarctica/Casey", "Antarctica/Troll", "Antarctica/Vostok", "Asia/Amman",
	"Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "Asia/Pyongyang", "Asia/Shanghai", "Asia/Tehran", "Atlantic/Azores",
	"Australia/Lord_Howe", "Europe/Dublin", "Europe/Istanbul", "Europe/London", "Europe/Moscow", "Europe/Volgograd",
	"Pacific/Apia", "Pacific/Chatham", "Pacific/Enderbury", "Pacific/Fakaofo", "Pacific/Guam", "Pacific/Kiritimati",
	"Pacific/Kwajalein", "Pacific/Norfolk", "Pacific/Tongatapu",
}

// TestOracle walks the clock through 30 hours before and after every transition
// of oracleZones, half a minute a step, and asks at each step whether something
// is due. The walk knows of no periods: only what the clock shows and the latest
// it has shown.
func TestOracle(t *testing.T) {
	type rule struct {
		expr    string
		follows bool
		due     func(hour, minute int) bool
	}
	const modes = 3
	rules := []rule{
		{"0 0 * * *", false, func(h, m int) bool { return h == 0 && m == 0 }},
		{"15,45 0-3 * * *", false, func(h, m int) bool { return h <= 3 && (m == 15 || m == 45) }},
		{"30 1,23 * * *", false, func(h, m int) bool { return (h == 1 || h == 23) && m == 30 }},
		{"10 * * * *", true, func(h, m int) bool { return m == 10 }},
		{"*/20 0-2 * * *", true, func(h, m int) bool { return h <= 2 && m%20 == 0 }},
	}
	const step, reach = 30, 30 * 60 * 60
	last := time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)
	transitions := 0
	for _, name := range oracleZones {
		loc := zone(t, name)
		var compiled []*Schedule // three modes of each rule
		for _, r := range rules {
			for _, mode := range []string{Once, Skip, Both} {
				s, err := Parse(Spec{Expressions: []string{r.expr}, TimeZone: name, DaylightSaving: mode})
				if err != nil {
					t.Fatal(err)
				}
				compiled = append(compiled, s)
			}
		}
		for now := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).In(loc); ; {
			_, change := now.ZoneBounds()
			if change.IsZero() || change.After(last) {
				break
			}
			if !change.After(now) { // where only a rule is left, on 31 December of leap years
				now = now.Add(24 * time.Hour)
				continue
			}
			now = change
			shown := func(sec int64) int64 {
				_, offset := time.Unix(sec, 0).In(loc).Zone()
				return sec + int64(offset)
			}
			if shown(change.Unix())-shown(change.Unix()-1) == 1 {
				continue // a change of name, or the end of a year
			}
			transitions++
			from, to := change.Unix()-reach, change.Unix()+reach
			want := make([][]int64, len(compiled))
			latest := shown(from - 2*reach)
			before := latest
			for sec := from - 2*reach; sec <= to; sec += step {
				wall := shown(sec)
				for i, r := range rules {
					// due in (after, wall]: what the clock reaches, or comes by, with this step.
					due := func(after int64) (due bool) {
						if wall-after > 24*60*60 {
							after = wall - step
						}
						for w := after + step; w <= wall && !due; w += step {
							due = w%60 == 0 && r.due(int(w/3600%24), int(w/60%60))
						}
						return due
					}
					shows := due(wall - step)
					is := [modes]bool{shows, shows, shows} // once, skip, both
					if !r.follows && (before != latest || wall-before != step) {
						is = [modes]bool{due(latest), shows && wall > latest, shows || due(before)}
					}
					for mode := range is {
						if is[mode] && sec > from {
							want[i*modes+mode] = append(want[i*modes+mode], sec)
						}
					}
				}
				before = wall
				latest = max(latest, wall)
			}
			for i := range compiled {
				got, more := compiled[i].Between(time.Unix(from, 0), time.Unix(to, 0), 1000)
				if more || len(got) != len(want[i]) {
					t.Fatalf("%s around %s: %d times, want %d", compiled[i], change, len(got), len(want[i]))
				}
				for k, v := range got {
					if v.Unix() != want[i][k] {
						t.Fatalf("%s around %s: %s, want %s", compiled[i], change, v.In(loc), time.Unix(want[i][k], 0).In(loc))
					}
					for _, back := range []time.Duration{1, time.Second, time.Minute, time.Hour} {
						earlier := v.Add(-back)
						if k > 0 && earlier.Before(got[k-1]) {
							break
						}
						if next, _ := compiled[i].Next(earlier); !next.Equal(v) {
							t.Fatalf("%s: Next(%s) = %s, want %s", compiled[i], earlier.In(loc), next.In(loc), v.In(loc))
						}
					}
				}
			}
		}
	}
	if transitions < 1000 {
		t.Fatalf("only %d transitions seen", transitions)
	}
	t.Logf("%d transitions in %d zones", transitions, len(oracleZones))
}
