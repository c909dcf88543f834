package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

func TestOutcomes(t *testing.T) {
	r := newRunner(t, process.Config{})
	dir := t.TempDir()
	script := filepath.Join(dir, "no-interpreter")
	if err := os.WriteFile(script, []byte("#!/nonexistent\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		spec    nightwatch.ProcessSpec
		phase   nightwatch.Phase
		reason  string
		message string
		output  string
		code    int
	}{
		{name: "command", spec: nightwatch.ProcessSpec{Command: []string{"echo", "a  b", "$HOME"}}, phase: nightwatch.PhaseSucceeded, output: "a  b $HOME\n"},
		{name: "python", spec: nightwatch.ProcessSpec{Python: "print(6*7)"}, phase: nightwatch.PhaseSucceeded, output: "42\n"},
		{name: "both outputs in their order", spec: nightwatch.ProcessSpec{Shell: "echo 1; echo 2 >&2; echo 3"}, phase: nightwatch.PhaseSucceeded, output: "1\n2\n3\n"},
		{name: "directory", spec: nightwatch.ProcessSpec{Shell: "pwd", Dir: "/usr"}, phase: nightwatch.PhaseSucceeded, output: "/usr\n"},
		{name: "program in the directory", spec: nightwatch.ProcessSpec{Command: []string{"bin/echo", "x"}, Dir: "/usr"}, phase: nightwatch.PhaseSucceeded, output: "x\n"},
		{name: "input", spec: nightwatch.ProcessSpec{Command: []string{"cat"}, Stdin: "to\x00 you"}, phase: nightwatch.PhaseSucceeded, output: "to\x00 you"},
		{name: "no input", spec: nightwatch.ProcessSpec{Command: []string{"cat"}}, phase: nightwatch.PhaseSucceeded},
		{name: "input nobody reads", spec: nightwatch.ProcessSpec{Shell: "exec <&-; echo done", Stdin: strings.Repeat("x", 300_000)}, phase: nightwatch.PhaseSucceeded, output: "done\n"},
		{name: "environment", spec: nightwatch.ProcessSpec{Shell: "echo $COLOR", Env: map[string]nightwatch.TextOrFile{"COLOR": {Text: "red"}}}, phase: nightwatch.PhaseSucceeded, output: "red\n"},
		{name: "exit code", spec: nightwatch.ProcessSpec{Shell: "echo no; exit 3"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonExitCode, message: "exit code 3", output: "no\n", code: 3},
		{name: "signal", spec: nightwatch.ProcessSpec{Shell: "kill -SEGV $$"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonSignal, message: "signal 11 (segmentation fault)", code: 139},
		{name: "pipe signal is not ignored", spec: nightwatch.ProcessSpec{Shell: "kill -PIPE $$; echo alive"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonSignal, code: 141},
		{name: "no such program", spec: nightwatch.ProcessSpec{Command: []string{"no-such-program"}}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "not found in PATH", code: -1},
		{name: "no such file", spec: nightwatch.ProcessSpec{Command: []string{"/no/such/file"}}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "/no/such/file: no such file or directory", code: -1},
		{name: "not executable", spec: nightwatch.ProcessSpec{Command: []string{plain}}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "permission denied", code: -1},
		{name: "no interpreter", spec: nightwatch.ProcessSpec{Command: []string{script}}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "no such file", code: -1},
		{name: "no such directory", spec: nightwatch.ProcessSpec{Shell: "true", Dir: "/no/such/dir"}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "directory: stat /no/such/dir", code: -1},
		{name: "argument too long", spec: nightwatch.ProcessSpec{Command: []string{"true", strings.Repeat("x", 200_000)}}, phase: nightwatch.PhaseFailed, reason: nightwatch.ReasonStartRefused, message: "argument list too long", code: -1},
		{name: "large environment", spec: nightwatch.ProcessSpec{Shell: "echo ${#BIG}", Env: map[string]nightwatch.TextOrFile{"BIG": {Text: strings.Repeat("x", 100_000)}}}, phase: nightwatch.PhaseSucceeded, output: "100000\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := run(t, r, &nightwatch.Task{Process: &tt.spec})
			if out.Phase != tt.phase || out.Reason != tt.reason || !strings.Contains(out.Message, tt.message) || out.Output != tt.output {
				t.Errorf("outcome %+v: want %s %s, message %q, output %q", out, tt.phase, tt.reason, tt.message, tt.output)
			}
			if started := tt.code >= 0; started != (out.ExitCode != nil) || started && *out.ExitCode != tt.code {
				t.Errorf("exit code %v: want %d", out.ExitCode, tt.code)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	r := newRunner(t, process.Config{Environ: []string{
		"PATH=/usr/bin:/bin", "HOME=/home/nw", "LC_TIME=C", "TZ=Asia/Shanghai", "ETCDCTL_PASSWORD=secret", "NIGHTWATCH_PASSWORD=secret",
		"AWS_SECRET_ACCESS_KEY=secret", "LD_PRELOAD=/secret.so", "KUBECONFIG=/secret",
	}})
	task := &nightwatch.Task{
		Process: &nightwatch.ProcessSpec{Command: []string{"env"}, Env: map[string]nightwatch.TextOrFile{"TZ": {Text: "UTC"}, "COLOR": {Text: "red"}}},
		Params:  map[string]json.RawMessage{"n": json.RawMessage(`1`)},
	}
	a, _ := runnertest.Attempt(t, task)
	out := outcome(t, start(t.Context(), r, a))
	got := strings.Split(strings.TrimSpace(out.Output), "\n")
	want := append([]string{"PATH=/usr/bin:/bin", "HOME=/home/nw", "LC_TIME=C", "TZ=UTC", "COLOR=red"}, a.Run.Environment()...)
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "NIGHTWATCH_GUARD=") })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("environment %q: want %q", got, want)
	}
}

func TestAllowed(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	sh := func(spec nightwatch.ProcessSpec) nightwatch.ProcessSpec {
		spec.Shell = "echo ran"
		return spec
	}
	for _, tt := range []struct {
		name string
		cfg  process.Config
		spec nightwatch.ProcessSpec
		want string // "" when it is allowed
	}{
		{name: "namespace", cfg: process.Config{AllowNamespaces: []string{"ops", "runnertest"}}, spec: sh(nightwatch.ProcessSpec{})},
		{name: "other namespace", cfg: process.Config{AllowNamespaces: []string{"ops"}}, spec: sh(nightwatch.ProcessSpec{}),
			want: `namespace "runnertest" may not run processes on this node, which allows ["ops"]`},
		{name: "shell", cfg: process.Config{AllowCommands: []string{"/usr/bin/env", "/bin/sh"}}, spec: sh(nightwatch.ProcessSpec{})},
		{name: "shell not listed", cfg: process.Config{AllowCommands: []string{"/usr/bin/env"}}, spec: sh(nightwatch.ProcessSpec{}),
			want: `/bin/sh may not be run on this node, which allows ["/usr/bin/env"]`},
		{name: "another shell", cfg: process.Config{AllowCommands: []string{"/bin/sh"}, Shell: "/bin/bash"}, spec: sh(nightwatch.ProcessSpec{}),
			want: "/bin/bash may not be run"},
		{name: "python", cfg: process.Config{AllowCommands: []string{python}}, spec: nightwatch.ProcessSpec{Python: "print('ran')"}},
		{name: "python not listed", cfg: process.Config{AllowCommands: []string{"/bin/sh"}}, spec: nightwatch.ProcessSpec{Python: "1"},
			want: python + " may not be run"},
		{name: "command", cfg: process.Config{AllowCommands: []string{"/usr/bin/../bin/id"}}, spec: nightwatch.ProcessSpec{Command: []string{"/usr/bin/id"}}},
		{name: "command not listed", cfg: process.Config{AllowCommands: []string{"/bin/sh"}}, spec: nightwatch.ProcessSpec{Command: []string{"/usr/bin/id"}},
			want: "/usr/bin/id may not be run"},
		{name: "command by name", cfg: process.Config{AllowCommands: []string{"/bin/sh"}}, spec: nightwatch.ProcessSpec{Command: []string{"id"}},
			want: "bin/id may not be run"},
		{name: "a way round", cfg: process.Config{AllowCommands: []string{"/bin/sh"}}, spec: nightwatch.ProcessSpec{Command: []string{"/bin/sh/../../usr/bin/id"}},
			want: "/usr/bin/id may not be run"},
		{name: "a PATH of its own", cfg: process.Config{AllowCommands: []string{"/bin/sh"}},
			spec: nightwatch.ProcessSpec{Command: []string{"sh"}, Env: map[string]nightwatch.TextOrFile{"PATH": {Text: "/usr/bin"}}}, want: "/usr/bin/sh may not be run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := run(t, newRunner(t, tt.cfg), &nightwatch.Task{Process: &tt.spec})
			if tt.want == "" && out.Phase != nightwatch.PhaseSucceeded {
				t.Errorf("%+v: want Succeeded", out)
			}
			if tt.want != "" && (out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, tt.want)) {
				t.Errorf("%+v: want StartRefused, %q", out, tt.want)
			}
		})
	}
}

// TestInterpreters has scripts be run by what the node says.
func TestInterpreters(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	if err := os.WriteFile(said, []byte("#!/bin/sh\necho said \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, process.Config{Shell: said, Python: said})
	for _, spec := range []nightwatch.ProcessSpec{{Shell: "a b"}, {Python: "a b"}} {
		if out := run(t, r, &nightwatch.Task{Process: &spec}); out.Output != "said -c a b\n" {
			t.Errorf("%+v", out)
		}
	}
	r = newRunner(t, process.Config{Python: "/no/such/python"})
	if out := run(t, r, &nightwatch.Task{Process: &nightwatch.ProcessSpec{Python: "1"}}); out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, "/no/such/python") {
		t.Errorf("%+v: want StartRefused", out)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]process.Config{
		"no guard":         {},
		"negative grace":   {Guard: guardArgs, Grace: -1},
		"relative command": {Guard: guardArgs, AllowCommands: []string{"sh"}},
		"relative shell":   {Guard: guardArgs, Shell: "bash"},
		"relative python":  {Guard: guardArgs, Python: "./python3"},
		"no user's name":   {Guard: guardArgs, AllowUsers: []string{""}},
	} {
		if _, err := process.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The first attempt of a node does not wait for its guard.
func TestServeStartsTheGuard(t *testing.T) {
	file := t.TempDir() + "/started"
	r := newRunner(t, process.Config{Guard: slices.Concat([]string{"/bin/sh", "-c", `echo > ` + file + `; exec "$@"`, "sh"}, guardArgs)})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.Serve(ctx, jobrunner.Env{})
	}()
	eventually(t, "the guard is started", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	cancel()
	<-served
}

// TestNotAGuard has a guard that is something else.
func TestNotAGuard(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"silent", "exit 0", "is this a guard?"},
		{"talkative", "echo hello; exec cat", "is this a guard?"},
		{"fails", "echo cannot >&2; exit 1", "cannot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, process.Config{Guard: []string{"/bin/sh", "-c", tt.script}})
			if out := run(t, r, shell("true")); out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, tt.want) {
				t.Errorf("%+v: want StartRefused, %q", out, tt.want)
			}
		})
	}
	r := newRunner(t, process.Config{Guard: []string{"/no/such/binary"}})
	if out := run(t, r, shell("true")); out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, "no such file") {
		t.Errorf("%+v: want StartRefused", out)
	}
}

