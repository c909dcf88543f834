package ledger_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

func several(from, to string, count int64, outcome nightwatch.Phase) nightwatch.LedgerRange {
	return span(from, to, count, outcome, "")
}

func TestAdd(t *testing.T) {
	type ranges = []nightwatch.LedgerRange
	for _, row := range []struct {
		name   string
		ranges ranges
		add    nightwatch.LedgerRange
		marks  []time.Time
		want   ranges
	}{
		{name: "the first", add: one("10:05", succeeded), want: ranges{one("10:05", succeeded)}},
		{
			name: "merges with the one before", ranges: ranges{one("10:05", succeeded)}, add: one("10:10", succeeded),
			want: ranges{several("10:05", "10:10", 2, succeeded)},
		},
		{
			name: "merges with the one after", ranges: ranges{one("10:10", succeeded)}, add: one("10:05", succeeded),
			want: ranges{several("10:05", "10:10", 2, succeeded)},
		},
		{
			name:   "closes a gap",
			ranges: ranges{several("10:00", "10:05", 2, succeeded), several("10:15", "10:20", 2, succeeded)}, add: one("10:10", succeeded),
			want: ranges{several("10:00", "10:20", 5, succeeded)},
		},
		{
			name: "other outcome", ranges: ranges{one("10:05", succeeded)}, add: one("10:10", failed),
			want: ranges{one("10:05", succeeded), one("10:10", failed)},
		},
		{
			name: "other reason", ranges: ranges{span("10:05", "10:05", 1, failed, "Timeout")}, add: span("10:10", "10:10", 1, failed, "ExitCode"),
			want: ranges{span("10:05", "10:05", 1, failed, "Timeout"), span("10:10", "10:10", 1, failed, "ExitCode")},
		},
		{
			name: "not over an occurrence that has a record", ranges: ranges{one("10:05", succeeded)}, add: one("10:15", succeeded),
			marks: []time.Time{at("10:10")},
			want:  ranges{one("10:05", succeeded), one("10:15", succeeded)},
		},
		{
			name: "not over the beginning of the version in force", ranges: ranges{one("10:05", succeeded)}, add: one("10:10", succeeded),
			marks: []time.Time{at("10:07:13")},
			want:  ranges{one("10:05", succeeded), one("10:10", succeeded)},
		},
		{
			name: "a version that began with the last time of the one before", ranges: ranges{one("10:05", succeeded)}, add: one("10:10", succeeded),
			marks: []time.Time{at("10:05")},
			want:  ranges{one("10:05", succeeded), one("10:10", succeeded)},
		},
		{
			name: "a mark on the later one stands between no two", ranges: ranges{one("10:05", succeeded)}, add: one("10:10", succeeded),
			marks: []time.Time{at("10:10"), at("10:04:59")},
			want:  ranges{several("10:05", "10:10", 2, succeeded)},
		},
		{
			name: "between others", ranges: ranges{one("10:05", succeeded), one("10:15", succeeded)}, add: one("10:10", failed),
			want: ranges{one("10:05", succeeded), one("10:10", failed), one("10:15", succeeded)},
		},
		{
			name: "before all", ranges: ranges{one("10:10", succeeded)}, add: one("10:05", failed),
			want: ranges{one("10:05", failed), one("10:10", succeeded)},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := nightwatch.Ledger{Ranges: slices.Clone(row.ranges)}
			after := ledger.Add(before, row.add, unless(row.marks...))
			if !slices.Equal(after.Ranges, row.want) {
				t.Errorf("\n got %+v\nwant %+v", after.Ranges, row.want)
			}
			if !slices.Equal(before.Ranges, row.ranges) {
				t.Error("the ledger added to has changed")
			}
		})
	}
}

