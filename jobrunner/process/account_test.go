package process_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
)

type ids struct {
	uid, gid uint32
	home     string
}

func account(t *testing.T, name string) (who ids) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &who.uid, &who.gid); err != nil {
		t.Fatal(err)
	}
	who.home = u.HomeDir
	return who
}

// output is what a command of this machine says.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const whoAmI = "id -u; id -g; id -G; umask; echo $HOME $USER $LOGNAME $SHELL"

// TestUser has processes be somebody else, where the tests are root's; elsewhere the node has to say that it cannot.
func TestUser(t *testing.T) {
	environ := []string{"PATH=/usr/bin:/bin", "HOME=/node", "USER=node", "LOGNAME=node", "SHELL=/node/sh"}
	daemon := account(t, "daemon")
	daemonIDs := output(t, "id", "-u", "daemon") + output(t, "id", "-g", "daemon") + output(t, "id", "-G", "daemon")
	for _, tt := range []struct {
		name string
		spec nightwatch.ProcessSpec
		want string
	}{
		{name: "by name", spec: nightwatch.ProcessSpec{User: "daemon", Umask: "077"}, want: daemonIDs + "0077\n" + daemon.home + " daemon daemon\n"},
		{name: "by number", spec: nightwatch.ProcessSpec{User: "1", Umask: "0022"}, want: daemonIDs + "0022\n" + daemon.home + " daemon daemon\n"},
		{name: "its own group", spec: nightwatch.ProcessSpec{User: "daemon", Group: "daemon", Umask: "022"}, want: daemonIDs + "0022\n" + daemon.home + " daemon daemon\n"},
		{name: "not in the database", spec: nightwatch.ProcessSpec{User: "54321", Group: "54321", Umask: "022"},
			want: "54321\n54321\n54321\n0022\n/ 54321 54321\n"},
		{name: "environment of the task", spec: nightwatch.ProcessSpec{User: "daemon", Umask: "022", Env: map[string]nightwatch.TextOrFile{"HOME": {Text: "/task"}}},
			want: daemonIDs + "0022\n/task daemon daemon\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, process.Config{Environ: environ})
			tt.spec.Shell = whoAmI
			out := run(t, r, &nightwatch.Task{Process: &tt.spec})
			if os.Geteuid() != 0 {
				if out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, "may not switch") {
					t.Errorf("%+v: want StartRefused", out)
				}
				return
			}
			if out.Output != tt.want {
				t.Errorf("%+v: want %q", out, tt.want)
			}
		})
	}
	r := newRunner(t, process.Config{Environ: environ})
	if out := run(t, r, shell("id -u; echo $HOME $USER")); out.Output != fmt.Sprintf("%d\n/node node\n", os.Geteuid()) {
		t.Errorf("nobody named: %+v: want the node's own user", out)
	}
}

// TestUserOwnsItsProcesses has the family of another user end like any, where the node can have one.
func TestUserOwnsItsProcesses(t *testing.T) {
	owner := "daemon"
	if os.Geteuid() != 0 {
		owner = "" // TestUser has said what becomes of another
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			r := m.runner(t, process.Config{Grace: 100 * time.Millisecond})
			dir, err := os.MkdirTemp("/tmp", "nightwatch-user") //nolint:usetesting // that one is in a folder for us alone
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			task := shell(strings.TrimSuffix(family(dir, true), "while :; do sleep 60; done") + `
until [ -e daemon.pid ] && [ -e background.pid ]; do sleep 0.01; done; exit 4`)
			task.Process.User = owner
			out := run(t, r, task)
			wantGone(t, pids(t, dir, 3))
			if out.ExitCode == nil || *out.ExitCode != 4 {
				t.Errorf("%+v: want exit code 4", out)
			}
		})
	}
}

// TestUserLimits has a resource limit bind what another user has.
func TestUserLimits(t *testing.T) {
	r := modes[3].runner(t, process.Config{})
	task := shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 0.3 & done; wait; echo all")
	task.Process.User, task.Process.Group, task.Process.Limits.Pids = "54321", "54321", 5
	out := run(t, r, task)
	if os.Geteuid() != 0 {
		if out.Reason != nightwatch.ReasonStartRefused {
			t.Errorf("%+v: want StartRefused", out)
		}
		return
	}
	if out.Phase != nightwatch.PhaseFailed || out.Usage == nil || out.Usage.LimitedBy != "rlimit" || !strings.Contains(out.Output, "fork") {
		t.Errorf("%+v: want Failed by rlimit", out)
	}
	task.Process.Limits.Pids = 0
	task.Process.Limits.Memory = "64Mi"
	task.Process.Shell = "id -u; ulimit -v"
	if out := run(t, r, task); out.Output != "54321\n65536\n" {
		t.Errorf("%+v: want 64Mi", out)
	}
}

func TestUserRefusals(t *testing.T) {
	self := strings.TrimSpace(output(t, "id", "-un"))
	for _, tt := range []struct {
		name        string
		allow       []string
		user, group string
		want        string
	}{
		{name: "no such user", user: "no-such-user", want: `process.user: "no-such-user": this node has no such user`},
		{name: "highest number", user: "4294967295", want: `process.user: "4294967295": this node has no such user`},
		{name: "root", user: "root", want: `process.user: "root": root has to be allowed by name on this node`},
		{name: "root's number", user: "00", want: `process.user: "00": root has to be allowed by name`},
		{name: "another", allow: []string{"daemon", "bin"}, user: "nobody", want: `process.user: "nobody" may not run processes on this node, which allows ["daemon" "bin"]`},
		{name: "nobody named", allow: []string{"daemon"}, want: `process.user: missing: the node's own user ` + self + ` may not run processes on this node, which allows ["daemon"]`},
		{name: "allowed, but there is none", allow: []string{"no-such-user"}, user: "daemon", want: `"daemon" may not run processes`},
		{name: "no group", user: "54321", want: `process.user: "54321" is not in this node's user database: name its process.group as well`},
		{name: "no such group", user: "daemon", group: "no-such-group", want: `process.group: "no-such-group": this node has no such group`},
		{name: "another's group", user: "daemon", group: "mail", want: `process.group: "mail": user daemon is not in this group`},
		{name: "root's group", user: "daemon", group: "0", want: `process.group: "0": user daemon is not in this group`},
		{name: "a group of somebody", user: "54321", group: "mail", want: `process.group: "mail": user 54321 is not in this group`},
		{name: "a group that nobody has", user: "daemon", group: "54321", want: `process.group: "54321": `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, process.Config{AllowUsers: tt.allow})
			task := shell("true")
			task.Process.User, task.Process.Group = tt.user, tt.group
			if out := run(t, r, task); out.Phase != nightwatch.PhaseFailed || out.Reason != nightwatch.ReasonStartRefused || !strings.Contains(out.Message, tt.want) {
				t.Errorf("%+v: want StartRefused, %q", out, tt.want)
			}
		})
	}
}

// TestUserAllowed is about the node's own user, which every node can be.
func TestUserAllowed(t *testing.T) {
	self, number := strings.TrimSpace(output(t, "id", "-un")), strings.TrimSpace(output(t, "id", "-u"))
	for _, allow := range []string{self, number} {
		r := newRunner(t, process.Config{AllowUsers: []string{"no-such-user", allow}})
		for _, name := range []string{"", self, number} {
			task := shell("id -u")
			task.Process.User = name
			if out := run(t, r, task); out.Output != number+"\n" {
				t.Errorf("allowed %q, named %q: %+v", allow, name, out)
			}
		}
	}
}
