package schedule

import (
	"testing"
	"time"
)

func BenchmarkNext(b *testing.B) {
	for _, bc := range []struct{ name, expr, zone string }{
		{"every-5-minutes", "*/5 * * * *", ""},
		{"daily", "0 9 * * *", ""},
		{"workdays", "0 9 * * mon-fri", ""},
		{"monthly", "0 0 31 * *", ""},
		{"leap-day", "0 0 29 2 *", ""},
		{"interval", "@every 30s", ""},
		{"last-working-day", "0 9 LW * *", ""},
		{"second-Monday", "0 9 * * mon#2", ""},
		{"years", "0 0 9 1 12 * 2020-2040/2", ""},
		{"every-5-minutes-in-zone", "*/5 * * * *", "America/New_York"},
		{"daily-in-zone", "30 2 * * *", "America/New_York"},
		{"workdays-in-zone", "0 9 * * mon-fri", "Asia/Shanghai"},
		{"leap-day-in-zone", "0 0 29 2 *", "Europe/Berlin"},
	} {
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
	b.Run("round-a-change", func(b *testing.B) {
		s := mustParse(b, "30 1,2 * * *", "America/New_York")
		start := time.Date(2026, 11, 1, 5, 40, 0, 0, time.UTC) // between the passes
		b.ReportAllocs()
		for b.Loop() {
			s.Next(start)
		}
	})
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

// BenchmarkCompile parses what no schedule holds yet.
func BenchmarkCompile(b *testing.B) {
	r := reading{loc: time.UTC}
	b.ReportAllocs()
	for b.Loop() {
		e, err := readFields([]string{"0", "*/15", "9-17", "*", "*", "mon-fri"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := compile(e, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, zone := range []string{"", "America/New_York"} {
		b.Run("zone="+zone, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, expr := range typical {
					if _, err := Parse(Spec{Expressions: []string{expr}, TimeZone: zone}); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(typical)), "ns/expression")
		})
	}
}
