package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestDue fixes the delays: these were computed apart from this program, and must never change.
func TestDue(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		spec      Spec
		jitter    time.Duration
		nominal   string
		want      string
	}{
		{"one task", "default/backup", Spec{Every: time.Minute}, 30 * time.Second, "2026-11-20T14:15:00Z", "2026-11-20T14:15:04.04Z"},
		{"its next time", "default/backup", Spec{Every: time.Minute}, 30 * time.Second, "2026-11-20T14:16:00Z", "2026-11-20T14:16:16.306Z"},
		{"another task", "default/report", Spec{Every: time.Minute}, 30 * time.Second, "2026-11-20T14:15:00Z", "2026-11-20T14:15:29.8Z"},
		{"before 1970", "default/backup", Spec{Every: time.Minute}, 30 * time.Second, "1969-12-31T23:59:00Z", "1969-12-31T23:59:24.741Z"},
		{"below the next time", "default/backup", Spec{Every: time.Hour}, time.Hour, "2026-11-20T14:15:00Z", "2026-11-20T14:18:04.04Z"},
		{"clipped to the next time", "default/backup", Spec{Every: time.Minute}, time.Hour, "2026-11-20T14:15:00Z", "2026-11-20T14:15:59.999Z"},
		{"nothing is next", "default/backup", Spec{At: []string{"2026-11-20T14:15Z"}}, time.Hour, "2026-11-20T14:15:00Z", "2026-11-20T14:18:04.04Z"},
		{"after finish", "default/backup", Spec{AfterFinish: time.Minute}, time.Hour, "2026-11-20T14:15:00Z", "2026-11-20T14:18:04.04Z"},
		{"no jitter", "default/backup", Spec{Every: time.Minute}, 0, "2026-11-20T14:15:00Z", "2026-11-20T14:15:00Z"},
	} {
		spec := tc.spec
		spec.Jitter, spec.Key = tc.jitter, tc.key
		s, err := Parse(spec)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := s.Due(at(t, tc.nominal)); !got.Equal(at(t, tc.want)) {
			t.Errorf("%s: %s, want %s", tc.name, got.Format(time.RFC3339Nano), tc.want)
		}
	}
}

// TestDueBounds: a start is at or after its nominal time, less than the jitter later, and before the next nominal time.
func TestDueBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := Parse(Spec{
			Expressions: []string{rapid.SampledFrom(typical).Draw(t, "expression")},
			TimeZone:    rapid.SampledFrom(oracleZones).Draw(t, "zone"),
			Jitter:      time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "jitter")) * time.Millisecond,
			Key:         rapid.String().Draw(t, "key"),
		})
		if err != nil {
			t.Fatal(err)
		}
		nominal, ok := s.Next(genTime(t))
		if !ok {
			t.Fatal("none")
		}
		due := s.Due(nominal)
		if delay := due.Sub(nominal); delay < 0 || delay.Milliseconds() >= s.jitter {
			t.Fatalf("%s: %s is delayed by %s", s, nominal, delay)
		}
		if next, ok := s.Next(nominal); ok && !due.Before(next) {
			t.Fatalf("%s: %s is delayed to %s, and the next is %s", s, nominal, due, next)
		}
		if again := s.Due(nominal); !again.Equal(due) {
			t.Fatalf("%s: %s, then %s", s, due, again)
		}
	})
}

func TestDueDoesNotAllocate(t *testing.T) {
	s, err := Parse(Spec{Expressions: []string{"*/5 * * * *"}, TimeZone: "Europe/Berlin", Jitter: time.Minute, Key: "default/backup"})
	if err != nil {
		t.Fatal(err)
	}
	nominal := at(t, "2026-11-20T14:15:00Z")
	if n := testing.AllocsPerRun(100, func() { s.Due(nominal) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
