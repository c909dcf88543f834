package schedule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"
)

var robfig = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// askRobfig asks robfig's parser, whose panics are errors here.
func askRobfig(text string) (s cron.Schedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return robfig.Parse(text)
}

// steadyZones have had one offset, in whole hours or not, since 2000.
var steadyZones = []string{"UTC", "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "America/Phoenix", "Asia/Shanghai", "Africa/Lagos", "Pacific/Honolulu", "Australia/Brisbane"}

// TestAgreesWithRobfigAtRandom compares with robfig where it is right: where the clock does not change. A star with a
// step in a day field is drawn without the other field, since only crontab(5)'s reading of both is ours.
func TestAgreesWithRobfigAtRandom(t *testing.T) {
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(steadyZones).Draw(t, "zone")
		var words []string
		for _, f := range fields {
			f.limit = f.max // it knows no Sunday as 7
			words = append(words, genField(t, f))
		}
		for _, i := range []int{dayOfMonth, dayOfWeek} {
			if strings.Contains(words[i], "*") && !strings.Contains(","+words[i]+",", ",*,") {
				words[dayOfMonth+dayOfWeek-i] = "*"
			}
		}
		words = words[rapid.IntRange(0, 1).Draw(t, "without seconds"):]
		text := "TZ=" + name + " " + strings.Join(words, " ")
		theirs, err := askRobfig(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		ours, err := Parse(Spec{Expressions: []string{text}, DayMatch: Or})
		now := time.Unix(rapid.Int64Range(1_000_000_000, 4_000_000_000).Draw(t, "after"), 0)
		if err != nil {
			if want := theirs.Next(now); !strings.Contains(err.Error(), "can never match") || !want.IsZero() {
				t.Fatalf("%s: %v, robfig has %s", text, err, want)
			}
			return
		}
		for range 20 {
			want := theirs.Next(now)
			got, ok := ours.Next(now)
			if want.IsZero() && (!ok || got.Year() > now.Year()+4) {
				return // it gives up after five years
			}
			if !ok || !got.Equal(want) {
				t.Fatalf("%s: Next(%s) = %s, robfig has %s", text, now.UTC(), got, want.UTC())
			}
			compared++
			now = got
		}
	})
	if compared < 500 {
		t.Errorf("only %d times compared", compared)
	}
}

