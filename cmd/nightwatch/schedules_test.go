package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// TestDevAccountsForSchedules goes through the commands about schedules that need a node to answer.
func TestDevAccountsForSchedules(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	file := filepath.Join(t.TempDir(), "tasks.yaml")
	const tasks = `
name: daily
schedule: "30 2 * * *"
timeZone: Asia/Shanghai
process: {shell: 'echo "$NIGHTWATCH_NOMINAL_TIME $NIGHTWATCH_PARAMS"'}
---
name: slow
schedule: "30 2 * * *"
process: {command: [sleep, "3600"]}
`
	if err := os.WriteFile(file, []byte(tasks), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, "apply", "-f", file)
	scheduled := func(s *nightwatch.Status) bool { return s != nil && s.AcceptedRevision > 0 }
	d.waitStatus(t, "default/daily", scheduled)
	d.waitStatus(t, "default/slow", scheduled)

	if out := d.want(t, "next", "--task", "daily", "--from", "2026-11-20", "-n", "1"); !strings.Contains(out, "2026-11-20T02:30:00+08:00   Fri   2026-11-19T18:30:00Z") {
		t.Errorf("next: %s", out)
	}

	// Half-open, in the task's zone: three days of January.
	week := []string{"backfill", "daily", "--from", "2026-01-05T02:30", "--to", "2026-01-08T02:30"}
	const listed = "  2026-01-04T18:30:00Z\n  2026-01-05T18:30:00Z\n  2026-01-06T18:30:00Z\n"
	if out := d.want(t, append(week, "--dry-run")...); out != "default/daily would run 3 times:\n"+listed {
		t.Errorf("dry run: %q", out)
	}
	d.want(t, append(week, "--id", "week", "--param", "why=late")...)
	done := d.waitStatus(t, "default/daily", func(s *nightwatch.Status) bool { return s.Counts.Succeeded == 3 && len(s.Backfills) == 0 })
	if at := time.Date(2026, 1, 6, 18, 30, 0, 0, time.UTC); done.LastRun.NominalTime != at || done.LastRun.Output != "2026-01-06T18:30:00Z {\"why\":\"late\"}\n" {
		t.Errorf("last run %+v, want that of %s", done.LastRun, at)
	}
	if out := d.want(t, append(week, "--id", "week")...); out != "default/daily runs 3 times:\n"+listed+"To cancel it: nightwatch cancel default/daily --run req-week\n" {
		t.Errorf("the same id again: %q", out)
	}
	if out := d.want(t, week...); out != "default/daily: nothing to run: it has no time there that has not run\n" {
		t.Errorf("the same times again: %q", out)
	}
	if out := d.want(t, "why", "daily", "--at", "2026-01-06 02:30"); !strings.Contains(out, "2026-01-06T02:30:00+08:00") || !strings.Contains(out, "succeeded") {
		t.Errorf("why: %s", out)
	}
	if out := d.want(t, "audit", "daily"); strings.Count(out, "Succeeded") != 3 || !strings.Contains(out, "all of them accounted for.\n") {
		t.Errorf("audit: %s", out)
	}

	// What is refused, by the request's own check and by the cluster.
	if out, code := d.cli(t, "backfill", "daily", "--from", "2026-01-08", "--to", "2026-01-05"); code != 2 || !strings.Contains(out, "is not after from") {
		t.Errorf("backfill that ends before it begins: exit code %d: %s", code, out)
	}
	if out, code := d.cli(t, "backfill", "daily", "--from", "2026-01-05", "--to", "2099-01-01"); code != 1 || !strings.Contains(out, "refused: to: 2098-12-31T16:00:00Z is in the future") {
		t.Errorf("backfill of the future: exit code %d: %s", code, out)
	}
	if out, code := d.cli(t, "backfill", "daily", "--from", "2026-01-05", "--to", "2026-01-08", "--max-parallel", "2"); code != 1 || !strings.Contains(out, "maxParallel: 2: ") {
		t.Errorf("backfill that overlaps: exit code %d: %s", code, out)
	}
	if out, code := d.cli(t, "backfill", "nothing", "--from", "2026-01-05", "--to", "2026-01-08"); code != 1 || !strings.Contains(out, `there is no task "default/nothing"`) {
		t.Errorf("backfill of a task that is not there: exit code %d: %s", code, out)
	}

	// A backfill that is canceled by its name.
	d.want(t, "backfill", "slow", "--from", "2026-01-05", "--to", "2026-01-08", "--id", "long", "--overlap", "allow", "--max-parallel", "2")
	d.waitStatus(t, "default/slow", func(s *nightwatch.Status) bool { return s.ActiveCount == 2 })
	if out := d.want(t, "status", "slow"); !strings.Contains(out, "req-long, from 2026-01-05T00:00:00Z up to 2026-01-08T00:00:00Z") || !strings.Contains(out, "2 at once") {
		t.Errorf("status during a backfill: %s", out)
	}
	if out := d.want(t, "cancel", "slow", "--run", "req-long"); out != "canceling req-long\n" {
		t.Errorf("cancel printed %q", out)
	}
	d.waitStatus(t, "default/slow", func(s *nightwatch.Status) bool { return s.Counts.Canceled == 2 && len(s.Backfills) == 0 })

	// A pause shows wherever one looks.
	d.want(t, "pause", "--all", "--for", "2h", "--note", "moving house")
	d.waitStatus(t, "default/daily", func(s *nightwatch.Status) bool { return s.Still == nightwatch.ReasonFrozen })
	for _, command := range []string{"status", "why"} {
		if out := d.want(t, command, "daily"); !strings.Contains(out, "moving house") {
			t.Errorf("%s of a task that is paused: %s", command, out)
		}
	}
	d.want(t, "resume", "--all")
	d.waitStatus(t, "default/daily", inPhase(nightwatch.PhaseScheduled))
}

