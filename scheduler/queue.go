package scheduler

import "time"

// agenda is which tasks are to be looked at: now (dirty), at some time, or when a node has room.
type agenda struct {
	dirty   []*taskView
	timed   dueHeap
	waiting map[string]*taskView // those that stand in one of the lines
	lines   map[lineKey]*line
	turns   []*taskView // are to be put after other tasks, one by one
}

func newAgenda() *agenda { return &agenda{waiting: map[string]*taskView{}, lines: map[lineKey]*line{}} }

// now puts t on the list of the next pass, once.
func (a *agenda) now(t *taskView) {
	if !t.dirty {
		t.dirty = true
		a.dirty = append(a.dirty, t)
	}
}

// waitTurn has t wait until the version of another task that is put after others shows in the view.
func (a *agenda) waitTurn(t *taskView) {
	if !t.waitsTurn {
		t.waitsTurn = true
		a.turns = append(a.turns, t)
	}
}

// nextTurn puts the first of those that wait on the list of this pass.
func (a *agenda) nextTurn() {
	if len(a.turns) > 0 {
		first := a.turns[0]
		a.turns = a.turns[1:]
		first.waitsTurn = false
		a.now(first)
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
