package schedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// genNear draws a time, mostly near a change of a zone's clock.
func genNear(t *rapid.T, changes []change) time.Time {
	if len(changes) == 0 || rapid.IntRange(0, 3).Draw(t, "anywhere") == 0 {
		return genTime(t)
	}
	c := rapid.SampledFrom(changes).Draw(t, "change")
	away := rapid.SampledFrom([]int64{2, 3600, 3 * 3600, 30 * 3600, 40 * 86400}).Draw(t, "within")
	return time.Unix(c.at+rapid.Int64Range(-away, away).Draw(t, "away"), rapid.SampledFrom([]int64{0, 0, 1, 500e6, 999999999}).Draw(t, "nanoseconds"))
}

// genTimedSpec draws a spec of any kind with times of its own, whole with bounds and jitter.
func genTimedSpec(t *rapid.T, name string, changes []change) Spec {
	spec := Spec{
		TimeZone:       name,
		DaylightSaving: rapid.SampledFrom([]string{"", Once, Skip, Both}).Draw(t, "daylight saving"),
		Key:            "default/" + rapid.StringN(0, 8, -1).Draw(t, "key"),
		Jitter:         time.Duration(rapid.Int64Range(0, 1e7).Draw(t, "jitter")) * time.Millisecond,
	}
	milliseconds := func(label string) time.Duration {
		return time.Duration(rapid.OneOf(rapid.Int64Range(10, 5000), rapid.Int64Range(10, 1e11)).Draw(t, label)) * time.Millisecond
	}
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		spec.Every = milliseconds("every")
		spec.Offset = time.Duration(rapid.Int64Range(0, spec.Every.Milliseconds()-1).Draw(t, "offset")) * time.Millisecond
	case 1:
		for range rapid.IntRange(1, 20).Draw(t, "instants") {
			instant := genNear(t, changes).UTC().Truncate(time.Millisecond)
			layout := rapid.SampledFrom([]string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02T15:04:05.000"}).Draw(t, "layout")
			spec.At = append(spec.At, instant.Format(layout))
		}
	default:
		spec.DayMatch = rapid.SampledFrom([]string{"", Or, And}).Draw(t, "day match")
		for range rapid.IntRange(1, 4).Draw(t, "expressions") {
			switch rapid.IntRange(0, 5).Draw(t, "expression") {
			case 0:
				spec.Expressions = append(spec.Expressions, "@every "+milliseconds("every").String())
			case 1:
				spec.Expressions = append(spec.Expressions, "TZ=Pacific/Apia "+genExpression(t))
			case 2:
				spec.Expressions = append(spec.Expressions, "H H/7 H(1-3) * * *")
			case 3:
				spec.Expressions = append(spec.Expressions, rapid.SampledFrom([]string{"30 0-3,23 * * *", "0 0 * * *", "45 1,2 L,15W * *"}).Draw(t, "near changes"))
			default:
				spec.Expressions = append(spec.Expressions, genExpression(t))
			}
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "bounded") == 0 {
		from, to := genNear(t, changes), genNear(t, changes)
		if to.Before(from) {
			from, to = to, from
		}
		spec.StartsAt = from.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
		spec.EndsAt = to.UTC().Truncate(time.Millisecond).Add(time.Millisecond).Format(time.RFC3339Nano)
	}
	return spec
}

// genCalendars draws the days that count, around a time.
func genCalendars(t *rapid.T, around time.Time) Calendars {
	entry := rapid.Custom(func(t *rapid.T) string {
		day := around.UTC().AddDate(0, 0, rapid.IntRange(-20, 20).Draw(t, "day"))
		return rapid.SampledFrom([]string{
			day.Weekday().String(), day.Format("--01-02"), day.Format(time.DateOnly),
			day.Format(time.DateOnly) + "/" + day.AddDate(0, 0, 9).Format(time.DateOnly),
		}).Draw(t, "entry")
	})
	calendars := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *Calendar {
		c, err := ParseCalendar(rapid.SliceOfN(entry, 0, 5).Draw(t, "days"), "")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}), 0, 2)
	return Calendars{
		Include: calendars.Draw(t, "include"), Exclude: calendars.Draw(t, "exclude"),
		OnExcluded: rapid.SampledFrom([]string{Skip, NextIncluded, PreviousIncluded}).Draw(t, "on excluded"),
	}
}

