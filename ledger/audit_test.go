package ledger_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

// lines are a report's entries, a line each.
func lines(r ledger.Report) []string {
	var lines []string
	for _, e := range r.Entries {
		line := e.From.Format("15:04:05") + "-" + e.To.Format("15:04:05")
		for _, word := range []string{fmt.Sprint(e.Count), e.State, string(e.Outcome), e.Reason, e.Run} {
			if word != "" {
				line += " " + word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func clocks(times []time.Time) string {
	var texts []string
	for _, t := range times {
		texts = append(texts, t.Format("15:04:05"))
	}
	return strings.Join(texts, " ")
}

func TestAudit(t *testing.T) {
	const yearly = `"schedule":"0 0 1 1 *"`
	request := runAt("10:07", succeeded)
	request.ID = "req-x"
	foreign := runAt("10:05", succeeded)
	foreign.TaskUID = 7
	for _, row := range []struct {
		name   string
		fields string // default: every five minutes
		cursor string // default: now
		now    string // default: 10:20:02
		since  time.Time
		change func(*ledger.Account)
		runs   []nightwatch.Run
		ranges []nightwatch.LedgerRange

		want                      []string
		unaccounted, twice, extra string
		miscounted                int
		undecided                 int64
		from                      string // default: 10:00:30
	}{
		{
			name: "all in order", runs: []nightwatch.Run{runAt("10:15", succeeded), runAt("10:20", nightwatch.PhaseRunning)},
			ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			want: []string{
				"10:05:00-10:10:00 2 accounted Succeeded", "10:15:00-10:15:00 1 accounted Succeeded 20261120T101500Z",
				"10:20:00-10:20:00 1 accounted Running 20261120T102000Z",
			},
		},
		{
			name: "nothing has been due yet", fields: yearly, cursor: "10:00:30",
		},
		{
			name: "one is lost", runs: []nightwatch.Run{runAt("10:15", succeeded), runAt("10:20", succeeded)},
			ranges: []nightwatch.LedgerRange{one("10:05", succeeded)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Succeeded", "10:10:00-10:10:00 1 unaccounted",
				"10:15:00-10:15:00 1 accounted Succeeded 20261120T101500Z", "10:20:00-10:20:00 1 accounted Succeeded 20261120T102000Z",
			},
			unaccounted: "10:10:00",
		},
		{
			name: "neighbours that are lost are one entry", runs: []nightwatch.Run{runAt("10:20", succeeded)},
			want: []string{
				"10:05:00-10:15:00 3 unaccounted", "10:20:00-10:20:00 1 accounted Succeeded 20261120T102000Z",
			},
			unaccounted: "10:05:00 10:10:00 10:15:00",
		},
		{
			name: "due a moment ago", cursor: "10:15", runs: []nightwatch.Run{runAt("10:15", succeeded)},
			ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			want: []string{
				"10:05:00-10:10:00 2 accounted Succeeded", "10:15:00-10:15:00 1 accounted Succeeded 20261120T101500Z", "10:20:00-10:20:00 1 undecided",
			},
			undecided: 1,
		},
		{
			name: "overdue", cursor: "10:15", now: "10:20:11", ranges: []nightwatch.LedgerRange{several("10:05", "10:15", 3, succeeded)},
			want:        []string{"10:05:00-10:15:00 3 accounted Succeeded", "10:20:00-10:20:00 1 unaccounted"},
			unaccounted: "10:20:00",
		},
		{
			name: "suspended time", cursor: "10:10", now: "10:32", fields: every5 + `,"suspend":true`, ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			want:      []string{"10:05:00-10:10:00 2 accounted Succeeded", "10:15:00-10:30:00 4 undecided"},
			undecided: 4,
		},
		{
			name: "frozen time, before the status says so", cursor: "10:10", now: "10:32", ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			change:    func(a *ledger.Account) { a.Freezes = map[string]nightwatch.Freeze{"_cluster": {}} },
			want:      []string{"10:05:00-10:10:00 2 accounted Succeeded", "10:15:00-10:30:00 4 undecided"},
			undecided: 4,
		},
		{
			name: "a backfill in suspended time", cursor: "10:10", now: "10:22", fields: every5 + `,"suspend":true`,
			ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)}, runs: []nightwatch.Run{runAt("10:15", succeeded)},
			want: []string{
				"10:05:00-10:10:00 2 accounted Succeeded", "10:15:00-10:15:00 1 accounted Succeeded 20261120T101500Z", "10:20:00-10:20:00 1 undecided",
			},
			undecided: 1,
		},
		{
			name: "no runs left", cursor: "10:10", now: "11:00", fields: every5 + `,"maxRuns":2`, ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			change: func(a *ledger.Account) { a.Status.StartedRuns = 2 },
			want:   []string{"10:05:00-10:10:00 2 accounted Succeeded"},
		},
		{
			name: "the task's key is gone", cursor: "10:10", now: "11:00", ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			change: func(a *ledger.Account) { a.Value = nil },
			want:   []string{"10:05:00-10:10:00 2 accounted Succeeded"},
		},
		{
			name: "a clock behind the scheduler's", cursor: "10:10", now: "10:09:58", ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)},
			want: []string{"10:05:00-10:10:00 2 accounted Succeeded"},
		},
		{
			name: "a record and a range of one", cursor: "10:10", now: "10:10", runs: []nightwatch.Run{runAt("10:10", succeeded)},
			ranges: []nightwatch.LedgerRange{one("10:05", succeeded), one("10:10", failed)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Succeeded", "10:10:00-10:10:00 1 twice Succeeded 20261120T101000Z",
			},
			twice: "10:10:00",
		},
		{
			name: "a record that a range counts too", runs: []nightwatch.Run{runAt("10:10", succeeded)},
			ranges: []nightwatch.LedgerRange{several("10:05", "10:20", 4, skipped)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Skipped", "10:10:00-10:10:00 1 accounted Succeeded 20261120T101000Z",
				"10:15:00-10:20:00 2 accounted Skipped",
			},
			twice: "10:10:00",
		},
		{
			name: "a record that a range leaves out", runs: []nightwatch.Run{runAt("10:10", succeeded)},
			ranges: []nightwatch.LedgerRange{several("10:05", "10:20", 3, skipped)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Skipped", "10:10:00-10:10:00 1 accounted Succeeded 20261120T101000Z",
				"10:15:00-10:20:00 2 accounted Skipped",
			},
		},
		{
			name: "ranges that overlap", ranges: []nightwatch.LedgerRange{several("10:05", "10:15", 3, skipped), several("10:15", "10:20", 2, missed)},
			want: []string{
				"10:05:00-10:10:00 2 accounted Skipped", "10:15:00-10:15:00 1 twice Skipped", "10:20:00-10:20:00 1 accounted Missed",
			},
			twice: "10:15:00",
		},
		{
			name: "a range that counts too few", ranges: []nightwatch.LedgerRange{several("10:05", "10:20", 3, skipped)},
			want:       []string{"10:05:00-10:20:00 4 accounted Skipped"},
			miscounted: 1,
		},
		{
			name: "a range that counts too many", ranges: []nightwatch.LedgerRange{several("10:05", "10:20", 5, skipped)},
			want:       []string{"10:05:00-10:20:00 4 accounted Skipped"},
			miscounted: 1,
		},
		{
			name: "a record outside the schedule", cursor: "10:05", now: "10:08", runs: []nightwatch.Run{runAt("10:05", succeeded), runAt("10:07", failed)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Succeeded 20261120T100500Z", "10:07:00-10:07:00 1 extra Failed 20261120T100700Z",
			},
			extra: "10:07:00",
		},
		{
			name: "a range outside the schedule", cursor: "10:05", now: "10:08", runs: []nightwatch.Run{runAt("10:05", succeeded)},
			ranges: []nightwatch.LedgerRange{several("10:06", "10:07", 2, missed)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Succeeded 20261120T100500Z", "10:06:00-10:07:00 2 extra Missed",
			},
			extra: "10:06:00",
		},
		{
			name: "a range that ends outside the schedule", cursor: "10:08", now: "10:08", ranges: []nightwatch.LedgerRange{several("10:05", "10:07", 2, missed)},
			want:  []string{"10:05:00-10:05:00 1 accounted Missed", "10:05:00-10:07:00 1 extra Missed"},
			extra: "10:07:00",
		},
		{
			name: "a range behind the cursor", cursor: "10:05", now: "10:08", ranges: []nightwatch.LedgerRange{one("10:05", missed), one("10:10", missed)},
			want:  []string{"10:05:00-10:05:00 1 accounted Missed", "10:10:00-10:10:00 1 extra Missed"},
			extra: "10:10:00",
		},
		{
			name: "before the version in force", runs: []nightwatch.Run{runAt("09:58", succeeded), runAt("10:20", succeeded)},
			ranges: []nightwatch.LedgerRange{several("09:01", "09:57", 12, succeeded), several("10:05", "10:15", 3, succeeded)},
			want: []string{
				"09:01:00-09:57:00 12 unchecked Succeeded", "09:58:00-09:58:00 1 unchecked Succeeded 20261120T095800Z",
				"10:05:00-10:15:00 3 accounted Succeeded", "10:20:00-10:20:00 1 accounted Succeeded 20261120T102000Z",
			},
		},
		{
			name: "since a time inside a range", since: at("10:07"), from: "10:07:00",
			ranges: []nightwatch.LedgerRange{several("10:05", "10:20", 4, succeeded)},
			want:   []string{"10:10:00-10:20:00 3 accounted Succeeded"},
		},
		{
			name: "since a time inside a range that counts too few", since: at("10:07"), from: "10:07:00",
			ranges:     []nightwatch.LedgerRange{several("10:05", "10:20", 2, succeeded)},
			want:       []string{"10:10:00-10:20:00 3 accounted Succeeded"},
			miscounted: 1,
		},
		{
			name: "what was before since is not listed", since: at("10:12"), from: "10:12:00", runs: []nightwatch.Run{runAt("10:05", failed), runAt("10:15", succeeded), runAt("10:20", succeeded)},
			ranges: []nightwatch.LedgerRange{one("10:10", missed)},
			want: []string{
				"10:15:00-10:15:00 1 accounted Succeeded 20261120T101500Z", "10:20:00-10:20:00 1 accounted Succeeded 20261120T102000Z",
			},
		},
		{
			name: "since the future", since: at("12:00"), from: "12:00:00", ranges: []nightwatch.LedgerRange{one("10:10", missed)},
		},
		{
			name: "the ledger tells of less", from: "10:10:00", ranges: []nightwatch.LedgerRange{several("10:15", "10:20", 2, succeeded)},
			change: func(a *ledger.Account) {
				a.Ledger.Since, a.Ledger.Totals = at("10:10"), nightwatch.Counts{Failed: 2}
			},
			want: []string{"10:15:00-10:20:00 2 accounted Succeeded"},
		},
		{
			name: "requests and other lives are listed", cursor: "10:05", now: "10:08", runs: []nightwatch.Run{foreign, request},
			ranges: []nightwatch.LedgerRange{one("10:05", missed)},
			want: []string{
				"10:05:00-10:05:00 1 accounted Missed", "10:05:00-10:05:00 1 unchecked Succeeded 20261120T100500Z", "10:07:00-10:07:00 1 unchecked Succeeded req-x",
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			fields, now := row.fields, row.now
			if fields == "" {
				fields = every5
			}
			if now == "" {
				now = "10:20:02"
			}
			cursor := row.cursor
			if cursor == "" {
				cursor = now
			}
			a := accountOf(t, fields, cursor, now)
			a.Runs, a.Ledger.Ranges = row.runs, row.ranges
			if row.change != nil {
				row.change(&a)
			}
			r := ledger.Audit(a, row.since)
			if got := lines(r); !slices.Equal(got, row.want) {
				t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(row.want, "\n     "))
			}
			if got := clocks(r.Unaccounted); got != row.unaccounted {
				t.Errorf("unaccounted %q, want %q", got, row.unaccounted)
			}
			if got := clocks(r.Twice); got != row.twice {
				t.Errorf("twice %q, want %q", got, row.twice)
			}
			if got := clocks(r.Extra); got != row.extra {
				t.Errorf("extra %q, want %q", got, row.extra)
			}
			if len(r.Miscounted) != row.miscounted {
				t.Errorf("miscounted %+v", r.Miscounted)
			}
			if r.Undecided != row.undecided {
				t.Errorf("%d undecided, want %d", r.Undecided, row.undecided)
			}
			if want := row.unaccounted+row.twice+row.extra == "" && row.miscounted == 0; r.OK != want {
				t.Errorf("ok is %v, want %v", r.OK, want)
			}
			from := row.from
			if from == "" {
				from = "10:00:30"
			}
			if got := r.From.Format("15:04:05"); got != from || r.FromReason == "" {
				t.Errorf("checked from %s, %q, want %s", got, r.FromReason, from)
			}
		})
	}
}

