package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

const maxExplained = 600 // bytes, as Explain promises

// genDay draws an item of day of month or day of week that only a month tells.
func genDay(t *rapid.T, field int) string {
	if field == dayOfMonth {
		return rapid.SampledFrom([]string{"L", "LW", "1W", "15W", "31W"}).Draw(t, "rule")
	}
	return rapid.SampledFrom([]string{"MON#2", "5#3", "0#5", "5L", "sunl"}).Draw(t, "rule")
}

// genSpec draws expressions of all kinds, and what goes with them. What it draws may be one that can never match.
func genSpec(t *rapid.T) Spec {
	spec := Spec{
		TimeZone:       rapid.SampledFrom(oracleZones).Draw(t, "zone"),
		DaylightSaving: rapid.SampledFrom([]string{"", Once, Skip, Both}).Draw(t, "daylightSaving"),
		DayMatch:       rapid.SampledFrom([]string{"", Or, And}).Draw(t, "dayMatch"),
		Key:            "default/report",
	}
	for range rapid.IntRange(1, 5).Draw(t, "expressions") {
		var words []string
		for i, f := range fields {
			word := genField(t, f)
			if (i == dayOfMonth || i == dayOfWeek) && rapid.IntRange(0, 3).Draw(t, "rules") == 0 {
				word += "," + genDay(t, i)
			}
			words = append(words, word)
		}
		if rapid.Bool().Draw(t, "years") {
			from := rapid.IntRange(firstYear, 2100).Draw(t, "year")
			words = append(words, fmt.Sprintf("%d-%d/%d", from, from+100, rapid.IntRange(1, 40).Draw(t, "step")))
		}
		spec.Expressions = append(spec.Expressions, strings.Join(words, " "))
	}
	if ms := rapid.Int64Range(0, 1e10).Draw(t, "every"); ms >= 10 {
		spec.Expressions = append(spec.Expressions, "@every "+milliseconds(ms).String())
	}
	if rapid.Bool().Draw(t, "bounds") {
		spec.StartsAt, spec.EndsAt = "2026-10-25T00:30:00.125Z", "2026-10-25T01:30:00.125Z"
		spec.Jitter = milliseconds(rapid.Int64Range(1, 1e9).Draw(t, "jitter"))
	}
	return spec
}

// parseDrawn compiles a drawn spec that can match.
func parseDrawn(t *rapid.T, spec Spec) *Schedule {
	s, err := Parse(spec)
	if err != nil {
		if !strings.Contains(err.Error(), "can never match") {
			t.Fatalf("%q: %v", spec.Expressions, err)
		}
		t.Skip("never matches")
	}
	return s
}

func TestExplainIsASentence(t *testing.T) {
	calendar, err := ParseCalendar([]string{"Sat"}, "")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := parseDrawn(t, genSpec(t))
		if rapid.Bool().Draw(t, "calendar") {
			s = s.On(Calendars{Exclude: []*Calendar{calendar}, OnExcluded: NextIncluded})
		}
		for language, stop := range map[string]string{English: ".", Chinese: "。"} {
			got := s.Explain(language)
			if !strings.HasSuffix(got, stop) || len(got) > maxExplained || !utf8.ValidString(got) ||
				strings.Contains(got, "  ") || strings.Contains(got, "%!") || strings.Contains(got, "）（") {
				t.Fatalf("%s: %d bytes: %q", s, len(got), got)
			}
		}
	})
}

func TestExplainIsTheSameForEqualForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := genSpec(t)
		s := parseDrawn(t, spec)
		again := spec
		again.Expressions = nil
		for _, p := range s.parts {
			if len(p.String()) > maxExpressionBytes {
				t.Skip("longer than an expression may be")
			}
			again.Expressions = append(again.Expressions, p.String())
		}
		r := parseDrawn(t, again)
		if r.String() != s.String() {
			t.Fatalf("%q is parsed as %q", s, r)
		}
		for _, language := range []string{English, Chinese} {
			if got, want := r.Explain(language), s.Explain(language); got != want {
				t.Fatalf("%s: %q and %q", s, got, want)
			}
		}
	})
}

// Every fixed time is told, or it lies in a stretch whose ends and step are.
func TestExplainTellsEveryTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.SliceOfNDistinct(rapid.IntRange(0, 59), 1, 2, rapid.ID).Draw(t, "minutes")
		hours := rapid.SliceOfNDistinct(rapid.IntRange(0, 23), 1, 2, rapid.ID).Draw(t, "hours")
		day := rapid.IntRange(1, 31).Draw(t, "day")
		text := func(values []int) string { return strings.Trim(strings.ReplaceAll(fmt.Sprint(values), " ", ","), "[]") }
		s := parseDrawn(t, Spec{Expressions: []string{fmt.Sprintf("%s %s %d * *", text(minutes), text(hours), day)}})
		for _, language := range []string{English, Chinese} {
			got := s.Explain(language)
			for _, h := range hours {
				for _, m := range minutes {
					if want := fmt.Sprintf("%02d:%02d", h, m); !strings.Contains(got, want) {
						t.Fatalf("%s: %q does not tell %s", s, got, want)
					}
				}
			}
			if !strings.Contains(got, fmt.Sprintf(" %d ", day)) {
				t.Fatalf("%s: %q does not tell day %d", s, got, day)
			}
		}
	})
}

// The ways to tell times of day mean the same times as the fields.
func TestDayTimesAreAllTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCron(t, "")
		want := make(map[int]bool)
		for _, second := range c.listTimes() {
			want[second] = true
		}
		var got []int
		d := c.dayTimes()
		for _, p := range append(d.windows, d.round) {
			for i := range p.n {
				got = append(got, p.first+i*p.step)
			}
			if p.n > 0 && got[len(got)-1] != p.last {
				t.Fatalf("%s: %+v ends at %d", c, p, got[len(got)-1])
			}
		}
		got = append(got, d.times...)
		if got == nil {
			t.Skip("told by fields")
		}
		for _, second := range got {
			if !want[second] {
				t.Fatalf("%s: %s is not due", c, clockText(second, true))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d times, want %d", c, len(got), len(want))
		}
	})
}

// Fields are told as lists of values, runs and progressions that are the same values.
func TestStretchesAreTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.Uint64Range(1, 1<<60-1).Draw(t, "set")
		var got uint64
		for _, p := range stretches(set) {
			for i := range p.n {
				got |= 1 << (p.first + i*p.step)
			}
			if p.first+(p.n-1)*p.step != p.last {
				t.Fatalf("%x: %+v", set, p)
			}
		}
		if got != set {
			t.Fatalf("%x is told as %x", set, got)
		}
	})
}

func TestDurationsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := milliseconds(rapid.Int64Range(1, 1e12).Draw(t, "ms"))
		var sum time.Duration
		for _, a := range amounts(d) {
			sum += time.Duration(a.n) * units[a.unit]
		}
		if sum != d {
			t.Fatalf("%s is told as %s", d, sum)
		}
	})
}
