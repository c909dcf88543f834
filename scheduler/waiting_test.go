package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
)

// waitingTask is a task whose oldest run waits since a minute of the tests' day.
func waitingTask(name string, priority, minute int) *taskView {
	t := &taskView{name: name, heapIndex: -1, details: &details{def: &nightwatch.Accepted{Task: nightwatch.Task{Priority: priority}}}}
	t.keep("r", &runView{run: nightwatch.Run{Phase: nightwatch.PhasePending, NominalTime: at("00:00").Add(time.Duration(minute) * time.Minute)}})
	return t
}

var full = place{reason: nightwatch.ReasonNoCapacity, runner: nightwatch.RunnerProcess, places: 1}

// alike is the weight of every namespace.
func alike(string) int { return 1 }

func names(tasks []*taskView) []string {
	var list []string
	for _, t := range tasks {
		list = append(list, t.name)
	}
	return list
}

// take is all that is to be looked at, in that order.
func take(a *agenda) (list []*taskView) {
	for t := a.next(); t != nil; t = a.next() {
		list = append(list, t)
	}
	return list
}

func TestWhoGoesFirst(t *testing.T) {
	a := newAgenda()
	for _, task := range []*taskView{
		waitingTask("big/old", 0, 1), waitingTask("big/older", 0, 0), waitingTask("big/urgent", 5, 9), waitingTask("big/young", 0, 8),
		waitingTask("small/low", -3, 0), waitingTask("small/other", 0, 7),
	} {
		a.wait(task, full)
	}
	a.wait(waitingTask("big/elsewhere", 0, 0), place{reason: nightwatch.ReasonNoFittingNode, runner: nightwatch.RunnerHTTP})
	has := map[string]int{"big": 3, "small": 2}
	a.now(a.waiting["big/young"])
	a.room(false, 4, func(namespace string) int { return has[namespace] }, alike)
	want := []string{"small/other", "big/urgent", "small/low", "big/older", "big/young"}
	if got := names(take(a)); !slices.Equal(got, want) {
		t.Errorf("with four places %q, want %q", got, want)
	}
	a.wait(a.waiting["big/urgent"], place{}) // it got one
	a.room(false, 1, func(namespace string) int { return map[string]int{"small": 1}[namespace] }, alike)
	if got := names(take(a)); !slices.Equal(got, []string{"big/older"}) {
		t.Errorf("with one place %q", got)
	}
	a.room(true, 0, func(string) int { return 0 }, alike)
	if got := names(take(a)); len(got) != 6 {
		t.Errorf("a node has come: %q", got)
	}
}

func TestWeights(t *testing.T) {
	a := newAgenda()
	for i := range 8 {
		a.wait(waitingTask(fmt.Sprint("heavy/t", i), 0, i), full)
		a.wait(waitingTask(fmt.Sprint("light/t", i), 0, i), full)
	}
	a.room(false, 8, func(string) int { return 0 }, func(namespace string) int { return map[string]int{"heavy": 3, "light": 1}[namespace] })
	heavy := 0
	for _, name := range names(take(a)) {
		if strings.HasPrefix(name, "heavy/") {
			heavy++
		}
	}
	if heavy != 6 {
		t.Errorf("%d of eight places went to the namespace of three times the weight", heavy)
	}
}

// Whatever waits, and in whatever order it came: a namespace that has fewer places than another gets the next one, and
// within a namespace nobody goes before one of a higher priority or one that has waited longer.
func TestFairShare(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, has := newAgenda(), map[string]int{}
		for i := range rapid.IntRange(1, 40).Draw(r, "tasks") {
			namespace := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "namespace")
			a.wait(waitingTask(fmt.Sprintf("%s/t%d", namespace, i), rapid.IntRange(-1, 1).Draw(r, "priority"), rapid.IntRange(0, 5).Draw(r, "minute")), full)
			has[namespace] = rapid.IntRange(0, 9).Draw(r, "has")
		}
		for len(a.waiting) > 0 {
			left := map[string]int{}
			for name := range a.waiting {
				left[name[:1]]++
			}
			a.room(false, rapid.IntRange(1, 5).Draw(r, "free"), func(namespace string) int { return has[namespace] }, alike)
			for _, task := range take(a) {
				for namespace, n := range left {
					if n > 0 && has[namespace] < has[task.name[:1]] {
						r.Fatalf("%s goes before %s: %v", task.name, namespace, has)
					}
				}
				has[task.name[:1]]++
				left[task.name[:1]]--
				a.wait(task, place{})
				for name, other := range a.waiting {
					if name[:1] == task.name[:1] && other.waitsPriority > task.waitsPriority {
						r.Fatalf("%s goes before %s", task.name, name)
					}
				}
			}
		}
		if len(a.lines) > 0 {
			r.Fatalf("lines are left: %v", a.lines)
		}
	})
}