func TestLargeAndBinaryOutput(t *testing.T) {
	r := newRunner(t, process.Config{})
	a, _ := runnertest.Attempt(t, shell("head -c 10000000 /dev/urandom; echo; echo the end"))
	out := outcome(t, start(t.Context(), r, a))
	if out.Phase != nightwatch.PhaseSucceeded || !strings.HasSuffix(out.Output, "\nthe end\n") {
		t.Errorf("%s %s, output ends with %q", out.Phase, out.Message, out.Output[max(0, len(out.Output)-20):])
	}
	if len(out.Output) > nightwatch.MaxOutput || !utf8.ValidString(out.Output) {
		t.Errorf("output of %d bytes, valid UTF-8: %t", len(out.Output), utf8.ValidString(out.Output))
	}
	if log := fmt.Sprint(a.Log); len(log) != 10_000_009 || !strings.HasSuffix(log, "\nthe end\n") {
		t.Errorf("a log of %d bytes: want all of the output", len(log))
	}
}

// TestOutputInOrder has both streams of an attempt in its log, in the order in which they were written.
func TestOutputInOrder(t *testing.T) {
	r := newRunner(t, process.Config{})
	a, _ := runnertest.Attempt(t, shell("i=0; while [ $i -lt 2000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"))
	if out := outcome(t, start(t.Context(), r, a)); out.Phase != nightwatch.PhaseSucceeded {
		t.Fatalf("%+v", out)
	}
	var want strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	if got := fmt.Sprint(a.Log); got != want.String() {
		t.Errorf("the log has %d bytes: %.100q", len(got), got)
	}
}

