package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOnDays(t *testing.T) {
	tests := []struct {
		name             string
		expressions      []string
		at               []string
		zone             string
		include, exclude []string // days of one calendar
		onExcluded       string
		after            string
		want             []string
	}{
		{
			name: "National Day week, last day of the month", expressions: []string{"0 9 28-31 * *"}, zone: "Asia/Shanghai",
			exclude: []string{"2026-09-29/2026-10-07"}, after: "2026-09-27T00:00:00Z",
			want: []string{"2026-09-28T09:00:00+08:00", "2026-10-28T09:00:00+08:00"},
		},
		{
			name: "dropped in National Day week", expressions: []string{"0 9 L * *", "0 9 1 * *"}, zone: "Asia/Shanghai",
			exclude: []string{"2026-10-01/2026-10-07"}, after: "2026-09-01T12:00:00Z",
			want: []string{"2026-09-30T09:00:00+08:00", "2026-10-31T09:00:00+08:00", "2026-11-01T09:00:00+08:00"},
		},
		{
			name: "after National Day week", expressions: []string{"0 9 1,5 * *"}, zone: "Asia/Shanghai", onExcluded: NextIncluded,
			exclude: []string{"2026-10-01/2026-10-07"}, after: "2026-09-10T00:00:00Z",
			want: []string{"2026-10-08T09:00:00+08:00", "2026-11-01T09:00:00+08:00"},
		},
		{
			name: "before National Day week", expressions: []string{"0 9 1,5 * *"}, zone: "Asia/Shanghai", onExcluded: PreviousIncluded,
			exclude: []string{"2026-10-01/2026-10-07"}, after: "2026-09-10T00:00:00Z",
			want: []string{"2026-09-30T09:00:00+08:00", "2026-11-01T09:00:00+08:00"},
		},
		{
			name: "last working day of the month, Shanghai", expressions: []string{"0 9 L * *"}, zone: "Asia/Shanghai", onExcluded: PreviousIncluded,
			exclude: []string{"Sat", "Sun", "2026-12-31", "2027-01-29"}, after: "2026-10-01T00:00:00Z",
			want: []string{"2026-10-30T09:00:00+08:00", "2026-11-30T09:00:00+08:00", "2026-12-30T09:00:00+08:00", "2027-01-28T09:00:00+08:00", "2027-02-26T09:00:00+08:00"},
		},
		{
			name: "last working day of the month, New York", expressions: []string{"0 23 L * *"}, zone: "America/New_York", onExcluded: PreviousIncluded,
			exclude: []string{"Sat", "Sun"}, after: "2026-10-01T03:00:00Z",
			want: []string{"2026-10-30T23:00:00-04:00", "2026-11-30T23:00:00-05:00", "2026-12-31T23:00:00-05:00", "2027-01-29T23:00:00-05:00"},
		},
		{
			name: "over the new year, forward", expressions: []string{"0 6 31 12 *"}, onExcluded: NextIncluded,
			exclude: []string{"--12-24/--01-01", "Sat", "Sun"}, after: "2026-01-05T06:00:00Z",
			want: []string{"2027-01-04T06:00:00Z", "2028-01-03T06:00:00Z", "2029-01-02T06:00:00Z"},
		},
		{
			name: "over the new year, back", expressions: []string{"0 6 1 1 *"}, onExcluded: PreviousIncluded,
			exclude: []string{"--12-24/--01-01"}, after: "2026-01-01T06:00:00Z",
			want: []string{"2026-12-23T06:00:00Z", "2027-12-23T06:00:00Z"},
		},
		{
			name: "includes only", expressions: []string{"0 0 * * *"}, include: []string{"Mon", "2026-11-24"}, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", "2026-11-30T00:00:00Z"},
		},
		{
			name: "includes only, moved", expressions: []string{"0 0 * * 3", "0 1 * * 5"}, include: []string{"Mon"}, onExcluded: NextIncluded, after: "2026-11-23T01:00:00Z",
			want: []string{"2026-11-30T00:00:00Z", "2026-11-30T01:00:00Z", "2026-12-07T00:00:00Z"},
		},
		{
			name: "included and excluded", expressions: []string{"0 0 * * *"}, include: []string{"Mon", "Tue"}, exclude: []string{"2026-11-23/2026-11-30"}, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-12-01T00:00:00Z", "2026-12-07T00:00:00Z"},
		},
		{
			// The 1st is over in Auckland while it is the 30th in Honolulu.
			name: "each expression has its own zone's days", zone: "Pacific/Auckland", exclude: []string{"2026-12-01"},
			expressions: []string{"0 12 1 * *", "CRON_TZ=Pacific/Honolulu 0 12 30,1 * *"}, after: "2026-11-30T00:00:00Z",
			want: []string{"2026-11-30T12:00:00-10:00", "2026-12-30T12:00:00-10:00", "2027-01-01T12:00:00+13:00"},
		},
		{
			name: "times that meet are one", expressions: []string{"0 9 * * *"}, exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2026-11-20T08:00:00Z",
			want: []string{"2026-11-20T09:00:00Z", "2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z"},
		},
		{
			name: "times that meet from two expressions", expressions: []string{"0 9 * * 6", "0 9 * * 1", "0 8 * * 0"}, exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2026-11-20T08:00:00Z",
			want: []string{"2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", "2026-11-30T08:00:00Z"},
		},
		{
			name: "moved ones overtake others", expressions: []string{"0 20 * * 6", "0 4 * * 0", "0 12 * * 1"}, exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2026-11-20T08:00:00Z",
			want: []string{"2026-11-23T04:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T20:00:00Z", "2026-11-30T04:00:00Z"},
		},
		{
			name: "moved ones overtake others, within one expression", expressions: []string{"0 4,20 * * 5,6"}, exclude: []string{"Sat"}, onExcluded: PreviousIncluded, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-11-20T04:00:00Z", "2026-11-20T20:00:00Z", "2026-11-27T04:00:00Z"},
		},
		{
			// In New York the clock goes forward on Sunday 2027-03-14 at 02:00, and back on Sunday 2026-11-01 at 02:00.
			name: "to the day of the gap", expressions: []string{"30 2 * * 6"}, zone: "America/New_York", exclude: []string{"Sat"}, onExcluded: NextIncluded, after: "2027-03-12T12:00:00Z",
			want: []string{"2027-03-14T03:00:00-04:00", "2027-03-21T02:30:00-04:00"},
		},
		{
			name: "from the day of the gap it keeps its time", expressions: []string{"30 2 * * *"}, zone: "America/New_York", exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2027-03-12T12:00:00Z",
			want: []string{"2027-03-15T02:30:00-04:00", "2027-03-16T02:30:00-04:00"},
		},
		{
			name: "from the day of the gap it does not follow the clock", expressions: []string{"*/30 2 * * 0"}, zone: "America/New_York", exclude: []string{"Sun"}, onExcluded: NextIncluded, after: "2027-03-12T12:00:00Z",
			want: []string{"2027-03-22T02:00:00-04:00", "2027-03-22T02:30:00-04:00"},
		},
		{
			name: "to the day of the fold", expressions: []string{"30 1 * * 6"}, zone: "America/New_York", exclude: []string{"Sat"}, onExcluded: NextIncluded, after: "2026-10-30T12:00:00Z",
			want: []string{"2026-11-01T01:30:00-04:00", "2026-11-08T01:30:00-05:00"},
		},
		{
			name: "from the day of the fold, once", expressions: []string{"*/30 1 * * 0"}, zone: "America/New_York", exclude: []string{"Sun"}, onExcluded: NextIncluded, after: "2026-10-30T12:00:00Z",
			want: []string{"2026-11-02T01:00:00-05:00", "2026-11-02T01:30:00-05:00", "2026-11-09T01:00:00-05:00"},
		},
		{
			name: "the day of the gap at midnight", expressions: []string{"0 0 * * *"}, zone: "America/Sao_Paulo", exclude: []string{"2018-11-03", "2018-11-05"}, after: "2018-11-02T12:00:00Z",
			want: []string{"2018-11-04T01:00:00-02:00", "2018-11-06T00:00:00-02:00"},
		},
		{
			name: "30 December 2011 never was in Apia", expressions: []string{"0 9 * * *"}, zone: "Pacific/Apia", exclude: []string{"2011-12-29", "2012-01-01"}, onExcluded: NextIncluded, after: "2011-12-28T20:00:00Z",
			want: []string{"2011-12-31T09:00:00+14:00", "2012-01-02T09:00:00+14:00"},
		},
		{
			name: "not back to a date that never was", expressions: []string{"0 9 31 12 *"}, zone: "Pacific/Apia", exclude: []string{"2011-12-31"}, onExcluded: PreviousIncluded, after: "2011-12-01T00:00:00Z",
			want: []string{"2011-12-29T09:00:00-10:00", "2012-12-31T09:00:00+14:00"},
		},
		{
			name: "nothing comes from a date that never was", expressions: []string{"0 9 30 12 *"}, zone: "Pacific/Apia", exclude: []string{"2011-12-30"}, onExcluded: NextIncluded, after: "2011-12-01T00:00:00Z",
			want: []string{"2012-12-30T09:00:00+14:00"},
		},
		{
			name: "an interval is never moved", expressions: []string{"@every 12h"}, zone: "Asia/Shanghai", exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-11-20T20:00:00+08:00", "2026-11-23T08:00:00+08:00"},
		},
		{
			name: "instants", at: []string{"2026-11-21T09:00:00.250", "2026-11-20T09:00:00", "2026-11-22T08:00:00", "2026-11-23T09:00:00.250"}, zone: "Asia/Shanghai",
			exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-11-20T09:00:00+08:00", "2026-11-23T08:00:00+08:00", "2026-11-23T09:00:00.25+08:00"},
		},
		{
			name: "instants, back", at: []string{"2026-11-21T09:00:00.250", "2026-11-22T08:00:00"}, zone: "Asia/Shanghai",
			exclude: []string{"Sat", "Sun"}, onExcluded: PreviousIncluded, after: "2026-11-20T00:00:00.1Z",
			want: []string{"2026-11-20T09:00:00.25+08:00"},
		},
		{
			name: "instants that overtake each other, back", at: []string{"2026-11-21T20:00", "2026-11-22T04:00"},
			exclude: []string{"Sat", "Sun"}, onExcluded: PreviousIncluded, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-11-20T04:00:00Z", "2026-11-20T20:00:00Z"},
		},
		{
			name: "instants that overtake each other, forward", at: []string{"2026-11-21T20:00", "2026-11-22T04:00"},
			exclude: []string{"Sat", "Sun"}, onExcluded: NextIncluded, after: "2026-11-20T00:00:00Z",
			want: []string{"2026-11-23T04:00:00Z", "2026-11-23T20:00:00Z"},
		},
		{
			name: "366 days away", expressions: []string{"0 0 1 1 *"}, include: []string{"2029-01-01", "2040-01-02"}, onExcluded: NextIncluded, after: "2026-11-20T00:00:00Z",
			want: []string{"2029-01-01T00:00:00Z", "2040-01-02T00:00:00Z"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse(Spec{Expressions: test.expressions, At: test.at, TimeZone: test.zone})
			if err != nil {
				t.Fatal(err)
			}
			use := Calendars{OnExcluded: test.onExcluded}
			if test.include != nil {
				use.Include = []*Calendar{mustCalendar(t, test.include...)}
			}
			if test.exclude != nil {
				use.Exclude = []*Calendar{mustCalendar(t, test.exclude...)}
			}
			on := s.On(use)
			checkNext(t, on, test.after, test.want...)
			if on.String() != s.String() {
				t.Errorf("String() = %s, want %s", on, s)
			}
			// Whatever is asked first, the answer is the same.
			for _, want := range test.want {
				if got, ok := on.Next(at(t, want).Add(-time.Millisecond)); !ok || !got.Equal(at(t, want)) {
					t.Errorf("Next just before %s = %s, %t", want, got, ok)
				}
			}
		})
	}
}