// TestRobfigIsWrong names what is different on purpose: robfig's answer, ours, and why.
func TestRobfigIsWrong(t *testing.T) {
	const none = "0001-01-01T00:00:00Z"
	for _, tc := range []struct {
		name, expr, after string
		theirs, ours      string
		why               string
	}{
		{"gap", "TZ=America/New_York 30 2 * * *", "2026-03-07T12:00:00Z", "2026-03-09T02:30:00-04:00", "2026-03-08T03:00:00-04:00",
			"Debian's cron runs a job whose time was skipped right after the change; a daily job keeps its day"},
		{"gap at midnight", "TZ=America/Sao_Paulo 0 0 * * *", "2018-11-03T12:00:00Z", "2018-11-05T00:00:00-02:00", "2018-11-04T01:00:00-02:00",
			"a nightly job would lose a day a year"},
		{"gap at midnight in Cairo", "TZ=Africa/Cairo 0 0 * * *", "2026-04-23T12:00:00Z", "2026-04-25T00:00:00+03:00", "2026-04-24T01:00:00+03:00",
			"a nightly job would lose a day a year"},
		{"gap on the one day of the year", "TZ=America/New_York 30 2 8 3 *", "2026-01-01T00:00:00Z", "2027-03-08T02:30:00-05:00", "2026-03-08T03:00:00-04:00",
			"a yearly job would lose a year"},
		{"fold", "TZ=America/New_York 30 1 * * *", "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00",
			"Debian's cron does not run a job with a fixed time again when the clock goes back"},
		{"fold at midnight", "TZ=America/Havana 0 0 * * *", "2026-11-01T00:00:00-04:00", "2026-11-01T00:00:00-05:00", "2026-11-02T00:00:00-05:00",
			"one day has one midnight job"},
		{"fold of half an hour", "TZ=Australia/Lord_Howe 45 1 * * *", "2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-06T01:45:00+10:30",
			"the same, by half an hour"},
		{"30 February", "0 0 30 2 *", "2026-01-01T00:00:00Z", none, "can never match", "a zero time is no answer: such an expression is a mistake, and its writer should hear of it"},
		{"31 April", "0 0 31 4,6,9,11 *", "2026-01-01T00:00:00Z", none, "can never match", "as before"},
		{"after five years", "0 0 29 2 *", "2096-02-29T00:00:00Z", none, "2104-02-29T00:00:00Z", "2100 is no leap year, and 29 February comes back after eight years"},
		{"leap day and a stepped star in day of week", "0 0 29 2 */6", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2032-02-29T00:00:00Z",
			"*/6 is a day of week with a star, so both day fields must match (crontab(5)): Sundays and Saturdays"},
		{"stepped star in day of month", "0 0 */2 * 1", "2026-11-01T12:00:00Z", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z",
			"crontab(5): a day field is restricted when it does not contain a star, and */2 does; odd Mondays"},
		{"@every from the question", "@every 90s", "2026-11-20T14:15:01Z", "2026-11-20T14:16:31Z", "2026-11-20T14:16:30Z",
			"anchored to the epoch every node has the same times, after a restart too"},
		{"@every below a second", "@every 250ms", "2026-11-20T14:15:00Z", "2026-11-20T14:15:01Z", "2026-11-20T14:15:00.25Z", "it rounds up to a second and does not say so"},
		{"@every in part seconds", "@every 1500ms", "2026-11-20T14:15:00Z", "2026-11-20T14:15:01Z", "2026-11-20T14:15:01.5Z", "it rounds down to a second and does not say so"},
		{"@every 0s", "@every 0s", "2026-11-20T14:15:00Z", "2026-11-20T14:15:01Z", "is not positive", "it makes a second of it"},
		{"@every -1h", "@every -1h", "2026-11-20T14:15:00Z", "2026-11-20T14:15:01Z", "is not positive", "it makes a second of it"},
		{"@every in a zone", "TZ=Asia/Tokyo @every 1h", "2026-11-20T14:15:00Z", "2026-11-20T15:15:00Z", "has no time zone", "it drops the zone and does not say so"},
		{"a zone alone", "TZ=UTC", "", "panic", "nothing follows TZ=UTC", "a user's text must not stop a program"},
		{"another zone alone", "CRON_TZ=Europe/Berlin", "", "panic", "nothing follows CRON_TZ=Europe/Berlin", "a user's text must not stop a program"},
		{"Sunday as 7", "0 0 * * 7", "2026-11-20T00:00:00Z", "above maximum", "2026-11-22T00:00:00Z", "crontab(5) has 0 or 7 for Sunday"},
		{"a range to Sunday", "0 0 * * fri-sun", "2026-11-20T12:00:00Z", "beyond end of range", "2026-11-21T00:00:00Z", "it reads as it is said"},
		{"empty items", "0,, 0 * * *", "2026-11-20T12:00:00Z", "2026-11-21T00:00:00Z", "empty item", "a slip is refused, not read as something else"},
		{"step beyond the field", "*/90 * * * *", "2026-11-20T14:15:00Z", "2026-11-20T15:00:00Z", "step 90", "each 90 minutes was meant, and each hour is what it gives"},
		{"last day of the month", "0 0 L * *", "2026-02-01T00:00:00Z", "failed to parse int", "2026-02-28T00:00:00Z", "the language is wider"},
		{"years", "0 0 0 1 1 * 2030", "2026-02-01T00:00:00Z", "expected 5 to 6 fields", "2030-01-01T00:00:00Z", "the language is wider"},
		{"the machine's zone", "TZ=Local 0 0 * * *", "2026-02-01T00:00:00Z", "accepted", "differs from one machine to the next", "every node must have the same times"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var now time.Time
			if tc.after != "" {
				now = at(t, tc.after)
			}
			check := func(who, want string, next time.Time, err error) {
				t.Helper()
				wanted, notTime := time.Parse(time.RFC3339Nano, want)
				switch {
				case want == "accepted" && err == nil:
				case notTime == nil && err == nil && next.Equal(wanted):
				case notTime != nil && err != nil && strings.Contains(err.Error(), want):
				default:
					t.Errorf("%s: %s is %s, %v, want %s (%s)", tc.expr, who, next, err, want, tc.why)
				}
			}
			var next time.Time
			theirs, err := askRobfig(tc.expr)
			if err == nil {
				next = theirs.Next(now)
			}
			check("robfig's", tc.theirs, next, err)

			next = time.Time{}
			ours, err := Parse(Spec{Expressions: []string{tc.expr}})
			if err == nil {
				var ok bool
				if next, ok = ours.Next(now); !ok {
					err = errors.New("none")
				}
			}
			check("ours", tc.ours, next, err)
		})
	}
}
