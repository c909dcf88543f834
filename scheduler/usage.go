package scheduler

import (
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// taking is what a run takes while a node has it. It stands in the record, so that an edit of the task changes nothing
// for runs that are under way.
type taking struct {
	session         string
	namespace, pool string
	kinds           [3]string // as a node's capacities call the run; the first stands for all that it does
	kept            bool      // it has its place in its pool and its namespace already
	places          int
}

// takingOf is what the node of a run gives for it.
func takingOf(r *nightwatch.Run) taking {
	t := taking{session: r.Session, places: r.Places()}
	copy(t.kinds[1:], r.Kinds())
	t.pool = r.Pool
	t.namespace, _, _ = strings.Cut(r.Task, "/")
	return t
}

// usage counts what runs take.
type usage struct {
	places     map[room]int
	namespaces map[string]int // places, by the namespace of the task
	pools      map[string]int // runs
	running    map[string]int // runs, by the namespace of the task
	// Of what this scheduler gives: when a run of each pool last started, since when it leads, and when the first of the
	// pools that have to pause is ready again.
	started      map[string]time.Time
	since, ready time.Time
}

// room is what a session has for runs of one kind; for all of them together when kind is empty.
type room struct{ session, kind string }

func newUsage() *usage {
	return &usage{places: map[room]int{}, namespaces: map[string]int{}, pools: map[string]int{}, running: map[string]int{}, started: map[string]time.Time{}}
}

// add counts a taking n times: 1 when it begins, -1 when it ends.
func (u *usage) add(t taking, n int) {
	if u.namespaces[t.namespace] += n * t.places; u.namespaces[t.namespace] == 0 {
		delete(u.namespaces, t.namespace)
	}
	if !t.kept {
		if u.running[t.namespace] += n; u.running[t.namespace] == 0 {
			delete(u.running, t.namespace)
		}
	}
	if t.pool != "" && !t.kept {
		if u.pools[t.pool] += n; u.pools[t.pool] == 0 {
			delete(u.pools, t.pool)
		}
	}
	if t.session == "" {
		return // its Job may exist, and no node has it
	}
	for i, kind := range t.kinds {
		if i > 0 && kind == "" {
			continue
		}
		at := room{t.session, kind}
		if u.places[at] += n * t.places; u.places[at] == 0 {
			delete(u.places, at)
		}
	}
}

// sessions are those that have any run.
func (u *usage) sessions(yield func(string) bool) {
	for at := range u.places {
		if at.kind == "" && !yield(at.session) {
			return
		}
	}
}
