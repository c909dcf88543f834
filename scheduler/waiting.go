package scheduler

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

// Tasks that wait for a node stand in lines, one for each namespace and each kind of place, in the order of priority, then
// of the oldest time that waits, then of name. When there is room, the namespace that has the fewest places for its weight
// at the moment goes first, counting what is given it in this round, so that no namespace starves another, however much of it waits.
// Priority is a matter within a namespace: a team could else outbid all others.

// lineKey says who stands in a line: tasks of one namespace, for one kind of place.
type lineKey struct {
	namespace string
	place     place
}

// line is a heap of tasks. A task knows its line and its place in it.
type line []*taskView

func (l line) Len() int { return len(l) }
func (l line) Less(i, j int) bool {
	a, b := l[i], l[j]
	return cmp.Or(-cmp.Compare(a.waitsPriority, b.waitsPriority), a.waitsSince.Compare(b.waitsSince), cmp.Compare(a.name, b.name)) < 0
}

func (l line) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].lineIndex, l[j].lineIndex = i, j
}

// Push and Pop are for package heap.
func (l *line) Push(t any) {
	t.(*taskView).lineIndex = len(*l)
	*l = append(*l, t.(*taskView))
}

func (l *line) Pop() any {
	last := len(*l) - 1
	t := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return t
}

// wait has t stand in the line for what it waits for; for nothing when that is the zero value.
func (a *agenda) wait(t *taskView, waits place) {
	namespace, _, _ := strings.Cut(t.name, "/")
	// One that has nothing to wait for any more may be of the past, and its successor stand in line.
	if before := a.waiting[t.name]; before != nil && (before == t || waits != (place{})) {
		key := lineKey{namespace, before.waits}
		old := a.lines[key]
		heap.Remove(old, before.lineIndex)
		if old.Len() == 0 {
			delete(a.lines, key)
		}
		delete(a.waiting, t.name)
	}
	if t.waits = waits; waits == (place{}) {
		return
	}
	t.waitsSince, t.waitsPriority = t.oldestWaiting(), t.priority()
	key := lineKey{namespace, waits}
	if a.lines[key] == nil {
		a.lines[key] = new(line)
	}
	heap.Push(a.lines[key], t)
	a.waiting[t.name] = t
}

// room puts tasks that wait for a node on the list, before all others, in the order in which they are to be served. With
// fitting set, nodes have come or changed and all are looked at; else nodes have free places, and of the tasks that wait
// for the same kind of place (with NamespaceFull: of the same namespace) as many are looked at as there are places. has
// tells how many places a namespace has, weight what it counts.
func (a *agenda) room(fitting bool, free int, has, weight func(namespace string) int) {
	if len(a.lines) == 0 {
		return
	}
	before := a.first
	a.first = fifo{}
	byPlace := map[lineKey][]lineKey{}
	for key := range a.lines {
		if fitting || crowded(key.place.reason) {
			at := lineKey{place: key.place}
			if key.place.reason == nightwatch.ReasonNamespaceFull {
				at.namespace = key.namespace // it is its own limit: what another lacks says nothing of it
			}
			byPlace[at] = append(byPlace[at], key)
		}
	}
	given := map[string]int{}
	again := map[*taskView]bool{}
	for _, at := range slices.SortedFunc(maps.Keys(byPlace), compareLines) {
		quota := free
		if fitting {
			quota = len(a.waiting)
		}
		var called []*taskView
		for ; quota > 0; quota-- {
			key, ok := a.neediest(byPlace[at], func(namespace string) int { return has(namespace) + given[namespace] }, weight)
			if !ok {
				break
			}
			t := heap.Pop(a.lines[key]).(*taskView)
			given[key.namespace] += max(at.place.places, 1)
			called = append(called, t)
		}
		for _, t := range called { // they stand in line until it is known that they need not
			namespace, _, _ := strings.Cut(t.name, "/")
			heap.Push(a.lines[lineKey{namespace, at.place}], t)
		}
		for _, t := range called {
			t.hopeful, t.dirty = true, true
			a.first.push(t)
			again[t] = true
		}
	}
	for before.len() > 0 { // those that were called and have not been looked at yet
		if t := before.pop(); !again[t] {
			a.first.push(t)
		}
	}
}

// neediest is the line that is not empty whose namespace has the fewest places for its weight, of equal ones the first by
// name.
func (a *agenda) neediest(keys []lineKey, has, weight func(namespace string) int) (best lineKey, ok bool) {
	least, of := 0, 1
	for _, key := range keys {
		if a.lines[key].Len() == 0 {
			continue
		}
		n, w := has(key.namespace), weight(key.namespace)
		if left, right := n*of, least*w; !ok || left < right || left == right && key.namespace < best.namespace {
			best, least, of, ok = key, n, w, true
		}
	}
	return best, ok
}

func compareLines(a, b lineKey) int {
	return cmp.Or(comparePlaces(a.place, b.place), cmp.Compare(a.namespace, b.namespace))
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(b.places, a.places), cmp.Compare(a.reason, b.reason), cmp.Compare(a.runner, b.runner),
		cmp.Compare(a.handler, b.handler), cmp.Compare(a.runsOn, b.runsOn), cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.pool, b.pool),
		cmp.Compare(a.node, b.node))
}

func (t *taskView) priority() int {
	if t.def == nil {
		return 0
	}
	return t.def.Task.Priority
}
