package process_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// modes are the machines that a guard may be on, as far as this one can stand for them.
var modes = []mode{{"as it is", true, true}, {"cgroup v2 only", true, false}, {"cgroup v1 only", false, true}, {"no cgroups", false, false}}

type mode struct {
	name   string
	v2, v1 bool
}

func (m mode) guard() []string {
	return slices.Concat(self, []string{"guard", strconv.FormatBool(m.v2), strconv.FormatBool(m.v1)})
}

func (m mode) runner(t *testing.T, cfg process.Config) *process.Runner {
	t.Helper()
	cfg.Guard = m.guard()
	return newRunner(t, cfg)
}

// TestTreeEverywhere ends families of processes on each kind of machine.
func TestTreeEverywhere(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r, dir := m.runner(t, process.Config{Grace: 100 * time.Millisecond}), t.TempDir()
			a, _ := runnertest.Attempt(t, shell(family(dir, true)))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := start(ctx, r, a)
			ids := pids(t, dir, 3)
			cancel(jobrunner.ErrCancel)
			out := outcome(t, done)
			wantGone(t, ids)
			if out.Phase != nightwatch.PhaseCanceled || out.Usage == nil {
				t.Errorf("%+v: want Canceled, with usage", out)
			}
		})
	}
}

// escape is a script that leaves a process whose session, parent and environment say nothing of where it came from, and
// then goes on as rest says.
func escape(dir, rest string) string {
	return `cd ` + dir + `; (env -i setsid sh -c 'echo $$ >1.tmp; mv 1.tmp 1.pid; exec sleep 60' >/dev/null 2>&1 &)
until [ -e 1.pid ]; do sleep 0.01; done; ` + rest
}

// TestEscapedEverywhere has a process hide, while another attempt keeps the guard from ending all that it has: in a
// control group there is no hiding.
func TestEscapedEverywhere(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r, dir := m.runner(t, process.Config{Grace: 100 * time.Millisecond}), t.TempDir()
			other, saves := runnertest.Attempt(t, shell("sleep 60"))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := start(ctx, r, other)
			<-saves.First()
			if out := run(t, r, shell(escape(dir, "exit 0"))); out.Phase != nightwatch.PhaseSucceeded {
				t.Errorf("%+v: want Succeeded", out)
			}
			escaped := pids(t, dir, 1)
			if _, tracked := process.KeptBy(m.v2, m.v1, false, 0, 0, 0); tracked {
				wantGone(t, escaped)
			}
			cancel(jobrunner.ErrCancel)
			outcome(t, done)
			allGone(t, escaped)
		})
	}
}

// TestLimits has processes run into limits, on each kind of machine: it has to keep them, or refuse.
func TestLimits(t *testing.T) {
	const hungry, busy = "head -c 300000000 /dev/zero | tail >/dev/null", "timeout 1 sh -c 'while :; do :; done'; echo over"
	forks := "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.3 & done; wait; echo all"
	for _, m := range modes {
		for _, tt := range []struct {
			name              string
			limits            nightwatch.ProcessLimits
			memory, cpu, pids int64
			script            string
			kept              func(by string, out jobrunner.Outcome) bool
		}{
			{name: "memory", limits: nightwatch.ProcessLimits{Memory: "64Mi"}, memory: 64 << 20, script: hungry,
				kept: func(by string, out jobrunner.Outcome) bool {
					if by == "rlimit" {
						return out.Reason == nightwatch.ReasonExitCode
					}
					return out.Reason == nightwatch.ReasonOOMKilled && *out.ExitCode == 137 && strings.Contains(out.Message, "process.limits.memory")
				}},
			{name: "memory enough", limits: nightwatch.ProcessLimits{Memory: "64Mi"}, memory: 64 << 20, script: "echo fits",
				kept: func(_ string, out jobrunner.Outcome) bool { return out.Output == "fits\n" }},
			{name: "cpu", limits: nightwatch.ProcessLimits{CPU: "0.2"}, cpu: 200, script: busy,
				kept: func(_ string, out jobrunner.Outcome) bool {
					used := out.Usage.UserSeconds + out.Usage.SystemSeconds
					return out.Output == "over\n" && used > 0 && used < 0.6
				}},
			{name: "pids", limits: nightwatch.ProcessLimits{Pids: 5}, pids: 5, script: forks,
				kept: func(_ string, out jobrunner.Outcome) bool {
					return out.Phase == nightwatch.PhaseFailed && strings.Contains(out.Output, "fork")
				}},
			{name: "pids enough", limits: nightwatch.ProcessLimits{Pids: 10}, pids: 10, script: forks,
				kept: func(_ string, out jobrunner.Outcome) bool { return out.Output == "all\n" }},
			{name: "one process", limits: nightwatch.ProcessLimits{Pids: 1}, pids: 1, script: "echo alone",
				kept: func(_ string, out jobrunner.Outcome) bool { return out.Output == "alone\n" }},
			{name: "all", limits: nightwatch.ProcessLimits{Memory: "64Mi", CPU: "2", Pids: 50}, memory: 64 << 20, cpu: 2000, pids: 50, script: "echo fits",
				kept: func(_ string, out jobrunner.Outcome) bool { return out.Output == "fits\n" }},
		} {
			t.Run(m.name+"/"+tt.name, func(t *testing.T) {
				r := m.runner(t, process.Config{})
				task := shell(tt.script)
				task.Process.Limits = tt.limits
				out := run(t, r, task)
				by, _ := process.KeptBy(m.v2, m.v1, false, tt.memory, tt.cpu, tt.pids)
				if by == "" {
					if out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, "process.limits.") {
						t.Errorf("%+v: want StartRefused", out)
					}
					return
				}
				if out.Usage == nil || out.Usage.LimitedBy != by || !tt.kept(by, out) {
					t.Errorf("kept by %q: %+v, usage %+v", by, out, out.Usage)
				}
			})
		}
	}
}

