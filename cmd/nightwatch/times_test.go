package main

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch/schedule"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestMoments(t *testing.T) {
	const (
		noon      = "2026-11-20T12:00:00Z"
		springDay = "2026-03-29T12:00:00Z" // Berlin: 02:00 becomes 03:00
		autumnDay = "2026-10-25T12:00:00Z" // Berlin: 03:00 becomes 02:00
		inTheFold = "2026-10-25T00:45:00Z" // the first 02:45
	)
	for _, test := range []struct {
		name, text, zone, now string
		last, next            string
	}{
		{name: "an instant", text: "2026-11-20T02:00:00+08:00", zone: "Europe/Berlin", now: noon, last: "2026-11-19T18:00:00Z", next: "2026-11-19T18:00:00Z"},
		{name: "with a space", text: "2026-11-20 02:00:00Z", zone: "Europe/Berlin", now: noon, last: "2026-11-20T02:00:00Z", next: "2026-11-20T02:00:00Z"},
		{name: "with a fraction", text: "2026-11-20T02:00:00.250Z", zone: "UTC", now: noon, last: "2026-11-20T02:00:00.25Z", next: "2026-11-20T02:00:00.25Z"},
		{name: "a date and a time", text: "2026-11-20T02:00", zone: "Asia/Shanghai", now: noon, last: "2026-11-19T18:00:00Z", next: "2026-11-19T18:00:00Z"},
		{name: "with seconds and a space", text: "2026-11-20 02:00:30", zone: "Asia/Shanghai", now: noon, last: "2026-11-19T18:00:30Z", next: "2026-11-19T18:00:30Z"},
		{name: "a date", text: "2026-11-20", zone: "Asia/Shanghai", now: noon, last: "2026-11-19T16:00:00Z", next: "2026-11-19T16:00:00Z"},
		{name: "a date whose midnight is in a gap", text: "2018-11-04", zone: "America/Sao_Paulo", now: noon, last: "2018-11-04T03:00:00Z", next: "2018-11-04T03:00:00Z"},
		{name: "a date that never was", text: "2011-12-30T12:00", zone: "Pacific/Apia", now: noon, last: "2011-12-30T10:00:00Z", next: "2011-12-30T10:00:00Z"},
		{name: "a time in a gap", text: "2026-03-29T02:30", zone: "Europe/Berlin", now: noon, last: "2026-03-29T01:00:00Z", next: "2026-03-29T01:00:00Z"},
		{name: "a time right after a gap", text: "2026-03-29T03:00", zone: "Europe/Berlin", now: noon, last: "2026-03-29T01:00:00Z", next: "2026-03-29T01:00:00Z"},
		{name: "a time that comes twice", text: "2026-10-25T02:30", zone: "Europe/Berlin", now: noon, last: "2026-10-25T00:30:00Z", next: "2026-10-25T00:30:00Z"},
		{name: "a time of today", text: "02:00", zone: "UTC", now: noon, last: "2026-11-20T02:00:00Z", next: "2026-11-21T02:00:00Z"},
		{name: "a time of yesterday", text: "23:00", zone: "UTC", now: noon, last: "2026-11-19T23:00:00Z", next: "2026-11-20T23:00:00Z"},
		{name: "now", text: "12:00:00", zone: "UTC", now: noon, last: noon, next: "2026-11-21T12:00:00Z"},
		{name: "where it is tomorrow", text: "00:30", zone: "Pacific/Auckland", now: noon, last: "2026-11-20T11:30:00Z", next: "2026-11-21T11:30:00Z"},
		{name: "where it is yesterday", text: "23:30", zone: "Pacific/Honolulu", now: "2026-11-20T09:45:00Z", last: "2026-11-20T09:30:00Z", next: "2026-11-21T09:30:00Z"},
		{name: "a time in today's gap", text: "02:30", zone: "Europe/Berlin", now: springDay, last: "2026-03-29T01:00:00Z", next: "2026-03-30T00:30:00Z"},
		{name: "a time that came twice today", text: "02:30", zone: "Europe/Berlin", now: autumnDay, last: "2026-10-25T00:30:00Z", next: "2026-10-26T01:30:00Z"},
		{name: "between the two", text: "02:30", zone: "Europe/Berlin", now: inTheFold, last: "2026-10-25T00:30:00Z", next: "2026-10-26T01:30:00Z"},
		{name: "hours ago", text: "90m", zone: "Asia/Shanghai", now: noon, last: "2026-11-20T10:30:00Z", next: "2026-11-20T10:30:00Z"},
		{name: "days ago", text: "7d", zone: "Asia/Shanghai", now: noon, last: "2026-11-13T12:00:00Z", next: "2026-11-13T12:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := parseMomentOrAgo("since", test.text)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, test.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.last(now, zone(t, test.zone)).Format(time.RFC3339Nano); got != test.last {
				t.Errorf("last: %s, want %s", got, test.last)
			}
			if got := m.next(now, zone(t, test.zone)).Format(time.RFC3339Nano); got != test.next {
				t.Errorf("next: %s, want %s", got, test.next)
			}
		})
	}
}

func TestAbsentMomentIsTheZeroTime(t *testing.T) {
	m, err := parseMoment("at", "")
	if err != nil || !m.last(time.Now(), time.UTC).IsZero() || !m.next(time.Now(), time.UTC).IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMomentsThatAreRefused(t *testing.T) {
	for _, text := range []string{"now", "yesterday", "2026-02-30", "2026-11-20T25:00", "24:00", "2:00pm", "2026-11-20T02:00+08", "1700000000", "24h", "-1h", " 02:00"} {
		if m, err := parseMoment("at", text); err == nil {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
	for _, text := range []string{"24", "-24h", "0s", "1w"} {
		if m, err := parseMomentOrAgo("since", text); err == nil {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
}

// TestMomentsMeanWhatTheyMeanInATask compares them with "at".
func TestMomentsMeanWhatTheyMeanInATask(t *testing.T) {
	zones := []string{
		"UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca",
		"America/Havana", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Kiritimati",
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(zones).Draw(t, "zone")
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		// Around a change of the clock, mostly: where there is one after a random time.
		base := time.Unix(rapid.Int64Range(0, 2145916800).Draw(t, "base"), 0).In(loc)
		if _, change := base.ZoneBounds(); !change.IsZero() {
			base = change
		}
		_, offset := base.Add(-time.Second).Zone()
		wall := base.UTC().Add(time.Duration(offset)*time.Second + time.Duration(rapid.Int64Range(-30*3600, 30*3600).Draw(t, "shift"))*time.Second)
		text := wall.Format("2006-01-02T15:04:05")
		s, err := schedule.Parse(schedule.Spec{At: []string{text}, TimeZone: name})
		if err != nil {
			if strings.Contains(err.Error(), "never was") {
				return // a task refuses a date that the clock skipped; here it is where the clock went on
			}
			t.Fatal(err)
		}
		want, _ := s.Next(time.Time{})
		m, err := parseMoment("at", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.last(base, loc); !got.Equal(want) {
			t.Fatalf("%s in %s: %s, in a task %s", text, name, got, want)
		}
	})
}