func TestLedgerIsBounded(t *testing.T) {
	var l nightwatch.Ledger
	clock := at("00:00")
	for i := range 1000 {
		l = ledger.Add(l, nightwatch.LedgerRange{From: clock, To: clock, Count: 1, Outcome: []nightwatch.Phase{succeeded, failed}[i%2]}, unless())
		clock = clock.Add(time.Minute)
	}
	if len(l.Ranges) != 128 {
		t.Errorf("%d ranges", len(l.Ranges))
	}
	if got, want := l.Totals, (nightwatch.Counts{Succeeded: 436, Failed: 436}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if want := l.Ranges[0].From.Add(-time.Minute); !l.Since.Equal(want) {
		t.Errorf("since %s, want %s", l.Since, want)
	}
	since := l.Since
	l = ledger.Add(l, one("00:00:30", nightwatch.PhaseCanceled), unless())
	if l.Since != since || l.Totals.Canceled != 1 || len(l.Ranges) != 128 {
		t.Errorf("an occurrence from before since: since %s (was %s), totals %+v, %d ranges", l.Since, since, l.Totals, len(l.Ranges))
	}
}

func TestCarve(t *testing.T) {
	times := accept(t, at("10:00"), every5).Task.Times()
	before, hour := one("10:00", failed), several("10:05", "11:00", 12, skipped)
	for _, row := range []struct {
		name  string
		since time.Time
		with  []nightwatch.LedgerRange
		at    time.Time
		want  []nightwatch.LedgerRange // of the range carved from; nil: not covered
		from  nightwatch.LedgerRange
	}{
		{
			name: "in the middle", with: []nightwatch.LedgerRange{before, hour}, at: at("10:20"), from: hour,
			want: []nightwatch.LedgerRange{before, several("10:05", "10:15", 3, skipped), several("10:25", "11:00", 8, skipped)},
		},
		{
			name: "the first", with: []nightwatch.LedgerRange{before, hour}, at: at("10:05"), from: hour,
			want: []nightwatch.LedgerRange{before, several("10:10", "11:00", 11, skipped)},
		},
		{
			name: "the last", with: []nightwatch.LedgerRange{before, hour}, at: at("11:00"), from: hour,
			want: []nightwatch.LedgerRange{before, several("10:05", "10:55", 11, skipped)},
		},
		{
			name: "the second", with: []nightwatch.LedgerRange{hour}, at: at("10:10"), from: hour,
			want: []nightwatch.LedgerRange{one("10:05", skipped), several("10:15", "11:00", 10, skipped)},
		},
		{
			name: "the last but one", with: []nightwatch.LedgerRange{hour}, at: at("10:55"), from: hour,
			want: []nightwatch.LedgerRange{several("10:05", "10:50", 10, skipped), one("11:00", skipped)},
		},
		{name: "the only one", with: []nightwatch.LedgerRange{before, hour}, at: at("10:00"), from: before, want: []nightwatch.LedgerRange{hour}},
		{
			name: "of two", with: []nightwatch.LedgerRange{several("10:05", "10:10", 2, missed)}, at: at("10:10"), from: several("10:05", "10:10", 2, missed),
			want: []nightwatch.LedgerRange{one("10:05", missed)},
		},
		{
			name: "of a count that is less than the schedule says now", with: []nightwatch.LedgerRange{several("10:05", "11:00", 3, missed)},
			at: at("10:30"), from: several("10:05", "11:00", 3, missed),
			want: []nightwatch.LedgerRange{one("10:05", missed), one("11:00", missed)},
		},
		{
			name: "of a count that is more than the schedule says now", with: []nightwatch.LedgerRange{several("10:05", "10:15", 9, missed)},
			at: at("10:10"), from: several("10:05", "10:15", 9, missed),
			want: []nightwatch.LedgerRange{one("10:05", missed), several("10:10:00.001", "10:15", 7, missed)},
		},
		{name: "between ranges", with: []nightwatch.LedgerRange{before, hour}, at: at("10:03")},
		{name: "behind them", with: []nightwatch.LedgerRange{before, hour}, at: at("11:05")},
		{name: "between the only two of a range", with: []nightwatch.LedgerRange{several("10:05", "10:15", 2, missed)}, at: at("10:10")},
		{name: "among the totals", since: at("10:20"), with: []nightwatch.LedgerRange{hour}, at: at("10:20")},
		{name: "of nothing", at: at("10:20")},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := nightwatch.Ledger{Since: row.since, Ranges: slices.Clone(row.with)}
			got, from, ok := ledger.Carve(l, row.at, times)
			if want := row.want != nil; ok != want {
				t.Fatalf("covered: %v, want %v", ok, want)
			}
			want := row.want
			if !ok {
				want = row.with
			}
			if !slices.Equal(got.Ranges, want) || from != row.from {
				t.Errorf("\n got %+v from %+v\nwant %+v from %+v", got.Ranges, from, want, row.from)
			}
			if !slices.Equal(l.Ranges, row.with) {
				t.Error("the ledger carved from has changed")
			}
		})
	}
}

