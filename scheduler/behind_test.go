package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// behind is a task with so many runs that wait for room, and as many that have ended, on a node that has none.
func behind(b testing.TB, waiting int) *board {
	o := newBoard(b, "10:00")
	o.node("node-1", func(n *nightwatch.Node) { n.Capacity = 1 })
	o.put(`{"handler":{"name":"work"},"every":"1s","overlap":"allow","catchUp":{"mode":"all","max":1000},
		"history":{"succeeded":1000,"failed":1000,"skipped":1000}}`)
	o.settle(demo)
	for range waiting {
		o.now = o.now.Add(time.Second)
		o.settle(demo)
		for r := range o.view.known(demo).records {
			if r.run.Phase == nightwatch.PhaseAssigned {
				o.claim(r.run.ID)
				o.finish(r.run.ID, nightwatch.PhaseSucceeded)
				break
			}
		}
		o.settle(demo)
	}
	o.now = o.now.Add(time.Duration(waiting) * time.Second)
	o.settle(demo)
	return o
}

// What a decision costs must not follow from how many runs wait: who is behind would get further behind, and never catch up.
func TestDecisionOnManyThatWait(t *testing.T) {
	cost := func(waiting int) float64 {
		o := behind(t, waiting)
		o.now = o.now.Add(time.Second)
		return testing.AllocsPerRun(10, func() {
			if p := decide(o.world, o.view.known(demo)); p.txn.Empty() {
				t.Error("nothing is due")
			}
		})
	}
	if few, many := cost(10), cost(990); many > 2*few {
		t.Errorf("%v allocations with 990 runs that wait, and %v with 10", many, few)
	}
}

// BenchmarkBehind is a decision on a task of which many runs wait, when one more is due.
func BenchmarkBehind(b *testing.B) {
	for _, waiting := range []int{1, 10, 100, 990} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			o := behind(b, waiting)
			o.now = o.now.Add(time.Second)
			t := o.view.known(demo)
			b.ReportAllocs()
			for b.Loop() {
				if p := decide(o.world, t); p.txn.Empty() {
					b.Fatal("nothing is due")
				}
			}
		})
	}
}
