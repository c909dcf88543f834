package process

import (
	"path/filepath"
	"slices"
	"strings"
)

// homes are the control groups that this process is in: that of version 2, and of version 1 by controller.
type homes struct {
	v2 string
	v1 map[string]string
}

// findHomes reads /proc/self/mountinfo and /proc/self/cgroup; see proc_pid_mountinfo(5) and cgroups(7).
func findHomes(mountinfo, cgroup string) homes {
	h := homes{v1: map[string]string{}}
	for entry := range strings.Lines(cgroup) {
		hierarchy := strings.SplitN(strings.TrimSuffix(entry, "\n"), ":", 3)
		if len(hierarchy) < 3 {
			continue
		}
		if hierarchy[0] == "0" && hierarchy[1] == "" {
			h.v2 = mounted(mountinfo, "cgroup2", "", hierarchy[2])
			continue
		}
		for controller := range strings.SplitSeq(hierarchy[1], ",") {
			if dir := mounted(mountinfo, "cgroup", controller, hierarchy[2]); dir != "" {
				h.v1[controller] = dir
			}
		}
	}
	return h
}

// mounted is the directory of a control group, or nothing when its hierarchy is not mounted, or not that part of it.
func mounted(mountinfo, kind, controller, group string) string {
	if strings.HasPrefix(group, "/..") {
		return "" // outside of this process's name space
	}
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		fields, system := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(system) < 3 || system[0] != kind {
			continue
		}
		if controller != "" && !slices.Contains(strings.Split(system[2], ","), controller) {
			continue
		}
		below, err := filepath.Rel(fields[3], group)
		if err == nil && filepath.IsLocal(below) {
			return filepath.Join(fields[4], below)
		}
	}
	return ""
}
