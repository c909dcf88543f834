//go:build !linux

package process

import (
	"os"
	"syscall"
	"time"
)

// guardAttr keeps the node's signals from the guard.
func guardAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// childAttr makes an attempt a session and a process group of its own.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

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

func processes() []proc { return nil }

func (p proc) hasEnv(string) bool { return false }

func (p proc) signal(syscall.Signal) {}

func sweep(string) {}
