package schedule

import (
	"testing"
	"time"
)

// mustParse compiles one expression in a zone.
func mustParse(t testing.TB, expression, zone string) *Schedule {
	t.Helper()
	s, err := Parse(Spec{Expressions: []string{expression}, TimeZone: zone})
	if err != nil {
		t.Fatalf("Parse(%q, %q): %v", expression, zone, err)
	}
	return s
}

// at reads an RFC 3339 time, offset and all.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// zone loads a zone for use by a test's own calculations.
func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// checkNext follows Next through all of want, which are RFC 3339 times.
func checkNext(t *testing.T, s *Schedule, after string, want ...string) {
	t.Helper()
	now := at(t, after)
	for _, w := range want {
		got, ok := s.Next(now)
		if !ok {
			t.Fatalf("%s: Next(%s): none, want %s", s, now.Format(time.RFC3339Nano), w)
		}
		if !got.Equal(at(t, w)) {
			t.Fatalf("%s: Next(%s) = %s, want %s (%s)", s, now.Format(time.RFC3339Nano),
				got.Format(time.RFC3339Nano), w, at(t, w).UTC().Format(time.RFC3339Nano))
		}
		if got.Location() != time.UTC {
			t.Fatalf("%s: Next is in %s, want UTC", s, got.Location())
		}
		now = got
	}
}
