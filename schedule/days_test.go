package schedule

import (
	"testing"
)

// In 2026, 31 January and 28 February are Saturdays, 1 February, 1 March and 31 May are Sundays.
func TestDayRules(t *testing.T) {
	for _, tc := range []struct {
		name, expr, dayMatch, after string
		want                        []string
	}{
		{"L", "0 0 L * *", "", "2026-01-31T00:00:00Z", []string{"2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"}},
		{"L in a leap year", "0 0 L 2 *", "", "2027-01-01T00:00:00Z", []string{"2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"}},
		{"L in 2100", "0 0 L 2 *", "", "2099-12-31T00:00:00Z", []string{"2100-02-28T00:00:00Z"}},
		{"L in a list", "0 0 1,15,L * *", "", "2026-02-15T00:00:00Z", []string{"2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z", "2026-03-31T00:00:00Z"}},
		{"LW", "0 9 LW * *", "", "2026-01-01T00:00:00Z",
			[]string{"2026-01-30T09:00:00Z", "2026-02-27T09:00:00Z", "2026-03-31T09:00:00Z", "2026-04-30T09:00:00Z", "2026-05-29T09:00:00Z"}},
		{"L and LW", "0 0 L,LW * *", "", "2026-01-30T00:00:00Z", []string{"2026-01-31T00:00:00Z", "2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"}},
		{"15W on a Sunday, a Wednesday and a Saturday", "0 0 15W 2,4,8 *", "", "2026-01-01T00:00:00Z",
			[]string{"2026-02-16T00:00:00Z", "2026-04-15T00:00:00Z", "2026-08-14T00:00:00Z"}},
		{"1W on a Saturday stays in the month", "0 0 1W 8 *", "", "2026-01-01T00:00:00Z", []string{"2026-08-03T00:00:00Z"}},
		{"1W on a Sunday", "0 0 1W 2,3 *", "", "2026-01-01T00:00:00Z", []string{"2026-02-02T00:00:00Z", "2026-03-02T00:00:00Z"}},
		{"31W on a Saturday and a Sunday, and where there is none", "0 0 31W * *", "", "2026-01-01T00:00:00Z",
			[]string{"2026-01-30T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-29T00:00:00Z", "2026-07-31T00:00:00Z"}},
		{"30W on a Saturday", "0 0 30W 5 *", "", "2026-01-01T00:00:00Z", []string{"2026-05-29T00:00:00Z"}},
		{"28W of a short February on its last Saturday", "0 0 28W 2 *", "", "2026-01-01T00:00:00Z", []string{"2026-02-27T00:00:00Z"}},
		{"29W only in leap years", "0 0 29W 2 *", "", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-27T00:00:00Z"}},
		{"W in a list, one day twice", "0 0 14W,15W 8 *", "", "2026-01-01T00:00:00Z", []string{"2026-08-14T00:00:00Z", "2027-08-13T00:00:00Z", "2027-08-16T00:00:00Z"}},

		{"second Monday", "0 0 * * MON#2", "", "2026-11-01T00:00:00Z", []string{"2026-11-09T00:00:00Z", "2026-12-14T00:00:00Z", "2027-01-11T00:00:00Z"}},
		{"third Friday by number", "0 0 ? * 5#3", "", "2026-11-01T00:00:00Z", []string{"2026-11-20T00:00:00Z", "2026-12-18T00:00:00Z"}},
		{"fifth Friday", "0 0 * * fri#5", "", "2026-01-01T00:00:00Z", []string{"2026-01-30T00:00:00Z", "2026-05-29T00:00:00Z", "2026-07-31T00:00:00Z", "2026-10-30T00:00:00Z"}},
		{"fifth Sunday of February", "0 0 * 2 7#5", "", "2026-01-01T00:00:00Z", []string{"2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"}},
		{"first and third Tuesday, and every Sunday", "0 0 * * sun,2#1,2#3", "", "2026-11-02T00:00:00Z",
			[]string{"2026-11-03T00:00:00Z", "2026-11-08T00:00:00Z", "2026-11-15T00:00:00Z", "2026-11-17T00:00:00Z", "2026-11-22T00:00:00Z"}},
		{"last Friday", "0 0 * * 5L", "", "2026-01-31T00:00:00Z", []string{"2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z", "2026-04-24T00:00:00Z", "2026-05-29T00:00:00Z"}},
		{"last Friday by name", "0 0 * * FRIL", "", "2026-11-01T00:00:00Z", []string{"2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"}},
		{"last Sunday as 7", "0 0 * 2 7L", "", "2026-01-01T00:00:00Z", []string{"2026-02-22T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-27T00:00:00Z"}},

		{"and: Friday the 13th", "0 0 13 * 5", And, "2026-01-01T00:00:00Z",
			[]string{"2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z", "2027-08-13T00:00:00Z"}},
		{"and: first Monday the old way", "0 0 1-7 * mon", And, "2026-11-01T00:00:00Z", []string{"2026-11-02T00:00:00Z", "2026-12-07T00:00:00Z"}},
		{"and: the last day when it is a Friday", "0 0 L * 5", And, "2026-01-01T00:00:00Z", []string{"2026-07-31T00:00:00Z", "2027-04-30T00:00:00Z"}},
		{"and: leap day on a Sunday", "0 0 29 2 0", And, "2088-02-29T00:00:00Z", []string{"2128-02-29T00:00:00Z"}},
		{"and where one is free", "0 0 13 * *", And, "2026-11-01T00:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-12-13T00:00:00Z"}},
		{"or: the last day and every second Monday of a month", "0 0 L * mon#2", Or, "2026-11-01T00:00:00Z",
			[]string{"2026-11-09T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-14T00:00:00Z", "2026-12-31T00:00:00Z"}},
		{"a star beside L restricts nothing", "0 0 *,L * 1", "", "2026-11-01T00:00:00Z", []string{"2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(Spec{Expressions: []string{tc.expr}, DayMatch: tc.dayMatch})
			if err != nil {
				t.Fatal(err)
			}
			checkNext(t, s, tc.after, tc.want...)
		})
	}
}

