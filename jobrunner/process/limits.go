package process

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nightwatch-go/nightwatch"
)

// limits is what the processes of an attempt may use together; 0 is no limit.
type limits struct {
	Memory int64 `json:"memory,omitempty"` // in bytes
	CPU    int64 `json:"cpu,omitempty"`    // in thousandths of a processor
	Pids   int64 `json:"pids,omitempty"`
}

func limitsOf(spec nightwatch.ProcessLimits) (l limits, err error) {
	if spec.Memory != "" {
		if l.Memory, err = nightwatch.ParseMemory(spec.Memory); err != nil {
			return l, fmt.Errorf("process.limits.memory: %w", err)
		}
	}
	if spec.CPU != "" {
		if l.CPU, err = nightwatch.ParseCPU(spec.CPU); err != nil {
			return l, fmt.Errorf("process.limits.cpu: %w", err)
		}
	}
	l.Pids = int64(spec.Pids)
	return l, nil
}

// The controllers of control groups that limits need, named alike in both versions.
const (
	controllerCPU    = "cpu"
	controllerMemory = "memory"
	controllerPids   = "pids"
)

var controllers = []string{controllerCPU, controllerMemory, controllerPids}

// controllers are those that l needs.
func (l limits) controllers() (needed []string) {
	for _, controller := range controllers {
		if l.of(controller) != "0" {
			needed = append(needed, controller)
		}
	}
	return needed
}

// of is the limit of one controller, as a task says it.
func (l limits) of(controller string) string {
	switch controller {
	case controllerCPU:
		return strconv.FormatFloat(float64(l.CPU)/1000, 'f', -1, 64)
	case controllerMemory:
		return strconv.FormatInt(l.Memory, 10)
	default:
		return strconv.FormatInt(l.Pids, 10)
	}
}

// What keeps the limits of an attempt, as its record says it.
const (
	keptByCgroup2 = "cgroup2"
	keptByCgroup1 = "cgroup1"
	keptByRlimit  = "rlimit"
)

// means is what there is to keep limits with.
type means struct {
	// v2 and v1 are the controllers of control groups that can be had. whyNot2 says what is in the way of others.
	v2, v1  []string
	whyNot2 string
	// rlimits tells whether the system has resource limits that do for memory and pids.
	rlimits bool
	// ownUser tells whether the attempt has a user of its own: RLIMIT_NPROC counts what a user has on the whole
	// machine, the node's own processes too, and does not bind root.
	ownUser bool
}

// keeper chooses one of them for all limits of an attempt: control groups, the newer ones first, since they count what
// all processes have together; else resource limits, by which each process may have that much memory.
func (l limits) keeper(m means) (string, error) {
	needed := l.controllers()
	lacks := func(have []string) bool {
		return slices.ContainsFunc(needed, func(c string) bool { return !slices.Contains(have, c) })
	}
	switch {
	case len(needed) == 0:
		return "", nil
	case !lacks(m.v2):
		return keptByCgroup2, nil
	case !lacks(m.v1):
		return keptByCgroup1, nil
	}
	refuse := func(controller, why string) (string, error) {
		return "", fmt.Errorf("process.limits.%s: %s: this node cannot keep it: no control group that it may write has the controllers %q (v2: %s), %s",
			controller, l.of(controller), needed, m.whyNot2, why)
	}
	switch {
	case !m.rlimits:
		return refuse(needed[0], "and this system has no resource limits for it")
	case l.CPU > 0:
		return refuse(controllerCPU, "and no resource limit bounds it")
	case l.Pids > 0 && !m.ownUser:
		return refuse(controllerPids, "and the resource limit counts all that a user has: want a process.user other than root and the node's own")
	}
	return keptByRlimit, nil
}
