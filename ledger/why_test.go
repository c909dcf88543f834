package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

// checkAnswer compares an answer: its headline as a whole, and that some detail has each of the given texts.
func checkAnswer(t *testing.T, got ledger.Answer, reason, headline string, details ...string) {
	t.Helper()
	if got.Reason != reason || got.Headline != headline {
		t.Errorf("\n got %s: %s\nwant %s: %s", got.Reason, got.Headline, reason, headline)
	}
	all := strings.Join(got.Details, "\n")
	for _, detail := range details {
		if !strings.Contains(all, detail) {
			t.Errorf("no detail says %q:\n%s", detail, all)
		}
	}
	for _, sentence := range append([]string{got.Headline}, got.Details...) {
		if !strings.HasSuffix(sentence, ".") || strings.Contains(sentence, "%!") || strings.Contains(sentence, "..") {
			t.Errorf("not a sentence: %q", sentence)
		}
	}
}

func TestWhyRecord(t *testing.T) {
	code := 3
	for _, row := range []struct {
		name     string
		run      nightwatch.Run
		change   func(*nightwatch.Run)
		reason   string
		headline string
		details  []string
	}{
		{
			name: "succeeded", run: runAt("10:05", succeeded),
			change:   func(r *nightwatch.Run) { r.StartTime, r.Node, r.Attempt = at("10:05:02"), "n1", 2 },
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z succeeded after 18s.",
			details:  []string{"started 2026-11-20T10:05:02Z, 2s late", "It was on node n1.", "This is attempt 2."},
		},
		{
			name: "failed", run: runAt("10:05", failed), reason: "ExitCode",
			change: func(r *nightwatch.Run) {
				r.StartTime, r.Reason, r.Message, r.ExitCode = at("10:05"), "ExitCode", "exit status 3", &code
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z failed after 20s (ExitCode): the program ended with an exit code other than 0; exit status 3.",
			details:  []string{"Its exit code is 3."},
		},
		{
			name: "split, and some of it failed", run: runAt("10:05", failed), reason: "ShardFailed",
			change: func(r *nightwatch.Run) {
				r.StartTime, r.Reason, r.Message = at("10:05"), "ShardFailed", "shard 1 of 4 failed: 1: Timeout"
				r.Shards = &nightwatch.RunShards{Count: 4, Succeeded: "0,2-3", Failed: "1"}
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z failed after 20s (ShardFailed): not all of its shards succeeded; shard 1 of 4 failed: 1: Timeout.",
			details:  []string{"Of its 4 shards, 0,2-3 have succeeded; 1 has failed."},
		},
		{
			name: "split and running", run: runAt("10:05", nightwatch.PhaseRunning),
			change: func(r *nightwatch.Run) {
				r.StartTime, r.RetryOf = at("10:05"), "rev-7"
				all := nightwatch.AllIndexes(1000)
				for n := range 500 {
					all = all.Minus(nightwatch.IndexesOf(2 * n))
				}
				r.Shards = &nightwatch.RunShards{Count: 1000, Indexes: all, Active: all}
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z has been running for 15m.",
			details:  []string{"It is a second chance of shards 1,3,", "… (500) of the 1000 of run rev-7.", "Of its 500 shards, 1,3,5,", "… (500) are active."},
		},
		{
			name: "skipped", run: runAt("10:05", skipped), reason: "Overlap",
			change: func(r *nightwatch.Run) { r.Reason, r.Message = "Overlap", "run 20261120T100000Z is live" },
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was skipped (Overlap): an earlier run of the task was still live, " +
				"and its overlap policy lets no two be live at once; run 20261120T100000Z is live.",
		},
		{
			name: "canceled", run: runAt("10:05", nightwatch.PhaseCanceled), reason: "CancelRequested",
			change: func(r *nightwatch.Run) {
				r.Cancel = &nightwatch.Cancel{By: "ann", Reason: "CancelRequested", Why: "wrong data", Time: at("10:05:10")}
				_, r.Reason, r.Message = r.Cancel.End()
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was canceled (CancelRequested): ann asked for it at 2026-11-20T10:05:10Z: wrong data.",
		},
		{
			name: "canceled without a note", run: runAt("10:05", nightwatch.PhaseCanceled), reason: "CancelRequested",
			change: func(r *nightwatch.Run) {
				r.Reason, r.Cancel = "CancelRequested", &nightwatch.Cancel{Reason: "CancelRequested", Time: at("10:05:10")}
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was canceled (CancelRequested): somebody asked for it at 2026-11-20T10:05:10Z.",
		},
		{
			name: "canceled with the task", run: runAt("10:05", nightwatch.PhaseCanceled), reason: "TaskDeleted",
			change: func(r *nightwatch.Run) {
				r.Cancel = &nightwatch.Cancel{Reason: "TaskDeleted", Why: "the task was deleted", Time: at("10:05:10")}
				_, r.Reason, r.Message = r.Cancel.End()
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was canceled (TaskDeleted): the task was deleted.",
		},
		{
			name: "replaced", run: runAt("10:05", nightwatch.PhaseCanceled), reason: "Replaced",
			change: func(r *nightwatch.Run) {
				r.Cancel = &nightwatch.Cancel{By: "20261120T101000Z", Reason: "Replaced", Why: "run 20261120T101000Z takes its place", Time: at("10:10")}
				_, r.Reason, r.Message = r.Cancel.End()
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was canceled (Replaced): a newer occurrence of the task took its place " +
				"(overlap: replace); run 20261120T101000Z takes its place.",
		},
		{
			name: "after others", run: runAt("10:05", nightwatch.PhaseAssigned),
			change: func(r *nightwatch.Run) {
				r.Node = "n1"
				r.Upstream = []nightwatch.UpstreamRun{{Task: "ops/b", Run: "req-x", Phase: nightwatch.PhaseCanceled, EndTime: at("10:05")}}
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was given to node n1, which has not begun it yet.",
			details:  []string{"It comes after run req-x of ops/b, which was canceled at 2026-11-20T10:05:00Z."},
		},
		{
			name: "being canceled", run: runAt("10:05", nightwatch.PhaseRunning),
			change: func(r *nightwatch.Run) {
				r.Node, r.StartTime = "n1", at("10:05")
				r.Cancel = &nightwatch.Cancel{By: "ann", Reason: "CancelRequested", Why: "wrong data", Time: at("10:05:10")}
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z has been running on node n1 for 15m.",
			details:  []string{"It was to be canceled (CancelRequested): ann asked for it at 2026-11-20T10:05:10Z: wrong data."},
		},
		{
			name: "waiting", run: runAt("10:05", nightwatch.PhasePending), reason: "NoCapacity",
			change:   func(r *nightwatch.Run) { r.Reason = "NoCapacity" },
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z waits (NoCapacity): every node that fits is full.",
		},
		{
			name: "assigned", run: runAt("10:05", nightwatch.PhaseAssigned), change: func(r *nightwatch.Run) { r.Node = "n1" },
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z was given to node n1, which has not begun it yet.",
		},
		{
			name: "running", run: runAt("10:05", nightwatch.PhaseRunning),
			change: func(r *nightwatch.Run) {
				r.Node, r.StartTime, r.NotBefore = "n1", at("10:05:31"), at("10:05:30")
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z has been running on node n1 for 14m29s.",
			details:  []string{"jitter to 2026-11-20T10:05:30Z", ", 1s late"},
		},
		{
			name: "being started", run: runAt("10:05", nightwatch.PhaseRunning), change: func(r *nightwatch.Run) { r.Node = "n1" },
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z is being started on node n1.",
		},
		{
			name: "backfilled", run: runAt("10:05", succeeded),
			change: func(r *nightwatch.Run) {
				r.Backfill, r.StartTime, r.EndTime = "b1", at("10:15"), at("10:20")
			},
			headline: "2026-11-20T10:05:00Z: run 20261120T100500Z succeeded after 5m.",
			details:  []string{"the backfill b1."},
		},
		{
			name: "of an earlier version", run: runAt("09:58", succeeded),
			headline: "2026-11-20T09:58:00Z: run 20261120T095800Z succeeded.",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := accountOf(t, every5, "10:20", "10:20")
			a.Runs = []nightwatch.Run{row.run}
			if row.change != nil {
				row.change(&a.Runs[0])
			}
			got := ledger.Why(a, row.run.NominalTime)
			checkAnswer(t, got, row.reason, row.headline, row.details...)
			if got.Run == nil || got.Run.ID != row.run.ID {
				t.Errorf("run %+v", got.Run)
			}
		})
	}
}

func TestWhyTime(t *testing.T) {
	hour := span("10:05", "10:30", 6, skipped, "Suspended")
	for _, row := range []struct {
		name     string
		fields   string // default: every five minutes
		cursor   string // default: now
		now      string // default: 11:00:30
		asked    time.Time
		change   func(*ledger.Account)
		expected bool
		reason   string
		headline string
		details  []string
	}{
		{
			name: "in a range", asked: at("10:15"), expected: true, reason: "Suspended",
			headline: "2026-11-20T10:15:00Z was skipped (Suspended): the task was suspended then, and time spent suspended is not missed time.",
			details:  []string{"all 6 times from 2026-11-20T10:05:00Z to 2026-11-20T10:30:00Z.", "no record of its own"},
		},
		{
			name: "in a range of an earlier version", asked: at("09:15"), reason: "Timeout",
			headline: "Whether 2026-11-20T09:15:00Z itself was due cannot be told any more; the 9 times from 2026-11-20T09:01:00Z to " +
				"2026-11-20T09:59:00Z failed (Timeout): it took longer than the task's timeout or runTimeout.",
		},
		{
			name: "the end of a range of an earlier version", asked: at("09:59"), reason: "Timeout",
			headline: "2026-11-20T09:59:00Z failed (Timeout): it took longer than the task's timeout or runTimeout.",
		},
		{
			name: "not in the schedule", asked: at("10:12"), reason: ledger.NotInSchedule,
			headline: "2026-11-20T10:12:00Z is not among the times of the schedule.",
			details:  []string{"before it is 2026-11-20T10:10:00Z.", "after it is 2026-11-20T10:15:00Z."},
		},
		{
			name: "at its end", asked: at("10:35"), fields: every5 + `,"startsAt":"2026-11-20T10:30:00Z","endsAt":"2026-11-20T10:35:00Z"`, reason: ledger.NotInSchedule,
			headline: "2026-11-20T10:35:00Z is not among the times of the schedule.",
			details:  []string{"before it is 2026-11-20T10:30:00Z.", "There is no time after it (endsAt: 2026-11-20T10:35:00Z)."},
		},
		{
			name: "before its beginning", asked: at("10:25"), fields: every5 + `,"startsAt":"2026-11-20T10:30:00Z"`, reason: ledger.NotInSchedule,
			change:   func(a *ledger.Account) { a.Ledger.Ranges = nil },
			headline: "2026-11-20T10:25:00Z is not among the times of the schedule.",
			details:  []string{"There is no time before it (startsAt: 2026-11-20T10:30:00Z).", "after it is 2026-11-20T10:30:00Z."},
		},
		{
			name: "before the task", asked: at("08:00"), reason: ledger.BeforeTask, change: func(a *ledger.Account) { a.Ledger.Ranges = nil },
			headline: "The task did not exist at 2026-11-20T08:00:00Z: it was first seen at 2026-11-20T10:00:30Z.",
		},
		{
			name: "under an earlier version", asked: at("08:00"), reason: ledger.EarlierVersion, change: func(a *ledger.Account) { a.Status.CreateTime = at("07:00") },
			headline: "2026-11-20T08:00:00Z cannot be told any more: the version in force counts from then on, 2026-11-20T10:00:30Z, " +
				"and neither a record nor the ledger tells of that time.",
			details: []string{"has it among its times, but was not in force then"},
		},
		{
			name: "older than the ledger tells", asked: at("10:05"), reason: ledger.BeforeLedger,
			change: func(a *ledger.Account) {
				a.Ledger = nightwatch.Ledger{Since: at("10:40"), Totals: nightwatch.Counts{Missed: 3}}
			},
			headline: "2026-11-20T10:05:00Z is older than the ledger tells: up to 2026-11-20T10:40:00Z there are totals only.",
			details:  []string{"3 missed."},
		},
		{
			name: "unaccounted", asked: at("10:45"), expected: true, reason: ledger.Unaccounted,
			headline: "2026-11-20T10:45:00Z was due, its time is over, and neither a record nor the ledger tells of it: this is a fault, see the audit of the task.",
		},
		{
			name: "to come", asked: at("11:05"), expected: true, reason: ledger.InTheFuture,
			headline: "2026-11-20T11:05:00Z is to come, in 4m30s.",
		},
		{
			name: "to come while frozen", asked: at("11:05"), expected: true, reason: "Frozen",
			change: func(a *ledger.Account) {
				a.Freezes = map[string]nightwatch.Freeze{"default": {By: "ann", Note: "deploy"}}
			},
			headline: "2026-11-20T11:05:00Z is to come, in 4m30s; as things stand nothing will start then (Frozen): a freeze covers it, and nothing starts until that ends.",
			details:  []string{"freeze/default is there, by ann, until somebody deletes it: deploy."},
		},
		{
			name: "to come after the freeze", asked: at("11:05"), expected: true, reason: ledger.InTheFuture,
			change: func(a *ledger.Account) {
				a.Freezes = map[string]nightwatch.Freeze{"default": {Until: at("11:02")}}
			},
			headline: "2026-11-20T11:05:00Z is to come, in 4m30s.",
			details:  []string{"ends before that time, at 2026-11-20T11:02:00Z."},
		},
		{
			name: "to come, but no runs are left", asked: at("11:05"), expected: true, fields: every5 + `,"maxRuns":3`, reason: ledger.MaxRunsReached,
			change:   func(a *ledger.Account) { a.Status.StartedRuns = 3 },
			headline: "2026-11-20T11:05:00Z will not run: the task has had all its runs (maxRuns: 3).",
		},
		{
			name: "due", cursor: "10:55", now: "11:00:02", asked: at("11:00"), expected: true, reason: ledger.NotDecided,
			headline: "2026-11-20T11:00:00Z has been due for 2s, and is about to be met.",
		},
		{
			name: "overdue", cursor: "10:55", asked: at("11:00"), expected: true, reason: ledger.NotDecided,
			change: func(a *ledger.Account) { a.Nodes = nil },
			headline: "2026-11-20T11:00:00Z has been due for 30s, and nothing has become of it: it is overdue, " +
				"and no scheduler seems to be at work.",
			details: []string{"No node is alive."},
		},
		{
			name: "due while suspended", cursor: "10:55", asked: at("11:00"), expected: true, fields: every5 + `,"suspend":true`, reason: "Suspended",
			headline: "2026-11-20T11:00:00Z is due, and nothing starts (Suspended): the task is suspended: its value has suspend: true.",
			details:  []string{"it goes to the ledger as skipped"},
		},
		{
			name: "no schedule", fields: `"priority":1`, asked: at("10:45"), reason: ledger.NoSchedule,
			change: func(a *ledger.Account) {
				run := runAt("10:05", succeeded)
				run.ID, a.Ledger.Ranges = "rev-12", nil
				a.Runs = []nightwatch.Run{run}
			},
			headline: "No run is on record for 2026-11-20T10:45:00Z: the task has no schedule, it runs once for each time it is put.",
			details:  []string{"before it is rev-12, 2026-11-20T10:05:00Z, succeeded."},
		},
		{
			name: "a request within the minute", asked: at("10:12"), reason: ledger.NotInSchedule,
			change: func(a *ledger.Account) {
				run := runAt("10:12:30", succeeded)
				run.ID = "req-x"
				a.Runs = []nightwatch.Run{run}
			},
			headline: "2026-11-20T10:12:00Z is not among the times of the schedule.",
			details:  []string{"Run req-x was made at 2026-11-20T10:12:30Z, by a request or a put, not by the schedule; it is Succeeded now."},
		},
		{
			name: "after the last run", fields: `"afterFinish":"10m"`, cursor: "10:50", asked: at("10:40"), reason: ledger.NotInSchedule,
			change: func(a *ledger.Account) {
				a.Ledger.Ranges, a.Runs = nil, []nightwatch.Run{runAt("10:50", succeeded)}
			},
			headline: "No run was due at 2026-11-20T10:40:00Z: the task is due 10m after its last run has ended (afterFinish).",
			details:  []string{"Its next time is 2026-11-20T11:00:20Z.", "after it is 20261120T105000Z, 2026-11-20T10:50:00Z, succeeded."},
		},
		{
			name: "never accepted", asked: at("10:40"), reason: ledger.NeverAccepted,
			change: func(a *ledger.Account) {
				a.Accepted, a.Ledger.Ranges = nil, nil
				a.Status.Accepted, a.Status.Errors = false, []nightwatch.FieldError{{Field: "schedule", Reason: "minute 61 is over 59"}}
			},
			headline: "Nothing was due at 2026-11-20T10:40:00Z: no version of the task was ever accepted.",
			details:  []string{"was refused: schedule: minute 61 is over 59."},
		},
		{
			name: "a calendar is missing", asked: at("10:40"), fields: every5 + `,"calendars":{"exclude":["cn"]}`, reason: "CalendarMissing",
			headline: "Nobody can say whether 2026-11-20T10:40:00Z is one of its times: calendars that the task uses are not in force: cn.",
		},
		{
			name: "an older version is in force", asked: at("11:05"), expected: true, reason: ledger.InTheFuture,
			change: func(a *ledger.Account) {
				a.Status.Accepted, a.Status.Errors = false, []nightwatch.FieldError{{Field: "image", Reason: "missing"}}
			},
			headline: "2026-11-20T11:05:00Z is to come, in 4m30s.",
			details:  []string{"was refused: image: missing.", "revision 12 stays in force"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			fields, now := row.fields, row.now
			if fields == "" {
				fields = every5
			}
			if now == "" {
				now = "11:00:30"
			}
			cursor := row.cursor
			if cursor == "" {
				cursor = now
			}
			a := accountOf(t, fields, cursor, now)
			a.Ledger.Ranges = []nightwatch.LedgerRange{span("09:01", "09:59", 9, failed, "Timeout"), hour}
			if row.change != nil {
				row.change(&a)
			}
			got := ledger.Why(a, row.asked)
			checkAnswer(t, got, row.reason, row.headline, row.details...)
			if got.Expected != row.expected || !got.At.Equal(row.asked) {
				t.Errorf("expected %v, at %s", got.Expected, got.At)
			}
		})
	}
}

// A time of whole minutes or seconds stands for the one nominal time within.
func TestWhyMeans(t *testing.T) {
	for _, row := range []struct {
		name, fields string
		run          string
		asked, want  string
	}{
		{name: "exact", fields: `"schedule":"0,17 * * * * *"`, asked: "10:30", want: "10:30"},
		{name: "within the minute", fields: `"schedule":"17 * * * * *"`, asked: "10:30", want: "10:30:17"},
		{name: "within the second", fields: `"every":"1h","offset":"30m5s250ms"`, asked: "10:30:05", want: "10:30:05.250"},
		{name: "another second", fields: `"schedule":"17 * * * * *"`, asked: "10:30:16", want: "10:30:16"},
		{name: "several within the minute", fields: `"schedule":"17,18 * * * * *"`, asked: "10:30", want: "10:30"},
		{name: "finer than a second", fields: `"every":"1h","offset":"30m5s250ms"`, asked: "10:30:05.200", want: "10:30:05.200"},
		{name: "a record that the schedule does not have", fields: `"schedule":"17 5 * * * *"`, run: "10:30:40", asked: "10:30", want: "10:30:40"},
		{name: "a record and a time", fields: `"schedule":"17 * * * * *"`, run: "10:30:40", asked: "10:30", want: "10:30"},
		{name: "a record of that time", fields: `"schedule":"17 * * * * *"`, run: "10:30:17", asked: "10:30", want: "10:30:17"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := accountOf(t, row.fields, "11:00", "11:00")
			if row.run != "" {
				a.Runs = []nightwatch.Run{runAt(row.run, succeeded)}
			}
			if got := ledger.Why(a, at(row.asked)).At; !got.Equal(at(row.want)) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestWhyInAZone(t *testing.T) {
	a := accountOf(t, `"schedule":"0 22 * * *","timeZone":"Asia/Shanghai"`, "10:00:30", "13:00")
	checkAnswer(t, ledger.Why(a, instant("2026-11-20T22:00:00+08:00")), ledger.InTheFuture,
		"2026-11-20T22:00:00+08:00 (2026-11-20T14:00:00Z) is to come, in 1h.")
	checkAnswer(t, ledger.Why(a, instant("2026-11-24T22:00:00+08:00")), ledger.InTheFuture,
		"2026-11-24T22:00:00+08:00 (2026-11-24T14:00:00Z) is to come, in 4d1h.")
}

func TestWhyOnAnExcludedDay(t *testing.T) {
	calendar, err := nightwatch.ParseCalendar("cn", []byte(`{"days":["2026-10-01/2026-10-07"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, fields string
		details      []string
	}{
		{name: "skip", details: []string{"before it is 2026-09-30T09:00:00+08:00", "after it is 2026-10-08T09:00:00+08:00"}},
		{
			name: "moved", fields: `,"onExcluded":"next-included"`,
			details: []string{"onExcluded: next-included", "after it is 2026-10-08T09:00:00+08:00"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := accountOf(t, `"schedule":"0 9 * * *","timeZone":"Asia/Shanghai","calendars":{"exclude":["cn"]`+row.fields+`}`, "10:00:30", "13:00")
			a.Accepted.Since, a.Status.CreateTime = instant("2026-01-01T00:00:00Z"), instant("2026-01-01T00:00:00Z")
			a.Calendars = map[string]nightwatch.AcceptedCalendar{"cn": {Calendar: *calendar}}
			checkAnswer(t, ledger.Why(a, instant("2026-10-03T09:00:00+08:00")), ledger.NotACalendarDay,
				"2026-10-03T09:00:00+08:00 (2026-10-03T01:00:00Z) is on an excluded day, Saturday 2026-10-03: "+
					`calendar "cn" has it, which the task excludes.`, row.details...)
		})
	}
	t.Run("not included", func(t *testing.T) {
		a := accountOf(t, `"schedule":"0 9 * * *","timeZone":"Asia/Shanghai","calendars":{"include":["cn"]}`, "10:00:30", "13:00")
		a.Accepted.Since, a.Status.CreateTime = instant("2026-01-01T00:00:00Z"), instant("2026-01-01T00:00:00Z")
		a.Calendars = map[string]nightwatch.AcceptedCalendar{"cn": {Calendar: *calendar}}
		checkAnswer(t, ledger.Why(a, instant("2026-10-08T09:00:00+08:00")), ledger.NotACalendarDay,
			"2026-10-08T09:00:00+08:00 (2026-10-08T01:00:00Z) is on an excluded day, Thursday 2026-10-08: "+
				"none of the calendars that the task includes has it: cn.")
	})
}

// An expression that names its own zone has its days there, whatever the task's zone is.
func TestWhyOnAnExcludedDayOfAnExpressionsZone(t *testing.T) {
	weekends, err := nightwatch.ParseCalendar("weekends", []byte(`{"days":["Sat","Sun"]}`))
	if err != nil {
		t.Fatal(err)
	}
	a := accountOf(t, `"schedule":["CRON_TZ=Asia/Shanghai 0 1 * * *","0 9 * * *"],"calendars":{"exclude":["weekends"]}`, "10:00:30", "13:00")
	a.Calendars = map[string]nightwatch.AcceptedCalendar{"weekends": {Calendar: *weekends}}
	checkAnswer(t, ledger.Why(a, instant("2026-11-20T17:00:00Z")), ledger.NotACalendarDay,
		"2026-11-20T17:00:00Z is on an excluded day, Saturday 2026-11-21 in Asia/Shanghai: "+
			`calendar "weekends" has it, which the task excludes.`, "after it is 2026-11-22T17:00:00Z")
	checkAnswer(t, ledger.Why(a, instant("2026-11-21T09:00:00Z")), ledger.NotACalendarDay,
		`2026-11-21T09:00:00Z is on an excluded day, Saturday 2026-11-21: calendar "weekends" has it, which the task excludes.`)
}

func TestWhyAroundAChangeOfTheClock(t *testing.T) {
	a := accountOf(t, `"schedule":"30 2 * * *","timeZone":"Europe/Berlin"`, "10:00:30", "13:00")
	a.Accepted.Since, a.Status.CreateTime = instant("2026-01-01T00:00:00Z"), instant("2026-01-01T00:00:00Z")
	// 02:30 does not exist on 29 March 2026: what stands for it is 03:30, or 01:30.
	got := ledger.Why(a, instant("2026-03-29T01:30:00Z"))
	checkAnswer(t, got, ledger.NotInSchedule, "2026-03-29T03:30:00+02:00 (2026-03-29T01:30:00Z) is not among the times of the schedule.",
		"before it is 2026-03-29T03:00:00+02:00 (2026-03-29T01:00:00Z) (daylight saving: 02:30 does not exist on 2026-03-29")
}

func TestWhyWithJitter(t *testing.T) {
	a := accountOf(t, every5+`,"jitter":"4m"`, "10:10", "10:15:00")
	start := a.Accepted.Task.Times().Due(at("10:15"))
	if !start.After(at("10:15:01")) {
		t.Fatalf("10:15 starts at %s: no jitter to speak of", start)
	}
	delayed := start.Format("2006-01-02T15:04:05.999Z07:00")
	due := "2026-11-20T10:15:00Z is due; its start is delayed by the task's jitter to " + delayed + "."
	checkAnswer(t, ledger.Why(a, at("10:15")), ledger.NotDecided, due)
	checkAnswer(t, ledger.Why(a, time.Time{}), ledger.NotDecided, due)
	a.Now = at("10:14:30")
	checkAnswer(t, ledger.Why(a, at("10:15")), ledger.InTheFuture, "2026-11-20T10:15:00Z is to come, in 30s.", "jitter to "+delayed)
	a.Now = start.Add(2 * time.Second)
	checkAnswer(t, ledger.Why(a, at("10:15")), ledger.NotDecided, "2026-11-20T10:15:00Z has been due for 2s, and is about to be met.")
}

// A task that cannot have had the time, because it has had all its runs.
func TestWhyAfterAllRuns(t *testing.T) {
	a := accountOf(t, every5+`,"maxRuns":2`, "10:10", "10:15:30")
	a.Status.StartedRuns = 2
	checkAnswer(t, ledger.Why(a, at("10:15")), ledger.MaxRunsReached, "2026-11-20T10:15:00Z did not run: the task has had all its runs (maxRuns: 2).")
}

// A time from before the version in force is taken for itself, not for one that its schedule has within the minute.
func TestWhyOfATimeOfAnEarlierVersion(t *testing.T) {
	a := accountOf(t, `"every":"90s"`, "10:20:30", "10:30")
	a.Accepted.Since = at("10:20:30")
	a.Ledger.Ranges = []nightwatch.LedgerRange{span("10:05", "10:10", 2, missed, nightwatch.ReasonCatchUp)}
	answer := ledger.Why(a, at("10:10")) // it has 10:10:30
	if !answer.At.Equal(at("10:10")) || answer.Range == nil || answer.Reason != nightwatch.ReasonCatchUp {
		t.Errorf("%+v", answer)
	}
}

// What a calendar took away when it changed is not due.
func TestWhyAfterACalendarChanged(t *testing.T) {
	a := accountOf(t, every5+`,"calendars":{"exclude":["cn"]}`, "10:05", "10:23")
	calendar, err := nightwatch.ParseCalendar("cn", []byte(`{"days":["Sat"]}`))
	if err != nil {
		t.Fatal(err)
	}
	a.Calendars = map[string]nightwatch.AcceptedCalendar{"cn": {Since: at("10:22"), Calendar: *calendar}}
	checkAnswer(t, ledger.Why(a, time.Time{}), ledger.WaitsForTheClock, "It waits for its next time, 2026-11-20T10:25:00Z, in 2m.")
}

// A backfill may have run times from before the task was there, of which there are totals only.
func TestWhyOfATimeBeforeTheTask(t *testing.T) {
	for _, row := range []struct{ earliest, reason string }{{"09:00", ledger.BeforeLedger}, {"10:00:30", ledger.BeforeTask}} {
		a := accountOf(t, every5, "10:20", "10:23")
		a.Ledger.Since, a.Status.EarliestTime = at("10:10"), at(row.earliest)
		if answer := ledger.Why(a, at("09:30")); answer.Reason != row.reason {
			t.Errorf("earliest %s: %s", row.earliest, answer.Headline)
		}
	}
}