func TestAuditTotals(t *testing.T) {
	a := accountOf(t, every5, "10:20", "10:20:02")
	a.Runs = []nightwatch.Run{runAt("10:20", nightwatch.PhaseRunning)}
	a.Ledger = nightwatch.Ledger{
		Since: at("10:02"), Totals: nightwatch.Counts{Succeeded: 7},
		Ranges: []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded), one("10:15", missed)},
	}
	r := ledger.Audit(a, time.Time{})
	if want := map[nightwatch.Phase]int64{succeeded: 2, missed: 1, nightwatch.PhaseRunning: 1}; !reflect.DeepEqual(r.Totals, want) {
		t.Errorf("totals %v, want %v", r.Totals, want)
	}
	if r.Earlier.Succeeded != 7 || !r.EarlierTo.Equal(at("10:02")) || r.Expected != 4 {
		t.Errorf("earlier %+v up to %s, %d expected", r.Earlier, r.EarlierTo, r.Expected)
	}
	if later := ledger.Audit(a, at("10:12")); later.Earlier != (nightwatch.Counts{}) || later.Expected != 2 {
		t.Errorf("since 10:12: earlier %+v, %d expected", later.Earlier, later.Expected)
	}
	data, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(data), `"totals":{"Missed":1,"Running":1,"Succeeded":2}`) || !strings.Contains(string(data), `"unaccountedCount":0`) {
		t.Errorf("%s, %v", data, err)
	}
}

