package scheduler

import (
	"github.com/nightwatch-go/nightwatch"
)

// What the view knows of tasks that come after others.

// follow makes t a downstream of the upstreams of def, its version that is to be in force, and of no others.
func (v *view) follow(t *taskView, def *nightwatch.Accepted) {
	var before, now []string
	if t.def != nil {
		before = t.def.Task.Upstreams()
	}
	if def != nil {
		now = def.Task.Upstreams()
	}
	for _, name := range before {
		delete(v.downstreams[name], t.name)
		if len(v.downstreams[name]) == 0 {
			delete(v.downstreams, name)
		}
		v.touch(name) // its records may have waited for t
	}
	for _, name := range now {
		if v.downstreams[name] == nil {
			v.downstreams[name] = map[string]*taskView{}
		}
		v.downstreams[name][t.name] = t
	}
	if (t.def == nil) != (def == nil) {
		v.touchDownstreams(t.name) // an upstream of theirs is there now, or is not any more
	}
}

// touch tells the loop about a task, if there is one of that name.
func (v *view) touch(name string) {
	if t := v.tasks[name]; t != nil {
		v.touched(t)
	}
}

func (v *view) touchDownstreams(name string) {
	for _, t := range v.downstreams[name] {
		v.touched(t)
	}
}

// touchNeighbours tells the loop about the tasks that come after t, and those that it comes after: it has come or gone.
func (v *view) touchNeighbours(t *taskView) {
	v.touchDownstreams(t.name)
	if t.def != nil {
		for _, name := range t.def.Task.Upstreams() {
			v.touch(name)
		}
	}
}

// arrived tells the tasks that come after t of a run that has ended.
func (v *view) arrived(t *taskView, r *runView) {
	if r.run.Live() {
		return
	}
	if at := r.endRevision(); at > t.ended {
		t.ended = at
	}
	v.touchDownstreams(t.name)
}

// touchLookedAt tells the loop about the upstreams whose runs a task has looked at: their records may leave now.
func (v *view) touchLookedAt(before, now []nightwatch.Upstream) {
	for i := range now {
		u := &now[i]
		if i < len(before) && before[i].Task == u.Task && before[i].Revision == u.Revision && before[i].Run == u.Run {
			continue
		}
		v.touch(u.Task)
	}
}

// endRevision is the revision at which a run ended: that of its record, which is not written any more from then on but by
// who makes a dead letter good, and he notes it.
func (r *runView) endRevision() int64 {
	if r.run.EndRevision != 0 {
		return r.run.EndRevision
	}
	return r.mod
}

// current tells whether the version in force is of the life that the task's key lives.
func (t *taskView) current() bool {
	return t.def != nil && t.task.present() && t.def.UID == t.task.create
}

// awaits tells whether a task that comes after another has yet to look at a run of it.
func (t *taskView) awaits(upstream string, r *runView) bool {
	if !t.current() || t.status.UID != t.def.UID || t.def.Task.After == nil || !t.def.Task.After.Meets(&r.run) {
		return false
	}
	for i := range t.status.Upstream {
		if u := &t.status.Upstream[i]; u.Task == upstream {
			return !u.LookedAt(r.endRevision(), r.run.ID)
		}
	}
	return false
}
