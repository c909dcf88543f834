package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

const (
	demo      = "default/demo"
	uid       = 12
	succeeded = nightwatch.PhaseSucceeded
	failed    = nightwatch.PhaseFailed
	skipped   = nightwatch.PhaseSkipped
	missed    = nightwatch.PhaseMissed
)

// at is a time of the one day on which most of these tests happen: "10:05", "10:05:30", "10:05:30.250".
func at(clock string) time.Time {
	if strings.Count(clock, ":") == 1 {
		clock += ":00"
	}
	t, err := time.Parse("2006-01-02T15:04:05.999", "2026-11-20T"+clock)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// instant reads RFC 3339.
func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// accept is a version of a task that has been in force since a time.
func accept(t testing.TB, since time.Time, fields string) *nightwatch.Accepted {
	t.Helper()
	task, err := nightwatch.ParseTask(demo, []byte(`{"image":"a",`+fields+`}`))
	if err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	return &nightwatch.Accepted{Key: demo, Revision: uid, UID: uid, Since: since, Task: *task}
}

const every5 = `"schedule":"*/5 * * * *"`

// accountOf is a task that came at 10:00:30, whose cursor is at a time and where nothing has happened.
func accountOf(t testing.TB, fields, cursor, now string) ledger.Account {
	t.Helper()
	return ledger.Account{
		Task: demo, Now: at(now), Revision: 100, Value: []byte("{}"), TaskRevision: uid,
		Accepted: accept(t, at("10:00:30"), fields),
		Status: &nightwatch.Status{
			Phase: nightwatch.PhaseScheduled, Accepted: true, UID: uid, ObservedRevision: uid, AcceptedRevision: uid,
			CreateTime: at("10:00:30"), Cursor: at(cursor),
		},
		Nodes: []nightwatch.Node{{Name: "n1"}},
	}
}

// runAt is the record of a nominal time.
func runAt(clock string, phase nightwatch.Phase) nightwatch.Run { return runOf(at(clock), phase) }

func runOf(nominal time.Time, phase nightwatch.Phase) nightwatch.Run {
	r := nightwatch.Run{
		ID: nightwatch.ScheduledRunID(nominal), Task: demo, TaskUID: uid, TaskRevision: uid, Phase: phase,
		NominalTime: nominal, CreateTime: nominal, Attempt: 1, Runner: "kubernetes",
	}
	if phase.Terminal() {
		r.EndTime = nominal.Add(20 * time.Second)
	}
	return r
}

// span is a range of the ledger.
func span(from, to string, count int64, outcome nightwatch.Phase, reason string) nightwatch.LedgerRange {
	return nightwatch.LedgerRange{From: at(from), To: at(to), Count: count, Outcome: outcome, Reason: reason}
}

func one(clock string, outcome nightwatch.Phase) nightwatch.LedgerRange {
	return span(clock, clock, 1, outcome, "")
}

func sortRuns(runs []nightwatch.Run) {
	slices.SortStableFunc(runs, func(a, b nightwatch.Run) int { return a.NominalTime.Compare(b.NominalTime) })
}

// total is what a ledger accounts for, by outcome.
func total(l nightwatch.Ledger) nightwatch.Counts {
	counts := l.Totals
	for _, r := range l.Ranges {
		counts.Add(r.Outcome, r.Count)
	}
	return counts
}

// unless has ranges merge unless one of the marks stands between them, end <= mark < begin.
func unless(marks ...time.Time) func(end, begin time.Time) bool {
	return func(end, begin time.Time) bool {
		return !slices.ContainsFunc(marks, func(t time.Time) bool { return !t.Before(end) && t.Before(begin) })
	}
}
