//go:build !linux

package process

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// guardAttr keeps the node's signals from the guard.
func guardAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// childAttr makes an attempt a session and a process group of its own.
func childAttr(as *credential) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.UID, Gid: as.GID, Groups: as.Groups}
	}
	return attr
}

func becomeSubreaper() error { return nil }

// bootNow is the wall clock: Go offers no other that two processes share.
func bootNow() int64 { return time.Now().UnixNano() }

// leader is the first process of an attempt. Here waiting for it reaps it.
type leader struct {
	process *os.Process
	state   *os.ProcessState
	err     error
}

func (l *leader) await() {
	l.state, l.err = l.process.Wait()
	// With no list of processes to look at, what is left of the group is killed in the same moment.
	_ = syscall.Kill(-l.process.Pid, syscall.SIGKILL)
}

func (l *leader) reap() (*os.ProcessState, error) { return l.state, l.err }

func maxRSS(*os.ProcessState) int64 { return 0 }

func processes() []proc { return nil }

func (p proc) hasEnv(string) bool { return false }

func (p proc) signal(syscall.Signal) {}

func sweep(string, []string) {}

const hasRlimits = false

func setRlimits(limits) error { return errors.ErrUnsupported }

func maySwitchUser() error {
	if os.Geteuid() != 0 {
		return errors.New("this node may not switch users: want one that runs as root")
	}
	return nil
}

func dropAmbient() error { return nil }

// cgroups are of Linux.
type (
	cgroups struct{}
	cgroup  struct{}
)

func openCgroups() *cgroups { return roomsIn(homes{}) }

func roomsIn(homes) *cgroups { return &cgroups{} }

func (*cgroups) rooms() []string { return nil }

func (*cgroups) means() means { return means{whyNot2: "of Linux only"} }

func (*cgroups) group(int64, limits, string) (*cgroup, error) { return nil, nil }

func (*cgroups) close() {}

func (*cgroup) enter(*syscall.SysProcAttr) (func() error, error) {
	return func() error { return nil }, nil
}

func (*cgroup) members() map[int]bool { return nil }

func (*cgroup) occupied() bool { return false }

func (*cgroup) kill() {}

func (*cgroup) cpuTime() (user, system time.Duration, known bool) { return 0, 0, false }

func (*cgroup) outOfMemory() bool { return false }

func (*cgroup) remove() {}
