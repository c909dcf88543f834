package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// statusOf is what the cluster says of a task.
func (b *board) statusOf(task string) (s nightwatch.Status) {
	b.read(b.keys.Status(task), &s)
	return s
}

func TestCyclesAreRefused(t *testing.T) {
	for _, row := range []struct {
		name  string
		tasks []string // "<task>: <upstream> …", put one after the other, the last of which is refused
		field string
		want  string
	}{
		{"two", []string{"a: b", "b: a"}, "after.tasks[0]", `"a": makes a cycle: default/b comes after default/a, which comes after default/b`},
		{"the second of two", []string{"x:", "a: x b", "b: x a"}, "after.tasks[1]", `"a": makes a cycle: default/b comes after default/a, which comes after default/b`},
		{
			"three, by way of another namespace", []string{"a: other/b", "other/b: c default/x", "c:", "other/c: default/a"}, "after.tasks[0]",
			`"default/a": makes a cycle: other/c comes after default/a, which comes after other/b, which comes after other/c`,
		},
		{"long", []string{"t0:", "t1: t0", "t2: t1", "t3: t2", "t4: t3", "t5: t4", "t6: t5", "t7: t6", "t8: t7", "t9: t8", "t10: t9", "t11: t10", "t0: t11"}, "after.tasks[0]", "and so on by way of 2 more to default/t0"},
		{"by an edit", []string{"a:", "b: a", "c: b", "a: c"}, "after.tasks[0]", "makes a cycle"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			name := ""
			for i, task := range row.tasks {
				of, upstreams, _ := strings.Cut(task, ":")
				if name = of; !strings.Contains(of, "/") {
					name = "default/" + of
				}
				value := onceTask
				if list := strings.Fields(upstreams); len(list) > 0 {
					value = follower(`"tasks":["` + strings.Join(list, `","`) + `"]`)
				}
				rev := b.set(b.keys.Task(name), value)
				b.settle(name)
				s := b.statusOf(name)
				if last := i == len(row.tasks)-1; s.Accepted == last {
					t.Fatalf("%s: %+v", task, s)
				}
				if s.ObservedRevision != rev {
					t.Errorf("%s: not looked at: %+v", task, s)
				}
			}
			s := b.statusOf(name)
			if len(s.Errors) != 1 || s.Errors[0].Field != row.field || !strings.Contains(s.Errors[0].Reason, row.want) {
				t.Errorf("%q, want %q", s.Errors, row.want)
			}
		})
	}
}

// What leads to no cycle is accepted, a diamond and an edge that is turned round among it.
func TestNoCycles(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	put := func(name string, upstreams ...string) {
		t.Helper()
		value := onceTask
		if len(upstreams) > 0 {
			value = follower(`"tasks":["` + strings.Join(upstreams, `","`) + `"]`)
		}
		b.set(b.keys.Task("default/"+name), value)
		b.settle("default/" + name)
		if s := b.statusOf("default/" + name); !s.Accepted {
			t.Errorf("%s: %+v", name, s.Errors)
		}
	}
	put("d", "b", "c") // before they are there
	put("b", "a")
	put("c", "a", "b")
	put("a")
	put("d", "c")
	put("c", "a")
	put("b", "d", "a")              // the other way round
	b.del(b.keys.Task("default/d")) // what is deleted comes after nothing
	put("c", "b")
}

// Of tasks that are put at the same moment and would make a cycle together, whoever comes last is refused.
func TestCycleOfTwoPutsAtOnce(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.set(b.keys.Task("default/a"), follower(`"tasks":["b"]`), b.keys.Task("default/b"), follower(`"tasks":["a"]`))
	first, second := b.decide("default/a"), b.decide("default/b") // of one view
	if !first.drawn || !second.drawn {
		t.Fatal("no dependency is drawn")
	}
	if !b.commit(second) || b.commit(first) {
		t.Fatal("of two transactions that were decided on the same view, one is to be refused")
	}
	b.settle("default/a")
	b.settle("default/b")
	if x, y := b.statusOf("default/a"), b.statusOf("default/b"); x.Accepted || !y.Accepted {
		t.Errorf("a: %+v, b: %+v", x, y)
	}
	// One that takes nothing new upon itself does not wait for the others.
	b.set(b.keys.Task("default/b"), follower(`"tasks":["a"]`, `"description":"edited"`))
	b.drawing = true
	if p := b.decide("default/b"); p.deferred || p.drawn || p.txn.Empty() {
		t.Errorf("deferred %t, drawn %t", p.deferred, p.drawn)
	}
	b.set(b.keys.Task("default/c"), follower(`"tasks":["a"]`))
	if p := b.decide("default/c"); !p.deferred || !p.txn.Empty() {
		t.Errorf("deferred %t", p.deferred)
	}
}

// However many tasks are put at once that come after others, each is judged, one after the other, and of each ring one is
// refused.
func TestManyFollowersPutAtOnce(t *testing.T) {
	const rings, size = 60, 5
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:00"), 3)
		first, second := r.scheduler(), r.scheduler()
		for i := range rings {
			for k := range size {
				r.task(fmt.Sprintf("default/r%d-%d", i, k), follower(fmt.Sprintf(`"tasks":["r%d-%d"]`, i, (k+1)%size)))
			}
		}
		leave := r.lead(first)
		r.pass(300 * time.Millisecond)
		leave() // in the midst of it
		r.lead(second)
		r.pass(20 * time.Second)
		refused := 0
		for i := range rings {
			of := 0
			for k := range size {
				var s nightwatch.Status
				name := fmt.Sprintf("default/r%d-%d", i, k)
				if !r.etcd.read(r.etcd.keys.Status(name), &s) {
					t.Fatalf("%s was not looked at", name)
				}
				if !s.Accepted {
					of++
				}
			}
			if of != 1 {
				t.Errorf("ring %d: %d of %d are refused, want 1", i, of, size)
			}
			refused += of
		}
		t.Logf("%d of %d refused", refused, rings*size)
	})
}
