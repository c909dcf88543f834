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
