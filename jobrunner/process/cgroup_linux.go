package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup is the control groups of one attempt; nil is one without any. All that the attempt starts is born in them, and
// cannot leave them by changing its session, its parent or its environment.
type cgroup struct {
	// v2 is the group in version 2, opened as dir; v1 are those in version 1, and back is where a thread that went
	// there came from.
	v2   string
	dir  *os.File
	v1   []string
	back []string
	// pids is where version 1 counts processes.
	pids   string
	limits limits
}

// cpuPeriod is that of CPU limits in microseconds, which is what Kubernetes takes.
const cpuPeriod = 100_000

// group makes the control groups of an attempt, whose limits are kept by the given means. An attempt without limits may
// do without: then there is none.
func (cs *cgroups) group(id int64, l limits, keptBy string) (*cgroup, error) {
	name := strconv.FormatInt(id, 10)
	g := &cgroup{limits: l}
	var err error
	if cs.v2 != "" {
		err = g.makeV2(filepath.Join(cs.v2, name), keptBy == keptByCgroup2)
	}
	switch {
	case err != nil:
	case keptBy == keptByCgroup1:
		err = g.makeV1(cs, name, l.controllers())
	case cs.v2 == "":
		// It is not limited there, only found.
		for _, controller := range slices.Backward(controllers) {
			if g.makeV1(cs, name, []string{controller}) == nil {
				break
			}
		}
	}
	if err != nil {
		g.remove()
		if keptBy == "" || keptBy == keptByRlimit {
			return nil, nil
		}
		return nil, fmt.Errorf("process.limits: make a control group: %w", err)
	}
	if len(g.all()) == 0 {
		return nil, nil
	}
	return g, nil
}

func (g *cgroup) makeV2(dir string, limited bool) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	g.v2 = dir
	if limited {
		if err := limitV2(dir, g.limits); err != nil {
			return err
		}
	}
	var err error
	g.dir, err = os.Open(dir)
	return err
}

// limitV2 sets the limits of a group; see Documentation/admin-guide/cgroup-v2.rst of the kernel. Memory does not go on
// in swap space, and what runs out of it goes as a whole, as in Kubernetes.
func limitV2(dir string, l limits) error {
	var err error
	if l.CPU > 0 {
		err = errors.Join(err, write(dir, "cpu.max", fmt.Sprintf("%d %d", l.CPU*cpuPeriod/1000, cpuPeriod)))
	}
	if l.Memory > 0 {
		err = errors.Join(err, write(dir, "memory.max", l.of(controllerMemory)), write(dir, "memory.oom.group", "1"))
		err = errors.Join(err, ifThere(write(dir, "memory.swap.max", "0")))
	}
	if l.Pids > 0 {
		err = errors.Join(err, write(dir, "pids.max", l.of(controllerPids)))
	}
	return err
}

func (g *cgroup) makeV1(cs *cgroups, name string, controllers []string) error {
	for _, controller := range controllers {
		room, err := cs.v1Room(controller)
		if err != nil {
			return err
		}
		dir := filepath.Join(room, name)
		if !slices.Contains(g.v1, dir) {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			g.v1, g.back = append(g.v1, dir), append(g.back, cs.homes.v1[controller])
		}
		if controller == controllerPids {
			g.pids = dir
		}
		if err := limitV1(dir, controller, g.limits); err != nil {
			return err
		}
	}
	return nil
}

// limitV1 sets one limit of a group; see Documentation/admin-guide/cgroup-v1 of the kernel.
func limitV1(dir, controller string, l limits) error {
	switch {
	case controller == controllerCPU && l.CPU > 0:
		return errors.Join(write(dir, "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)),
			write(dir, "cpu.cfs_quota_us", strconv.FormatInt(l.CPU*cpuPeriod/1000, 10)))
	case controller == controllerMemory && l.Memory > 0:
		return errors.Join(write(dir, "memory.limit_in_bytes", l.of(controllerMemory)),
			ifThere(write(dir, "memory.memsw.limit_in_bytes", l.of(controllerMemory))))
	case controller == controllerPids && l.Pids > 0:
		// The thread that forks is in there for that long.
		return write(dir, "pids.max", strconv.FormatInt(l.Pids+1, 10))
	}
	return nil
}

// ifThere is err, unless the machine does not have that control: one without swap space, for example.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// enter has what the calling thread forks be born in the groups: version 2 does so by attr, into version 1 the thread goes
// itself. leave has to be called on the same thread.
func (g *cgroup) enter(attr *syscall.SysProcAttr) (leave func() error, err error) {
	if g == nil {
		return func() error { return nil }, nil
	}
	if g.dir != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.dir.Fd())
	}
	thread := strconv.Itoa(unix.Gettid())
	leave = func() error {
		var err error
		for _, dir := range g.back {
			err = errors.Join(err, write(dir, "tasks", thread))
		}
		if g.pids != "" && g.limits.Pids > 0 {
			err = errors.Join(err, write(g.pids, "pids.max", g.limits.of(controllerPids)))
		}
		return err
	}
	for _, dir := range g.v1 {
		if err := write(dir, "tasks", thread); err != nil {
			return nil, errors.Join(err, leave())
		}
	}
	return leave, nil
}