// TestIdentities: for schedules of every kind and any times a and b,
//
//   - Next(a) is later than a, Prev(a) is earlier than a, and both are due: Prev(Next(a)+1ms) is Next(a), and
//     Next(Prev(a)-1ms) is Prev(a);
//   - nothing is due between: Prev(Next(a)) is not later than a, Next(Prev(a)) is not earlier than a;
//   - of neighbours each leads to the other: Next(Prev(Next(a))) is Next(a), Prev(Next(Prev(a))) is Prev(a);
//   - Next and Prev keep the order of a and b;
//   - Between(a, b] is Next from a until b, and Due of each is before the next.
//
// A search gives up after 50 years, so times that are further apart do not know of each other.
func TestIdentities(t *testing.T) {
	zones := append([]string{"UTC"}, oracleZones...)
	changes := make(map[string][]change)
	for _, name := range zones {
		changes[name] = changesOf(t, name, time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	const ms = time.Millisecond
	near := func(a, b time.Time) bool { return b.Year()-a.Year() < searchYears-1 }
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(zones).Draw(t, "zone")
		spec := genTimedSpec(t, name, changes[name])
		s, err := Parse(spec)
		if err != nil {
			if !strings.Contains(err.Error(), "can never match") && !strings.Contains(err.Error(), "never was") {
				t.Fatalf("%+v: %v", spec, err)
			}
			return
		}
		a := genNear(t, changes[name])
		if rapid.Bool().Draw(t, "with calendars") {
			s = s.On(genCalendars(t, a))
		}
		next, ok := s.Next(a)
		if ok != !next.IsZero() {
			t.Fatalf("%s: Next(%s) = %s, %v", s, a, next, ok)
		}
		if ok {
			if !next.After(a) || next.Nanosecond()%1e6 != 0 {
				t.Fatalf("%s: Next(%s) = %s", s, a, next)
			}
			if due, ok := s.Prev(next.Add(ms)); !ok || !due.Equal(next) {
				t.Fatalf("%s: Prev(Next(%s)+1ms) = %s, want %s", s, a, due, next)
			}
			if before, ok := s.Prev(next); ok {
				if before.After(a) {
					t.Fatalf("%s: %s is due between %s and its Next, %s", s, before, a, next)
				}
				if again, ok := s.Next(before); near(before, next) && (!ok || !again.Equal(next)) {
					t.Fatalf("%s: Next(Prev(%s)) = %s", s, next, again)
				}
			}
		}
		prev, ok := s.Prev(a)
		if ok != !prev.IsZero() {
			t.Fatalf("%s: Prev(%s) = %s, %v", s, a, prev, ok)
		}
		if ok {
			if !prev.Before(a) {
				t.Fatalf("%s: Prev(%s) = %s", s, a, prev)
			}
			if due, ok := s.Next(prev.Add(-ms)); !ok || !due.Equal(prev) {
				t.Fatalf("%s: Next(Prev(%s)-1ms) = %s, want %s", s, a, due, prev)
			}
			if after, ok := s.Next(prev); ok {
				if after.Before(a) {
					t.Fatalf("%s: %s is due between %s and its Prev, %s", s, after, a, prev)
				}
				if again, ok := s.Prev(after); !ok || !again.Equal(prev) {
					t.Fatalf("%s: Prev(Next(%s)) = %s", s, prev, again)
				}
			}
		}

		b := a.Add(time.Duration(rapid.Int64Range(0, int64(200*24*time.Hour)).Draw(t, "b")))
		if later, ok := s.Next(b); ok && near(a, later) && (next.IsZero() || later.Before(next)) {
			t.Fatalf("%s: Next(%s) = %s, but Next(%s) = %s", s, a, next, b, later)
		}
		if later, ok := s.Prev(b); !prev.IsZero() && (!ok || later.Before(prev)) {
			t.Fatalf("%s: Prev(%s) = %s, but Prev(%s) = %s", s, a, prev, b, later)
		}
		const limit = 30
		var want []time.Time
		wantMore := false
		for now := a; ; now = want[len(want)-1] {
			next, ok := s.Next(now)
			if !ok || next.After(b) {
				break
			}
			if len(want) == limit {
				wantMore = true
				break
			}
			if len(want) > 0 {
				last := want[len(want)-1]
				if due := s.Due(last); due.Before(last) || !due.Before(next) {
					t.Fatalf("%s: %s starts at %s, the next one is %s", s, last, due, next)
				}
			}
			want = append(want, next)
		}
		if got, more := s.Between(a, b, limit); !slices.Equal(got, want) || more != wantMore {
			t.Fatalf("%s: Between(%s, %s) = %v, %v, want %v, %v", s, a, b, got, more, want, wantMore)
		}
	})
}

