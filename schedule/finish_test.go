package schedule

import (
	"testing"
	"time"
)

func TestFollowing(t *testing.T) {
	for _, tc := range []struct {
		name, starts, ends, ended, after, want string
	}{
		{name: "after the end", ended: "2026-11-20T14:15:00Z", after: "2026-11-20T14:00:00Z", want: "2026-11-20T14:25:00Z"},
		{name: "an end within a millisecond", ended: "2026-11-20T14:15:00.0000001Z", after: "2026-11-20T14:00:00Z", want: "2026-11-20T14:25:00.001Z"},
		{name: "the end is long ago", ended: "2026-11-20T10:00:00Z", after: "2026-11-20T14:00:00Z", want: "2026-11-20T14:00:00.001Z"},
		{name: "strictly later", ended: "2026-11-20T13:50:00Z", after: "2026-11-20T14:00:00Z", want: "2026-11-20T14:00:00.001Z"},
		{name: "no run so far", after: "2026-11-20T14:00:00.0009Z", want: "2026-11-20T14:00:00.001Z"},
		{name: "no run so far, starts later", starts: "2026-12-01T09:00", after: "2026-11-20T14:00:00Z", want: "2026-12-01T09:00:00Z"},
		{name: "starts later than the end asks for", starts: "2026-12-01T09:00", ended: "2026-11-20T14:15:00Z", after: "2026-11-20T14:00:00Z",
			want: "2026-12-01T09:00:00Z"},
		{name: "has started", starts: "2026-11-01T09:00", ended: "2026-11-20T14:15:00Z", after: "2026-11-20T14:00:00Z", want: "2026-11-20T14:25:00Z"},
		{name: "just before it ends", ends: "2026-11-20T14:25:00.001Z", ended: "2026-11-20T14:15:00Z", after: "2026-11-20T14:00:00Z",
			want: "2026-11-20T14:25:00Z"},
		{name: "as it ends", ends: "2026-11-20T14:25Z", ended: "2026-11-20T14:15:00Z", after: "2026-11-20T14:00:00Z"},
		{name: "has ended", ends: "2026-11-20T14:00Z", after: "2026-11-20T14:00:00Z"},
		{name: "the calendar ends", ended: "9999-12-31T23:55:00Z", after: "2026-11-20T14:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(Spec{AfterFinish: 10 * time.Minute, StartsAt: tc.starts, EndsAt: tc.ends})
			if err != nil {
				t.Fatal(err)
			}
			var ended time.Time
			if tc.ended != "" {
				ended = at(t, tc.ended)
			}
			got, ok := s.Following(ended, at(t, tc.after))
			if ok != (tc.want != "") || ok && !got.Equal(at(t, tc.want)) || !ok && !got.IsZero() {
				t.Fatalf("%s, %v, want %s", got, ok, tc.want)
			}
		})
	}
}

func TestAfterFinishHasNoTimesOfItsOwn(t *testing.T) {
	s, err := Parse(Spec{AfterFinish: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	now := at(t, "2026-11-20T14:00:00Z")
	if next, ok := s.Next(now); ok || !s.AfterFinish() {
		t.Errorf("Next = %s, AfterFinish = %v", next, s.AfterFinish())
	}
	if prev, ok := s.Prev(now); ok {
		t.Errorf("Prev = %s", prev)
	}
	if times, more := s.Between(time.Time{}, now, 10); len(times) != 0 || more {
		t.Errorf("Between = %v, %v", times, more)
	}

	daily := mustParse(t, "@daily", "")
	if next, ok := daily.Following(now, now); ok || daily.AfterFinish() {
		t.Errorf("Following of a daily schedule = %s", next)
	}
}
