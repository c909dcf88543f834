package scheduler

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// agenda is which tasks are to be looked at: now (dirty), at some time, or when a node has room.
type agenda struct {
	dirty   []*taskView
	timed   timedTasks
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

// take empties the list, those that waited for a node first, by priority and then by age.
func (a *agenda) take() []*taskView {
	list := a.dirty
	a.dirty = nil
	for _, t := range list {
		t.dirty = false
	}
	return list
}

// room puts every task that waits for a node on the list, before all others.
func (a *agenda) room() {
	first := make([]*taskView, 0, len(a.waiting))
	for _, t := range a.waiting {
		if !t.dirty {
			t.dirty = true
			first = append(first, t)
		}
	}
	slices.SortFunc(first, func(x, y *taskView) int {
		return cmp.Or(-cmp.Compare(x.priority(), y.priority()), x.oldestWaiting().Compare(y.oldestWaiting()))
	})
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
	for _, r := range t.runs {
		if at := r.run.NominalTime; r.run.Live() && !queued(&r.run) && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// at has t looked at at that time; the zero time means not.
func (a *agenda) at(t *taskView, at time.Time) {
	switch {
	case at.IsZero() && t.heapIndex >= 0:
		heap.Remove(&a.timed, t.heapIndex)
		t.wakeAt = at
	case at.IsZero():
		t.wakeAt = at
	case t.heapIndex >= 0:
		t.wakeAt = at
		heap.Fix(&a.timed, t.heapIndex)
	default:
		t.wakeAt = at
		heap.Push(&a.timed, t)
	}
}

// due moves the tasks whose time has come to the list, and returns the next time, zero when there is none.
func (a *agenda) due(now time.Time) time.Time {
	for len(a.timed) > 0 {
		t := a.timed[0]
		if t.wakeAt.After(now) {
			return t.wakeAt
		}
		heap.Pop(&a.timed)
		a.now(t)
	}
	return time.Time{}
}

// timedTasks is a heap by wakeAt.
type timedTasks []*taskView

func (h timedTasks) Len() int           { return len(h) }
func (h timedTasks) Less(i, j int) bool { return h[i].wakeAt.Before(h[j].wakeAt) }
func (h timedTasks) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push is heap.Interface's.
func (h *timedTasks) Push(x any) {
	t := x.(*taskView)
	t.heapIndex = len(*h)
	*h = append(*h, t)
}

// Pop is heap.Interface's.
func (h *timedTasks) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.heapIndex = -1
	return t
}
