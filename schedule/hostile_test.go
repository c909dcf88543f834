package schedule

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// everyKind holds a schedule of each kind, in zones far from UTC.
func everyKind(t testing.TB) map[string]*Schedule {
	t.Helper()
	all := make(map[string]*Schedule)
	for _, zone := range []string{"", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"} {
		for name, spec := range map[string]Spec{
			"every second":       {Expressions: []string{"* * * * * *"}},
			"daily":              {Expressions: []string{"30 2 * * *"}, Jitter: 1<<63 - 1 - (1<<63-1)%time.Millisecond, Key: "a/b"},
			"leap day":           {Expressions: []string{"0 0 29 2 *"}, DaylightSaving: Both},
			"years":              {Expressions: []string{"0 0 0 1 1 * 1970-9999/8029"}},
			"union":              {Expressions: []string{"@every 2562047h", "0 0 L * *", "@yearly"}},
			"interval":           {Every: 10 * time.Millisecond, Offset: 9 * time.Millisecond},
			"longest interval":   {Every: 1<<63 - 1 - (1<<63-1)%time.Millisecond, Offset: time.Hour},
			"first and last":     {At: []string{"0001-01-01T00:00:00.001Z", "9999-12-31T23:59:59.999Z"}},
			"bounded":            {Expressions: []string{"* * * * *"}, StartsAt: "0001-01-01T00:00:00.001Z", EndsAt: "9999-12-31T23:59:59.999Z"},
			"after finish":       {AfterFinish: 1<<63 - 1 - (1<<63-1)%time.Millisecond},
			"after finish, soon": {AfterFinish: 10 * time.Millisecond, EndsAt: "9999-12-31T23:59:59.999Z"},
		} {
			spec.TimeZone = zone
			s, err := Parse(spec)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			name += " " + zone
			all[name] = s
			weekend, last := mustCalendar(t, "Sat", "Sun"), mustCalendar(t, "--12-31", "--01-01")
			for _, mode := range []string{Skip, NextIncluded, PreviousIncluded} {
				all[name+" "+mode] = s.On(Calendars{Exclude: []*Calendar{weekend, last}, OnExcluded: mode})
			}
		}
	}
	return all
}

// TestEndsOfTheCalendar asks every kind of schedule about times at and beyond both ends of the calendar.
func TestEndsOfTheCalendar(t *testing.T) {
	times := []time.Time{{}, time.Unix(0, 0), time.Unix(-1<<62, 0), time.Unix(1<<62, 0), time.Unix(-1<<63, 0), time.Unix(1<<63-1, 999999999)}
	for _, end := range []time.Time{firstTime, lastTime, time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC)} {
		for _, away := range []time.Duration{1, time.Millisecond, time.Second, 15 * time.Hour, 400 * 24 * time.Hour} {
			times = append(times, end, end.Add(away), end.Add(-away))
		}
	}
	inside := func(due time.Time) bool {
		return !due.Before(firstTime) && !due.After(lastTime) && due.Location() == time.UTC
	}
	for name, s := range everyKind(t) {
		for _, now := range times {
			next, ok := s.Next(now)
			if ok != !next.IsZero() || ok && (!inside(next) || !next.After(now)) {
				t.Fatalf("%s: Next(%s) = %s, %t", name, now, next, ok)
			}
			if ok {
				if due := s.Due(next); due.Before(next) || !inside(due) {
					t.Fatalf("%s: Due(%s) = %s", name, next, due)
				}
				s.Note(next)
			}
			prev, ok := s.Prev(now)
			if ok != !prev.IsZero() || ok && (!inside(prev) || !prev.Before(now)) {
				t.Fatalf("%s: Prev(%s) = %s, %t", name, now, prev, ok)
			}
			for _, ended := range []time.Time{{}, now, firstTime, lastTime} {
				due, ok := s.Following(ended, now)
				if ok != !due.IsZero() || ok && (!inside(due) || !due.After(now) || !s.AfterFinish()) {
					t.Fatalf("%s: Following(%s, %s) = %s, %t", name, ended, now, due, ok)
				}
			}
			for _, to := range []time.Time{firstTime, now, now.Add(time.Hour), lastTime, time.Unix(1<<62, 0)} {
				between, _ := s.Between(now, to, 3)
				for _, due := range between {
					if !due.After(now) || due.After(to) || !inside(due) {
						t.Fatalf("%s: %s is between %s and %s", name, due, now, to)
					}
				}
			}
		}
	}
}

