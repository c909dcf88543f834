package schedule

import (
	"errors"
	"testing"
	"time"
)

// Bits of FuzzParse's options; the lowest two choose DaylightSaving.
const (
	fuzzAnd = 1 << (iota + 2)
	fuzzKey
	fuzzAt
	fuzzStarts
	fuzzEnds
	fuzzTwice
)

// fuzzLimit is far more than any input takes.
const fuzzLimit = 10 * time.Second

// FuzzParse: whatever is written, Parse gives a schedule or an *Error; of a
// schedule, Next gives a later time or none, Prev leads back, Due lies before what is
// next, and the canonical form is accepted and is its own canonical form; and none of
// it takes long.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		"", "TZ=UTC", "CRON_TZ=UTC", "CRON_TZ=UTC ", "TZ= * * * * *", "TZ=UTC @every 1h", "@every", "@every 0s", "@every -1h",
		"@every 10ms", "@every 2562047h", "@reboot", "@daily", "@", "0 0 30 2 *", "0 0 29 2 *", "0 0 29 2 */7", "0 0 31 4,6 *",
		"*/0 * * * *", "*/99999999999999999999 * * * *", "0-59/59 * * * * 7", "0 0 * * fri-sun", "? * * * ?", "*-5 * * * *",
		"1,,2 * * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "TZ=../../etc/passwd * * * * *", "TZ=Local * * * * *",
		"30 2 * * *", "* * * * * *", "*,*,*/7,3 0-23 1-31 */11 sun-sat/3", "\x00 \xff * * *", "+1 -1 * * *", "0 0 1 1 * 2026",
		"0 0 L * *", "0 0 lw,15W,1w * *", "0 0 31W 4 *", "0 0 W * *", "0 0 * * MON#2,5#3,FRIL,7L", "0 0 * * L", "0 0 *,L * 1#5", "0 0 * * 1#6",
		"0 0 0 29 2 * 2000/100", "0 0 0 29 2 1 1970-9999/7", "* * * * * * 1970", "0 0 0 * * * */7,*/11", "0 0 0 1 1 * 9999", "0 0 0 1 1 * 10000",
		"H H H H H", "H/15 H(9-17) H(1-28)/7 * H(1-7)", "H(0-59)/60 * * * *", "H(5) * * * *", "H H H H H H H", "0 0 1-7 * 1#2", "30 2 * 3 sunL",
	} {
		f.Add(expr, "", "", uint8(fuzzKey|fuzzTwice), int64(0), int64(0), int64(0), int64(0), int64(1795184100), int64(0))
		f.Add(expr, "America/Sao_Paulo", "2018-11-04T00:00", uint8(1|fuzzAnd|fuzzStarts), int64(0), int64(0), int64(0), int64(time.Hour), int64(1541300000), int64(999999999))
		f.Add(expr, "Europe/Berlin", "9999-12-31T23:59:59.999Z", uint8(2|fuzzKey|fuzzEnds), int64(0), int64(0), int64(0), int64(time.Millisecond), int64(4007232000), int64(1))
	}
	for _, instant := range []string{
		"2026-12-01T09:00", "2026-12-01T09:00:05.250+08:00", "2011-12-30T09:00", "2026-12-01T09:00:00.0000001Z", "2026-02-30T00:00Z",
		"0000-01-01T00:00Z", "9999-12-31T23:59-23:59", "2026-12-01T09:00:00.Z", "2026-12-01T09:00+", "-", "",
	} {
		f.Add("", "Pacific/Apia", instant, uint8(fuzzAt), int64(0), int64(0), int64(0), int64(time.Hour), int64(1325239200), int64(0))
		f.Add("@daily", "Pacific/Apia", instant, uint8(fuzzStarts), int64(0), int64(0), int64(0), int64(0), int64(1325239200), int64(0))
	}
	f.Add("", "Pacific/Apia", "", uint8(0), int64(30*time.Second), int64(5*time.Second), int64(0), int64(0), int64(-62135596801), int64(0))
	f.Add("", "", "", uint8(0), int64(1<<63-1)/1e6*1e6, int64(0), int64(0), int64(1<<63-1)/1e6*1e6, int64(253402300799), int64(999999999))
	f.Add("", "", "", uint8(fuzzKey), int64(0), int64(0), int64(10*time.Minute), int64(0), int64(253402300799), int64(0))
	f.Add("", "", "", uint8(fuzzKey), int64(0), int64(0), int64(1<<63-1)/1e6*1e6, int64(0), int64(1795184100), int64(1))
	f.Add("", "../../etc/passwd", "", uint8(3), int64(-1), int64(-1), int64(-1), int64(-1), int64(-1<<63), int64(0))

	f.Fuzz(func(t *testing.T, expr, zone, instant string, options uint8, every, offset, after, jitter, sec, nsec int64) {
		begin := time.Now()
		spec := Spec{
			TimeZone:       zone,
			Every:          time.Duration(every),
			Offset:         time.Duration(offset),
			AfterFinish:    time.Duration(after),
			Jitter:         time.Duration(jitter),
			DaylightSaving: []string{Once, Skip, Both, "?"}[options&3],
		}
		if expr != "" {
			spec.Expressions = []string{expr}
		}
		for bit, set := range map[uint8]func(){
			fuzzAnd:    func() { spec.DayMatch = And },
			fuzzKey:    func() { spec.Key = "default/" + zone },
			fuzzAt:     func() { spec.At = []string{instant, "2026-12-01T09:00Z"} },
			fuzzStarts: func() { spec.StartsAt = instant },
			fuzzEnds:   func() { spec.EndsAt = instant },
			fuzzTwice:  func() { spec.Expressions = append(spec.Expressions, "CRON_TZ=Australia/Lord_Howe "+expr) },
		} {
			if options&bit != 0 {
				set()
			}
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
		if next, ok := s.Following(now.Add(-time.Hour), now); ok != !next.IsZero() || ok && (!s.AfterFinish() || !next.After(now) || next.Year() > 9999) {
			t.Fatalf("%s: Following(%s) = %s, %t", s, now, next, ok)
		}
		for i := range 20 {
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
			due := s.Due(next)
			if later, ok := s.Next(next); due.Before(next) || due.Sub(next) >= max(1, spec.Jitter) || ok && !due.Before(later) {
				t.Fatalf("%s: Due(%s) = %s", s, next, due)
			}
			if prev, ok := s.Prev(next); ok && prev.After(now) || i > 0 && (!ok || !prev.Equal(now)) {
				t.Fatalf("%s: Prev(%s) = %s, want %s", s, next, prev, now)
			}
			now = next
		}
		for _, p := range s.parts {
			c, ok := p.(*cronPart)
			if !ok || len(c.text) > maxExpressionBytes {
				continue
			}
			again, err := Parse(Spec{Expressions: []string{c.text}, DaylightSaving: spec.DaylightSaving, DayMatch: spec.DayMatch})
			if err != nil || again.parts[0].String() != c.text {
				t.Fatalf("canonical %q: %v, %v", c, again, err)
			}
		}
		if english, chinese := s.Explain("en"), s.Explain("zh"); english == "" || chinese == "" {
			t.Fatalf("%s: %q, %q", s, english, chinese)
		}
		s.Note(now)
		if took := time.Since(begin); took > fuzzLimit {
			t.Fatalf("%s took %s", s, took)
		}
	})
}
