package deploy_test

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/node"
)

const (
	unit    = root + "/deploy/systemd/nightwatch.service"
	dropIn  = root + "/deploy/systemd/process-runner.conf"
	envFile = root + "/deploy/systemd/nightwatch.env"
)

// machine is a root file system on which nightwatch is installed as its files say, with a drop-in for the unit unless
// that is empty.
func machine(t *testing.T, dropIn []byte) string {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, nightwatchBinary(t), filepath.Join(dir, "usr/local/bin/nightwatch"), 0o755)
	copyFile(t, unit, filepath.Join(dir, "etc/systemd/system/nightwatch.service"), 0o644)
	if len(dropIn) > 0 {
		writeFile(t, filepath.Join(dir, "etc/systemd/system/nightwatch.service.d/drop-in.conf"), dropIn, 0o644)
	}
	// The units that every Debian has and that this one refers to.
	for _, target := range []string{"sysinit", "basic", "shutdown", "network-online", "time-sync", "multi-user"} {
		writeFile(t, filepath.Join(dir, "usr/lib/systemd/system", target+".target"),
			[]byte("[Unit]\nDefaultDependencies=no\n"), 0o644)
	}
	return dir
}

// verify is what systemd finds wrong with the unit on that machine. Most faults it ignores but for a line of output.
func verify(t *testing.T, machine string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--root="+machine, "nightwatch.service").CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("systemd-analyze verify: %v", err)
	}
	return string(out)
}

// systemd takes every line of the unit, and finds its binary.
func TestUnitVerifies(t *testing.T) {
	if out := verify(t, machine(t, nil)); out != "" {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
}

// The drop-in is read on top of the unit without a complaint.
func TestProcessRunnerDropInVerifies(t *testing.T) {
	conf, err := os.ReadFile(dropIn)
	if err != nil {
		t.Fatal(err)
	}
	if out := verify(t, machine(t, conf)); out != "" {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	// The lines that are there to be uncommented are as good.
	conf = regexp.MustCompile(`(?m)^#([A-Z][A-Za-z]+=)`).ReplaceAll(conf, []byte("$1"))
	if out := verify(t, machine(t, conf)); out != "" {
		t.Errorf("systemd-analyze verify, optional lines on:\n%s", out)
	}
	// That verify reads the drop-in at all:
	if out := verify(t, machine(t, append(conf, "Protectsystem=no\n"...))); !strings.Contains(out, "Protectsystem") {
		t.Errorf("systemd-analyze verify of an unknown setting:\n%s", out)
	}
}

// The README and the drop-in tell the same steps. The user is made while the unit is stopped: as long as it runs with a user
// that systemd made up, that user is there, and useradd refuses its name.
func TestProcessRunnerSteps(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	plain := func(steps string) (lines []string) {
		steps = strings.NewReplacer("| sudo tee -a", ">>", "sudo ", "", "deploy/systemd/", "").Replace(steps)
		for line := range strings.Lines(steps) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "    # ")
			lines = append(lines, line)
		}
		return lines
	}
	header := regexp.MustCompile(`(?m)^#   (.*\n)`).FindAllStringSubmatch(read(dropIn), -1)
	var inDropIn strings.Builder
	for _, line := range header {
		inDropIn.WriteString(line[1])
	}
	inReadme := regexp.MustCompile("```sh\n([^`]*process-runner\\.conf[^`]*)```").FindStringSubmatch(read(root + "/README.md"))
	if inReadme == nil {
		t.Fatal("the README has no steps")
	}
	steps := plain(inDropIn.String())
	if got := plain(inReadme[1]); !slices.Equal(got, steps) {
		t.Errorf("the README says\n%s\nthe drop-in\n%s", strings.Join(got, "\n"), strings.Join(steps, "\n"))
	}
	starts := func(with string) int {
		return slices.IndexFunc(steps, func(step string) bool { return strings.HasPrefix(step, with) })
	}
	if stop, add := starts("systemctl stop nightwatch"), starts("useradd "); stop < 0 || add < stop {
		t.Errorf("the user is made before the unit is stopped:\n%s", strings.Join(steps, "\n"))
	}
}

// The unit's exposure is 2.0 or less, by systemd's own count.
func TestUnitIsHardened(t *testing.T) {
	out := output(t, exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	t.Log(lines[len(lines)-1])
}

// systemd waits longer than a node may take to drain and to end what is left.
func TestStopTimeoutIsAboveTheDrain(t *testing.T) {
	content, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(content)
	if match == nil {
		t.Fatal("no TimeoutStopSec in seconds")
	}
	stop, err := time.ParseDuration(string(match[1]) + "s")
	if err != nil {
		t.Fatal(err)
	}
	if grace := 30 * time.Second; stop < node.DefaultDrainTimeout+grace {
		t.Errorf("TimeoutStopSec is %s; a node drains for %s and then needs up to %s", stop, node.DefaultDrainTimeout, grace)
	}
}

var variable = regexp.MustCompile(`^(#?)(NIGHTWATCH_[A-Z0-9_]+)=(.*)$`)

// The environment file names every flag of `nightwatch node`, and nothing else.
func TestEnvironmentFileIsComplete(t *testing.T) {
	documented := map[string]bool{}
	content, err := os.ReadFile(envFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if match := variable.FindStringSubmatch(strings.TrimRight(line, "\n")); match != nil {
			documented[match[2]] = true
		}
	}

	help := output(t, exec.CommandContext(t.Context(), nightwatchBinary(t), "node", "--help"))
	flags := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z][a-z0-9-]*)`).FindAllStringSubmatch(help, -1) {
		if name := match[1]; name != "help" && name != "config" {
			flags["NIGHTWATCH_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = true
		}
	}
	for name := range documented {
		if !flags[name] {
			t.Errorf("%s is no flag of nightwatch node", name)
		}
	}
	for name := range flags {
		if !documented[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// With the environment file as it is shipped, a node starts, tells systemd so though no etcd is there, and stops.
func TestNodeStartsAsAService(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()

	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), nightwatchBinary(t), "node")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(active(t), "NOTIFY_SOCKET="+socket,
		// What the file leaves to the machine, so that nothing else on it is met.
		"NIGHTWATCH_LISTEN=127.0.0.1:0", "NIGHTWATCH_ENDPOINTS=127.0.0.1:1", "NIGHTWATCH_NAME=vm-1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const over = "over"
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		if end, err := net.Dial("unixgram", socket); err == nil {
			_, _ = end.Write([]byte(over)) // after all that the node sent
			end.Close()
		}
	}()

	told := func(want string) {
		t.Helper()
		message := make([]byte, 4096)
		for {
			n, err := systemd.Read(message)
			if err != nil {
				t.Fatalf("systemd was not told %s: %v", want, err)
			}
			if string(message[:n]) == over {
				t.Fatalf("systemd was not told %s; the node ended with %v, its log:\n%s", want, <-ended, &log)
			}
			for line := range strings.Lines(string(message[:n])) {
				if strings.TrimSpace(line) == want {
					return
				}
			}
		}
	}
	if err := systemd.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	told("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1")
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v; its log:\n%s", err, &log)
	}
}

// active are the lines of the environment file that are in force.
func active(t *testing.T) []string {
	t.Helper()
	file, err := os.Open(envFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var pairs []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if match := variable.FindStringSubmatch(lines.Text()); match != nil && match[1] == "" {
			pairs = append(pairs, match[2]+"="+match[3])
		}
	}
	return pairs
}
