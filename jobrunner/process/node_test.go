package process_test

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// startNode starts a node of its own process that runs script with a deadline that stays lead ahead.
func startNode(t *testing.T, script string, lead time.Duration) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(self[0], slices.Concat(self[1:], []string{"node", script, lead.String()})...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, &out
}

// guardOf is the guard of a node: its only child.
func guardOf(t *testing.T, node int) int {
	t.Helper()
	out, err := exec.Command("ps", "--ppid", itoa(node), "-o", "pid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(out)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestNodeKilled kills a node with -9, whose attempt had an hour left.
func TestNodeKilled(t *testing.T) {
	dir := t.TempDir()
	node, _ := startNode(t, family(dir, true), time.Hour)
	ids := append(pids(t, dir, 3), guardOf(t, node.Process.Pid))
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	allGone(t, ids)
}

func allGone(t *testing.T, pids []int) {
	t.Helper()
	eventually(t, "the end of all processes", func() bool { return !slices.ContainsFunc(pids, alive) })
}

// TestNodeStopped stops a node: nothing runs past the deadline it last told, and when it wakes it finds out.
func TestNodeStopped(t *testing.T) {
	const lead = 1500 * time.Millisecond
	dir := t.TempDir()
	node, out := startNode(t, family(dir, true), lead)
	ids := pids(t, dir, 3)
	if err := node.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	allGone(t, ids)
	// Two seconds are for a machine that is busy; without the guard they would run for as long as the node is stopped.
	if took := time.Since(stopped); took > lead+2*time.Second {
		t.Errorf("processes of a stopped node ran for %v: its deadline was %v ahead", took, lead)
	}
	if err := node.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != `"" ` {
		t.Errorf("the node said %q: want Interrupted", got)
	}
}

// TestTalkativeWhileNodeStopped has a program write far more than anybody holds while its node is stopped. It is not held
// up, and when the node wakes up it learns of the end, of the newest output, and that there was more.
func TestTalkativeWhileNodeStopped(t *testing.T) {
	dir := t.TempDir()
	node, out := startNode(t, "echo first; echo $$ >"+dir+"/1.pid; until [ -e "+dir+"/go ]; do sleep 0.01; done; "+
		"seq 1 5000000; echo last; echo 1 >"+dir+"/2.pid", time.Hour)
	pids(t, dir, 1)
	if err := node.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pids(t, dir, 2)
	if err := node.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if !strings.HasPrefix(got, "\"Succeeded\" \nfirst\n1\n2\n") || !strings.HasSuffix(got, "\n4999999\n5000000\nlast\n") || !strings.Contains(got, "bytes of output were dropped") {
		t.Errorf("the node said %.60q … %q", got, got[max(0, len(got)-60):])
	}
	if len(got) > 2<<20 {
		t.Errorf("%d bytes of output were held for a node that was stopped", len(got))
	}
}

// TestTalkativeNodeKilled kills a node with -9 whose attempt writes all the time.
func TestTalkativeNodeKilled(t *testing.T) {
	dir := t.TempDir()
	node, _ := startNode(t, "echo $$ >"+dir+"/1.pid; trap '' PIPE TERM; while :; do echo y; done", time.Hour)
	ids := append(pids(t, dir, 1), guardOf(t, node.Process.Pid))
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	allGone(t, ids)
}

// TestNodeRenews has an attempt outlive many times the deadline it was started with.
func TestNodeRenews(t *testing.T) {
	node, out := startNode(t, "sleep 3", 750*time.Millisecond)
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != `"Succeeded" ` {
		t.Errorf("the node said %q: want Succeeded", got)
	}
}

// TestNodeInterrupted sends a node what Ctrl-C sends to its whole process group: its processes are for it to drain.
func TestNodeInterrupted(t *testing.T) {
	dir := t.TempDir()
	node, out := startNode(t, "echo $$ >"+dir+"/1.pid; sleep 0.5", time.Hour)
	guard := parent(t, pids(t, dir, 1)[0])
	for _, pid := range []int{node.Process.Pid, guard} {
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != `"Succeeded" ` {
		t.Errorf("the node said %q: want Succeeded", got)
	}
}

// TestGuardKilledWithNodeStopped leaves nobody to clean up: the kernel kills the first process.
func TestGuardKilledWithNodeStopped(t *testing.T) {
	dir := t.TempDir()
	node, out := startNode(t, "trap '' TERM; echo $$ >"+dir+"/1.pid; while :; do sleep 60; done", time.Hour)
	first := pids(t, dir, 1)[0]
	guard := parent(t, first)
	if err := node.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(guard, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the first process", func() bool { return !alive(first) })
	if err := node.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != `"Failed" GuardLost` {
		t.Errorf("the node said %q: want GuardLost", got)
	}
}

// TestGuardAndNodeKilled leaves nobody to clean up but the next guard, which finds what the first process does not take
// with it in the control group of the one that is gone.
func TestGuardAndNodeKilled(t *testing.T) {
	dir := t.TempDir()
	node, _ := startNode(t, "echo $$ >"+dir+"/0.pid; "+escape(dir, "while :; do sleep 60; done"), time.Hour)
	ids := pids(t, dir, 2)
	guard := guardOf(t, node.Process.Pid)
	if err := node.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{guard, node.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	_ = node.Wait()
	eventually(t, "the end of the first process and the guard", func() bool { return !alive(guard) && !alive(ids[0]) })
	// Every guard clears up at its start. The first may come while the kernel still holds the dead one's lock.
	eventually(t, "the end of all processes", func() bool {
		_, tracked := process.KeptBy(true, true, false, 0, 0, 0)
		return !tracked || !slices.ContainsFunc(ids, alive)
	})
	for _, pid := range ids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// TestGuardKilledEverywhere has the node clear up after a guard.
func TestGuardKilledEverywhere(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r, dir := m.runner(t, process.Config{}), t.TempDir()
			a, _ := runnertest.Attempt(t, shell("echo $$ >"+dir+"/0.pid; "+escape(dir, "while :; do sleep 60; done")))
			done := start(t.Context(), r, a)
			ids := pids(t, dir, 2)
			if err := syscall.Kill(parent(t, ids[0]), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if out := outcome(t, done); out.Reason != nightwatch.ReasonGuardLost {
				t.Errorf("%+v: want GuardLost", out)
			}
			wantGone(t, ids[:1])
			if _, tracked := process.KeptBy(m.v2, m.v1, false, 0, 0, 0); tracked {
				wantGone(t, ids)
			}
			for _, pid := range ids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
	}
}
