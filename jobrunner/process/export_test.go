package process

import "os"

// GuardMainWith is GuardMain on a machine with control groups of these versions only, as far as this one has them.
func GuardMainWith(v2, v1 bool) int {
	if os.Getenv(execName) != "" {
		return execMain()
	}
	return guardMain(func() *cgroups { return roomsIn(homesWith(v2, v1)) })
}

func homesWith(v2, v1 bool) homes {
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	h := findHomes(string(mountinfo), string(cgroup))
	if !v2 {
		h.v2 = ""
	}
	if !v1 {
		h.v1 = nil
	}
	return h
}

// KeptBy is what would keep limits on such a machine, or nothing. Tracked tells whether an attempt there has a control
// group at all.
func KeptBy(v2, v1, ownUser bool, memory, cpu, pids int64) (by string, tracked bool) {
	cs := roomsIn(homesWith(v2, v1))
	defer cs.close()
	m := cs.means()
	m.rlimits, m.ownUser = true, ownUser
	by, _ = limits{Memory: memory, CPU: cpu, Pids: pids}.keeper(m)
	group, err := cs.group(1, limits{}, "")
	group.remove()
	return by, err == nil && group != nil
}

// ClearRooms removes what tests left behind that killed guards together with their nodes.
func ClearRooms() { openCgroups().close() }
