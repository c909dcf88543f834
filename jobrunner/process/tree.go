package process

// proc is a process as the kernel lists it.
type proc struct {
	pid, ppid, pgrp, session int
	// born tells two processes of one number apart: clock ticks since boot.
	born uint64
	// dead processes wait to be reaped.
	dead bool
}

// tree picks what is alive of the tree that began with the process leader, a child of guard: what descends from it, and
// of the guard's adopted children what has its session or group, or carries its mark, with all their descendants.
func tree[T any](procs []proc, guard, leader int, leaders map[int]T, marked func(proc) bool) []proc {
	children := byParent(procs)
	var found []proc
	var claim func(p proc)
	claim = func(p proc) {
		if !p.dead {
			found = append(found, p)
		}
		for _, child := range children[p.pid] {
			claim(child)
		}
	}
	// An orphan that lays no claim itself may have descendants that do.
	var look func(p proc)
	look = func(p proc) {
		if p.pid == leader || p.session == leader || p.pgrp == leader || !p.dead && marked(p) {
			claim(p)
			return
		}
		for _, child := range children[p.pid] {
			look(child)
		}
	}
	for _, p := range children[guard] {
		if _, other := leaders[p.pid]; !other || p.pid == leader {
			look(p)
		}
	}
	return found
}

// descendants are all processes alive below root.
func descendants(procs []proc, root int) []proc {
	children := byParent(procs)
	var found []proc
	var walk func(pid int)
	walk = func(pid int) {
		for _, p := range children[pid] {
			if !p.dead {
				found = append(found, p)
			}
			walk(p.pid)
		}
	}
	walk(root)
	return found
}

// byParent leaves out what is its own parent: a list that was read while it changed may say so, and walks must end.
// For the same reason a child is never older than its parent.
func byParent(procs []proc) map[int][]proc {
	born := make(map[int]uint64, len(procs))
	for _, p := range procs {
		born[p.pid] = p.born
	}
	children := map[int][]proc{}
	for _, p := range procs {
		if p.ppid != p.pid && born[p.ppid] <= p.born {
			children[p.ppid] = append(children[p.ppid], p)
		}
	}
	return children
}
