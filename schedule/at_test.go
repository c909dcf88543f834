package schedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAt(t *testing.T) {
	for _, tc := range []struct {
		name, zone string
		at         []string
		want       []string
	}{
		{"with an offset", "Asia/Shanghai", []string{"2026-12-01T09:00:00+05:30"}, []string{"2026-12-01T03:30:00Z"}},
		{"in UTC", "Asia/Shanghai", []string{"2026-12-01T09:00:00Z"}, []string{"2026-12-01T09:00:00Z"}},
		{"local", "Asia/Shanghai", []string{"2026-12-01T09:00"}, []string{"2026-12-01T01:00:00Z"}},
		{"local without a zone", "", []string{"2026-12-01T09:00:05.250"}, []string{"2026-12-01T09:00:05.25Z"}},
		{"no seconds, with an offset", "", []string{"2026-12-01T09:00-03:30"}, []string{"2026-12-01T12:30:00Z"}},
		{"trailing zeros of a fraction", "", []string{"2026-12-01T09:00:00.250000000Z"}, []string{"2026-12-01T09:00:00.25Z"}},
		{"sorted, without duplicates", "Asia/Shanghai", []string{"2026-12-03T00:00Z", "2026-12-01T09:00", "2026-12-01T01:00:00Z", "2026-12-02T00:00Z"},
			[]string{"2026-12-01T01:00:00Z", "2026-12-02T00:00:00Z", "2026-12-03T00:00:00Z"}},
		{"gap", "America/New_York", []string{"2026-03-08T02:30:15.250"}, []string{"2026-03-08T03:00:00-04:00"}},
		{"end of a gap", "America/New_York", []string{"2026-03-08T03:00:00.250"}, []string{"2026-03-08T03:00:00.25-04:00"}},
		{"fold", "America/New_York", []string{"2026-11-01T01:30"}, []string{"2026-11-01T01:30:00-04:00"}},
		{"fold, the second", "America/New_York", []string{"2026-11-01T01:30-05:00"}, []string{"2026-11-01T01:30:00-05:00"}},
		{"midnight gap in Cairo", "Africa/Cairo", []string{"2026-04-24T00:00"}, []string{"2026-04-24T01:00:00+03:00"}},
		{"beside the lost date in Apia", "Pacific/Apia", []string{"2011-12-29T23:59:59", "2011-12-31T00:00"},
			[]string{"2011-12-29T23:59:59-10:00", "2011-12-31T00:00:00+14:00"}},
		{"ends of the calendar", "", []string{"0001-01-01T00:00:00.002Z", "9999-12-31T23:59:59.999Z"},
			[]string{"0001-01-01T00:00:00.002Z", "9999-12-31T23:59:59.999Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(Spec{At: tc.at, TimeZone: tc.zone})
			if err != nil {
				t.Fatal(err)
			}
			checkNext(t, s, "0001-01-01T00:00:00Z", tc.want...)
			if next, ok := s.Next(at(t, tc.want[len(tc.want)-1])); ok {
				t.Fatalf("after the last: %s", next)
			}
		})
	}
}

