package kubetest

import (
	"os/exec"
	"syscall"
)

// childAttr puts a child into a process group of its own, so that a Ctrl-C at the terminal reaches only this process,
// and has the kernel kill the child when the thread that starts it ends.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup kills a child and what it has started.
func killGroup(cmd *exec.Cmd) error {
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
