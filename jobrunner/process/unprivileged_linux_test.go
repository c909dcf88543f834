package process_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// runAsNobody runs a task on a node that is nobody's, with these capabilities; where the tests themselves are not root's,
// on one that is theirs.
func runAsNobody(t *testing.T, spec nightwatch.ProcessSpec, ambient ...uintptr) jobrunner.Outcome {
	t.Helper()
	task, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "attempt", string(task))
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", "PATH=/usr/bin:/bin"}
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	if os.Geteuid() == 0 {
		nobody := account(t, "nobody")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody.uid, Gid: nobody.gid}, AmbientCaps: ambient}
	}
	printed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out jobrunner.Outcome
	if err := json.Unmarshal(printed, &out); err != nil {
		t.Fatalf("%q: %v", printed, err)
	}
	return out
}

// TestUnprivilegedNode is a node with neither root's rights nor control groups of its own.
func TestUnprivilegedNode(t *testing.T) {
	out := runAsNobody(t, nightwatch.ProcessSpec{Shell: "true", User: "daemon"})
	if out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, `"daemon", "": this node runs as user `) ||
		!strings.Contains(out.Message, "want CAP_SETUID, CAP_SETGID and CAP_KILL, or root") {
		t.Errorf("%+v: want StartRefused", out)
	}
	out = runAsNobody(t, nightwatch.ProcessSpec{Shell: "ulimit -v", Limits: nightwatch.ProcessLimits{Memory: "512Mi"}})
	if out.Usage == nil || !slices.Contains([]string{"rlimit", "cgroup2"}, out.Usage.LimitedBy) {
		t.Errorf("%+v: want a limit", out)
	}
	if out.Usage != nil && out.Usage.LimitedBy == "rlimit" && out.Output != "524288\n" {
		t.Errorf("%+v: want 512Mi", out)
	}
}

// TestCapabilities is a node that may switch users without being root: what it starts may not.
func TestCapabilities(t *testing.T) {
	const setUID, setGID, kill = 7, 6, 5
	out := runAsNobody(t, nightwatch.ProcessSpec{Shell: "grep ^Cap[EPA] /proc/self/status; id -u", User: "daemon"}, setUID, setGID, kill)
	if os.Geteuid() != 0 {
		if out.Reason != nightwatch.ReasonStartRefused {
			t.Errorf("%+v: want StartRefused", out)
		}
		return
	}
	none := "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"
	if out.Output != none+"1\n" {
		t.Errorf("as daemon: %+v", out)
	}
	out = runAsNobody(t, nightwatch.ProcessSpec{Shell: "grep ^Cap[EPA] /proc/self/status; setsid id -u"}, setUID, setGID, kill)
	if want := fmt.Sprintf("%s%d\n", none, account(t, "nobody").uid); out.Output != want {
		t.Errorf("as the node: %+v: want %q", out, want)
	}
	out = runAsNobody(t, nightwatch.ProcessSpec{Shell: "grep ^Cap[EPA] /proc/self/status; ulimit -v", User: "daemon",
		Limits: nightwatch.ProcessLimits{Memory: "512Mi"}}, setUID, setGID, kill)
	if out.Output != none+"524288\n" {
		t.Errorf("as daemon with limits: %+v", out)
	}
}