// TestTree ends attempts in each way and looks, in the moment in which Run returns, for what they had started.
func TestTree(t *testing.T) {
	for _, tt := range []struct {
		name     string
		stubborn bool
		grace    time.Duration
		cause    error
		phase    nightwatch.Phase
	}{
		{name: "cancel", grace: 10 * time.Second, cause: jobrunner.ErrCancel, phase: nightwatch.PhaseCanceled},
		{name: "cancel ignored", stubborn: true, grace: 200 * time.Millisecond, cause: jobrunner.ErrCancel, phase: nightwatch.PhaseCanceled},
		{name: "session lost", stubborn: true, grace: time.Hour, cause: jobrunner.ErrSessionLost},
		{name: "node stopping", grace: 10 * time.Second, cause: jobrunner.ErrStopping},
		{name: "closed", stubborn: true, grace: time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, dir := newRunner(t, process.Config{Grace: tt.grace}), t.TempDir()
			a, _ := runnertest.Attempt(t, shell(family(dir, tt.stubborn)))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := start(ctx, r, a)
			ids := pids(t, dir, 3)
			if tt.cause != nil {
				cancel(tt.cause)
			} else {
				r.Close()
			}
			out := outcome(t, done)
			wantGone(t, ids)
			if out.Phase != tt.phase {
				t.Errorf("%+v: want phase %q", out, tt.phase)
			}
		})
	}
}

