package schedule

import (
	"errors"
	"testing"
	"time"
)

// FuzzParse: whatever is written, Parse gives a schedule or an *Error; of a
// schedule, Next gives a later time or none, and its canonical form is accepted
// and is its own canonical form.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		"", "TZ=UTC", "CRON_TZ=UTC", "CRON_TZ=UTC ", "TZ= * * * * *", "TZ=UTC @every 1h", "@every", "@every 0s", "@every -1h",
		"@every 10ms", "@every 2562047h", "@reboot", "@daily", "@", "0 0 30 2 *", "0 0 29 2 *", "0 0 29 2 */7", "0 0 31 4,6 *",
		"*/0 * * * *", "*/99999999999999999999 * * * *", "0-59/59 * * * * 7", "0 0 * * fri-sun", "? * * * ?", "*-5 * * * *",
		"1,,2 * * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "TZ=../../etc/passwd * * * * *", "TZ=Local * * * * *",
		"30 2 * * *", "* * * * * *", "*,*,*/7,3 0-23 1-31 */11 sun-sat/3", "\x00 \xff * * *", "+1 -1 * * *", "0 0 1 1 * 2026",
	} {
		f.Add(expr, "", int64(0), int64(0), int64(1795184100), int64(0))
		f.Add(expr, "America/Sao_Paulo", int64(0), int64(0), int64(4007232000), int64(999999999))
	}
	f.Add("", "Pacific/Apia", int64(30*time.Second), int64(5*time.Second), int64(-62135596801), int64(0))
	f.Add("", "", int64(1<<63-1)/1e6*1e6, int64(0), int64(253402300799), int64(999999999))
	f.Add("", "../../etc/passwd", int64(-1), int64(-1), int64(-1<<63), int64(0))

	f.Fuzz(func(t *testing.T, expr, zone string, every, offset, sec, nsec int64) {
		spec := Spec{TimeZone: zone, Every: time.Duration(every), Offset: time.Duration(offset)}
		if expr != "" {
			spec.Expressions = []string{expr, "CRON_TZ=Australia/Lord_Howe " + expr}[:1+len(zone)%2]
		}
		s, err := Parse(spec)
		if err != nil {
			var refused *Error
			if s != nil || !errors.As(err, &refused) || refused.Field == "" || refused.Reason == "" || len(err.Error()) > 1500 {
				t.Fatalf("Parse = %v, %#v", s, err)
			}
			return
		}
		now := time.Unix(sec, nsec)
		for range 5 {
			next, ok := s.Next(now)
			if !ok {
				if !next.IsZero() {
					t.Fatalf("%s: Next(%s) = %s and none", s, now, next)
				}
				break
			}
			if next.IsZero() || !next.After(now) || next.Year() < 1 || next.Year() > 9999 {
				t.Fatalf("%s: Next(%s) = %s", s, now, next)
			}
			now = next
		}
		for _, p := range s.parts {
			if i, ok := p.(*interval); ok && i.offset != 0 || len(p.String()) > maxExpressionBytes {
				continue
			}
			again, err := Parse(Spec{Expressions: []string{p.String()}})
			if err != nil || again.String() != p.String() {
				t.Fatalf("canonical %q: %v, %v", p, again, err)
			}
		}
	})
}
