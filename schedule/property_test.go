package schedule

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"
)

// genField draws the text of a field.
func genField(t *rapid.T, f field) string {
	item := rapid.Custom(func(t *rapid.T) string {
		low := rapid.IntRange(f.min, f.limit).Draw(t, "low")
		high := rapid.IntRange(low, f.limit).Draw(t, "high")
		step := rapid.IntRange(1, f.limit).Draw(t, "step")
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0, 1:
			return "*"
		case 2:
			return fmt.Sprintf("*/%d", step)
		case 3:
			return fmt.Sprintf("%d-%d", low, high)
		case 4:
			return fmt.Sprintf("%d-%d/%d", low, high, step)
		case 5:
			return fmt.Sprintf("%d/%d", low, step)
		default:
			return fmt.Sprint(low)
		}
	})
	return strings.Join(rapid.SliceOfN(item, 1, 3).Draw(t, f.name), ",")
}

// genRules draws items of a day field that differ from month to month.
func genRules(t *rapid.T, f field) string {
	var items []string
	day := fmt.Sprint(rapid.IntRange(f.min, f.limit).Draw(t, "day"))
	if f.name == fields[dayOfMonth].name {
		items = []string{"L", "LW", day + "W"}
	} else {
		items = []string{day + "L", day + "#" + fmt.Sprint(rapid.IntRange(1, 5).Draw(t, "count"))}
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(items), 1, 3).Draw(t, f.name+" rules"), ",")
}

// genYears draws the seventh field. There are leap years in it that genTime does not come after.
func genYears(t *rapid.T) string {
	from := rapid.IntRange(firstYear, 2100).Draw(t, "from year")
	return rapid.SampledFrom([]string{
		"*", fmt.Sprint(from), fmt.Sprintf("%d-2450", from), fmt.Sprintf("%d/%d", from, rapid.IntRange(1, 400).Draw(t, "year step")),
		fmt.Sprintf("%d,2404-2412,9996", from),
	}).Draw(t, "years")
}

// genExpression draws an expression of five to seven fields; it may be one that
// can never match.
func genExpression(t *rapid.T) string {
	var words []string
	for i, f := range fields {
		word := genField(t, f)
		if i == dayOfMonth || i == dayOfWeek {
			switch rapid.IntRange(0, 3).Draw(t, f.name+" kind") {
			case 0:
				word = genRules(t, f)
			case 1:
				word += "," + genRules(t, f)
			}
		}
		words = append(words, word)
	}
	switch rapid.IntRange(5, 7).Draw(t, "fields") {
	case 5:
		words = words[1:]
	case 7:
		words = append(words, genYears(t))
	}
	return strings.Join(words, " ")
}

func genTime(t *rapid.T) time.Time {
	sec := rapid.Int64Range(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).Unix()).Draw(t, "sec")
	return time.Unix(sec, rapid.Int64Range(0, 999999999).Draw(t, "nsec"))
}

// genCron draws an expression that can match, compiled.
func genCron(t *rapid.T, zone string) *cronPart {
	text := genExpression(t)
	s, err := Parse(Spec{
		Expressions:    []string{text},
		TimeZone:       zone,
		DaylightSaving: rapid.SampledFrom([]string{Once, Skip, Both}).Draw(t, "daylight saving"),
		DayMatch:       rapid.SampledFrom([]string{Or, And}).Draw(t, "day match"),
	})
	if err != nil {
		if !strings.Contains(err.Error(), "can never match") {
			t.Fatalf("%q: %v", text, err)
		}
		t.Skip("never matches")
	}
	return s.parts[0].(*cronPart)
}

// shows reports whether the fields match what a clock shows.
func (c *cronPart) shows(t time.Time) bool {
	if c.seconds>>t.Second()&1 == 0 || c.minutes>>t.Minute()&1 == 0 || c.hours>>t.Hour()&1 == 0 || c.months>>t.Month()&1 == 0 || !c.inYears(t.Year()) {
		return false
	}
	byDate, byWeek := c.onDate(t), c.onWeekday(t)
	if c.either {
		return byDate || byWeek
	}
	return byDate && byWeek
}

// onDate and onWeekday read the two day fields as a person does, one day at a time.
func (c *cronPart) onDate(t time.Time) bool {
	working := func(t time.Time) bool { return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday }
	end := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	if c.days>>t.Day()&1 != 0 || c.lastDay && t.Day() == end.Day() {
		return true
	}
	if !working(t) {
		return false
	}
	if c.lastWeekday {
		last := end
		for !working(last) {
			last = last.AddDate(0, 0, -1)
		}
		if last.Day() == t.Day() {
			return true
		}
	}
	if c.nearest>>t.Day()&1 != 0 {
		return true
	}
	date := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch near := func(days int) bool { // the day so far away is in the month, and is one of nearest
		d := date.AddDate(0, 0, days)
		return d.Month() == date.Month() && c.nearest>>d.Day()&1 != 0
	}; {
	case t.Weekday() == time.Friday && near(1), t.Weekday() == time.Monday && near(-1):
		return true
	case t.Weekday() == time.Monday && t.Day() == 3 && near(-2): // Saturday the 1st
		return true
	case t.Weekday() == time.Friday && t.Day() == end.Day()-2 && near(2): // the last is a Sunday
		return true
	}
	return false
}

func (c *cronPart) onWeekday(t time.Time) bool {
	last := t.AddDate(0, 0, 7).Month() != t.Month()
	return c.plainWeekdays>>t.Weekday()&1 != 0 || c.nth[t.Weekday()]>>((t.Day()-1)/7+1)&1 != 0 || c.lastOf>>t.Weekday()&1 != 0 && last
}

