package main

import (
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// moment is a point in time as a person writes it. Which one that is depends on the zone and on now, which are not
// known before the cluster has answered.
type moment struct {
	form momentForm
	// time is the instant, or what a clock shows, in UTC.
	time time.Time
	// ago is how long before now.
	ago time.Duration
}

type momentForm int

const (
	absent  momentForm = iota // nothing was written
	instant                   // 2026-11-20T02:00:00+08:00
	dated                     // 2026-11-20T02:00, 2026-11-20
	clocked                   // 02:00: the last time that the clock showed that, or the next one
	ago                       // 24h
)

// momentLayouts are the forms that are read; a space may stand for the T.
var momentLayouts = []struct {
	layout string
	form   momentForm
}{
	{time.RFC3339, instant},
	{"2006-01-02 15:04:05Z07:00", instant},
	{"2006-01-02T15:04:05", dated},
	{"2006-01-02 15:04:05", dated},
	{"2006-01-02T15:04", dated},
	{"2006-01-02 15:04", dated},
	{time.DateOnly, dated},
	{time.TimeOnly, clocked},
	{"15:04", clocked},
}

// momentForms says in a flag's description what it takes.
const momentForms = "2026-11-20T02:00:00+08:00, 2026-11-20T02:00, 2026-11-20 or 02:00"

// parseMoment reads the value of a flag; the empty one is absent.
func parseMoment(flag, text string) (moment, error) {
	if text == "" {
		return moment{}, nil
	}
	for _, l := range momentLayouts {
		if t, err := time.Parse(l.layout, text); err == nil {
			return moment{form: l.form, time: t}, nil
		}
	}
	return moment{}, usage("--%s: %q: want a time such as %s", flag, text, momentForms)
}

// parseMomentOrAgo is parseMoment for flags that also take how long before now: 24h, 7d.
func parseMomentOrAgo(flag, text string) (moment, error) {
	m, err := parseMoment(flag, text)
	if err == nil {
		return m, nil
	}
	if d, durationErr := nightwatch.ParseDuration(text); durationErr == nil {
		return moment{form: ago, ago: time.Duration(d)}, nil
	}
	return m, usage("--%s: %q: want a time such as %s, or how long ago, such as 24h or 7d", flag, text, momentForms)
}

// last is the instant that is meant; of a time without a date the last one that is not after now. It is the zero time
// when nothing was written.
func (m moment) last(now time.Time, zone *time.Location) time.Time {
	switch m.form {
	case instant:
		return m.time.UTC()
	case dated:
		return reached(m.time, zone)
	case ago:
		return now.Add(-m.ago).UTC()
	case clocked:
		return m.byClock(now, zone, -1, func(t time.Time) bool { return !t.After(now) })
	}
	return time.Time{}
}

// next is last, but of a time without a date the first one after now.
func (m moment) next(now time.Time, zone *time.Location) time.Time {
	if m.form == clocked {
		return m.byClock(now, zone, 1, func(t time.Time) bool { return t.After(now) })
	}
	return m.last(now, zone)
}

// byClock goes from the zone's date of now on, a date at a time, to the one on which the clock shows the time and fits.
func (m moment) byClock(now time.Time, zone *time.Location, step int, fits func(time.Time) bool) time.Time {
	year, month, today := now.In(zone).Date()
	for day := 0; ; day += step {
		t := reached(time.Date(year, month, today+day, m.time.Hour(), m.time.Minute(), m.time.Second(), 0, time.UTC), zone)
		if fits(t) {
			return t
		}
	}
}

// reached is the first instant at which a zone's clock shows a time, given as if in UTC, or has jumped over it: what
// the same text means in a task, which refuses only dates that the clock skipped as a whole.
func reached(wall time.Time, zone *time.Location) time.Time {
	// No clock is further from UTC than that, so the first offset was in force before the clock could show the time.
	const furthest = 26 * time.Hour
	by := func(offset int) time.Time { return wall.Add(-time.Duration(offset) * time.Second).In(zone) }
	shows := func(t time.Time) bool {
		_, offset := t.Zone()
		return by(offset).Equal(t)
	}
	_, before := wall.Add(-furthest).In(zone).Zone()
	t := by(before)
	if shows(t) {
		return t.UTC()
	}
	_, after := t.Zone()
	if later := by(after); shows(later) {
		return later.UTC()
	}
	end, _ := t.ZoneBounds() // of the gap
	return end.UTC()
}
