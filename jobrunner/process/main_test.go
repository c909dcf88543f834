package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

const patience = 20 * time.Second

// self executes this test binary again, which the race detector would otherwise hold up for a second at its end;
// guardArgs has it be a guard.
var (
	self      = []string{"/usr/bin/env", "GORACE=atexit_sleep_ms=0", os.Args[0]}
	guardArgs = slices.Concat(self, []string{"guard"})
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guard":
			if len(os.Args) > 3 {
				os.Exit(process.GuardMainWith(os.Args[2] == "true", os.Args[3] == "true"))
			}
			os.Exit(process.GuardMain())
		case "attempt":
			os.Exit(attemptMain(os.Args[2]))
		case "node":
			os.Exit(nodeMain(os.Args[2], os.Args[3]))
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		process.ClearRooms()
		os.Exit(code)
	}))
}

// nodeMain is a node that runs one shell script, and whose session is renewed for as long as it runs. It leaves SIGTERM
// alone, as a node that drains does.
func nodeMain(script, lead string) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT)
	ahead, err := time.ParseDuration(lead)
	if err != nil {
		panic(err)
	}
	r, err := process.New(process.Config{Guard: guardArgs})
	if err != nil {
		panic(err)
	}
	log := new(runnertest.Written)
	out := r.Run(context.Background(), &jobrunner.Attempt{
		Run:      jobrunner.Run{Namespace: "default", Task: "node", ID: "rev-1", Attempt: 1},
		Task:     &nightwatch.Task{Process: &nightwatch.ProcessSpec{Shell: script}},
		Deadline: func() time.Time { return time.Now().Add(ahead) },
		Save:     func(context.Context, func(*nightwatch.Run)) error { return nil },
		Log:      log,
	})
	r.Close()
	fmt.Printf("%q %s", out.Phase, out.Reason)
	if text := log.String(); text != "" {
		fmt.Printf("\n%s", text)
	}
	return 0
}

// attemptMain runs one task, as a node does, and says in JSON what became of it.
func attemptMain(task string) int {
	var spec nightwatch.ProcessSpec
	if err := json.Unmarshal([]byte(task), &spec); err != nil {
		panic(err)
	}
	r, err := process.New(process.Config{Guard: []string{"/proc/self/exe", "guard"}})
	if err != nil {
		panic(err)
	}
	defer r.Close()
	out := r.Run(context.Background(), &jobrunner.Attempt{
		Run:      jobrunner.Run{Namespace: "default", Task: "node", ID: "rev-1", Attempt: 1},
		Task:     &nightwatch.Task{Process: &spec},
		Deadline: func() time.Time { return time.Now().Add(time.Hour) },
		Save:     func(context.Context, func(*nightwatch.Run)) error { return nil },
		Log:      io.Discard,
	})
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
	return 0
}

// newRunner makes a runner that is closed when the test ends.
func newRunner(tb testing.TB, cfg process.Config) *process.Runner {
	tb.Helper()
	if cfg.Guard == nil {
		cfg.Guard = guardArgs
	}
	r, err := process.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

func shell(script string) *nightwatch.Task {
	return &nightwatch.Task{Process: &nightwatch.ProcessSpec{Shell: script}}
}

func start(ctx context.Context, r jobrunner.Runner, a *jobrunner.Attempt) <-chan jobrunner.Outcome {
	done := make(chan jobrunner.Outcome, 1)
	go func() { done <- r.Run(ctx, a) }()
	return done
}

func outcome(t *testing.T, done <-chan jobrunner.Outcome) jobrunner.Outcome {
	t.Helper()
	select {
	case out := <-done:
		return out
	case <-time.After(patience):
		t.Fatalf("no outcome within %v", patience)
		panic("unreachable")
	}
}

func run(t *testing.T, r jobrunner.Runner, task *nightwatch.Task) jobrunner.Outcome {
	t.Helper()
	a, _ := runnertest.Attempt(t, task)
	return outcome(t, start(t.Context(), r, a))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for late := time.After(patience); !holds(); {
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("%s: not seen within %v", what, patience)
		}
	}
}

// pids reads the process ids that a script has left, one file each, once there are n of them.
func pids(t *testing.T, dir string, n int) []int {
	t.Helper()
	var found []int
	eventually(t, fmt.Sprintf("%d process ids", n), func() bool {
		found = found[:0]
		files, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
		for _, file := range files {
			data, _ := os.ReadFile(file)
			if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
				found = append(found, pid)
			}
		}
		return len(found) == n
	})
	return found
}

// alive tells whether a process runs; one that waits to be reaped does not.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := string(data[strings.LastIndex(string(data), ")")+2])
	return state != "Z" && state != "X"
}

// wantGone says at once whether any of the processes is alive.
func wantGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			t.Errorf("process %d is alive: %q", pid, cmdline)
		}
	}
}

// parent is the parent of a process: of an attempt's first one, the guard.
func parent(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[strings.LastIndex(string(data), ")")+2:]))
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}

// family is a script whose processes take every way out of a process group that a shell knows: three pid files, of the
// first process, one in the background, and one with a session of its own whose parent is gone. All of them ignore
// SIGTERM when stubborn.
func family(dir string, stubborn bool) string {
	trap := ""
	if stubborn {
		trap = "trap '' TERM\n"
	}
	return trap + `cd ` + dir + `
one() { echo $1 >$2.tmp && mv $2.tmp $2.pid; }
sh -c 'echo $$ >background.tmp; mv background.tmp background.pid; while :; do sleep 60; done' &
(setsid sh -c 'echo $$ >daemon.tmp; mv daemon.tmp daemon.pid; while :; do sleep 60; done' >/dev/null 2>&1 &)
one $$ first
while :; do sleep 60; done`
}
