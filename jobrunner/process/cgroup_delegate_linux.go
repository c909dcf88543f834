package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// leafName is the control group that a node and its guard move to, since one of version 2 may hand controllers to groups
// below it only while it has no processes itself.
const leafName = roomPrefix + "node"

// handDown has the groups in room get the wanted controllers, as far as base may hand them down. A node that is alone in
// a group that was delegated to it moves out of the way, with its guard; nobody else is moved, and nothing is changed
// in groups that are others' to manage. See https://systemd.io/CGROUP_DELEGATION.
func handDown(base, room string, wanted []string) (got []string, whyNot string) {
	has := words(filepath.Join(base, "cgroup.controllers"))
	wanted = slices.DeleteFunc(slices.Clone(wanted), func(c string) bool { return !slices.Contains(has, c) })
	if len(wanted) == 0 {
		return nil, "no controllers in " + base
	}
	handed := words(filepath.Join(base, "cgroup.subtree_control"))
	if slices.ContainsFunc(wanted, func(c string) bool { return !slices.Contains(handed, c) }) {
		if !delegated(base) {
			return nil, base + " is not delegated"
		}
		if err := moveOut(base); err != nil {
			return nil, err.Error()
		}
	}
	for _, group := range []string{base, room} {
		for _, controller := range wanted {
			if err := write(group, "cgroup.subtree_control", "+"+controller); err != nil && whyNot == "" {
				whyNot = err.Error()
			}
		}
	}
	return words(filepath.Join(room, "cgroup.subtree_control")), whyNot
}

// delegated tells whether the group is there for this process to divide: all that a user other than root may write is,
// root may write them all.
func delegated(base string) bool {
	if os.Geteuid() != 0 {
		return true
	}
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(base, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	// A container's own tree.
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	return bytes.HasSuffix(cgroup, []byte("0::/\n")) || bytes.HasSuffix(cgroup, []byte("0::/"+leafName+"\n"))
}

// moveOut leaves base without processes, if only this one and the node are in it. The root of all groups may keep its
// own.
func moveOut(base string) error {
	if _, err := os.Stat(filepath.Join(base, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	inside := words(filepath.Join(base, "cgroup.procs"))
	ours := []string{strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getppid())}
	for _, pid := range inside {
		if !slices.Contains(ours, pid) {
			return fmt.Errorf("process %s is in %s beside the node", pid, base)
		}
	}
	leaf := filepath.Join(base, leafName)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, pid := range inside {
		if err := write(leaf, "cgroup.procs", pid); err != nil {
			return err
		}
	}
	return nil
}
