package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestStartWithinOfShards(t *testing.T) {
	late := `{"process":{"command":["true"]},"schedule":"*/5 * * * *","shards":20,"startWithin":"2m"}`
	t.Run("none has started", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.put(late)
		b.settle(demo)
		b.goTo("10:05")
		id := idAt("10:05")
		b.want(id, nightwatch.PhasePending, nightwatch.ReasonNoFittingNode, "0-19 active")
		b.goTo("10:07:01")
		if r := b.want(id, nightwatch.PhaseMissed, nightwatch.ReasonStartWithin, "0-19 failed"); r.Message != "could not start within 2m" {
			t.Errorf("%+v", r)
		}
		if s := b.status(); s.Counts != (nightwatch.Counts{Missed: 1}) {
			t.Errorf("%+v", s)
		}
	})
	t.Run("some have started", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.node("n1", func(n *nightwatch.Node) { n.Capacity = 5 })
		b.put(late)
		b.settle(demo)
		b.goTo("10:05")
		id := idAt("10:05")
		b.claim(id + ".2")
		b.goTo("10:07:01")
		b.want(id, nightwatch.PhaseRunning, "", "0-19 active")
		for range 4 {
			b.complete(nightwatch.PhaseSucceeded)
			b.now = b.now.Add(10 * time.Second)
		}
		b.finish(id+".2", nightwatch.PhaseSucceeded)
		b.settle(demo)
		b.complete(nightwatch.PhaseSucceeded)
		b.want(id, nightwatch.PhaseSucceeded, "", "0-19 succeeded")
	})
	t.Run("each on its node", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.node("n1")
		b.node("n2")
		b.put(with(`"shards":"per-node","startWithin":"2m"`))
		b.settle(demo)
		b.goTo("10:05")
		id := idAt("10:05")
		b.del(b.keys.Node("n2"))
		b.settle(demo)
		b.end(id, 0, nightwatch.PhaseSucceeded)
		b.want(id, nightwatch.PhaseRunning, "", "0 succeeded 1 active")
		b.goTo("10:07:01")
		if r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1 failed"); r.Message != "shard 1 of 2 failed: 1: StartWithin" {
			t.Errorf("%s", r.Message)
		}
	})
}

func TestRunTimeoutOfShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1 })
	id := b.submitted(`{"process":{"command":["true"]},"shards":30,"runTimeout":"5m"}`)
	b.end(id, 0, nightwatch.PhaseSucceeded)
	b.goTo("10:05:29")
	b.want(id, nightwatch.PhaseRunning, "", "0 succeeded 1-29 active")
	b.goTo("10:05:31")
	r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1-29 failed")
	if !strings.HasPrefix(r.Message, "shards 1-29 of 30 failed: 1: Timeout on node n1; 2: Timeout; ") {
		t.Errorf("%s", r.Message)
	}
}

// A freeze holds shards as it holds runs, those that are yet to be made too.
func TestFrozenShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	id := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},"shards":40}`))
	for range 2 {
		b.commit(b.decide(demo))
	}
	freeze := b.keys.Of(store.Freezes) + demo
	b.set(freeze, `{}`)
	b.settle(demo)
	b.want(id, nightwatch.PhasePending, "", "0-39 active")
	frozen := 0
	for _, line := range b.runs() {
		if strings.HasSuffix(line, "Pending Frozen") {
			frozen++
		}
	}
	if frozen < 20 {
		t.Errorf("%d shards are frozen: %q", frozen, b.runs())
	}
	b.del(freeze)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseSucceeded, "", "0-39 succeeded")
}

// What waits to begin is split as the version says that is in force when it begins.
func TestEditsOfShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	task := func(more string) string { return with(`"overlap":"queue-all","catchUp":{"mode":"all"}` + more) }
	b.put(task(`,"shards":2`))
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:10")
	b.goTo("10:15")
	b.put(task(``))
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.want(idAt("10:05"), nightwatch.PhaseSucceeded, "", "0-1 succeeded") // as it began
	if r := b.run(idAt("10:10")); r.Phase != nightwatch.PhaseAssigned || r.Shards != nil {
		t.Errorf("%+v", r)
	}
	b.put(strings.Replace(task(`,"shardParams":["x"]`), `"process":{"command":["true"]}`, `"handler":{"name":"work"}`, 1))
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	r := b.want(idAt("10:15"), nightwatch.PhasePending, "", "0 active")
	if s := b.run(idAt("10:15") + ".0"); r.Runner != nightwatch.RunnerHandler || s.Runner != nightwatch.RunnerHandler || string(s.Shard.Param) != `"x"` {
		t.Errorf("%+v, %+v", r, s)
	}
	// A node that finds another version at its claim gives the run back.
	b.end(idAt("10:15"), 0, nightwatch.PhaseSucceeded)
	b.put(task(``))
	b.settle(demo)
	b.goTo("10:20")
	b.claim(idAt("10:20"))
	b.put(task(`,"shards":3`))
	b.settle(demo)
	run := b.run(idAt("10:20"))
	node := run.Node
	run.Phase, run.Node, run.Session, run.StartTime = nightwatch.PhasePending, "", "", nothing
	b.set(b.keys.Run(demo, idAt("10:20")), run, b.keys.Queue(node, demo, idAt("10:20")), nil)
	b.settle(demo)
	b.want(idAt("10:20"), nightwatch.PhasePending, "", "0-2 active")
}

// Shards that wait are run by the version in force, and so is a Job of several that is tried again.
func TestRunnerOfShardsIsEdited(t *testing.T) {
	task := func(what string) string { return `{"schedule":"5 * * * *","startWithin":"1m",` + what + `,"shards":4}` }
	const handler, process = `"handler":{"name":"work"}`, `"process":{"command":["true"]}`
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 2 })
	b.put(task(handler))
	b.settle(demo)
	b.goTo("10:05")
	b.put(task(process))
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	id := idAt("10:05")
	b.want(id, nightwatch.PhaseRunning, "", "0-1 succeeded 2-3 active")
	for _, k := range []string{".2", ".3"} {
		if r := b.run(id + k); r.Phase != nightwatch.PhaseAssigned || r.Runner != nightwatch.RunnerProcess {
			t.Errorf("%s is %s (%s) by the runner %q", k, r.Phase, r.Message, r.Runner)
		}
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseSucceeded, "", "0-3 succeeded")

	b.put(task(`"image":"busybox"`))
	b.settle(demo)
	b.goTo("11:05")
	id = idAt("11:05")
	b.claim(id, func(r *nightwatch.Run) { r.Shards.Succeeded, r.Shards.Failed = "0-2", "3" })
	b.failAttempt(id, 2*time.Minute)
	b.put(task(process))
	b.settle(demo)
	b.goTo("11:07")
	b.want(id, nightwatch.PhasePending, "", "0-3 active")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseSucceeded, "", "0-3 succeeded")
}
