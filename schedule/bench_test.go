package schedule

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// ordinary are the expressions whose Next takes under a microsecond and allocates nothing.
var ordinary = []struct{ name, expr, zone string }{
	{"every-minute", "* * * * *", ""},
	{"every-5-minutes", "*/5 * * * *", ""},
	{"every-10-seconds", "*/10 * * * * *", ""},
	{"office-hours", "*/15 9-17 * * mon-fri", ""},
	{"hourly", "@hourly", ""},
	{"daily", "0 9 * * *", ""},
	{"workdays", "0 9 * * mon-fri", ""},
	{"weekly", "@weekly", ""},
	{"twice-a-month", "0 0 1,15 * *", ""},
	{"monthly", "0 0 31 * *", ""},
	{"13th-or-Friday", "0 0 13 * 5", ""},
	{"last-day", "0 9 L * *", ""},
	{"last-working-day", "0 9 LW * *", ""},
	{"nearest-working-day", "0 9 15W * *", ""},
	{"second-Monday", "0 9 * * mon#2", ""},
	{"last-Friday", "0 9 * * friL", ""},
	{"yearly", "@yearly", ""},
	{"leap-day", "0 0 29 2 *", ""},
	{"years", "0 0 9 1 12 * 2020-2040/2", ""},
	{"interval", "@every 30s", ""},
	{"every-5-minutes-in-zone", "*/5 * * * *", "America/New_York"},
	{"office-hours-in-zone", "*/15 9-17 * * mon-fri", "Europe/Berlin"},
	{"daily-in-zone", "30 2 * * *", "America/New_York"},
	{"workdays-in-zone", "0 9 * * mon-fri", "Asia/Shanghai"},
	{"leap-day-in-zone", "0 0 29 2 *", "Europe/Berlin"},
}

func BenchmarkNext(b *testing.B) {
	for _, bc := range ordinary {
		b.Run(bc.name, func(b *testing.B) {
			s := mustParse(b, bc.expr, bc.zone)
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			end := start.AddDate(5, 0, 0)
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

// nearChanges are questions close to a change of the clock, or about years that only a rule tells.
var nearChanges = []struct{ name, expr, zone, after string }{
	{"fixed-before-gap", "30 2 * * *", "America/New_York", "2026-03-08T06:59:59Z"},
	{"fixed-between-passes", "30 1,2 * * *", "America/New_York", "2026-11-01T05:40:00Z"},
	{"fixed-in-second-pass", "30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z"},
	{"wildcard-over-gap", "30 * * * *", "America/New_York", "2026-03-08T06:45:00Z"},
	{"wildcard-between-passes", "*/15 * * * *", "America/New_York", "2026-11-01T05:50:00Z"},
	{"half-an-hour-fold", "15,45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:50:00Z"},
	{"half-an-hour-gap", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z"},
	{"lost-date", "0 12 * * *", "Pacific/Apia", "2011-12-30T09:00:00Z"},
	{"two-changes-a-year", "30 2 * * *", "Africa/Casablanca", "2026-02-15T01:40:00Z"},
	{"rule-only-years", "30 2 * * *", "Europe/Berlin", "2099-03-29T00:59:00Z"},
	{"one-time-only", "0 30 2 8 3 * 2099", "America/New_York", "2026-01-01T00:00:00Z"},
	{"never-shown", "0 30 2 8 3 * 2026", "America/New_York", "2026-03-08T07:00:00Z"},
}

func BenchmarkNextNearChanges(b *testing.B) {
	for _, bc := range nearChanges {
		for _, mode := range []string{Once, Skip, Both} {
			s, err := Parse(Spec{Expressions: []string{bc.expr}, TimeZone: bc.zone, DaylightSaving: mode})
			if err != nil {
				continue // one time that a mode leaves out
			}
			b.Run(bc.name+"/"+mode, func(b *testing.B) {
				after := at(b, bc.after)
				b.ReportAllocs()
				for b.Loop() {
					s.Next(after)
				}
			})
		}
	}
}

func TestOrdinaryNextDoesNotAllocate(t *testing.T) {
	check := func(s *Schedule, after time.Time) {
		t.Helper()
		if n := testing.AllocsPerRun(50, func() { s.Next(after) }); n != 0 {
			t.Errorf("%s: Next(%s) makes %v allocations", s, after, n)
		}
	}
	for _, tc := range ordinary {
		s := mustParse(t, tc.expr, tc.zone)
		check(s, at(t, "2026-03-07T12:00:00Z"))
		far := Calendars{Exclude: []*Calendar{mustCalendar(t, "2099-10-01", "--12-25", "Sun")}, OnExcluded: NextIncluded}
		check(s.On(far), at(t, "2026-03-07T12:00:00Z"))
	}
	for _, tc := range nearChanges {
		for _, mode := range []string{Once, Skip, Both} {
			if s, err := Parse(Spec{Expressions: []string{tc.expr}, TimeZone: tc.zone, DaylightSaving: mode}); err == nil {
				check(s, at(t, tc.after))
			}
		}
	}
}

func BenchmarkNextInModes(b *testing.B) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, mode := range []string{Once, Skip, Both} {
		s, err := Parse(Spec{Expressions: []string{"30 2 * * *"}, TimeZone: "America/New_York", DaylightSaving: mode})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(mode, func(b *testing.B) {
			now := start
			b.ReportAllocs()
			for b.Loop() {
				now, _ = s.Next(now)
				if now.Year() > 2030 {
					now = start
				}
			}
		})
	}
}

func BenchmarkDue(b *testing.B) {
	s, err := Parse(Spec{Expressions: []string{"*/5 * * * *"}, Jitter: time.Minute, Key: "default/backup"})
	if err != nil {
		b.Fatal(err)
	}
	nominal := time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		s.Due(nominal)
	}
}

func BenchmarkPrev(b *testing.B) {
	before := time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)
	for _, expr := range []string{"*/5 * * * *", "0 9 * * *", "0 0 29 2 *"} {
		s := mustParse(b, expr, "Europe/Berlin")
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Prev(before)
			}
		})
	}
}

// BenchmarkParse parses expressions that other schedules hold already, and those that none does.
func BenchmarkParse(b *testing.B) {
	for _, bc := range ordinary {
		spec := Spec{Expressions: []string{bc.expr}, TimeZone: bc.zone}
		b.Run("known/"+bc.name, func(b *testing.B) {
			kept := mustParse(b, bc.expr, bc.zone)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(spec); err != nil {
					b.Fatal(err)
				}
			}
			runtime.KeepAlive(kept)
		})
	}
	for _, bc := range []struct{ name, words string }{
		{"office-hours", "0 */15 9-17 * * mon-fri"},
		{"last-working-day", "0 0 9 LW * *"},
		{"leap-day", "0 0 0 29 2 *"},
		{"years", "0 0 9 1 12 * 2020-2040/2"},
		{"all-years-but-one", "0 0 9 1 12 * 1970-2025,2027-9999"},
	} {
		b.Run("new/"+bc.name, func(b *testing.B) {
			words := strings.Fields(bc.words)
			b.ReportAllocs()
			for b.Loop() {
				e, err := readFields(words)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := compile(e, reading{loc: time.UTC}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
