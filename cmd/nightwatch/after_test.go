package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// TestDevRunsTasksAfterOthers has a process run after two others, one of which fails, and asks the commands about it.
func TestDevRunsTasksAfterOthers(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	file := filepath.Join(t.TempDir(), "tasks.yaml")
	const tasks = `
name: report
process: {shell: 'echo "$NIGHTWATCH_UPSTREAM"'}
after: {tasks: [load, clean], condition: finished, window: 1h}
---
name: load
process: {command: ["true"]}
schedule: "0 0 1 1 *"
`
	if err := os.WriteFile(file, []byte(tasks), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := d.want(t, "validate", "-f", file); !strings.Contains(out, "after: default/load, default/clean; whether they are there") {
		t.Errorf("validate: %s", out)
	}
	d.want(t, "apply", "-f", file)
	s := d.waitStatus(t, "default/report", func(s *nightwatch.Status) bool {
		return s != nil && s.Reason == nightwatch.ReasonUpstreamMissing && s.Message == "there is no task default/clean"
	})
	if s.Phase != nightwatch.PhaseScheduled || !s.Accepted || len(s.Warnings) != 1 {
		t.Errorf("%+v", s)
	}
	if out, code := d.cli(t, "next", "--task", "report"); code != 1 || !strings.Contains(out, "has no times of its own: it is due when default/load, default/clean have run") {
		t.Errorf("next: exit code %d: %s", code, out)
	}
	d.waitStatus(t, "default/load", func(s *nightwatch.Status) bool { return s != nil && s.Accepted })
	d.want(t, "run", "load", "--id", "first")
	d.waitStatus(t, "default/report", func(s *nightwatch.Status) bool { return len(s.Upstream) == 2 && s.Upstream[0].Waiting != nil })
	if out := d.want(t, "why", "report"); !strings.Contains(out, "UpstreamMissing") || !strings.Contains(out, "Of default/load run req-first, which succeeded at") {
		t.Errorf("why: %s", out)
	}
	put := func(value string) {
		t.Helper()
		if _, err := d.client.Put(t.Context(), "/nightwatch/tasks/default/clean", value); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"process":{"command":["false"]},"after":{"tasks":["report"]}}`)
	refused := d.waitStatus(t, "default/clean", func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseInvalid })
	if len(refused.Errors) != 1 || refused.Errors[0].Field != "after.tasks[0]" || !strings.Contains(refused.Errors[0].Reason, "makes a cycle") {
		t.Errorf("%+v", refused.Errors)
	}
	put(`{"process":{"command":["false"]}}`)
	s = d.waitStatus(t, "default/report", func(s *nightwatch.Status) bool { return s.Counts.Succeeded == 1 })
	for _, part := range []string{`{"task":"default/load","run":"req-first","phase":"Succeeded","exitCode":0,`, `{"task":"default/clean","run":"rev-`, `"phase":"Failed","exitCode":1,`} {
		if !strings.Contains(s.LastRun.Output, part) {
			t.Errorf("output %s, want %s in it", s.LastRun.Output, part)
		}
	}
	if out := d.want(t, "audit", "report"); !strings.Contains(out, "no times of its own") || !strings.Contains(out, s.LastRun.ID) {
		t.Errorf("audit: %s", out)
	}
	if out := d.want(t, "why", "report", "--at", s.LastRun.NominalTime.Format("2006-01-02T15:04:05.999Z07:00")); !strings.Contains(out, "It comes after run req-first of default/load") {
		t.Errorf("why --at: %s", out)
	}
}
