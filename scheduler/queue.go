package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// agenda is which tasks are to be looked at: now (dirty), at some time, or when a node has room.
type agenda struct {
	dirty   []*taskView
	timed   dueHeap
	waiting map[string]*taskView
}

func newAgenda() *agenda { return &agenda{waiting: map[string]*taskView{}} }

// now puts t on the list of the next pass, once.
func (a *agenda) now(t *taskView) {
	if !t.dirty {
		t.dirty = true
		a.dirty = append(a.dirty, t)
	}
}

// take empties the list.
func (a *agenda) take() []*taskView {
	list := a.dirty
	a.dirty = nil
	for _, t := range list {
		t.dirty = false
	}
	return list
}

// room puts tasks that wait for a node on the list, before all others, by priority and then by age. With fitting set,
// nodes have come or changed and all are looked at; else nodes have free places, and of the tasks that wait for the
// same kind of place as many are looked at as there are places.
func (a *agenda) room(fitting bool, free int) {
	type candidate struct {
		t      *taskView
		oldest time.Time
	}
	candidates := make([]candidate, 0, len(a.waiting))
	for _, t := range a.waiting {
		if fitting || t.waits.reason == nightwatch.ReasonNoCapacity {
			candidates = append(candidates, candidate{t, t.oldestWaiting()})
		}
	}
	slices.SortFunc(candidates, func(x, y candidate) int {
		return cmp.Or(-cmp.Compare(x.t.priority(), y.t.priority()), x.oldest.Compare(y.oldest), cmp.Compare(x.t.name, y.t.name))
	})
	first := make([]*taskView, 0, len(candidates))
	taken := map[place]int{}
	for _, c := range candidates {
		if taken[c.t.waits]++; !fitting && taken[c.t.waits] > free {
			continue
		}
		c.t.hopeful = true
		if !c.t.dirty {
			c.t.dirty = true
			first = append(first, c.t)
		}
	}
	a.dirty = append(first, a.dirty...)
}

func (t *taskView) priority() int {
	if t.def == nil {
		return 0
	}
	return t.def.Task.Priority
}

func (t *taskView) oldestWaiting() time.Time {
	var oldest time.Time
	for r := range t.records {
		if at := r.run.NominalTime; r.run.Live() && !queued(&r.run) && !divided(&r.run) && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// at has t looked at at that time; the zero time means not.
func (a *agenda) at(t *taskView, at time.Time) {
	t.wakeAt = at
	if at.IsZero() {
		a.timed.remove(t)
		return
	}
	a.timed.set(t, at)
}

// due moves the tasks whose time has come to the list, and returns the next time, zero when there is none.
func (a *agenda) due(now time.Time) time.Time {
	limit := now.UnixMilli()
	for len(a.timed) > 0 {
		first := a.timed[0]
		if first.wake > limit {
			return time.UnixMilli(first.wake).UTC()
		}
		a.timed.remove(first.task)
		a.now(first.task)
	}
	return time.Time{}
}