// TestLeftBehind has a first process that exits and leaves others, which end with the attempt.
func TestLeftBehind(t *testing.T) {
	r, dir := newRunner(t, process.Config{Grace: 200 * time.Millisecond}), t.TempDir()
	script := strings.TrimSuffix(family(dir, true), "while :; do sleep 60; done") + `
until [ -e daemon.pid ] && [ -e background.pid ]; do sleep 0.01; done; echo bye; exit 4`
	out := run(t, r, shell(script))
	wantGone(t, pids(t, dir, 3))
	if out.Reason != nightwatch.ReasonExitCode || out.ExitCode == nil || *out.ExitCode != 4 || out.Output != "bye\n" {
		t.Errorf("%+v: want exit code 4", out)
	}
}

// TestGrace lets a process use the time between SIGTERM and SIGKILL.
func TestGrace(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell(`trap 'echo tidied; exit 5' TERM; echo $$ >`+dir+`/1.pid; while :; do sleep 0.02; done`))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := start(ctx, r, a)
	pids(t, dir, 1)
	cancel(jobrunner.ErrCancel)
	out := outcome(t, done)
	if out.Phase != nightwatch.PhaseCanceled || !strings.HasSuffix(out.Output, "tidied\n") || out.ExitCode == nil || *out.ExitCode != 5 {
		t.Errorf("%+v: want Canceled with exit code 5 and output", out)
	}
}

