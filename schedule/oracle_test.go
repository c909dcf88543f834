package schedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// oracleRule is an expression and, said once more by hand, which times of the clock it names.
type oracleRule struct {
	expr    string
	follows bool
	names   func(t time.Time) bool // t is what a clock shows
}

func atMinutes(t time.Time, minutes ...int) bool {
	return t.Second() == 0 && slices.Contains(minutes, t.Hour()*60+t.Minute())
}

func lastOfMonth(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// oracleRules are of every kind, mostly at hours in which clocks change.
var oracleRules = []oracleRule{
	{"30 2 * * *", false, func(t time.Time) bool { return atMinutes(t, 150) }},
	{"@daily", false, func(t time.Time) bool { return atMinutes(t, 0) }},
	{"15,45 0-3,23 * * *", false, func(t time.Time) bool {
		return (t.Hour() <= 3 || t.Hour() == 23) && (t.Minute() == 15 || t.Minute() == 45) && t.Second() == 0
	}},
	{"17 * * * *", true, func(t time.Time) bool { return t.Minute() == 17 && t.Second() == 0 }},
	{"*/10 1,2 * * *", true, func(t time.Time) bool {
		return (t.Hour() == 1 || t.Hour() == 2) && t.Minute()%10 == 0 && t.Second() == 0
	}},
	{"30 1 * * sunL,sat#1", false, func(t time.Time) bool {
		return atMinutes(t, 90) && (t.Weekday() == time.Sunday && t.Day() > lastOfMonth(t)-7 || t.Weekday() == time.Saturday && t.Day() <= 7)
	}},
	{"5 2 * 3-5,9-12 sun#1,sun#2,thu#5,friL", false, func(t time.Time) bool {
		m := t.Month()
		return atMinutes(t, 125) && (m >= 3 && m <= 5 || m >= 9) &&
			(t.Weekday() == time.Sunday && t.Day() <= 14 || t.Weekday() == time.Thursday && t.Day() >= 29 || t.Weekday() == time.Friday && t.Day() > lastOfMonth(t)-7)
	}},
	{"0,59 0 L * *", false, func(t time.Time) bool { return atMinutes(t, 0, 59) && t.Day() == lastOfMonth(t) }},
	{"45 23 1W,LW * *", false, func(t time.Time) bool {
		first, last := 1, lastOfMonth(t)
		for isWeekend(t, first) {
			first++
		}
		for isWeekend(t, last) {
			last--
		}
		return atMinutes(t, 23*60+45) && (t.Day() == first || t.Day() == last)
	}},
	{"30 0 8,25 * 0", false, func(t time.Time) bool {
		return atMinutes(t, 30) && (t.Day() == 8 || t.Day() == 25 || t.Weekday() == time.Sunday)
	}},
	{"20 2 */2 * 0,6", false, func(t time.Time) bool {
		return atMinutes(t, 140) && t.Day()%2 == 1 && isWeekend(t, t.Day())
	}},
	{"20 */3 28-31 * *", true, func(t time.Time) bool { return t.Hour()%3 == 0 && t.Minute() == 20 && t.Second() == 0 && t.Day() >= 28 }},
}

// secondRules are those whose every second counts.
var secondRules = []oracleRule{
	{"59,0,1 59,0,30 0-3,23 * * *", false, func(t time.Time) bool {
		return (t.Hour() <= 3 || t.Hour() == 23) && slices.Contains([]int{59, 0, 30}, t.Minute()) && slices.Contains([]int{59, 0, 1}, t.Second())
	}},
	{"*/20 30 1,2 * * *", false, func(t time.Time) bool {
		return (t.Hour() == 1 || t.Hour() == 2) && t.Minute() == 30 && t.Second()%20 == 0
	}},
	{"7 */15 * * * *", true, func(t time.Time) bool { return t.Minute()%15 == 0 && t.Second() == 7 }},
	{"* 29,59 */1 * * *", true, func(t time.Time) bool { return t.Minute() == 29 || t.Minute() == 59 }},
}

func isWeekend(t time.Time, day int) bool {
	w := time.Date(t.Year(), t.Month(), day, 0, 0, 0, 0, time.UTC).Weekday()
	return w == time.Saturday || w == time.Sunday
}

// named tells for each step of a span of the clock's time, a mask of the rules that name it.
type named struct {
	first, step int64
	masks       []uint32
}

func namedBy(rules []oracleRule, first, last, step int64) *named {
	n := &named{first, step, make([]uint32, (last-first)/step+1)}
	for i := range n.masks {
		shown := time.Unix(first+int64(i)*step, 0).UTC()
		for k, r := range rules {
			if r.names(shown) {
				n.masks[i] |= 1 << k
			}
		}
	}
	return n
}

// in is the mask of the rules that name a time in (after, upTo].
func (n *named) in(after, upTo int64) (mask uint32) {
	for wall := after + n.step; wall <= upTo; wall += n.step {
		mask |= n.masks[(wall-n.first)/n.step]
	}
	return mask
}

// due holds the rules that are due in each mode when the clock shows wall, showed before a step ago, and latest is the
// latest that it has shown so far.
func (n *named) due(before, latest, wall int64, follows uint32) [3]uint32 {
	shown := n.in(wall-n.step, wall)
	if wall == before+n.step && before == latest {
		return [3]uint32{shown, shown, shown}
	}
	clock := shown & follows
	once, skip, both := clock, clock, shown
	if wall > latest {
		once |= shown
		skip |= shown
	}
	if wall-before < 24*60*60 { // else the step was over a date that never was
		once |= n.in(latest, wall) &^ follows
		both |= n.in(before, wall) &^ follows
	}
	return [3]uint32{once, skip, both}
}

// oracleModes is the order of the oracle's answers.
var oracleModes = []string{Once, Skip, Both}

// walkClock shows a zone's clock step by step through (from, to], and says when each rule is due in each mode. It knows
// what the clock shows now, what it showed a step before, and the latest that it has shown: so the walk begins three
// days earlier.
func walkClock(loc *time.Location, rules []oracleRule, n *named, from, to int64) [][3][]int64 {
	const day = 24 * 60 * 60
	due := make([][3][]int64, len(rules))
	var follows uint32
	for k, r := range rules {
		if r.follows {
			follows |= 1 << k
		}
	}
	before := wallAt(loc, from-3*day)
	latest := before
	for sec := from - 3*day + n.step; sec <= to; sec += n.step {
		wall := wallAt(loc, sec)
		if sec > from {
			for mode, mask := range n.due(before, latest, wall, follows) {
				for k := range rules {
					if mask>>k&1 != 0 {
						due[k][mode] = append(due[k][mode], sec)
					}
				}
			}
		}
		before, latest = wall, max(latest, wall)
	}
	return due
}

// checkWalk compares Between with the oracle's answers.
func checkWalk(t *testing.T, name string, rules []oracleRule, n *named, from, to int64) {
	t.Helper()
	loc := zone(t, name)
	want := walkClock(loc, rules, n, from, to)
	for k, r := range rules {
		modes := oracleModes
		if r.follows {
			modes = modes[:1] // they are all one
		}
		for mode, word := range modes {
			s, err := Parse(Spec{Expressions: []string{r.expr}, TimeZone: name, DaylightSaving: word, DayMatch: Or})
			if err != nil {
				t.Fatal(err)
			}
			checkBetween(t, s, from, to, want[k][mode])
		}
	}
	// A union has the instants of all, each once.
	spec := Spec{TimeZone: name, Expressions: []string{"@every 90m"}}
	var all []int64
	for sec := (from/5400 + 1) * 5400; sec <= to; sec += 5400 {
		all = append(all, sec)
	}
	for k, r := range rules[:3] {
		spec.Expressions = append(spec.Expressions, r.expr)
		all = append(all, want[k][0]...)
	}
	slices.Sort(all)
	s, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	checkBetween(t, s, from, to, slices.Compact(all))
}

func checkBetween(t *testing.T, s *Schedule, from, to int64, want []int64) {
	t.Helper()
	got, more := s.Between(time.Unix(from, 0), time.Unix(to, 0), 1e6)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%s: nothing from %s on, want %s", s, time.Unix(from, 0).UTC(), time.Unix(want[i], 0).UTC())
		case i >= len(want) || !got[i].Equal(time.Unix(want[i], 0)):
			t.Fatalf("%s: due at %s, want %v", s, got[i], time.Unix(want[min(i, len(want)-1)], 0).UTC())
		}
	}
	if more {
		t.Fatalf("%s: there are more", s)
	}
}