// Shards are parts of runs: neither missed nor extra, nor counted.
func TestAuditLeavesShardsOut(t *testing.T) {
	a := accountOf(t, every5, "10:10", "10:10:02")
	whole := runAt("10:05", failed)
	whole.Shards = &nightwatch.RunShards{Count: 2, Succeeded: "0", Failed: "1"}
	a.Runs = []nightwatch.Run{whole}
	for k, phase := range []nightwatch.Phase{succeeded, failed} {
		shard := runAt("10:05", phase)
		shard.ID, shard.Shard = nightwatch.ShardRunID(whole.ID, k), &nightwatch.RunShard{Of: whole.ID, Index: k, Count: 2}
		a.Runs = append(a.Runs, shard)
	}
	a.Runs = append(a.Runs, runAt("10:10", nightwatch.PhaseRunning))
	r := ledger.Audit(a, time.Time{})
	if want := map[nightwatch.Phase]int64{failed: 1, nightwatch.PhaseRunning: 1}; !r.OK || !reflect.DeepEqual(r.Totals, want) || len(r.Entries) != 2 {
		t.Errorf("%+v", r)
	}
	if answer := ledger.Why(a, time.Time{}); answer.Run.ID != nightwatch.ScheduledRunID(at("10:10")) || len(a.Runs) != 4 {
		t.Errorf("%+v", answer)
	}
}

