package scheduler

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// reachable is a node that reaches the cluster "k1".
func reachable(n *nightwatch.Node) { n.Clusters = map[string]string{"main": "k1"} }

// lostJob is a board whose run has a Job in a cluster that no live node reaches.
func lostJob(t *testing.T, more string) (b *board, id string) {
	b = newBoard(t, "10:00")
	b.node("n1", reachable)
	id = nightwatch.SubmittedRunID(b.put(`{"image":"busybox"` + more + `}`))
	b.settle(demo)
	b.claim(id, func(r *nightwatch.Run) {
		r.Job = &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo", UID: "u1"}
	})
	b.node("n2")
	b.del(b.keys.Node("n1"))
	b.settle(demo)
	b.wantRuns(id + " Pending NoFittingNode")
	return b, id
}

// A run whose Job may live does not end by its timeout before the Job has, which the next node that reaches it sees to.
func TestRunTimeoutWhileNobodyReachesTheJob(t *testing.T) {
	b, id := lostJob(t, `,"runTimeout":"30m"`)
	if p := b.decide(demo); !p.wake.Equal(at("10:30")) {
		t.Errorf("looks again at %s", p.wake)
	}
	b.goTo("10:29:59")
	if r := b.run(id); r.Cancel != nil {
		t.Fatalf("%+v", r.Cancel)
	}
	b.goTo("10:30")
	r := b.run(id)
	want := nightwatch.Cancel{Reason: nightwatch.ReasonTimeout, Why: "the run took longer than its runTimeout, 30m", Time: at("10:30")}
	if r.Cancel == nil || *r.Cancel != want || r.Phase != nightwatch.PhasePending || !strings.Contains(r.Message, "its runTimeout, 30m, and its Job is to be ended") {
		t.Fatalf("%+v, %+v", r, r.Cancel)
	}
	if p := b.decide(demo); !p.txn.Empty() {
		t.Error("it is written again and again")
	}
	b.node("n3", reachable)
	b.settle(demo)
	b.wantRuns(id + " Assigned")
	var told nightwatch.Run
	if !b.read(b.keys.Queue("n3", demo, id), &told) || told.Cancel == nil {
		t.Errorf("the node is told %+v", told)
	}
	// A node that is lost in turn changes nothing.
	b.claim(id)
	b.del(b.keys.Node("n3"))
	b.node("n4", reachable)
	b.settle(demo)
	if r := b.run(id); r.Phase != nightwatch.PhaseAssigned || r.Node != "n4" || *r.Cancel != want || r.Job == nil {
		t.Errorf("%+v", r)
	}
}

// What a live node has is for that node to end; the version that was submitted says how long it has.
func TestRunTimeoutOfWhatANodeHas(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1", reachable)
	id := nightwatch.SubmittedRunID(b.put(`{"image":"busybox","runTimeout":"30m"}`))
	b.settle(demo)
	b.claim(id, func(r *nightwatch.Run) {
		r.Job = &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo", UID: "u1"}
	})
	second := nightwatch.SubmittedRunID(b.put(`{"image":"busybox","runTimeout":"2h"}`))
	b.settle(demo)
	b.put(`{"image":"busybox","runTimeout":"20m"}`)
	b.settle(demo)
	b.goTo("11:00")
	if r := b.run(id); r.Phase != nightwatch.PhaseRunning || r.Cancel != nil {
		t.Errorf("%+v", r)
	}
	if r := b.run(second); !r.Live() {
		t.Errorf("ended by the timeout of another version: %+v", r)
	}
	b.goTo("12:00")
	if r := b.run(second); r.Phase != nightwatch.PhaseFailed || r.Reason != nightwatch.ReasonTimeout {
		t.Errorf("%+v", r)
	}
}

