package scheduler

import "time"

// agenda is which tasks are to be looked at: now (first those that a node may have room for, then the others, in the
// order in which they came), at some time, when a node has room, or when there is nothing else to do.
type agenda struct {
	first   fifo
	others  fifo
	rest    fifo
	timed   dueHeap
	waiting map[string]*taskView // those that stand in one of the lines
	lines   map[lineKey]*line
	turns   []*taskView // are to be put after other tasks, one by one
}

func newAgenda() *agenda { return &agenda{waiting: map[string]*taskView{}, lines: map[lineKey]*line{}} }

// now has t looked at, once.
func (a *agenda) now(t *taskView) {
	if !t.dirty {
		t.dirty = true
		a.others.push(t)
	}
}

// next takes the task off that is to be looked at next; nil: there is none.
func (a *agenda) next() *taskView {
	for _, list := range []*fifo{&a.first, &a.others} {
		for list.len() > 0 {
			// A task that was called before its turn stands in both.
			if t := list.pop(); t.dirty {
				t.dirty = false
				return t
			}
		}
	}
	if a.rest.len() > 0 {
		return a.rest.pop()
	}
	return nil
}

// pending is how many tasks are to be looked at now, at most, without those that have time.
func (a *agenda) pending() int { return a.first.len() + a.others.len() }

// fifo is a queue that takes as long for one task as for the next, however many wait.
type fifo struct {
	tasks []*taskView
	head  int
}

func (f *fifo) len() int { return len(f.tasks) - f.head }

func (f *fifo) push(t *taskView) {
	if f.head > len(f.tasks)/2 {
		f.tasks = f.tasks[:copy(f.tasks, f.tasks[f.head:])]
		f.head = 0
	}
	f.tasks = append(f.tasks, t)
}

func (f *fifo) pop() *taskView {
	t := f.tasks[f.head]
	f.tasks[f.head] = nil
	f.head++
	return t
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
	if at.IsZero() {
		t.wake = 0
		a.timed.remove(t)
		return
	}
	t.wake = wakeMilli(at)
	a.timed.set(t)
}

// wakeAt is when t is to be looked at; the zero time: nothing is known of that.
func (t *taskView) wakeAt() time.Time {
	if t.wake == 0 {
		return time.Time{}
	}
	return time.UnixMilli(t.wake).UTC()
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