func TestOnDaysEnds(t *testing.T) {
	none, past := mustCalendar(t), mustCalendar(t, "2026-01-01/2026-03-01")
	always := mustCalendar(t, "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
	for _, onExcluded := range []string{Skip, NextIncluded, PreviousIncluded} {
		for _, expression := range []string{"0 9 * * *", "* * * * * *", "0 0 29 2 *", "CRON_TZ=Europe/Berlin 30 2 * * *", "CRON_TZ=Africa/Casablanca */7 * * * *", "@every 10ms"} {
			for name, use := range map[string]Calendars{
				"nothing included":     {Include: []*Calendar{none}},
				"everything excluded":  {Exclude: []*Calendar{none, always}},
				"included in the past": {Include: []*Calendar{past}},
				"both":                 {Include: []*Calendar{always}, Exclude: []*Calendar{always}},
			} {
				use.OnExcluded = onExcluded
				s := mustParse(t, expression, "").On(use)
				if due, ok := s.Next(at(t, "2027-11-20T00:00:00Z")); ok || !due.IsZero() {
					t.Errorf("%s, %s, %s: Next = %s, want none", name, onExcluded, s, due)
				}
			}
		}
	}
	// More years lie between the times of a list than a search looks ahead, but days that count are not missing.
	for _, spec := range []Spec{
		{At: []string{"1970-01-01T09:00Z", "2026-01-01T09:00Z", "2027-01-01T09:00Z"}},
		{Expressions: []string{"0 0 9 1 1 * 1970,2026-2027"}},
	} {
		for onExcluded, want := range map[string]string{
			Skip: "2027-01-01T09:00:00Z", NextIncluded: "2026-01-02T09:00:00Z", PreviousIncluded: "2025-12-31T09:00:00Z",
		} {
			s, err := Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			s = s.On(Calendars{Exclude: []*Calendar{mustCalendar(t, "1970-01-01", "2026-01-01")}, OnExcluded: onExcluded})
			checkNext(t, s, "1970-01-02T12:00:00Z", want)
			if onExcluded == Skip {
				checkNext(t, s, "1969-06-01T00:00:00Z", want)
			}
		}
	}
	s := mustParse(t, "0 9 * * *", "")
	if s.On(Calendars{}) != s || s.On(Calendars{OnExcluded: NextIncluded}) != s {
		t.Error("On no calendars is another schedule")
	}
	monday, friday := mustCalendar(t, "Mon"), mustCalendar(t, "Fri")
	again := s.On(Calendars{Include: []*Calendar{monday}}).On(Calendars{Include: []*Calendar{friday}})
	checkNext(t, again, "2026-11-20T09:00:00Z", "2026-11-27T09:00:00Z", "2026-12-04T09:00:00Z")
}

func TestOnDaysWithinBounds(t *testing.T) {
	s, err := Parse(Spec{Expressions: []string{"0 9 * * 6"}, StartsAt: "2026-11-23T00:00:00Z", EndsAt: "2026-12-07T09:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	// Due on Saturday the 21st, before the start, and moved behind it; the last one is moved to the end, and is out.
	s = s.On(Calendars{Exclude: []*Calendar{mustCalendar(t, "Sat", "Sun")}, OnExcluded: NextIncluded})
	times, more := s.Between(at(t, "2026-11-01T00:00:00Z"), at(t, "2027-01-01T00:00:00Z"), 10)
	if fmt.Sprint(times) != "[2026-11-23 09:00:00 +0000 UTC 2026-11-30 09:00:00 +0000 UTC]" || more {
		t.Errorf("Between = %v, %t", times, more)
	}
	if last, ok := s.Prev(at(t, "2027-01-01T00:00:00Z")); !ok || !last.Equal(at(t, "2026-11-30T09:00:00Z")) {
		t.Errorf("Prev = %s, %t", last, ok)
	}
}

func TestMovedFrom(t *testing.T) {
	weekends := []*Calendar{mustCalendar(t, "Sat", "Sun")}
	tests := []struct {
		name, expression, zone, onExcluded, due, want string
	}{
		{"own", "0 9 * * *", "", NextIncluded, "2026-11-20T09:00:00Z", ""},
		{"own and moved", "0 9 * * *", "", NextIncluded, "2026-11-23T09:00:00Z", ""},
		{"moved on", "0 9 * * 6", "", NextIncluded, "2026-11-23T09:00:00Z", "2026-11-21"},
		{"moved back", "0 9 * * 0", "", PreviousIncluded, "2026-11-20T09:00:00Z", "2026-11-22"},
		{"moved into the gap", "30 2 * * 0", "Africa/Cairo", PreviousIncluded, "2026-04-24T02:30:00+03:00", "2026-04-26"},
		{"the date is the zone's", "0 1 * * 6", "Asia/Shanghai", NextIncluded, "2026-11-22T17:00:00Z", "2026-11-21"},
		{"not due", "0 9 * * 6", "", NextIncluded, "2026-11-23T09:00:01Z", ""},
		{"dropped", "0 9 * * 6", "", Skip, "2026-11-21T09:00:00Z", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := mustParse(t, test.expression, test.zone).On(Calendars{Exclude: weekends, OnExcluded: test.onExcluded})
			got := ""
			if year, month, d, ok := s.parts[0].(*onDays).movedFrom(at(t, test.due).UnixMilli()); ok {
				got = fmt.Sprintf("%04d-%02d-%02d", year, month, d)
			}
			if got != test.want {
				t.Errorf("movedFrom(%s) = %q, want %q", test.due, got, test.want)
			}
		})
	}
}

// firstReached is instantOf by looking at every minute, near a change of the clock.
func firstReached(loc *time.Location, wall time.Time) (time.Time, bool) {
	shown := func(t time.Time) time.Time {
		_, offset := t.In(loc).Zone()
		return t.Add(time.Duration(offset) * time.Second).UTC()
	}
	const around = 27 * time.Hour
	if _, end := wall.Add(-around).In(loc).ZoneBounds(); end.IsZero() || end.After(wall.Add(around)) {
		_, offset := wall.In(loc).Zone()
		return wall.Add(-time.Duration(offset) * time.Second), true
	}
	latest := shown(wall.Add(-around))
	for now := wall.Add(-around); !now.After(wall.Add(around)); now = now.Add(time.Minute) {
		if s := shown(now); s.After(latest) {
			if !s.Before(wall) {
				return now, s.Equal(wall) || s.Sub(latest) <= 24*time.Hour
			}
			latest = s
		}
	}
	return time.Time{}, false
}

// Next on the days of calendars agrees with what is found by taking every time of two years, one by one.
func TestOnDaysAgreesWithOracle(t *testing.T) {
	years := map[string]int{
		"UTC": 2026, "America/New_York": 2026, "America/Sao_Paulo": 2017, "Pacific/Apia": 2011, "America/Havana": 2026,
		"Australia/Lord_Howe": 2026, "Asia/Shanghai": 2026, "Africa/Cairo": 2024,
	}
	names := make([]string, 0, len(years))
	for name := range years {
		names = append(names, name)
	}
	slices.Sort(names)
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "zone")
		loc := zone(outer, name)
		begin := time.Date(years[name], 1, 1, 0, 0, 0, 0, time.UTC)
		end := begin.AddDate(2, 0, 0)
		expression := fmt.Sprintf("%s %s %s * %s",
			rapid.SampledFrom([]string{"0", "30", "0,45", "*/30"}).Draw(t, "minutes"),
			rapid.SampledFrom([]string{"0", "2", "9", "0,23", "1-3"}).Draw(t, "hours"),
			rapid.SampledFrom([]string{"*", "1", "31", "28-31", "*/5"}).Draw(t, "days"),
			rapid.SampledFrom([]string{"*", "*", "0", "1-5", "6"}).Draw(t, "weekdays"))
		use := Calendars{OnExcluded: rapid.SampledFrom([]string{Skip, NextIncluded, PreviousIncluded}).Draw(t, "on excluded")}
		entry := rapid.Custom(func(t *rapid.T) string {
			first := begin.AddDate(0, 0, rapid.IntRange(-20, 750).Draw(t, "first"))
			last := first.AddDate(0, 0, rapid.SampledFrom([]int{0, 1, 7, 40, 400}).Draw(t, "length"))
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return first.Weekday().String()
			case 1:
				return first.Format("--01-02") + "/" + last.Format("--01-02")
			default:
				return first.Format(time.DateOnly) + "/" + last.Format(time.DateOnly)
			}
		})
		calendar := rapid.Custom(func(t *rapid.T) *Calendar {
			return mustCalendar(outer, rapid.SliceOfN(entry, 0, 4).Draw(t, "entries")...)
		})
		use.Include = rapid.SliceOfN(calendar, 0, 2).Draw(t, "include")
		use.Exclude = rapid.SliceOfN(calendar, 0, 2).Draw(t, "exclude")
		if len(use.Include)+len(use.Exclude) == 0 {
			return
		}
		counts := func(date time.Time) bool {
			has := func(c *Calendar) bool { return c.Contains(date.Date()) }
			return (len(use.Include) == 0 || slices.ContainsFunc(use.Include, has)) && !slices.ContainsFunc(use.Exclude, has)
		}
		midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
		known := make(map[time.Time]bool)
		exists := func(date time.Time) bool {
			ok, found := known[date]
			if !found {
				_, ok = firstReached(loc, date.Add(12*time.Hour))
				known[date] = ok
			}
			return ok
		}

		plain := mustParse(outer, expression, name)
		var want []time.Time
		all, more := plain.Between(begin, end, 1e6)
		if more {
			t.Fatal("more")
		}
		for _, due := range all {
			if counts(midnight(due.In(loc))) {
				want = append(want, due)
			}
		}
		if use.OnExcluded != Skip {
			step := map[string]int{NextIncluded: 1, PreviousIncluded: -1}[use.OnExcluded]
			follows := plain.parts[0].(*cronPart).follows
			// What the clock would show if it never changed.
			walls, _ := mustParse(outer, expression, "UTC").Between(begin.AddDate(-1, 0, -5), end.AddDate(1, 0, 5), 1e6)
			for _, wall := range walls {
				from := midnight(wall)
				if counts(from) {
					continue
				}
				to, moved := from, false
				for n := 1; n <= 366 && !moved; n++ {
					to = from.AddDate(0, 0, n*step)
					moved = counts(to) && exists(to)
				}
				if !moved || !exists(from) {
					continue
				}
				if follows {
					if here, ok := firstReached(loc, wall); !ok || here.In(loc).Format(time.DateTime) != wall.Format(time.DateTime) {
						continue
					}
				}
				if due, ok := firstReached(loc, to.Add(wall.Sub(from))); ok && due.After(begin) && !due.After(end) {
					want = append(want, due)
				}
			}
			slices.SortFunc(want, time.Time.Compare)
			want = slices.CompactFunc(want, time.Time.Equal)
		}
		s := plain.On(use)
		got, more := s.Between(begin, end, 1e6)
		if more || !slices.EqualFunc(got, want, time.Time.Equal) {
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || !got[i].Equal(want[i]) {
					t.Fatalf("%s in %s: %d times, want %d; the first to differ is %d: %v, want %v", expression, name, len(got), len(want), i,
						got[i:min(i+3, len(got))], want[i:min(i+3, len(want))])
				}
			}
		}
		// From any instant, not only from one due time to the next.
		for range 20 {
			after := begin.Add(time.Duration(rapid.Int64Range(0, int64(end.Sub(begin))).Draw(t, "after")))
			i, _ := slices.BinarySearchFunc(want, after.Add(1), time.Time.Compare)
			if i == len(want) {
				continue
			}
			if next, ok := s.Next(after); !ok || !next.Equal(want[i]) {
				t.Fatalf("%s in %s: Next(%s) = %s, want %s", expression, name, after, next, want[i])
			}
		}
	})
}

