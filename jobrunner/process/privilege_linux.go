package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// hasRlimits tells whether resource limits do for memory and pids.
const hasRlimits = true

// setRlimits binds this process and all that it will start, each for itself.
func setRlimits(l limits) error {
	for _, limit := range []struct {
		resource int
		value    int64
	}{{unix.RLIMIT_AS, l.Memory}, {unix.RLIMIT_NPROC, l.Pids}} {
		if limit.value <= 0 {
			continue
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &now); err != nil {
			return err
		}
		value := min(uint64(limit.value), now.Max)
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return err
		}
	}
	return nil
}

// maySwitchUser tells whether this process may start others as any user, and then still signal them.
func maySwitchUser() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	const needed = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL
	if data[0].Effective&needed == needed {
		return nil
	}
	return fmt.Errorf("this node runs as user %d and may not switch: want CAP_SETUID, CAP_SETGID and CAP_KILL, or root", os.Geteuid())
}

// dropAmbient keeps capabilities that a service manager gave to the node (AmbientCapabilities=) from what this thread
// executes. Without this any task could switch to root.
func dropAmbient() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && err != unix.EINVAL {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	return nil
}