func (c *cronPart) inYears(year int) bool {
	for _, r := range c.years {
		if year >= r.from && year <= r.to && (year-r.from)%r.step == 0 {
			return true
		}
	}
	return len(c.years) == 0
}

// someDay looks for a day that matches, in up to 60 of the expression's years.
func (c *cronPart) someDay(from int) (day time.Time, found bool) {
	for tried := 0; from <= finalYear && tried < 60; from++ {
		if !c.inYears(from) {
			continue
		}
		tried++
		for day := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == from; day = day.AddDate(0, 0, 1) {
			if c.months>>day.Month()&1 == 0 {
				continue
			}
			byDate, byWeek := c.onDate(day), c.onWeekday(day)
			if byDate && byWeek || c.either && (byDate || byWeek) {
				return day, true
			}
		}
	}
	return time.Time{}, false
}

func TestNextProperties(t *testing.T) {
	zones := append([]string{"UTC"}, oracleZones...)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(zones).Draw(t, "zone")
		c := genCron(t, name)
		s := &Schedule{parts: []part{c}, starts: noStart, ends: noEnd}
		after := genTime(t)
		next, ok := s.Next(after)
		if !ok {
			if missed, found := c.someDay(after.Year() + 1); found || len(c.years) == 0 {
				t.Fatalf("%s: none after %s, but %s matches", s, after, missed)
			}
			return
		}
		if !next.After(after) || next.Location() != time.UTC || next.Nanosecond() != 0 {
			t.Fatalf("%s: Next(%s) = %s", s, after, next)
		}
		local := next.In(c.loc)
		start, _ := local.ZoneBounds()
		atChange := !c.follows && c.daylight != daylightSkip && next.Equal(start)
		if !c.shows(local) && !atChange {
			t.Fatalf("%s: %s does not match", s, local)
		}
		// Nothing was left out: what is before next is not due after any earlier time.
		for _, back := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
			if earlier := next.Add(-back); earlier.After(after) {
				if again, ok := s.Next(earlier); !ok || !again.Equal(next) {
					t.Fatalf("%s: Next(%s) = %s, but Next(%s) = %s", s, after, next, earlier, again)
				}
			}
		}
	})
}

func TestBetweenAgreesWithNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{TimeZone: rapid.SampledFrom(oracleZones).Draw(t, "zone")}
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			spec.Expressions = append(spec.Expressions, genCron(t, "").text)
		}
		if ms := rapid.Int64Range(0, 1e9).Draw(t, "every"); ms >= 10 {
			spec.Expressions = append(spec.Expressions, "@every "+(time.Duration(ms)*time.Millisecond).String())
		}
		s, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		from := genTime(t)
		to := from.Add(time.Duration(rapid.Int64Range(0, int64(10*24*time.Hour)).Draw(t, "span")))
		limit := rapid.IntRange(0, 50).Draw(t, "max")

		var want []time.Time
		wantMore := false
		for now := from; ; {
			next, ok := s.Next(now)
			if !ok || next.After(to) {
				break
			}
			if len(want) == limit {
				wantMore = true
				break
			}
			want, now = append(want, next), next
		}
		got, more := s.Between(from, to, limit)
		if !slices.Equal(got, want) || more != wantMore {
			t.Fatalf("%s: Between(%s, %s, %d) = %v, %v, want %v, %v", s, from, to, limit, got, more, want, wantMore)
		}
	})
}

func TestCanonicalIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCron(t, rapid.SampledFrom(oracleZones).Draw(t, "zone"))
		if len(c.text) > maxExpressionBytes {
			t.Skip("longer than an expression may be")
		}
		spec := Spec{Expressions: []string{c.text}, DaylightSaving: c.daylight.String()}
		if c.bothDays && !c.either {
			spec.DayMatch = And
		}
		s, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		again := s.parts[0].(*cronPart)
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("%q is parsed as %+v, was %+v", c.text, *again, *c)
		}
	})
}

// typical are expressions on which robfig's Next in UTC is right.
var typical = []string{
	"* * * * *", "*/5 * * * *", "*/15 9-17 * * mon-fri", "0 * * * *", "30 2 * * *", "0 0 * * 0", "0 9 * * 1-5", "0 0 1 * *",
	"0 0 1 1 *", "0 12 31 * *", "0 0 29 2 *", "15,45 3,15 * * *", "0 22 * * 1-5", "5 4 * * sun", "0 0 1,15 * *", "23 0-20/2 * * *",
	"0 0 13 * 5", "0 0 1-7 * 1", "* * * * * *", "*/10 * * * * *", "30 15 10 * * *", "0 0 12 1/5 * *", "@hourly", "@daily", "@weekly",
	"@monthly", "@yearly", "0 8-18/5 1-20/3 1,4,7,10 *", "59 23 31 12 *",
}

func TestAgreesWithRobfig(t *testing.T) {
	parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	for _, expr := range typical {
		theirs, err := parser.Parse("TZ=UTC " + expr)
		if err != nil {
			t.Fatal(err)
		}
		ours := mustParse(t, expr, "")
		for _, start := range []string{"1999-12-31T23:59:59Z", "2024-02-28T12:34:56Z", "2026-11-20T14:15:00Z", "2027-12-30T23:59:58.5Z"} {
			now := at(t, start)
			for range 500 {
				want := theirs.Next(now)
				got, ok := ours.Next(now)
				if want.IsZero() { // it gives up after five years
					break
				}
				if !ok || !got.Equal(want) {
					t.Fatalf("%s: Next(%s) = %s, robfig has %s", expr, now, got, want)
				}
				now = got
			}
		}
	}
}