func TestInstantsRefused(t *testing.T) {
	many := make([]string, maxInstants+1)
	for i := range many {
		many[i] = fmt.Sprintf("2026-12-01T09:%02d:%02d", i/60%60, i%60)
	}
	for _, tc := range []struct {
		name string
		spec Spec
		want string
	}{
		{"empty", Spec{At: []string{""}}, `at: is not an instant: want 2026-12-01T09:00:00+08:00, or 2026-12-01T09:00 in timeZone`},
		{"second of a list", Spec{At: []string{"2026-12-01T09:00", "tomorrow"}}, `at[1]: "tomorrow": is not an instant: want`},
		{"date", Spec{At: []string{"2026-12-01"}}, `at: "2026-12-01": is not an instant: want`},
		{"space", Spec{At: []string{"2026-12-01 09:00"}}, `is not an instant`},
		{"one digit", Spec{At: []string{"2026-12-01T9:00:00Z"}}, `is not an instant`},
		{"comma", Spec{At: []string{"2026-12-01T09:00:00,250Z"}}, `is not an instant`},
		{"bare point", Spec{At: []string{"2026-12-01T09:00:00.Z"}}, `is not an instant`},
		{"offset without a colon", Spec{At: []string{"2026-12-01T09:00:00+0800"}}, `is not an instant`},
		{"zone name", Spec{At: []string{"2026-12-01T09:00:00 UTC"}}, `is not an instant`},
		{"more behind it", Spec{At: []string{"2026-12-01T09:00:00Z "}}, `is not an instant`},
		{"long", Spec{At: []string{"2026-12-01T09:00:00." + strings.Repeat("0", 100) + "Z"}}, `is not an instant`},
		{"31 November", Spec{At: []string{"2026-11-31T09:00"}}, `day out of range: want 2026-12-01T09:00:00+08:00, or`},
		{"29 February", Spec{At: []string{"2026-02-29T09:00Z"}}, `day out of range`},
		{"hour 24", Spec{At: []string{"2026-12-01T24:00"}}, `hour out of range`},
		{"leap second", Spec{At: []string{"2016-12-31T23:59:60Z"}}, `second out of range`},
		{"microseconds", Spec{At: []string{"2026-12-01T09:00:00.000250Z"}}, `is not in whole milliseconds`},
		{"year 0", Spec{At: []string{"0000-12-01T09:00Z"}}, `is outside the calendar: want a year from 1 to 9999`},
		{"year 10000 by its offset", Spec{At: []string{"9999-12-31T23:59-01:00"}}, `is outside the calendar`},
		{"a date that never was", Spec{At: []string{"2011-12-30T09:00"}, TimeZone: "Pacific/Apia"},
			`2011-12-30 never was in Pacific/Apia: the clock skipped that date`},
		{"too many", Spec{At: many}, `at: 1001 instants are too many: want at most 1000`},

		{"startsAt", Spec{Every: time.Hour, StartsAt: "soon"}, `startsAt: "soon": is not an instant: want`},
		{"endsAt", Spec{Every: time.Hour, EndsAt: "2026-13-01T00:00"}, `endsAt: "2026-13-01T00:00": month out of range`},
		{"ends as it starts", Spec{Every: time.Hour, StartsAt: "2026-12-01T08:00", EndsAt: "2026-12-01T09:00+01:00"},
			`endsAt: "2026-12-01T09:00+01:00": is not after startsAt (2026-12-01T08:00:00Z): no time is between them`},
		{"ends before it starts", Spec{AfterFinish: time.Hour, StartsAt: "2026-12-01T08:00", EndsAt: "2025-12-01T08:00"}, `is not after startsAt`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.spec)
			if err == nil {
				t.Fatalf("accepted as %s", s)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got  %s\nwant %s", err, tc.want)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	daily := Spec{Expressions: []string{"0 9 * * *"}, TimeZone: "Asia/Shanghai"}
	for _, tc := range []struct {
		name         string
		starts, ends string
		from, to     string
		want         []string
		first, last  string // of all; empty: no bound on that side
	}{
		{name: "none", from: "2026-12-01T00:00:00Z", to: "2026-12-02T01:00:00Z", want: []string{"2026-12-01T01:00:00Z", "2026-12-02T01:00:00Z"}},
		{name: "starts on a time, which counts", starts: "2026-12-02T09:00", from: "2026-12-01T00:00:00Z", to: "2026-12-03T02:00:00Z",
			want: []string{"2026-12-02T01:00:00Z", "2026-12-03T01:00:00Z"}, first: "2026-12-02T01:00:00Z"},
		{name: "starts a millisecond later", starts: "2026-12-02T09:00:00.001", from: "2026-12-01T00:00:00Z", to: "2026-12-03T02:00:00Z",
			want: []string{"2026-12-03T01:00:00Z"}, first: "2026-12-03T01:00:00Z"},
		{name: "ends on a time, which does not count", ends: "2026-12-02T09:00", from: "2026-12-01T00:00:00Z", to: "2026-12-03T02:00:00Z",
			want: []string{"2026-12-01T01:00:00Z"}, last: "2026-12-01T01:00:00Z"},
		{name: "ends a millisecond later", ends: "2026-12-02T09:00:00.001", from: "2026-12-01T00:00:00Z", to: "2026-12-03T02:00:00Z",
			want: []string{"2026-12-01T01:00:00Z", "2026-12-02T01:00:00Z"}, last: "2026-12-02T01:00:00Z"},
		{name: "both", starts: "2026-12-01T09:00", ends: "2026-12-02T09:00", from: "2020-01-01T00:00:00Z", to: "2030-01-01T00:00:00Z",
			want: []string{"2026-12-01T01:00:00Z"}, first: "2026-12-01T01:00:00Z", last: "2026-12-01T01:00:00Z"},
		{name: "nothing between", starts: "2026-12-01T10:00", ends: "2026-12-02T09:00", from: "2020-01-01T00:00:00Z", to: "2030-01-01T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := daily
			spec.StartsAt, spec.EndsAt = tc.starts, tc.ends
			s, err := Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			times, more := s.Between(at(t, tc.from), at(t, tc.to), 10)
			var got []string
			for _, v := range times {
				got = append(got, v.Format(time.RFC3339Nano))
			}
			if !slices.Equal(got, tc.want) || more {
				t.Fatalf("Between = %v, %v, want %v", got, more, tc.want)
			}
			if tc.first != "" {
				checkNext(t, s, "1900-01-01T00:00:00Z", tc.first)
				if prev, ok := s.Prev(at(t, tc.first)); ok {
					t.Errorf("before the first: %s", prev)
				}
			}
			if tc.last != "" {
				if prev, ok := s.Prev(at(t, "2900-01-01T00:00:00Z")); !ok || !prev.Equal(at(t, tc.last)) {
					t.Errorf("the last is %s, %v, want %s", prev, ok, tc.last)
				}
				if next, ok := s.Next(at(t, tc.last)); ok || !next.IsZero() {
					t.Errorf("after the last: %s", next)
				}
			}
		})
	}
}

func TestInstantOf(t *testing.T) {
	for _, tc := range []struct{ zone, wall, want string }{
		{"UTC", "2026-12-01T09:00:00", "2026-12-01T09:00:00Z"},
		{"Asia/Shanghai", "2026-12-01T09:00:00", "2026-12-01T09:00:00+08:00"},
		{"America/New_York", "2026-03-08T01:59:59", "2026-03-08T01:59:59-05:00"},
		{"America/New_York", "2026-03-08T02:00:00", "2026-03-08T03:00:00-04:00"},
		{"America/New_York", "2026-03-08T02:59:59", "2026-03-08T03:00:00-04:00"},
		{"America/New_York", "2026-03-08T03:00:00", "2026-03-08T03:00:00-04:00"},
		{"America/New_York", "2026-11-01T01:30:00", "2026-11-01T01:30:00-04:00"},
		{"America/New_York", "2026-11-01T02:00:00", "2026-11-01T02:00:00-05:00"},
		{"Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-04T02:30:00+11:00"},
		{"Europe/Berlin", "2096-12-31T12:00:00", "2096-12-31T12:00:00+01:00"},
		{"Pacific/Apia", "2011-12-29T23:59:59", "2011-12-29T23:59:59-10:00"},
		{"Pacific/Apia", "2011-12-30T00:00:00", ""},
		{"Pacific/Apia", "2011-12-30T23:59:59", ""},
		{"Pacific/Apia", "2011-12-31T00:00:00", "2011-12-31T00:00:00+14:00"},
		{"Pacific/Kwajalein", "1969-09-30T12:00:00", "1969-09-30T12:00:00+11:00"},
	} {
		sec, ok := instantOf(zone(t, tc.zone), at(t, tc.wall+"Z").Unix())
		if ok != (tc.want != "") || ok && sec != at(t, tc.want).Unix() {
			t.Errorf("%s in %s: %s, %v, want %s", tc.wall, tc.zone, time.Unix(sec, 0).In(zone(t, tc.zone)), ok, tc.want)
		}
	}
}
