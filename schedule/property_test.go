package schedule

import (
	"fmt"
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

// genExpression draws an expression of five or six fields; it may be one that
// can never match.
func genExpression(t *rapid.T) string {
	first := rapid.IntRange(0, 1).Draw(t, "first field")
	var words []string
	for _, f := range fields[first:] {
		words = append(words, genField(t, f))
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
	s, err := Parse(Spec{Expressions: []string{text}, TimeZone: zone})
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
	if c.seconds>>t.Second()&1 == 0 || c.minutes>>t.Minute()&1 == 0 || c.hours>>t.Hour()&1 == 0 || c.months>>t.Month()&1 == 0 {
		return false
	}
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).Weekday()
	byDate, byWeek := c.days>>t.Day()&1 != 0, c.weekdays[first]>>t.Day()&1 != 0
	if c.either {
		return byDate || byWeek
	}
	return byDate && byWeek
}

func TestNextProperties(t *testing.T) {
	zones := append([]string{"UTC"}, oracleZones...)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(zones).Draw(t, "zone")
		c := genCron(t, name)
		s := &Schedule{parts: []part{c}}
		after := genTime(t)
		next, ok := s.Next(after)
		if !ok {
			t.Fatalf("%s: none after %s", s, after)
		}
		if !next.After(after) || next.Location() != time.UTC || next.Nanosecond() != 0 {
			t.Fatalf("%s: Next(%s) = %s", s, after, next)
		}
		local := next.In(c.loc)
		start, _ := local.ZoneBounds()
		atChange := !c.follows && next.Equal(start)
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
		s, err := Parse(Spec{Expressions: []string{c.text}})
		if err != nil {
			t.Fatal(err)
		}
		again := *s.parts[0].(*cronPart)
		again.loc = c.loc // the same zone, loaded twice
		if again != *c {
			t.Fatalf("%q is parsed as %+v, was %+v", c.text, again, *c)
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