func BenchmarkOnDays(b *testing.B) {
	var days []string
	for year := 2026; year < 2036; year++ {
		days = append(days, fmt.Sprintf("%d-10-01/%d-10-07", year, year), fmt.Sprintf("%d-02-01/%d-02-07", year, year),
			fmt.Sprintf("%d-05-01/%d-05-03", year, year), fmt.Sprintf("%d-04-05", year), fmt.Sprintf("%d-06-20", year), fmt.Sprintf("%d-09-25", year))
	}
	holidays := mustCalendar(b, days...)
	weekends := mustCalendar(b, "Sat", "Sun")
	far := mustCalendar(b, "2099-10-01/2099-10-07")
	for _, bc := range []struct {
		name, expression, zone string
		use                    Calendars
	}{
		{"nothing-near/skip", "0 9 * * *", "", Calendars{Exclude: []*Calendar{far}}},
		{"nothing-near/next", "0 9 * * *", "", Calendars{Exclude: []*Calendar{far}, OnExcluded: NextIncluded}},
		{"nothing-near/previous", "0 9 * * *", "", Calendars{Exclude: []*Calendar{far}, OnExcluded: PreviousIncluded}},
		{"nothing-near/skip/zone", "0 9 * * *", "America/New_York", Calendars{Exclude: []*Calendar{far}}},
		{"nothing-near/next/zone", "0 9 * * *", "America/New_York", Calendars{Exclude: []*Calendar{far}, OnExcluded: NextIncluded}},
		{"nothing-near/previous/zone", "0 9 * * *", "America/New_York", Calendars{Exclude: []*Calendar{far}, OnExcluded: PreviousIncluded}},
		{"holidays/skip", "0 9 * * *", "Asia/Shanghai", Calendars{Exclude: []*Calendar{holidays, weekends}}},
		{"holidays/next", "0 9 * * *", "Asia/Shanghai", Calendars{Exclude: []*Calendar{holidays, weekends}, OnExcluded: NextIncluded}},
		{"holidays/previous", "0 9 * * *", "Asia/Shanghai", Calendars{Exclude: []*Calendar{holidays, weekends}, OnExcluded: PreviousIncluded}},
		{"holidays/every-minute", "* * * * *", "America/New_York", Calendars{Exclude: []*Calendar{holidays, weekends}, OnExcluded: NextIncluded}},
		{"last-day-of-month/previous", "0 9 L * *", "Asia/Shanghai", Calendars{Exclude: []*Calendar{holidays, weekends}, OnExcluded: PreviousIncluded}},
		{"one-day-a-year", "0 9 * * *", "America/New_York", Calendars{Include: []*Calendar{mustCalendar(b, "--12-31")}, OnExcluded: NextIncluded}},
		{"never", "* * * * *", "America/New_York", Calendars{Include: []*Calendar{mustCalendar(b)}, OnExcluded: NextIncluded}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := mustParse(b, bc.expression, bc.zone).On(bc.use)
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			end := start.AddDate(10, 0, 0)
			now := start
			b.ReportAllocs()
			for b.Loop() {
				next, ok := s.Next(now)
				if !ok || next.After(end) {
					next = start
				}
				now = next
			}
		})
	}
}

func BenchmarkParseCalendar(b *testing.B) {
	events := make([]string, 200)
	for i := range events {
		events[i] = fmt.Sprintf("UID:%d\nSUMMARY:Holiday\nDTSTART;VALUE=DATE:2026%02d%02d\nRRULE:FREQ=YEARLY", i, 1+i%12, 1+i%28)
	}
	text := vevents(events...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCalendar(nil, text); err != nil {
			b.Fatal(err)
		}
	}
}
