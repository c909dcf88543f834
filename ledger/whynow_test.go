package ledger_test

import (
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

func TestWhyNow(t *testing.T) {
	waiting := runAt("11:00", nightwatch.PhasePending)
	waiting.Reason = "NoFittingNode"
	waiting.Message = `no live node has the runner "process"`
	running := runAt("11:00", nightwatch.PhaseRunning)
	running.Node, running.StartTime = "n1", at("11:00:10")
	submission := runAt("10:30", failed)
	submission.ID, submission.Reason = "rev-12", "Timeout"
	for _, row := range []struct {
		name     string
		fields   string // default: every five minutes
		cursor   string // default: 11:00
		change   func(*ledger.Account)
		reason   string
		headline string
		details  []string
		run      string
	}{
		{
			name: "waits for its next time", reason: ledger.WaitsForTheClock, change: func(a *ledger.Account) { a.Runs = []nightwatch.Run{runAt("10:55", succeeded)} },
			headline: "It waits for its next time, 2026-11-20T11:05:00Z, in 4m30s.",
			details:  []string{"Last result: run 20261120T105500Z succeeded, at 2026-11-20T10:55:20Z."},
		},
		{
			name: "overdue", cursor: "10:55", reason: ledger.NotDecided,
			headline: "2026-11-20T11:00:00Z has been due for 30s, and nothing has become of it: it is overdue, and no scheduler seems to be at work.",
		},
		{
			name: "a run waits", change: func(a *ledger.Account) { a.Runs = []nightwatch.Run{runAt("10:55", succeeded), waiting} },
			reason: "NoFittingNode", run: waiting.ID,
			headline: "Run 20261120T110000Z waits (NoFittingNode): no live node has the runner, the handler and the labels that it needs; " +
				`no live node has the runner "process".`,
			details: []string{"Its next time is 2026-11-20T11:05:00Z, in 4m30s.", "Last result: run 20261120T105500Z succeeded"},
		},
		{
			name: "one runs, one waits", run: running.ID,
			change: func(a *ledger.Account) {
				queued := runAt("10:55", nightwatch.PhasePending)
				queued.Reason = "Overlap"
				a.Runs = []nightwatch.Run{queued, running}
			},
			headline: "Run 20261120T110000Z has been running on node n1 for 20s.",
			details:  []string{"Run 20261120T105500Z waits (Overlap): an earlier run of the task is live"},
		},
		{
			name: "more live runs than are named", run: nightwatch.ScheduledRunID(at("10:00")),
			change: func(a *ledger.Account) {
				for i := range 15 {
					a.Runs = append(a.Runs, runOf(at("10:00").Add(time.Duration(i)*time.Minute), nightwatch.PhasePending))
				}
			},
			headline: "Run 20261120T100000Z waits to be given to a node.",
			details:  []string{"4 further runs are live."},
		},
		{
			name: "suspended", fields: every5 + `,"suspend":true`, reason: "Suspended",
			headline: "Nothing starts (Suspended): the task is suspended: its value has suspend: true.",
		},
		{
			name: "frozen by several", reason: "Frozen",
			change: func(a *ledger.Account) {
				a.Freezes = map[string]nightwatch.Freeze{"_cluster": {By: "ops"}, demo: {Until: at("12:00")}}
			},
			headline: "Nothing starts (Frozen): a freeze covers it, and nothing starts until that ends.",
			details:  []string{"freeze/default/demo is there, until 2026-11-20T12:00:00Z.\nfreeze/_cluster is there, by ops, until somebody deletes it."},
		},
		{
			name: "a freeze that cannot be read", reason: "Frozen",
			change: func(a *ledger.Account) {
				a.Freezes = map[string]nightwatch.Freeze{demo: {}}
				a.FreezeErrors = map[string]string{demo: "until: \"tomorrow\": want a time"}
			},
			headline: "Nothing starts (Frozen): a freeze covers it, and nothing starts until that ends.",
			details:  []string{"freeze/default/demo is there, until somebody deletes it (its value is not as it should be: until: \"tomorrow\": want a time)."},
		},
		{
			name: "a freeze that is over", reason: "Frozen",
			change: func(a *ledger.Account) {
				a.Freezes = map[string]nightwatch.Freeze{"default": {Until: at("11:00:29")}, demo: {}}
			},
			headline: "Nothing starts (Frozen): a freeze covers it, and nothing starts until that ends.",
			details: []string{
				"freeze/default/demo is there, until somebody deletes it.\nfreeze/default is there, which ended at 2026-11-20T11:00:29Z and is about to be removed.",
			},
		},
		{
			name: "a calendar is missing", fields: every5 + `,"calendars":{"include":["open"]}`, reason: "CalendarMissing",
			headline: "Nothing starts (CalendarMissing): a calendar that the task uses is not there or was never accepted, so nobody can say when it is due.",
			details:  []string{`Calendar "open", which the task uses, is not there or was never accepted: put calendars/open.`},
		},
		{
			name: "no runs left", fields: every5 + `,"maxRuns":4`, reason: ledger.MaxRunsReached, change: func(a *ledger.Account) { a.Status.StartedRuns = 4 },
			headline: "The task has had all its runs (maxRuns: 4).",
		},
		{
			name: "no times left", fields: every5 + `,"endsAt":"2026-11-20T11:05:00Z"`, reason: ledger.NoTimesLeft,
			headline: "The task has no further times (endsAt: 2026-11-20T11:05:00Z).",
		},
		{
			name: "deleted", reason: "Deleting", change: func(a *ledger.Account) { a.Value, a.Runs = nil, []nightwatch.Run{running} },
			headline: "Nothing starts (Deleting): the task was deleted, and its runs are being ended and removed.",
			details:  []string{"Run 20261120T110000Z has been running on node n1 for 20s."},
		},
		{
			name: "put anew", reason: "PreviousDeleting", change: func(a *ledger.Account) { a.Status.Reason = "PreviousDeleting" },
			headline: "Nothing starts (PreviousDeleting): the task was deleted and put anew, and the runs of its earlier life are being ended and removed.",
		},
		{
			name: "never looked at", reason: ledger.NotLookedAt, change: func(a *ledger.Account) { a.Status, a.Accepted, a.Nodes = nil, nil, nil },
			headline: "No scheduler has looked at the task yet.",
			details:  []string{"revision 12, has not been looked at yet.", "No node is alive."},
		},
		{
			name: "invalid", reason: ledger.NeverAccepted,
			change: func(a *ledger.Account) {
				a.Accepted = nil
				a.Status.Accepted, a.Status.Errors = false, []nightwatch.FieldError{{Field: "image", Reason: "missing"}, {Field: "every", Reason: "too short"}}
			},
			headline: "Nothing starts: no version of the task was ever accepted.",
			details:  []string{"was refused: image: missing.", "was refused: every: too short."},
		},
		{
			name: "a newer value was not looked at", reason: ledger.WaitsForTheClock, change: func(a *ledger.Account) { a.TaskRevision = 90 },
			headline: "It waits for its next time, 2026-11-20T11:05:00Z, in 4m30s.",
			details:  []string{"of revision 90, has not been looked at yet."},
		},
		{
			name: "after the last run", fields: `"afterFinish":"10m"`, reason: ledger.WaitsForTheClock, change: func(a *ledger.Account) { a.Status.LastEndTime = at("10:59") },
			headline: "It waits for its next time, 2026-11-20T11:09:00Z, in 8m30s.",
		},
		{
			name: "no schedule, failed", fields: `"priority":1`, reason: "Timeout",
			change: func(a *ledger.Account) {
				a.Runs, a.Status.LastRun = []nightwatch.Run{submission}, &submission
			},
			headline: "Run rev-12 failed (Timeout): it took longer than the task's timeout or runTimeout. The task has no schedule: it runs again when it is put.",
		},
		{
			name: "no schedule, suspended with something to do", fields: `"suspend":true`, reason: "Suspended", change: func(a *ledger.Account) { a.Status.PendingRevision = 12 },
			headline: "Nothing starts (Suspended): the task is suspended: its value has suspend: true.",
		},
		{
			name: "no schedule, put a moment ago", fields: `"priority":1`, reason: ledger.NotDecided, change: func(a *ledger.Account) { a.Status.PendingRevision = 12 },
			headline: "The put of revision 12 is about to be run.",
		},
		{
			name: "no schedule, nothing on record", fields: `"priority":1`, reason: ledger.NoSchedule,
			headline: "Nothing is to be done: the task has no schedule, it runs when it is put.",
		},
		{
			name: "comes after others", fields: `"after":{"tasks":["a","ops/b"],"window":"2h"}`, reason: "Upstream",
			change: func(a *ledger.Account) {
				a.Status.Reason = "Upstream"
				a.Status.Upstream = []nightwatch.Upstream{
					{Task: "default/a", Used: "20261120T100000Z", Passed: 2, Waiting: &nightwatch.UpstreamRun{Run: "20261120T105500Z", Phase: succeeded, EndTime: at("10:56")}},
					{Task: "ops/b"},
				}
			},
			headline: "Nothing is due (Upstream): it waits for runs of the tasks that it comes after.",
			details: []string{
				"It runs once for each set of runs, one of each of default/a, ops/b, that have succeeded within 2h of each other.",
				"Of default/a run 20261120T105500Z, which succeeded at 2026-11-20T10:56:00Z, waits for those of the others; " +
					"the last one that it used is 20261120T100000Z; 2 were passed over.",
				"Of ops/b it waits for a run.",
			},
		},
		{
			name: "comes after one that is not there", fields: `"after":{"tasks":["a"],"condition":"finished"}`, reason: "UpstreamMissing",
			change: func(a *ledger.Account) {
				a.Status.Reason, a.Status.Upstream = "UpstreamMissing", []nightwatch.Upstream{{Task: "default/a"}}
				a.Status.Warnings = []nightwatch.FieldError{{Field: "after.tasks[0]", Reason: "UpstreamMissing: there is no task default/a"}}
			},
			headline: "Nothing is due (UpstreamMissing): a task that it comes after is not there, or was never accepted.",
			details:  []string{"that have finished within 24h of each other.", "Missing: there is no task default/a."},
		},
		{
			name: "comes after others, suspended", fields: `"after":{"tasks":["a"]},"suspend":true`, reason: "Suspended",
			headline: "Nothing starts (Suspended): the task is suspended: its value has suspend: true.",
		},
		{
			name: "a backfill is under way", reason: ledger.WaitsForTheClock,
			change: func(a *ledger.Account) {
				a.Status.Backfills = []nightwatch.Backfill{
					{ID: "b1", From: at("08:00"), To: at("09:00"), Cursor: at("08:20")},
					{ID: "b2", From: at("08:00"), To: at("09:00")},
					{ID: "b3", From: at("08:00"), To: at("09:00"), Cursor: at("08:20"), Cancel: &nightwatch.Cancel{}},
				}
			},
			headline: "It waits for its next time, 2026-11-20T11:05:00Z, in 4m30s.",
			details: []string{
				"Backfill b1, from 2026-11-20T08:00:00Z to 2026-11-20T09:00:00Z, has come to 2026-11-20T08:20:00Z.",
				"Backfill b2, from 2026-11-20T08:00:00Z to 2026-11-20T09:00:00Z, has not begun.",
				"Backfill b3, from 2026-11-20T08:00:00Z to 2026-11-20T09:00:00Z, is being canceled.",
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			fields, cursor := row.fields, row.cursor
			if fields == "" {
				fields = every5
			}
			if cursor == "" {
				cursor = "11:00"
			}
			a := accountOf(t, fields, cursor, "11:00:30")
			if row.change != nil {
				row.change(&a)
			}
			got := ledger.Why(a, time.Time{})
			checkAnswer(t, got, row.reason, row.headline, row.details...)
			id := ""
			if got.Run != nil {
				id = got.Run.ID
			}
			if id != row.run || !got.At.IsZero() {
				t.Errorf("run %q, at %s", id, got.At)
			}
		})
	}
}
