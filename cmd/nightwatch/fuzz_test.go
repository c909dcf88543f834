package main

import (
	"strings"
	"testing"
	"time"
)

// A time that a flag takes is one instant, of a time without a date the last one up to now or the next one after, and is read
// as the same when it is written as an instant; what is refused names the flag and what it was given.
func FuzzMoments(f *testing.F) {
	for _, text := range []string{
		"2026-11-20T02:00:00+08:00", "2026-11-20 02:00:00Z", "2026-11-20T02:00", "2026-11-20", "02:00", "23:59:59", "24h", "7d", "", "24:00",
		"2026-02-30", "2026-11-20T02:00:00.5Z", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "-1h", "2026-03-29T02:30", "02:30",
	} {
		f.Add(text, "Europe/Berlin", int64(1795184100))
		f.Add(text, "Pacific/Apia", int64(1325239200))
	}
	f.Add("02:30", "America/Sao_Paulo", int64(1541300000))
	f.Fuzz(func(t *testing.T, text, zone string, seconds int64) {
		in, err := time.LoadLocation(zone)
		if err != nil {
			in = time.UTC
		}
		now := time.Unix(seconds%253402300800, 0)
		m, err := parseMomentOrAgo("since", text)
		if err != nil {
			if !strings.Contains(err.Error(), "--since: ") || m.form != absent {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		last, next := m.last(now, in), m.next(now, in)
		if last.IsZero() != (m.form == absent) && m.form != instant && m.form != dated && m.form != ago {
			t.Fatalf("%q is %s", text, last)
		}
		if m.form == clocked && (last.After(now) || !next.After(now) || now.Sub(last) > 50*time.Hour || next.Sub(now) > 50*time.Hour) {
			t.Fatalf("%q at %s in %s was last %s and is next %s", text, now, in, last, next)
		}
		if m.form == instant {
			written := last.Format(time.RFC3339Nano)
			again, err := parseMomentOrAgo("since", written)
			if last.Year() < 0 || last.Year() > 9999 {
				return
			}
			if err != nil || !again.last(now, in).Equal(last) {
				t.Fatalf("%q is %s, which is %+v (%v)", text, written, again, err)
			}
		}
	})
}
