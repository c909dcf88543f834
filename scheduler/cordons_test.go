package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func TestCordon(t *testing.T) {
	for _, value := range []string{`{}`, ``, `{"by":"ann","note":"new disks"}`, `{"drain":"yes"}`, `{"drain":true,"until":"tomorrow"}`, `nonsense`} {
		t.Run(value, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			b.put(`{"process":{"command":["true"]},"every":"5m","overlap":"allow"}`)
			b.settle(demo)
			b.goTo("10:05")
			b.set(b.keys.Cordon("n1"), value)
			b.goTo("10:10")
			b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Pending NoFittingNode") // what was given stays
			b.set(b.keys.Cordon("n10"), `{}`)
			b.relist()
			b.goTo("10:15")
			b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Pending NoFittingNode", idAt("10:15")+" Pending NoFittingNode")
			b.set(b.keys.Cordon("n1"), nil)
			b.settle(demo)
			b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Assigned", idAt("10:15")+" Assigned")
		})
	}
}

// A node that is cordoned before it comes is given nothing either.
func TestCordonBeforeTheNode(t *testing.T) {
	b := newBoard(t, "10:00")
	b.set(b.keys.Cordon("n1"), `{}`)
	b.node("n1")
	b.put(onceTask)
	b.settle(demo)
	if s := b.status(); s.Reason != nightwatch.ReasonNoFittingNode || s.Message != "every node that fits is cordoned, drained or stopping" {
		t.Errorf("%+v", s)
	}
	b.node("n2")
	b.settle(demo)
	if r := b.run(b.status().Active[0]); r.Node != "n2" {
		t.Errorf("%+v", r)
	}
}

// An assignment that was decided on before the cordon came is refused.
func TestCordonRefusesWhatIsOnItsWay(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(onceTask)
	p := b.decide(demo)
	b.set(b.keys.Cordon("n1"), `{}`)
	if b.commit(p) {
		t.Error("a cordoned node was given a run")
	}
}

func TestDrainTakesBackWhatNobodyClaimed(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"5m","overlap":"allow"}`)
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.goTo("10:10")
	b.set(b.keys.Cordon("n1"), `{"drain":true}`)
	b.settle(demo)
	b.wantRuns(idAt("10:05")+" Running", idAt("10:10")+" Pending NoFittingNode")
	if queue := b.below("queue"); len(queue) != 1 || queue[0] != "n1/"+demo+"/"+idAt("10:05") {
		t.Errorf("queue %q", queue)
	}
	b.node("n2")
	b.settle(demo)
	if r := b.run(idAt("10:10")); r.Phase != nightwatch.PhaseAssigned || r.Node != "n2" {
		t.Errorf("%+v", r)
	}
}

// The loop notices a cordon by itself, and that it is gone.
func TestTheLoopFollowsCordons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:00:30"), 1)
		r.node("n1", nil, func(n *simNode) {
			n.work = func(nightwatch.Run) (time.Duration, nightwatch.Phase) { return time.Hour, nightwatch.PhaseSucceeded }
		})
		r.lead(r.scheduler())
		value := `{"process":{"command":["true"]},"at":"2026-11-20T10:01:00Z"}`
		r.task("default/claimed", value)
		r.etcd.put(r.etcd.keys.LocksOf("default/locked")+"ann", "") // it is claimed by nobody, and given back
		r.task("default/locked", value)
		r.pass(time.Minute)
		r.etcd.put(r.etcd.keys.Cordon("n1"), `{"drain":true}`)
		r.etcd.del(r.etcd.keys.LocksOf("default/locked") + "ann")
		r.pass(time.Second)
		if got := r.account("default/locked").Status; got.Reason != nightwatch.ReasonNoFittingNode {
			t.Errorf("drained: %+v", got)
		}
		if got := r.account("default/claimed").Status; got.Phase != nightwatch.PhaseRunning {
			t.Errorf("what a node claimed is its own to give back: %+v", got)
		}
		r.etcd.del(r.etcd.keys.Cordon("n1"))
		r.pass(time.Second)
		if got := r.account("default/locked").Status; got.Phase != nightwatch.PhaseRunning {
			t.Errorf("the cordon is gone: %+v", got)
		}
	})
}
