package scheduler

import "time"

// dueHeap is the tasks that are to be looked at at some time, the earliest first. With a million of them it is the
// cache that counts: each node has four children, which lie side by side, and the times are in the heap itself.
// A task knows its place in it (heapIndex, -1: none), so that its time can be changed.
type dueHeap []dueEntry

type dueEntry struct {
	wake int64 // Unix milliseconds, rounded up: never early
	task *taskView
}

const children = 4

// set has t come when it is to be looked at, be it in the heap already or not.
func (h *dueHeap) set(t *taskView) {
	e := dueEntry{t.wake, t}
	if t.heapIndex < 0 {
		*h = append(*h, e)
		h.up(len(*h)-1, e)
		return
	}
	h.settle(int(t.heapIndex), e)
}

// remove takes t out, if it is there.
func (h *dueHeap) remove(t *taskView) {
	at := int(t.heapIndex)
	if at < 0 {
		return
	}
	t.heapIndex = -1
	old := *h
	last := len(old) - 1
	moved := old[last]
	old[last] = dueEntry{}
	*h = old[:last]
	if at < last {
		h.settle(at, moved)
	}
}

// settle puts e, which goes where at is, to its place.
func (h dueHeap) settle(at int, e dueEntry) {
	if at > 0 && e.wake < h[(at-1)/children].wake {
		h.up(at, e)
	} else {
		h.down(at, e)
	}
}

func (h dueHeap) up(at int, e dueEntry) {
	for at > 0 {
		parent := (at - 1) / children
		if h[parent].wake <= e.wake {
			break
		}
		h.put(at, h[parent])
		at = parent
	}
	h.put(at, e)
}

func (h dueHeap) down(at int, e dueEntry) {
	for {
		first := at*children + 1
		if first >= len(h) {
			break
		}
		least := first
		for other := first + 1; other < min(first+children, len(h)); other++ {
			if h[other].wake < h[least].wake {
				least = other
			}
		}
		if e.wake <= h[least].wake {
			break
		}
		h.put(at, h[least])
		at = least
	}
	h.put(at, e)
}

func (h dueHeap) put(at int, e dueEntry) {
	h[at] = e
	e.task.heapIndex = int32(at)
}

// wakeMilli is a time in Unix milliseconds, rounded up. Unix nanoseconds would end in the year 2262.
func wakeMilli(at time.Time) int64 {
	ms := at.UnixMilli()
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}