// TestMinuteByMinute compares a year, minute by minute, in every zone whose clock changes in it; zones whose clocks
// agree all year are one. Of other years than the present it takes the odd zones and some of the others, which are all
// in TestEveryTransition.
func TestMinuteByMinute(t *testing.T) {
	const day, everyNth = 24 * 60 * 60, 12
	for _, tc := range []struct {
		year  int
		why   string
		zones []string
	}{
		{2005, "Troll begins", []string{"Antarctica/Troll"}},
		{2007, "new rules in America, Caracas by half an hour", []string{"America/New_York", "America/Caracas"}},
		{2011, "Apia loses a date, Moscow and Istanbul move", []string{"Pacific/Apia", "Europe/Moscow", "Europe/Istanbul"}},
		{2016, "Troll, Caracas back by half an hour", []string{"Antarctica/Troll", "America/Caracas"}},
		{2018, "São Paulo's gap at midnight, Casablanca", []string{"America/Sao_Paulo", "Africa/Casablanca", "Asia/Pyongyang"}},
		{2023, "Cairo's gap at midnight is back", []string{"Africa/Cairo", "Asia/Beirut"}},
		{2026, "the present rules, in all zones", nil},
	} {
		t.Run(fmt.Sprint(tc.year), func(t *testing.T) {
			t.Parallel()
			begin := time.Date(tc.year, 1, 1, 0, 0, 0, 0, time.UTC)
			from, to := begin.Unix(), begin.AddDate(1, 0, 0).Unix()
			n := namedBy(oracleRules, from-5*day, to+2*day, 60)
			zones := tc.zones
			for i, changes := range zonesByClock(t, begin, begin.AddDate(1, 0, 0)) {
				if name := changes[0].zone; tc.zones == nil || i%everyNth == tc.year%everyNth && !slices.Contains(zones, name) {
					zones = append(zones, name)
				}
			}
			for _, name := range zones {
				checkWalk(t, name, oracleRules, n, from, to)
			}
			if len(zones) < 4 {
				t.Errorf("%d (%s): only %d zones", tc.year, tc.why, len(zones))
			}
			t.Logf("%d (%s): %d zones", tc.year, tc.why, len(zones))
		})
	}
}