// TestCanonicalIsStableInFull: each member of a schedule's canonical form is accepted under the same options, has the same
// form again and the same times; so has the order and repetition of members no part in it.
func TestCanonicalIsStableInFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{
			TimeZone:       rapid.SampledFrom(oracleZones).Draw(t, "zone"),
			DaylightSaving: rapid.SampledFrom([]string{"", Once, Skip, Both}).Draw(t, "daylight saving"),
			DayMatch:       rapid.SampledFrom([]string{"", Or, And}).Draw(t, "day match"),
			Key:            rapid.StringN(1, 20, -1).Draw(t, "key"),
		}
		for range rapid.IntRange(1, 4).Draw(t, "expressions") {
			prefix := rapid.SampledFrom([]string{"", "", "TZ=Africa/Cairo ", "CRON_TZ=UTC ", "TZ=Etc/UTC  "}).Draw(t, "prefix")
			words := strings.Fields(genExpression(t))
			if len(words) > 5 || rapid.Bool().Draw(t, "hashed") {
				i := rapid.IntRange(0, 4).Draw(t, "H")
				f := fields[i]
				if len(words) == 5 {
					f = fields[i+1]
				}
				low := rapid.IntRange(f.min, f.max).Draw(t, "low")
				high := rapid.IntRange(low, f.max).Draw(t, "high")
				words[i] = rapid.SampledFrom([]string{"H", "h/2", fmt.Sprintf("H(%d-%d)", low, high), fmt.Sprintf("%s,H(%d-%d)/1", words[i], low, high)}).Draw(t, "hash")
			}
			spec.Expressions = append(spec.Expressions, prefix+strings.Join(words, " "))
		}
		s, err := Parse(spec)
		if err != nil {
			if !strings.Contains(err.Error(), "can never match") {
				t.Fatalf("%+v: %v", spec, err)
			}
			return
		}
		again := Spec{DaylightSaving: spec.DaylightSaving, DayMatch: spec.DayMatch, TimeZone: "UTC"}
		for _, p := range s.parts {
			if len(p.String()) > maxExpressionBytes {
				return
			}
			again.Expressions = append(again.Expressions, p.String())
		}
		slices.Reverse(again.Expressions)
		again.Expressions = append(again.Expressions, again.Expressions[0])
		same, err := Parse(again)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if same.String() != s.String() {
			t.Fatalf("%s\nis parsed as\n%s", s, same)
		}
		for now, n := genTime(t), 0; n < 5; n++ {
			want, ok := s.Next(now)
			if got, too := same.Next(now); ok != too || !got.Equal(want) {
				t.Fatalf("%s: Next(%s) = %s, of its canonical form %s", s, now, want, got)
			}
			if !ok {
				return
			}
			now = want
		}
	})
}