func TestYears(t *testing.T) {
	for _, tc := range []struct {
		name, expr, zone, after string
		want                    []string
		ends                    bool
	}{
		{"one", "0 0 9 1 12 * 2026", "", "2026-01-01T00:00:00Z", []string{"2026-12-01T09:00:00Z"}, true},
		{"one, long before", "0 0 9 1 12 * 2026", "", "1700-01-01T00:00:00Z", []string{"2026-12-01T09:00:00Z"}, true},
		{"one, far ahead", "0 0 0 29 2 * 9996", "", "2026-01-01T00:00:00Z", []string{"9996-02-29T00:00:00Z"}, true},
		{"range", "0 0 0 1 1 * 2027-2028", "", "2026-01-01T00:00:00Z", []string{"2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"}, true},
		{"list over a gap of centuries", "0 0 0 31 12 * 2026,2500", "", "2026-01-01T00:00:00Z", []string{"2026-12-31T00:00:00Z", "2500-12-31T00:00:00Z"}, true},
		{"step", "0 0 0 29 2 * */4", "", "2026-01-01T00:00:00Z", nil, true}, // 1970 and on: never a leap year
		{"step from", "0 0 0 29 2 * 2000/4", "", "2095-01-01T00:00:00Z", []string{"2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"}, false},
		{"step beyond 50 years without a match", "0 0 0 29 2 ? 2000/50", "", "2000-03-01T00:00:00Z",
			[]string{"2400-02-29T00:00:00Z", "2800-02-29T00:00:00Z"}, false},
		{"every day of a year", "0 0 0 * * * 2024", "", "2024-12-30T12:00:00Z", []string{"2024-12-31T00:00:00Z"}, true},
		{"years are the zone's", "0 30 0 1 1 * 2027", "Asia/Shanghai", "2026-01-01T00:00:00Z", []string{"2027-01-01T00:30:00+08:00"}, true},
		{"years are the zone's, west", "0 30 23 31 12 * 2026", "America/New_York", "2026-01-01T00:00:00Z", []string{"2026-12-31T23:30:00-05:00"}, true},
		{"gap in a year", "0 30 2 29 3 * 2026", "Europe/Berlin", "2026-01-01T00:00:00Z", []string{"2026-03-29T03:00:00+02:00"}, true},
		{"seconds and a star", "30 * * * * * *", "", "2026-11-20T14:15:00Z", []string{"2026-11-20T14:15:30Z", "2026-11-20T14:16:30Z"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(Spec{Expressions: []string{tc.expr}, TimeZone: tc.zone})
			if len(tc.want) == 0 {
				if err == nil {
					t.Fatalf("accepted as %s", s)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkNext(t, s, tc.after, tc.want...)
			last := at(t, tc.want[len(tc.want)-1])
			if next, ok := s.Next(last); ok == tc.ends {
				t.Fatalf("after the last: %s, %v", next, ok)
			}
		})
	}
}