// A range of very many times is carved by the shorter side, or by a bounded guess.
func TestCarveIsBounded(t *testing.T) {
	times := accept(t, at("00:00"), `"every":"10ms"`).Task.Times()
	const day = 8_640_000
	all := nightwatch.LedgerRange{From: at("00:00"), To: at("00:00").Add((day - 1) * 10 * time.Millisecond), Count: day, Outcome: missed}
	for _, row := range []struct {
		name      string
		at        time.Time
		low, high int64 // of the left side's count
	}{
		{name: "near the beginning", at: at("00:00:01"), low: 100, high: 100},
		{name: "near the end", at: at("23:59:59"), low: day - 100, high: day - 100},
		{name: "far from both", at: at("12:00"), low: 1, high: day - 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, _, ok := ledger.Carve(nightwatch.Ledger{Ranges: []nightwatch.LedgerRange{all}}, row.at, times)
			if !ok || len(l.Ranges) != 2 {
				t.Fatalf("got %+v, %v", l.Ranges, ok)
			}
			left, right := l.Ranges[0], l.Ranges[1]
			if left.Count < row.low || left.Count > row.high || left.Count+right.Count != day-1 {
				t.Errorf("got %d and %d", left.Count, right.Count)
			}
			if want := row.at.Add(-10 * time.Millisecond); !left.To.Equal(want) {
				t.Errorf("the left side ends at %s, want %s", left.To, want)
			}
			if want := row.at.Add(10 * time.Millisecond); !right.From.Equal(want) {
				t.Errorf("the right side begins at %s, want %s", right.From, want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	hour, pair := several("10:05", "11:00", 12, skipped), several("11:30", "11:40", 2, missed)
	l := nightwatch.Ledger{Ranges: []nightwatch.LedgerRange{hour, pair}}
	for _, row := range []struct {
		at   time.Time
		want nightwatch.LedgerRange
	}{
		{at: at("10:05"), want: hour}, {at: at("10:30"), want: hour}, {at: at("11:00"), want: hour},
		{at: at("11:30"), want: pair}, {at: at("11:40"), want: pair},
		{at: at("10:04")}, {at: at("11:01")}, {at: at("11:35")}, {at: at("11:45")},
	} {
		if got, ok := ledger.Find(l, row.at); got != row.want || ok != (row.want.Count > 0) {
			t.Errorf("%s: got %+v, %v", row.at, got, ok)
		}
	}
}

// Whatever is added and carved: what goes in stays in, in order, without overlaps, within bounds.
func TestRangesKeepEverything(t *testing.T) {
	times := accept(t, at("00:00"), `"every":"1m"`).Task.Times()
	rapid.Check(t, func(t *rapid.T) {
		var l nightwatch.Ledger
		expected := nightwatch.Counts{}
		free := rapid.IntRange(1, 700).Draw(t, "times")
		var marks []time.Time // of carved times, and of all that are yet to be added
		slots := make([]time.Time, free)
		for i := range slots {
			slots[i] = at("00:00").Add(time.Duration(i) * time.Minute)
		}
		order := slices.Clone(slots)
		if rapid.Bool().Draw(t, "in any order") {
			order = rapid.Permutation(slots).Draw(t, "order")
		}
		marks = slices.Clone(order)
		outcome := rapid.SampledFrom([]nightwatch.Phase{succeeded, failed, skipped, missed})
		sticky := rapid.IntRange(1, 12).Draw(t, "neighbours alike")
		phase := succeeded
		for i, slot := range order {
			if i%sticky == 0 {
				phase = outcome.Draw(t, "outcome")
			}
			marks = slices.DeleteFunc(marks, slot.Equal)
			l = ledger.Add(l, nightwatch.LedgerRange{From: slot, To: slot, Count: 1, Outcome: phase}, unless(marks...))
			expected.Add(phase, 1)
			checkLedger(t, l, expected)
			if rapid.IntRange(0, 20).Draw(t, "carve") == 0 {
				at := rapid.SampledFrom(slots).Draw(t, "carved")
				carved, from, ok := ledger.Carve(l, at, times)
				_, found := ledger.Find(l, at)
				if ok != (found && at.After(l.Since)) {
					t.Fatalf("carve %s: %v, found %v", at, ok, found)
				}
				if ok {
					l = carved
					expected.Add(from.Outcome, -1)
					marks = append(marks, at)
					checkLedger(t, l, expected)
					if _, found := ledger.Find(l, at); found && at.After(l.Since) {
						t.Fatalf("%s is still there", at)
					}
				}
			}
		}
	})
}

func checkLedger(t *rapid.T, l nightwatch.Ledger, want nightwatch.Counts) {
	if got := total(l); got != want {
		t.Fatalf("accounts for %+v, want %+v", got, want)
	}
	if len(l.Ranges) > 128 {
		t.Fatalf("%d ranges", len(l.Ranges))
	}
	end := l.Since
	for _, r := range l.Ranges {
		if !r.From.After(end) || r.To.Before(r.From) || r.Count < 1 {
			t.Fatalf("range %+v after %s", r, end)
		}
		// The schedule is one time a minute, and nothing stands inside a range.
		if n := int64(r.To.Sub(r.From)/time.Minute) + 1; n != r.Count {
			t.Fatalf("range %+v spans %d times", r, n)
		}
		end = r.To
	}
}

// Between two times of an earlier version the one in force may have another.
func TestAddBetweenAPair(t *testing.T) {
	l := nightwatch.Ledger{Ranges: []nightwatch.LedgerRange{several("10:00", "10:10", 2, missed), one("10:20", missed)}}
	l = ledger.Add(l, one("10:05", succeeded), func(_, _ time.Time) bool { return true })
	want := []nightwatch.LedgerRange{one("10:00", missed), one("10:05", succeeded), one("10:10", missed), one("10:20", missed)}
	if !slices.Equal(l.Ranges, want) {
		t.Errorf("%+v", l.Ranges)
	}
}

// Whatever a range of an earlier version is carved by, it loses one occurrence with each time.
func TestCarveCountsByAnotherSchedule(t *testing.T) {
	times := accept(t, at("00:00"), `"every":"10m"`).Task.Times()
	l := nightwatch.Ledger{Ranges: []nightwatch.LedgerRange{several("10:05", "10:20", 4, missed)}} // of every 5m
	for i, clock := range []string{"10:10", "10:20"} {
		carved, _, ok := ledger.Carve(l, at(clock), times)
		if n := total(carved).Missed; !ok || n != int64(3-i) {
			t.Fatalf("%s: %v, %d left, %+v", clock, ok, n, carved.Ranges)
		}
		l = carved
	}
}
