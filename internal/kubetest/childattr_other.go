//go:build !linux

package kubetest

import (
	"os/exec"
	"syscall"
)

// childAttr is nothing here: no other system ends a child with its parent.
func childAttr() *syscall.SysProcAttr { return nil }

// killGroup kills a child. What it has started ends a little later, by itself.
func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