// TestEscaped empties its environment, changes its session and loses its parent: nothing of it outlives the last attempt.
func TestEscaped(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	out := run(t, r, shell(`cd `+dir+`; (env -i setsid sh -c 'echo $$ >1.tmp; mv 1.tmp 1.pid; exec sleep 60' >/dev/null 2>&1 &)
until [ -e 1.pid ]; do sleep 0.01; done`))
	if out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v: want Succeeded", out)
	}
	escaped := pids(t, dir, 1)
	eventually(t, "the end of the escaped process", func() bool { return !alive(escaped[0]) })
}

// TestOrphansAreReaped leaves a hundred of them to the guard.
func TestOrphansAreReaped(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell(`cd `+dir+`; for i in $(seq 100); do (true &); done; echo $$ >1.pid; sleep 60`))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := start(ctx, r, a)
	guard := parent(t, pids(t, dir, 1)[0])
	eventually(t, "a guard with one child", func() bool {
		out, _ := exec.Command("ps", "--ppid", itoa(guard), "-o", "pid=").Output()
		return len(strings.Fields(string(out))) == 1
	})
	cancel(jobrunner.ErrCancel)
	outcome(t, done)
}

// TestDeadline has a session that is not renewed: the guard ends the attempt although the node says nothing.
func TestDeadline(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell(family(dir, true)))
	renewed := a.Deadline
	var last atomic.Pointer[time.Time]
	a.Deadline = func() time.Time {
		if until := last.Load(); until != nil {
			return *until
		}
		return renewed()
	}
	done := start(t.Context(), r, a)
	ids := pids(t, dir, 3)
	until := time.Now().Add(time.Second)
	last.Store(&until)
	if out := outcome(t, done); out != jobrunner.Interrupted {
		t.Errorf("%+v: want Interrupted", out)
	}
	if late := time.Since(until); late < 0 || late > 3*time.Second {
		t.Errorf("ended %v after its deadline", late)
	}
	wantGone(t, ids)
}

func TestSaveOfShortRuns(t *testing.T) {
	r := newRunner(t, process.Config{})
	run(t, r, shell("true")) // the guard is there now
	a, saves := runnertest.Attempt(t, shell("true"))
	began := time.Now()
	if out := outcome(t, start(t.Context(), r, a)); out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v", out)
	}
	if took := time.Since(began); saves.Count() > 0 && took < 100*time.Millisecond {
		t.Errorf("Save was called %d times in a run of %v", saves.Count(), took)
	}
}

func TestGuardKilled(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell(family(dir, true)))
	done := start(t.Context(), r, a)
	ids := pids(t, dir, 3)
	var guard int
	for _, id := range ids {
		if data, err := os.ReadFile(filepath.Join(dir, "first.pid")); err == nil && strings.TrimSpace(string(data)) == itoa(id) {
			guard = parent(t, id)
		}
	}
	if err := syscall.Kill(guard, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	out := outcome(t, done)
	wantGone(t, ids)
	if out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonGuardLost || !strings.Contains(out.Message, "killed") {
		t.Errorf("%+v: want Failed, GuardLost", out)
	}
	if out := run(t, r, shell("true")); out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("with the next guard: %+v", out)
	}
}