// Where resource limits are set by the runtime's own process, before it executes the program, no collection of garbage is
// under way then: its end takes memory, and threads.
func TestNoCollectionOfGarbageUnderLimits(t *testing.T) {
	r := newRunner(t, process.Config{Guard: slices.Concat([]string{"/usr/bin/env", "GOGC=1", "GODEBUG=gctrace=1"}, mode{}.guard())})
	task := shell("echo fits; echo $GOGC")
	task.Process.Limits = nightwatch.ProcessLimits{Memory: "64Mi"}
	if out := run(t, r, task); out.Output != "fits\n\n" {
		t.Errorf("%+v", out)
	}
}

// TestUsage has a process use some of everything.
func TestUsage(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := m.runner(t, process.Config{})
			out := run(t, r, shell("head -c 200000000 /dev/zero | tail >/dev/null; exit 3"))
			used := out.Usage
			if out.Reason != nightwatch.ReasonExitCode || used == nil {
				t.Fatalf("%+v: want exit code 3, with usage", out)
			}
			if used.UserSeconds+used.SystemSeconds <= 0 || used.MaxRSSBytes < 200_000_000 || used.MaxRSSBytes > 1<<30 || used.LimitedBy != "" {
				t.Errorf("usage %+v of a process of 200 MB", used)
			}
			if out := run(t, r, shell("true")); out.Usage == nil || out.Usage.MaxRSSBytes > 100<<20 {
				t.Errorf("usage %+v of true", out.Usage)
			}
		})
	}
}

// TestExecStep has programs be executed by way of the guard's own binary: nothing of that shows.
func TestExecStep(t *testing.T) {
	r := modes[3].runner(t, process.Config{Environ: []string{"PATH=/usr/bin:/bin"}})
	limited := func(p nightwatch.ProcessSpec) *nightwatch.Task {
		p.Limits.Memory = "512Mi"
		return &nightwatch.Task{Process: &p}
	}
	out := run(t, r, limited(nightwatch.ProcessSpec{Command: []string{"env"}}))
	if out.Phase != nightwatch.PhaseSucceeded || strings.Contains(out.Output, "NIGHTWATCH_GUARD_EXEC") || !strings.Contains(out.Output, "NIGHTWATCH_RUN=") {
		t.Errorf("%+v: want the task's environment", out)
	}
	plain := nightwatch.ProcessSpec{Shell: "cat; ls /proc/self/fd; umask", Stdin: "input\n", Umask: "0027"}
	want := run(t, r, &nightwatch.Task{Process: &plain})
	if out = run(t, r, limited(plain)); out.Output != want.Output || !strings.Contains(out.Output, "0027\n") {
		t.Errorf("%+v: want %q", out, want.Output)
	}
	out = run(t, r, limited(nightwatch.ProcessSpec{Shell: "ulimit -v"}))
	if want := fmt.Sprintf("%d\n", 512<<10); out.Output != want {
		t.Errorf("%+v: want %q", out, want)
	}
	for _, command := range []string{"/no/such/file", "/etc/passwd"} {
		out = run(t, r, limited(nightwatch.ProcessSpec{Command: []string{command}}))
		if out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, "exec "+command+": ") || out.ExitCode != nil {
			t.Errorf("%+v: want StartRefused", out)
		}
	}
}