// startWithin bounds what waits for whatever reason.
func TestStartWithinWhateverItWaitsFor(t *testing.T) {
	for _, row := range []struct {
		name string
		hold func(b *board)
	}{
		{"for a node", func(b *board) { b.del(b.keys.Node("n1")) }},
		{"for a freeze", func(b *board) { b.set(b.keys.Of(store.Freezes)+demo, "{}") }},
		{"for the lock", func(b *board) {
			b.set(b.keys.LocksOf(demo)+"x", "")
			for _, line := range b.runs() {
				id, _, _ := strings.Cut(line, " ")
				r := b.run(id)
				queue := b.keys.Queue(r.Node, demo, id)
				r.Phase, r.Reason, r.Node, r.Session = nightwatch.PhasePending, nightwatch.ReasonLocked, "", ""
				b.set(b.keys.Run(demo, id), r, queue, nil)
			}
		}},
		{"for its node to claim it", func(*board) {}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(`{"process":{"command":["true"]},"schedule":"5 10 * * *","startWithin":"10m","overlap":"queue-all"}`)
			b.settle(demo)
			b.goTo("10:05")
			row.hold(b)
			b.goTo("10:14:59")
			if r := b.run(idAt("10:05")); !r.Live() {
				t.Fatalf("%+v", r)
			}
			b.goTo("10:15:01")
			b.wantRuns(idAt("10:05") + " Missed StartWithin")
		})
	}
}

func TestDropOfALiveRun(t *testing.T) {
	const drop = `{"action":"drop","run":"%s","by":"ann","note":"burnt down"}`
	ask := func(b *board, id string) {
		b.set(b.keys.Request(demo, "x"), strings.ReplaceAll(drop, "%s", id))
		b.settle(demo)
	}
	refused := func(t *testing.T, b *board, id, why string) {
		t.Helper()
		ask(b, id)
		if v := b.verdict("x"); v.Accepted || v.Errors[0].Field != "run" || !strings.Contains(v.Errors[0].Reason, why) {
			t.Errorf("%+v, want %q", v, why)
		}
		if r := b.run(id); !r.Live() {
			t.Errorf("%+v", r)
		}
	}
	given := func(t *testing.T, b *board, id string) {
		t.Helper()
		ask(b, id)
		r := b.run(id)
		if v := b.verdict("x"); !v.Accepted || v.Run != id || r.Phase != nightwatch.PhaseFailed || r.Reason != nightwatch.ReasonNodeLost ||
			r.Message != "dropped by ann (burnt down): its Job default/demo was left alone, as no live node reaches its cluster" {
			t.Errorf("%+v, %+v", v, r)
		}
		if c := b.status().Counts; c.Failed != 1 {
			t.Errorf("%+v", c)
		}
	}
	t.Run("nobody reaches it", func(t *testing.T) { b, id := lostJob(t, ""); given(t, b, id) })
	t.Run("it is canceled", func(t *testing.T) {
		b, id := lostJob(t, "")
		b.set(b.keys.Request(demo, "c"), `{"action":"cancel"}`)
		b.settle(demo)
		given(t, b, id)
	})
	t.Run("a node reaches it", func(t *testing.T) {
		b, id := lostJob(t, "")
		b.node("n3", reachable, func(n *nightwatch.Node) { n.Draining = true })
		b.settle(demo)
		refused(t, b, id, `node "n3" reaches the cluster`)
	})
	t.Run("a node has it", func(t *testing.T) {
		b := newBoard(t, "10:00")
		b.node("n1")
		id := nightwatch.SubmittedRunID(b.put(onceTask))
		b.settle(demo)
		refused(t, b, id, "is Assigned: cancel it")
	})
	t.Run("a node is given it meanwhile", func(t *testing.T) {
		b, id := lostJob(t, "")
		b.set(b.keys.Request(demo, "x"), strings.ReplaceAll(drop, "%s", id))
		late := b.decide(demo)
		b.node("n3", reachable)
		b.del(b.keys.Request(demo, "x"))
		b.settle(demo)
		b.set(b.keys.Request(demo, "x"), strings.ReplaceAll(drop, "%s", id))
		if b.commit(late) {
			t.Error("a run that a node has was dropped")
		}
	})
}

// A task that was deleted does not wait for ever for a Job that nobody reaches.
func TestDropOfARunOfADeletedTask(t *testing.T) {
	b, id := lostJob(t, "")
	b.del(b.keys.Task(demo))
	b.settle(demo)
	b.wantRuns(id + " Pending NoFittingNode")
	b.set(b.keys.Request(demo, "other"), `{"action":"run"}`, b.keys.Request(demo, "x"), `{"action":"drop","run":"`+id+`"}`)
	b.settle(demo)
	if v := b.verdict("x"); !v.Accepted || v.Run != id {
		t.Errorf("%+v", v)
	}
	b.wantRuns()
	for _, kind := range []store.Kind{store.Statuses, store.Accepted, store.Requests, store.Queue} {
		if left := b.below(kind); len(left) > 0 {
			t.Errorf("%s: %q is left", kind, left)
		}
	}
}