// TestGuardKeepsOutOfSignals sends the guard what a terminal and systemd send to all processes of a service.
func TestGuardKeepsOutOfSignals(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell(`cd `+dir+`; echo $$ >1.pid; until [ -e go ]; do sleep 0.01; done`))
	done := start(t.Context(), r, a)
	first := pids(t, dir, 1)[0]
	guard := parent(t, first)
	for _, pid := range []int{first, guard} {
		if group, err := syscall.Getpgid(pid); err != nil || group != pid {
			t.Errorf("process %d is in group %d (%v): want one of its own", pid, group, err)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(guard, sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := outcome(t, done); out.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v: want Succeeded", out)
	}
}

func TestClosed(t *testing.T) {
	r := newRunner(t, process.Config{})
	r.Close()
	r.Close()
	if out := run(t, r, shell("true")); out != jobrunner.Interrupted {
		t.Errorf("%+v: want Interrupted", out)
	}
}

// TestStartStop starts and closes runners with attempts under way.
func TestStartStop(t *testing.T) {
	for i := range 10 {
		r := newRunner(t, process.Config{})
		var done []<-chan jobrunner.Outcome
		for range 4 {
			a, _ := runnertest.Attempt(t, shell("sleep 60"))
			done = append(done, start(t.Context(), r, a))
		}
		if i%2 == 0 {
			a, saves := runnertest.Attempt(t, shell("sleep 60"))
			done = append(done, start(t.Context(), r, a))
			<-saves.First()
		}
		r.Close()
		for _, d := range done {
			if out := outcome(t, d); out != jobrunner.Interrupted {
				t.Errorf("%+v: want Interrupted", out)
			}
		}
	}
}

// TestSaveAndCancel has a cancel arrive while Save waits for etcd.
func TestSaveAndCancel(t *testing.T) {
	r := newRunner(t, process.Config{})
	a, _ := runnertest.Attempt(t, shell("sleep 60"))
	saving := make(chan struct{})
	a.Save = func(ctx context.Context, _ func(*nightwatch.Run)) error {
		close(saving)
		<-ctx.Done()
		return errors.Join(errors.New("outcome unknown"), ctx.Err())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := start(ctx, r, a)
	<-saving
	cancel(jobrunner.ErrCancel)
	if out := outcome(t, done); out.Phase != nightwatch.PhaseCanceled {
		t.Errorf("%+v: want Canceled", out)
	}
}

// TestLateStart has the deadline pass after the node has looked at it: the guard looks again.
func TestLateStart(t *testing.T) {
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell("touch "+dir+"/started"))
	var asked atomic.Int32
	a.Deadline = func() time.Time {
		if asked.Add(1) == 1 {
			return time.Now().Add(time.Minute)
		}
		return time.Now().Add(-time.Millisecond)
	}
	if out := outcome(t, start(t.Context(), r, a)); out != jobrunner.Interrupted {
		t.Errorf("%+v: want Interrupted", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
		t.Error("the process was started")
	}
}

// TestGuardHangs stops the guard: the node waits ten seconds and then does without it.
func TestGuardHangs(t *testing.T) {
	t.Parallel()
	r, dir := newRunner(t, process.Config{}), t.TempDir()
	a, _ := runnertest.Attempt(t, shell(`echo $$ >`+dir+`/1.pid; while :; do sleep 60; done`))
	done := start(t.Context(), r, a)
	ids := pids(t, dir, 1)
	if err := syscall.Kill(parent(t, ids[0]), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	out := outcome(t, done)
	wantGone(t, ids)
	if out.Reason != nightwatch.ReasonGuardLost || !strings.Contains(out.Message, "not answered") {
		t.Errorf("%+v: want GuardLost", out)
	}
}

// BenchmarkRun runs as many attempts side by side as a node takes by default.
func BenchmarkRun(b *testing.B) {
	r := newRunner(b, process.Config{})
	task := &nightwatch.Task{Process: &nightwatch.ProcessSpec{Command: []string{"true"}}}
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a, _ := runnertest.Attempt(b, task)
			if out := r.Run(context.Background(), a); out.Phase != nightwatch.PhaseSucceeded {
				b.Errorf("%+v", out)
			}
		}
	})
}
