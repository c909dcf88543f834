package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func one(clock string, outcome nightwatch.Phase) span {
	return span{From: at(clock), To: at(clock), Count: 1, Outcome: outcome}
}

func several(from, to string, count int64, outcome nightwatch.Phase) span {
	return span{From: at(from), To: at(to), Count: count, Outcome: outcome}
}

func TestLedgerAdd(t *testing.T) {
	const ok, bad = nightwatch.PhaseSucceeded, nightwatch.PhaseFailed
	for _, row := range []struct {
		name     string
		ranges   []span
		add      span
		recorded []time.Time
		want     []span
	}{
		{name: "the first", add: one("10:05", ok), want: []span{one("10:05", ok)}},
		{name: "merges with the one before", ranges: []span{one("10:05", ok)}, add: one("10:10", ok), want: []span{several("10:05", "10:10", 2, ok)}},
		{name: "merges with the one after", ranges: []span{one("10:10", ok)}, add: one("10:05", ok), want: []span{several("10:05", "10:10", 2, ok)}},
		{
			name: "closes a gap", ranges: []span{several("10:00", "10:05", 2, ok), several("10:15", "10:20", 2, ok)}, add: one("10:10", ok),
			want: []span{several("10:00", "10:20", 5, ok)},
		},
		{
			name: "other outcome", ranges: []span{one("10:05", ok)}, add: one("10:10", bad),
			want: []span{one("10:05", ok), one("10:10", bad)},
		},
		{
			name: "other reason", ranges: []span{{From: at("10:05"), To: at("10:05"), Count: 1, Outcome: bad, Reason: "Timeout"}},
			add: span{From: at("10:10"), To: at("10:10"), Count: 1, Outcome: bad, Reason: "ExitCode"},
			want: []span{
				{From: at("10:05"), To: at("10:05"), Count: 1, Outcome: bad, Reason: "Timeout"},
				{From: at("10:10"), To: at("10:10"), Count: 1, Outcome: bad, Reason: "ExitCode"},
			},
		},
		{
			name: "not over an occurrence that has a record", ranges: []span{one("10:05", ok)}, add: one("10:15", ok), recorded: []time.Time{at("10:10")},
			want: []span{one("10:05", ok), one("10:15", ok)},
		},
		{
			name: "between others", ranges: []span{one("10:05", ok), one("10:15", ok)}, add: one("10:10", bad),
			want: []span{one("10:05", ok), one("10:10", bad), one("10:15", ok)},
		},
		{
			name: "before all", ranges: []span{one("10:10", ok)}, add: one("10:05", bad),
			want: []span{one("10:05", bad), one("10:10", ok)},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := ledger{Ranges: slices.Clone(row.ranges)}
			after := before.add(row.add, row.recorded)
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
	var l ledger
	clock := at("10:00")
	outcomes := []nightwatch.Phase{nightwatch.PhaseSucceeded, nightwatch.PhaseFailed}
	for i := range 1000 {
		l = l.add(span{From: clock, To: clock, Count: 1, Outcome: outcomes[i%2]}, nil)
		clock = clock.Add(time.Minute)
	}
	if len(l.Ranges) != maxRanges {
		t.Errorf("%d ranges", len(l.Ranges))
	}
	if got, want := l.Totals, (nightwatch.Counts{Succeeded: 436, Failed: 436}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if want := l.Ranges[0].From.Add(-time.Minute); !l.Since.Equal(want) {
		t.Errorf("since %s, want %s", l.Since, want)
	}
	since := l.Since
	l = l.add(span{From: at("10:00:30"), To: at("10:00:30"), Count: 1, Outcome: nightwatch.PhaseCanceled}, nil)
	if l.Since != since || l.Totals.Canceled != 1 || len(l.Ranges) != maxRanges {
		t.Errorf("an occurrence from before since: since %s (was %s), totals %+v, %d ranges", l.Since, since, l.Totals, len(l.Ranges))
	}
}

// Records that leave together must not have ranges merged over those among them that come later.
func TestRecordsThatLeaveTogether(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":0,"failed":1}`))
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.del(b.keys.Node("n1"))
	b.node("n2")
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded) // it stays for an hour: it lost a session
	b.goTo("10:10")
	b.complete(nightwatch.PhaseFailed)
	b.goTo("10:15")
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:10")+" Failed")
	b.wantSpans("10:15:00-10:15:00 1 Succeeded")
	b.moveTo("11:20")
	b.put(with(`"history":{"succeeded":0,"failed":0},"suspend":true`)) // 10:05 and 10:10 leave together
	b.settle(demo)
	spans := b.ledger().Ranges
	for i := 1; i < len(spans); i++ {
		if !spans[i].From.After(spans[i-1].To) {
			t.Errorf("ranges overlap: %q", b.spans())
		}
	}
	if got := b.spans()[:3]; !slices.Equal(got, []string{"10:05:00-10:05:00 1 Succeeded", "10:10:00-10:10:00 1 Failed", "10:15:00-10:15:00 1 Succeeded"}) {
		t.Errorf("%q", got)
	}
}