// TestDevTellsOfCalendars: a calendar moves the tasks that use it, and a broken one says what is wrong with it.
func TestDevTellsOfCalendars(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	put := func(key, value string) {
		t.Helper()
		if _, err := d.client.Put(t.Context(), "/nightwatch/"+key, value); err != nil {
			t.Fatal(err)
		}
	}
	put("tasks/default/daily", `{"schedule":"0 9 * * *","calendars":{"exclude":["holidays"]},"process":{"command":["true"]}}`)
	d.waitStatus(t, "default/daily", func(s *nightwatch.Status) bool {
		return s != nil && s.Still == nightwatch.ReasonCalendarMissing
	})
	if out, code := d.cli(t, "next", "--task", "daily"); code != 1 || !strings.Contains(out, "default/daily: calendars that it uses are not in force: holidays") {
		t.Errorf("next without the calendar: exit code %d: %s", code, out)
	}
	put("calendars/holidays", `{"days":["--12-25/--12-26"]}`)
	d.waitStatus(t, "default/daily", inPhase(nightwatch.PhaseScheduled))
	if out := d.want(t, "next", "--task", "daily", "--from", "2026-12-24", "-n", "2", "-o", "json"); !strings.Contains(out, "2026-12-24T09:00:00Z") || !strings.Contains(out, "2026-12-27T09:00:00Z") {
		t.Errorf("next: %s", out)
	}
	if out := d.want(t, "get", "calendars"); !strings.Contains(out, "holidays   true ") {
		t.Errorf("calendars: %s", out)
	}
	put("calendars/broken", `{"days":["2026-02-30"]}`)
	for deadline := time.Now().Add(patience); ; {
		out := d.want(t, "get", "calendars", "broken")
		if strings.Contains(out, "false") && strings.Contains(out, `days[0]: "2026-02-30"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("calendars: %s", out)
		}
	}
}