// all are the groups, in each of which is all of the attempt.
func (g *cgroup) all() []string {
	if g == nil {
		return nil
	}
	if g.v2 != "" {
		return append([]string{g.v2}, g.v1...)
	}
	return g.v1
}

// members are the processes in the groups.
func (g *cgroup) members() map[int]bool {
	members := map[int]bool{}
	for _, dir := range g.all() {
		for _, pid := range membersOf(dir) {
			members[pid] = true
		}
	}
	return members
}

// occupied tells whether anything in the groups is alive.
func (g *cgroup) occupied() bool {
	return len(g.members()) > 0 || g != nil && g.v2 != "" && populated(g.v2)
}

func (g *cgroup) kill() {
	for _, dir := range g.all() {
		killGroup(dir)
	}
}

// cpuTime is what everything that has been in the groups used, if they know.
func (g *cgroup) cpuTime() (user, system time.Duration, known bool) {
	if g == nil || g.v2 == "" {
		return 0, 0, false
	}
	stat := flatKeyed(filepath.Join(g.v2, "cpu.stat"))
	user, system = time.Duration(stat["user_usec"])*time.Microsecond, time.Duration(stat["system_usec"])*time.Microsecond
	return user, system, user+system > 0
}

// outOfMemory tells whether the kernel has killed something for want of memory within the limit.
func (g *cgroup) outOfMemory() bool {
	for _, dir := range g.all() {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			if flatKeyed(filepath.Join(dir, file))["oom_kill"] > 0 {
				return true
			}
		}
	}
	return false
}

// remove gives the groups up, which are empty. What cannot be removed yet goes with the room.
func (g *cgroup) remove() {
	if g == nil {
		return
	}
	if g.dir != nil {
		g.dir.Close()
	}
	for _, dir := range g.all() {
		removeGroup(dir)
	}
}

// membersOf are the processes in a group and in those that somebody made below it, without this one: a thread of it may be
// there, just forking.
func membersOf(dir string) []int {
	var members []int
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // it is gone by now
		}
		for _, word := range words(filepath.Join(path, "cgroup.procs")) {
			if pid, err := strconv.Atoi(word); err == nil && pid != os.Getpid() {
				members = append(members, pid)
			}
		}
		return nil
	})
	return members
}

func populated(dir string) bool {
	return flatKeyed(filepath.Join(dir, "cgroup.events"))["populated"] > 0
}

// killGroup kills all that is in a group: at one blow where version 2 can, else one by one, after which nothing new is
// forked where pids are counted.
func killGroup(dir string) {
	if write(dir, "cgroup.kill", "1") == nil {
		return
	}
	_ = ifThere(write(dir, "pids.max", "0"))
	for _, pid := range membersOf(dir) {
		if p, ok := readProc(pid); ok {
			p.signal(syscall.SIGKILL)
		}
	}
}

// removeGroup removes an empty group, and those that somebody made below it.
func removeGroup(dir string) {
	if unix.Rmdir(dir) == nil {
		return
	}
	var below []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			below = append(below, path)
		}
		return nil
	})
	for _, path := range slices.Backward(below) {
		_ = unix.Rmdir(path)
	}
}

// flatKeyed reads a file of lines of a word and a number.
func flatKeyed(file string) map[string]int64 {
	data, _ := os.ReadFile(file)
	values := map[string]int64{}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 2 {
			values[fields[0]], _ = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return values
}