// What was expected cannot always be known; then what happened is listed all the same.
func TestAuditUnchecked(t *testing.T) {
	submission := runAt("10:07", failed)
	submission.ID = "rev-12"
	for _, row := range []struct {
		name   string
		fields string
		change func(*ledger.Account)
		run    nightwatch.Run
		why    string
	}{
		{name: "no schedule", fields: `"priority":1`, run: submission, why: "the task has no schedule"},
		{name: "a calendar is missing", fields: every5 + `,"calendars":{"exclude":["cn"]}`, run: runAt("10:05", failed), why: "not in force: cn"},
		{name: "never accepted", fields: every5, change: func(a *ledger.Account) { a.Accepted = nil }, run: runAt("10:05", failed), why: "ever accepted"},
		{name: "no status", fields: every5, change: func(a *ledger.Account) { a.Status = nil }, run: runAt("10:05", failed), why: "status is not there"},
		{name: "no since", fields: every5, change: func(a *ledger.Account) { a.Accepted.Since = time.Time{} }, run: runAt("10:05", failed), why: "since when"},
		{name: "after the last one", fields: `"afterFinish":"10m"`, change: func(a *ledger.Account) { a.Status.LastEndTime = at("10:15") }, run: runAt("10:05", failed), why: "afterFinish"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := accountOf(t, row.fields, "10:05", "10:20")
			a.Runs, a.Ledger.Ranges = []nightwatch.Run{row.run}, []nightwatch.LedgerRange{one("10:02", missed)}
			if row.change != nil {
				row.change(&a)
			}
			r := ledger.Audit(a, time.Time{})
			if !strings.Contains(r.Unchecked, row.why) || !r.OK {
				t.Errorf("unchecked: %q, ok %v", r.Unchecked, r.OK)
			}
			clock := row.run.NominalTime.Format("15:04:05")
			want := []string{"10:02:00-10:02:00 1 unchecked Missed", clock + "-" + clock + " 1 unchecked Failed " + row.run.ID}
			if got := lines(r); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAuditAfterFinish(t *testing.T) {
	for _, row := range []struct {
		name        string
		now         string
		change      func(*ledger.Account)
		unaccounted string
		undecided   int64
	}{
		{name: "its time has not come", now: "10:24:59"},
		{name: "due", now: "10:25:05", undecided: 1},
		{name: "overdue", now: "10:25:11", unaccounted: "10:25:00"},
		{name: "a record tells of a later end than the status", now: "10:25:11", change: func(a *ledger.Account) {
			a.Runs = []nightwatch.Run{runAt("10:20", succeeded)}
		}},
		{name: "a run is live", now: "11:00", change: func(a *ledger.Account) {
			a.Runs = []nightwatch.Run{runAt("10:25", nightwatch.PhaseRunning)}
		}},
		{name: "suspended", now: "11:00", change: func(a *ledger.Account) { a.Accepted.Task.Suspend = true }, undecided: 1},
		{name: "no runs left", now: "11:00", change: func(a *ledger.Account) { a.Accepted.Task.MaxRuns, a.Status.StartedRuns = 3, 3 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := accountOf(t, `"afterFinish":"10m"`, "10:05", row.now)
			a.Status.LastEndTime = at("10:15")
			if row.change != nil {
				row.change(&a)
			}
			r := ledger.Audit(a, time.Time{})
			if got := clocks(r.Unaccounted); got != row.unaccounted || r.OK != (got == "") || r.Undecided != row.undecided {
				t.Errorf("unaccounted %q, undecided %d, ok %v", got, r.Undecided, r.OK)
			}
		})
	}
}

// A report is bounded; the next one goes on where it ended.
func TestAuditIsBounded(t *testing.T) {
	a := accountOf(t, `"every":"100ms"`, "14:00", "14:00")
	span := nightwatch.LedgerRange{From: at("10:00:30.100"), To: at("14:00"), Outcome: missed}
	span.Count = int64(span.To.Sub(span.From)/(100*time.Millisecond)) + 1
	a.Ledger.Ranges = []nightwatch.LedgerRange{span}
	r := ledger.Audit(a, time.Time{})
	if !r.OK || !r.More || r.Expected != 100_000 || !r.To.Equal(at("10:00:30").Add(10_000*time.Second)) || len(r.Entries) != 1 {
		t.Errorf("ok %v, more %v, %d expected up to %s, %d entries", r.OK, r.More, r.Expected, r.To, len(r.Entries))
	}
	next := ledger.Audit(a, r.To)
	if !next.OK || next.More || next.Expected != span.Count-100_000 || !next.To.Equal(at("14:00")) {
		t.Errorf("ok %v, more %v, %d expected up to %s: %+v", next.OK, next.More, next.Expected, next.To, next.Entries)
	}

	a.Ledger.Ranges = nil
	r = ledger.Audit(a, time.Time{})
	if r.UnaccountedCount != 100_000 || len(r.Unaccounted) != 100 || len(r.Entries) != 1 || r.OK {
		t.Errorf("%d unaccounted, %d named, %d entries", r.UnaccountedCount, len(r.Unaccounted), len(r.Entries))
	}
}

func TestAuditFromACalendarsChange(t *testing.T) {
	a := accountOf(t, every5+`,"calendars":{"exclude":["cn"]}`, "10:20", "10:20:02")
	calendar, err := nightwatch.ParseCalendar("cn", []byte(`{"days":["--12-25"]}`))
	if err != nil {
		t.Fatal(err)
	}
	a.Calendars = map[string]nightwatch.AcceptedCalendar{"cn": {Revision: 50, Since: at("10:12"), Calendar: *calendar}}
	a.Ledger.Ranges = []nightwatch.LedgerRange{several("10:05", "10:20", 4, succeeded)}
	r := ledger.Audit(a, time.Time{})
	want := []string{"10:05:00-10:12:00 2 unchecked Succeeded", "10:15:00-10:20:00 2 accounted Succeeded"}
	if got := lines(r); !slices.Equal(got, want) || !r.OK || !r.From.Equal(at("10:12")) || !strings.Contains(r.FromReason, "cn") {
		t.Errorf("got %q, ok %v, from %s (%s)", got, r.OK, r.From, r.FromReason)
	}
}

func TestAuditWithJitter(t *testing.T) {
	a := accountOf(t, every5+`,"jitter":"4m"`, "10:10", "10:15:00")
	a.Ledger.Ranges = []nightwatch.LedgerRange{several("10:05", "10:10", 2, succeeded)}
	start := a.Accepted.Task.Times().Due(at("10:15"))
	for _, row := range []struct {
		name string
		now  time.Time
		ok   bool
	}{
		{name: "before it may start", now: start.Add(-time.Millisecond), ok: true},
		{name: "about to be met", now: start.Add(10 * time.Second), ok: true},
		{name: "overdue", now: start.Add(10*time.Second + time.Millisecond)},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := a
			a.Now = row.now
			if r := ledger.Audit(a, time.Time{}); r.OK != row.ok {
				t.Errorf("ok %v: %q", r.OK, lines(r))
			}
		})
	}
}
