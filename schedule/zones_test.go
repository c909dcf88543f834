package schedule

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// zoneNames are all names of the IANA database that Go 1.26 brings along, links and old names too.
//
//go:embed testdata/zones.txt
var zoneNames string

// change is an instant at which the clocks of some zones change.
type change struct {
	zone          string // one of them
	at            int64  // Unix seconds: the first one with the new offset
	before, after int64  // what the clock would show and shows then: wall seconds
}

func (c change) String() string {
	return fmt.Sprintf("%s at %s", c.zone, time.Unix(c.at, 0).UTC().Format(time.RFC3339))
}

// wallAt is what a zone's clock shows: a wall second.
func wallAt(loc *time.Location, sec int64) int64 {
	_, offset := time.Unix(sec, 0).In(loc).Zone()
	return sec + int64(offset)
}

// changesOf lists what happens to a zone's clock in [from, to).
func changesOf(t testing.TB, name string, from, to time.Time) []change {
	t.Helper()
	loc := zone(t, name)
	var changes []change
	for now := from.Add(-1).In(loc); ; {
		_, end := now.ZoneBounds()
		if end.IsZero() || !end.Before(to) {
			return changes
		}
		if !end.After(now) { // on 31 December of leap years, where only a rule is left to tell
			now = now.Add(24 * time.Hour)
			continue
		}
		now = end
		sec := end.Unix()
		if before, after := wallAt(loc, sec-1)+1, wallAt(loc, sec); before != after && !end.Before(from) {
			changes = append(changes, change{name, sec, before, after})
		}
	}
}

// zonesByClock groups all zones by what their clocks do in [from, to), and returns the changes of one of each group
// that has some.
func zonesByClock(t testing.TB, from, to time.Time) [][]change {
	t.Helper()
	seen := make(map[string]bool)
	var groups [][]change
	for name := range strings.Lines(zoneNames) {
		changes := changesOf(t, strings.TrimSpace(name), from, to)
		var clock strings.Builder
		for _, c := range changes {
			fmt.Fprintln(&clock, c.at, c.before, c.after)
		}
		if len(changes) > 0 && !seen[clock.String()] {
			seen[clock.String()] = true
			groups = append(groups, changes)
		}
	}
	return groups
}

// dueAt is when one wall second is due by the rules of the package's documentation. It knows what the clock shows at
// an instant and at which instants it changes, no more.
func dueAt(loc *time.Location, changes []change, wall int64, follows bool, mode string) []int64 {
	var shown, passed []int64 // instants at which the clock shows it, and at which it has just jumped over it
	candidates := make(map[int64]bool)
	for _, c := range changes {
		candidates[wall-(c.before-c.at)] = true
		candidates[wall-(c.after-c.at)] = true
		if c.before <= wall && wall < c.after && c.after-c.before < 24*60*60 {
			passed = append(passed, c.at)
		}
	}
	for sec := range candidates {
		if wallAt(loc, sec) == wall {
			shown = append(shown, sec)
		}
	}
	if follows {
		slices.Sort(shown)
		return shown
	}
	all := slices.Concat(shown, passed)
	slices.Sort(all)
	switch {
	case mode == Both || len(all) == 0:
		return slices.Compact(all)
	case mode == Skip && !slices.Contains(shown, all[0]):
		return nil
	}
	return all[:1]
}

// TestEveryTransition places a time in the middle, at both ends and around each gap and fold of every zone, and asks
// for it alone.
func TestEveryTransition(t *testing.T) {
	t.Parallel()
	const hour, day = 60 * 60, 24 * 60 * 60
	from, to := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)
	type neighbourhood struct {
		change
		near string // the changes around it
	}
	seen := make(map[neighbourhood]bool)
	modes := []string{Once, Skip, Both, "wildcard"}
	zones := make(map[string]bool)
	for name := range strings.Lines(zoneNames) {
		name = strings.TrimSpace(name)
		loc := zone(t, name)
		all := changesOf(t, name, from.AddDate(0, 0, -5), to.AddDate(0, 0, 5))
		for _, c := range all {
			if c.at < from.Unix() || c.at >= to.Unix() {
				continue
			}
			zones[name] = true
			var near []change
			for _, other := range all {
				if max(other.at-c.at, c.at-other.at) < 4*day {
					near = append(near, other)
				}
			}
			key := neighbourhood{change: c}
			key.zone = ""
			for _, other := range near {
				key.near += fmt.Sprint(other.at, other.before, other.after, " ")
			}
			if seen[key] {
				continue // another zone's clock has shown the same
			}
			seen[key] = true

			low, high := min(c.before, c.after), max(c.before, c.after)
			for i, wall := range []int64{
				low - hour, low - 60, low - 1, low, low + 1, low + (high-low)/2, high - 60, high - 1, high, high + 1, high + 60, high + hour,
			} {
				mode := modes[(i+len(seen))%len(modes)]
				shown := time.Unix(wall, 0).UTC()
				hours, want := fmt.Sprint(shown.Hour()), dueAt(loc, near, wall, false, mode)
				spec := Spec{TimeZone: name, DaylightSaving: mode}
				if mode == "wildcard" {
					hours, want, spec.DaylightSaving = "*", nil, ""
					for h := range int64(24) {
						want = append(want, dueAt(loc, near, wall+(h-int64(shown.Hour()))*hour, true, "")...)
					}
					slices.Sort(want)
				}
				spec.Expressions = []string{fmt.Sprintf("%d %d %s %d %d * %d",
					shown.Second(), shown.Minute(), hours, shown.Day(), shown.Month(), shown.Year())}
				s, err := Parse(spec)
				if err != nil {
					if len(want) > 0 || !strings.Contains(err.Error(), "skips every time") {
						t.Fatalf("%s, %v: %v, want %v", c, spec, err, want)
					}
					continue
				}
				var got []int64
				for now := c.at - 4*day; ; {
					next, ok := s.Next(time.Unix(now, 0))
					if !ok || next.Unix() >= c.at+4*day {
						break
					}
					if next.Unix() <= now || next.Nanosecond() != 0 {
						t.Fatalf("%s, %v: Next(%d) = %s", c, spec, now, next)
					}
					now = next.Unix()
					got = append(got, now)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%s, %v: due at %v, want %v", c, spec, got, want)
				}
				before := c.at + 4*day
				for _, w := range slices.Backward(want[max(0, len(want)-3):]) {
					if prev, ok := s.Prev(time.Unix(before, 0)); !ok || prev.Unix() != w {
						t.Fatalf("%s, %v: Prev(%d) = %s, want %d", c, spec, before, prev, w)
					}
					before = w
				}
			}
		}
	}
	if len(zones) < 400 || len(seen) < 5000 {
		t.Fatalf("only %d changes of the clock in %d zones seen", len(seen), len(zones))
	}
	t.Logf("%d changes of the clock in %d zones", len(seen), len(zones))
}