// With ten thousand that wait, each free place costs no look at all of them.
func BenchmarkRoom(b *testing.B) {
	a := newAgenda()
	for i := range 10_000 {
		a.wait(waitingTask(fmt.Sprint("big/t", i), 0, i), full)
	}
	a.wait(waitingTask("small/t", 0, 0), full)
	for b.Loop() {
		a.room(false, 1, func(string) int { return 0 }, alike)
		take(a)
	}
}

// A namespace with thousands of runs that wait does not keep another from getting its share at once.
func TestNoNamespaceStarvesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:00"), 1)
		r.node("n1", nil, func(n *simNode) { // it takes a hundred at a time
			n.work = func(run nightwatch.Run) (time.Duration, nightwatch.Phase) {
				return 10 * time.Second, nightwatch.PhaseSucceeded
			}
		})
		r.lead(r.scheduler())
		const many, few = 1500, 40
		for i := range many {
			r.task(fmt.Sprint("big/t", i), onceTask)
		}
		r.pass(15 * time.Second)
		for i := range few {
			r.task(fmt.Sprint("small/t", i), onceTask)
		}
		r.pass(20 * time.Second)
		for i := range few {
			if ran := r.runs(fmt.Sprint("small/t", i), nightwatch.PhaseSucceeded); len(ran) != 1 {
				t.Errorf("small/t%d has not run: %q", i, r.runs(fmt.Sprint("small/t", i)))
			}
		}
		done := 0
		for _, e := range r.etcd.below(r.etcd.keys.Of("status")) {
			if strings.Contains(e.Key, "/big/") && strings.Contains(string(e.Value), `"phase":"Succeeded"`) {
				done++
			}
		}
		if done == 0 || done > many/2 {
			t.Errorf("%d of big have run", done)
		}
	})
}

// What is left of a task that was deleted, and comes up once more, does not take the task of that name out of its line that
// was put since.
func TestASuccessorStaysInLine(t *testing.T) {
	a := newAgenda()
	ghost, successor := waitingTask("n/t", 0, 0), waitingTask("n/t", 0, 1)
	a.wait(successor, full)
	a.wait(ghost, place{})
	a.room(false, 1, func(string) int { return 0 }, alike)
	if got := take(a); len(got) != 1 || got[0] != successor {
		t.Errorf("%q is called", names(got))
	}
	a = newAgenda()
	a.wait(ghost, full)
	a.wait(successor, full)
	a.wait(ghost, place{})
	a.room(false, 2, func(string) int { return 0 }, alike)
	if got := take(a); len(got) != 1 || got[0] != successor {
		t.Errorf("%q is called", names(got))
	}
}

// Room is offered to as many as there is room for, of each that could not use what another cannot.
func TestRoomIsOfferedToThoseWhoCanUseIt(t *testing.T) {
	limit := place{reason: nightwatch.ReasonNamespaceFull, runner: nightwatch.RunnerProcess, places: 1}
	on := func(node string) place { p := full; p.node = node; return p }
	job := func(cluster string) place { p := full; p.cluster = cluster; return p }
	for _, row := range []struct {
		name          string
		first, second place
	}{
		{"another namespace's limit", limit, limit},
		{"shards for another node", on("busy"), full},
		{"Jobs of another cluster", job("c1"), job("c2")},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAgenda()
			for i := range 5 {
				a.wait(waitingTask(fmt.Sprint("first/t", i), 9, i), row.first)
			}
			a.wait(waitingTask("second/t", 0, 9), row.second)
			has := map[string]int{"second": 9}
			a.room(false, 1, func(namespace string) int { return has[namespace] }, alike)
			if got := names(take(a)); !slices.Contains(got, "second/t") || len(got) != 2 {
				t.Errorf("%q are called", got)
			}
		})
	}
}
