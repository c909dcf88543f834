package process

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guardAttr keeps the node's signals from the guard. It outlives the node, by as long as it takes to kill.
func guardAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// childAttr makes an attempt a session and a process group of its own that dies with the guard.
func childAttr(as *credential) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.UID, Gid: as.GID, Groups: as.Groups}
	}
	return attr
}

func becomeSubreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// bootNow is nanoseconds since boot, the time the machine slept included.
func bootNow() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("read the boot clock: " + err.Error())
	}
	return ts.Nano()
}

// leader is the first process of an attempt.
type leader struct{ process *os.Process }

// await blocks until the process has exited, and leaves it to be reaped.
func (l *leader) await() {
	for unix.Waitid(unix.P_PID, l.process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

func (l *leader) reap() (*os.ProcessState, error) { return l.process.Wait() }

// maxRSS is the largest memory of a process and of those it waited for, or 0 when that is not known: what a process
// executes inherits the mark of what it was forked from, which is the guard.
func maxRSS(state *os.ProcessState) int64 {
	used, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			if own, err := strconv.ParseInt(fields[1], 10, 64); err == nil && used.Maxrss > own {
				return used.Maxrss << 10
			}
		}
	}
	return 0
}

// processes lists what runs on the machine. What comes or goes meanwhile may be missing.
func processes() []proc {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	procs := make([]proc, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProc(pid); ok {
				procs = append(procs, p)
			}
		}
	}
	return procs
}

// readProc reads /proc/<pid>/stat; see proc_pid_stat(5). The name in it may hold anything, a ')' too.
func readProc(pid int) (proc, bool) {
	data, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return proc{}, false
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return proc{}, false
	}
	p := proc{pid: pid, dead: fields[0] == "Z" || fields[0] == "X"}
	p.ppid, _ = strconv.Atoi(fields[1])
	p.pgrp, _ = strconv.Atoi(fields[2])
	p.session, _ = strconv.Atoi(fields[3])
	p.born, _ = strconv.ParseUint(fields[19], 10, 64)
	return p, true
}

// hasEnv tells whether the process was executed with this entry, "name=value", in its environment.
func (p proc) hasEnv(entry string) bool {
	data, _ := os.ReadFile(procFile(p.pid, "environ"))
	return slices.ContainsFunc(bytes.Split(data, []byte{0}), func(e []byte) bool { return string(e) == entry })
}

// signal reaches p and never another process of the same number: the handle is taken first and compared then.
func (p proc) signal(sig syscall.Signal) {
	handle, err := os.FindProcess(p.pid)
	if err != nil {
		return
	}
	defer func() { _ = handle.Release() }()
	if now, ok := readProc(p.pid); ok && now.born == p.born {
		_ = handle.Signal(sig)
	}
}

// sweep kills what is in the control groups of a guard that is gone, or carries its mark, until there is no more of it.
func sweep(token string, rooms []string) {
	clearRooms(rooms)
	prefix := []byte(markerName + "=" + token + ".")
	deadline := time.Now().Add(sweepWithin)
	for poll := (backoff{}); time.Now().Before(deadline); <-poll.next() {
		found := false
		for _, p := range processes() {
			if p.dead {
				continue
			}
			data, _ := os.ReadFile(procFile(p.pid, "environ"))
			if slices.ContainsFunc(bytes.Split(data, []byte{0}), func(e []byte) bool { return bytes.HasPrefix(e, prefix) }) {
				found = true
				p.signal(syscall.SIGKILL)
			}
		}
		if !found {
			return
		}
	}
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