// TestHashKeys: H takes any key, however long or odd, and has no way to leave its bounds.
func TestHashKeys(t *testing.T) {
	keys := []string{"a", "default/backup", "\x00", "\n", "a\nminute", "\xff\xfe", "任务/备份", " ", "H", "%s%d", strings.Repeat("k", 1<<20)}
	for _, key := range keys {
		spec := Spec{Expressions: []string{"H H H(0-7) H H H"}, Key: key, Jitter: time.Hour}
		s, err := Parse(spec)
		if err != nil {
			t.Fatalf("%.20q: %v", key, err)
		}
		again, err := Parse(spec)
		if err != nil || again.String() != s.String() {
			t.Errorf("%.20q: %s is then %s, %v", key, s, again, err)
		}
		if strings.ContainsAny(s.parts[0].String(), "hH") || len(s.String()) > 100 {
			t.Errorf("%.20q: H is left in %s", key, s)
		}
		if next, ok := s.Next(at(t, "2026-11-20T14:15:00Z")); !ok || next.Hour() > 7 || next.Day() > 28 && next.Weekday() != time.Sunday {
			if c := s.parts[0].(*cronPart); !ok || !c.shows(next) {
				t.Errorf("%.20q: %s: Next = %s", key, s, next)
			}
		}
	}
}

// TestLargestUnion: 32 expressions with every rule on the days of many calendars, of which none or hardly any count.
func TestLargestUnion(t *testing.T) {
	spec := Spec{Key: "default/backup"}
	for i := range maxExpressions {
		spec.Expressions = append(spec.Expressions, fmt.Sprintf("TZ=%s */%d %d-59 H L,15W,%d 1-12 mon#2,5L", oracleZones[i], i+1, i, i%28+1))
	}
	s, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	var few, none Calendars
	for i := range 20 {
		day := mustCalendar(t, fmt.Sprintf("2070-10-%02d", i+1))
		few.Include = append(few.Include, day)
		none.Exclude = append(none.Exclude, mustCalendar(t, time.Weekday(i%7).String()))
	}
	for _, mode := range []string{Skip, NextIncluded, PreviousIncluded} {
		few.OnExcluded, none.OnExcluded = mode, mode
		next, ok := s.On(few).Next(at(t, "2026-11-20T14:15:00Z"))
		if !ok || next.Year() != 2070 || next.Month() != time.September && next.Month() != time.October {
			t.Errorf("%s: Next = %s, %t, want one on the first of the few days that count", mode, next, ok)
		}
		if next, ok := s.On(none).Next(at(t, "2026-11-20T14:15:00Z")); ok {
			t.Errorf("%s: Next = %s, but no day counts", mode, next)
		}
	}
	if len(s.Explain("en")) > 1000 || len(s.Explain("zh")) > 1000 {
		t.Error("a sentence grows with the union")
	}
}

// TestSharedInUse: what schedules share stays whole while others come and go and memory is collected.
func TestSharedInUse(t *testing.T) {
	after := at(t, "2026-11-01T04:00:00Z")
	want := make(map[string]time.Time)
	specs := make(map[string]Spec)
	for i, name := range oracleZones[:16] {
		text := fmt.Sprintf("%d 1 * * *", i)
		spec := Spec{Expressions: []string{text, "TZ=UTC 0 0 L * *"}, TimeZone: name}
		s, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		specs[text] = spec
		want[text], _ = s.Next(after)
	}
	stop := make(chan struct{})
	var collector, parsers sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for range 4 {
		parsers.Go(func() {
			for range 40 {
				for text, spec := range specs {
					s, err := Parse(spec)
					if err != nil {
						t.Error(err)
						return
					}
					if next, ok := s.Next(after); !ok || !next.Equal(want[text]) {
						t.Errorf("%s: Next = %s, %t, want %s", s, next, ok, want[text])
						return
					}
				}
			}
		})
	}
	parsers.Wait()
	close(stop)
	collector.Wait()
}