// TestSecondBySecond compares the hours around each change of the present rules, and of the years in which whole dates
// and quarters of an hour went.
func TestSecondBySecond(t *testing.T) {
	const hour = 60 * 60
	for _, year := range []int{1972, 1986, 2011, 2026} {
		t.Run(fmt.Sprint(year), func(t *testing.T) {
			t.Parallel()
			begin := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			changes := 0
			for _, group := range zonesByClock(t, begin, begin.AddDate(1, 0, 0)) {
				for _, c := range group {
					if year != 2026 && (c.after-c.before)%hour == 0 && c.after-c.before < 24*hour {
						continue
					}
					changes++
					n := namedBy(secondRules, min(c.before, c.after)-6*hour, max(c.before, c.after)+6*hour, 1)
					checkWalk(t, c.zone, secondRules, n, c.at-4*hour, c.at+4*hour)
				}
			}
			if changes == 0 {
				t.Fatal("no changes of the clock")
			}
			t.Logf("%d changes of the clock", changes)
		})
	}
}

func TestZoneNamesAreKnown(t *testing.T) {
	for name := range strings.Lines(zoneNames) {
		if _, err := Parse(Spec{Expressions: []string{"@daily"}, TimeZone: strings.TrimSpace(name)}); err != nil {
			t.Error(err)
		}
	}
}
