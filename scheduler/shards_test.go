package scheduler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

const fourShards = `{"process":{"command":["true"]},"shards":4}`

// shards are what the record of a run says of its shards: "0-1 succeeded 2 failed 3 active".
func (b *board) shards(id string) string {
	b.t.Helper()
	r := b.run(id)
	if r == nil || r.Shards == nil {
		b.t.Fatalf("%s: no record of shards: %+v", id, r)
	}
	var parts []string
	for _, part := range []struct {
		of   nightwatch.Indexes
		name string
	}{{r.Shards.Succeeded, "succeeded"}, {r.Shards.Failed, "failed"}, {r.Shards.Active, "active"}} {
		if part.of != "" {
			parts = append(parts, string(part.of)+" "+part.name)
		}
	}
	return strings.Join(parts, " ")
}

// end claims shard k of a run and ends it.
func (b *board) end(run string, k int, phase nightwatch.Phase, change ...func(*nightwatch.Run)) {
	b.t.Helper()
	id := nightwatch.ShardRunID(run, k)
	if b.run(id).Phase == nightwatch.PhaseAssigned {
		b.claim(id)
	}
	r := b.run(id)
	for _, f := range change {
		f(r)
	}
	b.set(b.keys.Run(demo, id), r)
	b.finish(id, phase)
	b.settle(demo)
}

func exits(code int) func(*nightwatch.Run) {
	return func(r *nightwatch.Run) { r.ExitCode, r.Reason = &code, nightwatch.ReasonExitCode }
}

// submitted puts a task without times of its own and settles; it returns the run's id.
func (b *board) submitted(value string) string {
	b.t.Helper()
	id := nightwatch.SubmittedRunID(b.put(value))
	b.settle(demo)
	return id
}

func (b *board) want(id string, phase nightwatch.Phase, reason, shards string) *nightwatch.Run {
	b.t.Helper()
	r := b.run(id)
	if r == nil {
		b.t.Fatalf("there is no %s: %q", id, b.runs())
	}
	if r.Phase != phase || r.Reason != reason {
		b.t.Errorf("%s is %s (%s), want %s (%s): %s", id, r.Phase, r.Reason, phase, reason, r.Message)
	}
	if got := b.shards(id); got != shards {
		b.t.Errorf("%s has %q, want %q", id, got, shards)
	}
	return r
}

func TestShardsAreRunsOfTheirOwn(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.node("n2")
	id := b.submitted(`{"process":{"command":["true"]},"shardParams":["eu",{"a":1},null,4]}`)
	b.wantRuns(id+" Pending", id+".0 Assigned", id+".1 Assigned", id+".2 Assigned", id+".3 Assigned")
	on := map[string]int{}
	for k, param := range []string{`"eu"`, `{"a":1}`, `null`, `4`} {
		r := b.run(nightwatch.ShardRunID(id, k))
		on[r.Node]++
		if s := r.Shard; s == nil || s.Of != id || s.Index != k || s.Count != 4 || string(s.Param) != param || s.Node != "" {
			t.Errorf("shard %d: %+v", k, s)
		}
		if r.Submitted != nil || !r.CreateTime.Equal(b.run(id).CreateTime) || !r.NominalTime.Equal(b.run(id).NominalTime) {
			t.Errorf("shard %d: %+v", k, r)
		}
	}
	if on["n1"] != 2 || on["n2"] != 2 {
		t.Errorf("shards by node: %v", on)
	}
	b.want(id, nightwatch.PhasePending, "", "0-3 active")
	if s := b.status(); s.Phase != nightwatch.PhasePending || s.ActiveCount != 1 || !slices.Equal(s.Active, []string{id}) {
		t.Errorf("status %+v", s)
	}

	b.now = b.now.Add(time.Second)
	b.claim(id + ".2")
	b.settle(demo)
	if r := b.want(id, nightwatch.PhaseRunning, "", "0-3 active"); !r.StartTime.Equal(b.now) || r.Node != "" || r.Session != "" {
		t.Errorf("%+v", r)
	}
	if s := b.status(); s.Phase != nightwatch.PhaseRunning {
		t.Errorf("status %+v", s)
	}
	b.end(id, 2, nightwatch.PhaseSucceeded, func(r *nightwatch.Run) { r.Result = json.RawMessage(`{"rows":2}`) })
	b.end(id, 0, nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseRunning, "", "0,2 succeeded 1,3 active")
	b.now = b.now.Add(time.Second)
	b.end(id, 3, nightwatch.PhaseSucceeded, func(r *nightwatch.Run) { r.Result = json.RawMessage(`3`) })
	b.now = b.now.Add(time.Second)
	b.end(id, 1, nightwatch.PhaseSucceeded)
	r := b.want(id, nightwatch.PhaseSucceeded, "", "0-3 succeeded")
	if text := encodeAny(r.Shards.Results); text != `{"2":{"rows":2},"3":3}` || !r.EndTime.Equal(b.now) || r.Submitted != nil {
		t.Errorf("results %s, %+v", text, r)
	}
	s := b.status()
	if s.Counts != (nightwatch.Counts{Succeeded: 1}) || s.ActiveCount != 0 || s.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("status %+v", s)
	}
	if s.LastRun.ID != id || s.LastRun.Shards.Succeeded != "0-3" || s.LastRun.Shards.Results != nil {
		t.Errorf("last run %+v", s.LastRun)
	}
}

func TestShardsThatFail(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(fourShards)
	b.end(id, 0, nightwatch.PhaseSucceeded)
	b.end(id, 1, nightwatch.PhaseFailed, exits(7))
	b.end(id, 2, nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseRunning, "", "0,2 succeeded 1 failed 3 active")
	b.end(id, 3, nightwatch.PhaseFailed, func(r *nightwatch.Run) { r.Reason = nightwatch.ReasonTimeout })
	r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0,2 succeeded 1,3 failed")
	if want := "shards 1,3 of 4 failed: 1: ExitCode 7 on node n1; 3: Timeout on node n1"; r.Message != want {
		t.Errorf("message %q, want %q", r.Message, want)
	}
	if s := b.status(); s.Counts != (nightwatch.Counts{Failed: 1}) || s.Phase != nightwatch.PhaseFailed || s.Message != r.Message {
		t.Errorf("status %+v", s)
	}
	if !r.Dead() || b.run(id+".1").Dead() {
		t.Error("the whole is the dead letter")
	}
}

// The message of a run that failed is of a few hundred bytes whatever the number of shards.
func TestManyFailedShardsAreToldBriefly(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	id := b.submitted(`{"process":{"command":["true"]},"shards":200}`)
	for k := range 200 {
		if phase := nightwatch.PhaseFailed; k%2 == 0 {
			b.claim(nightwatch.ShardRunID(id, k))
			b.finish(nightwatch.ShardRunID(id, k), nightwatch.PhaseSucceeded)
		} else {
			b.claim(nightwatch.ShardRunID(id, k), exits(k))
			b.finish(nightwatch.ShardRunID(id, k), phase)
		}
	}
	b.settle(demo)
	if r := b.run(id); r.Phase != nightwatch.PhaseFailed || len(r.Message) > 400 || !strings.Contains(r.Message, "5,7,") || !strings.Contains(r.Message, "… of 200 failed: 1: ExitCode 1 on node n1;") {
		t.Errorf("%s: %s", r.Phase, r.Message)
	}
}

// An attempt of a shard that failed is followed by another, on its own.
func TestShardIsRetriedByPolicy(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(`{"process":{"command":["true"]},"shards":2,"retry":{"attempts":2,"backoff":"1m"}}`)
	b.claim(id + ".1")
	r := b.run(id + ".1")
	node := r.Node
	r.Again(nightwatch.FailedAttempt{Reason: nightwatch.ReasonExitCode}, b.now.Add(time.Minute))
	b.set(b.keys.Run(demo, id+".1"), r, b.keys.Queue(node, demo, id+".1"), nil)
	b.settle(demo)
	b.end(id, 0, nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseRunning, "", "0 succeeded 1 active")
	b.goTo("10:01:31")
	if r := b.run(id + ".1"); r.Phase != nightwatch.PhaseAssigned || r.Attempt != 2 {
		t.Errorf("%+v", r)
	}
	b.end(id, 1, nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseSucceeded, "", "0-1 succeeded")
}

// Shards are made a few at a time, each once, whoever goes on in between, and never by a term that is over.
func TestThousandShardsInSmallTransactions(t *testing.T) {
	b := newBoard(t, "10:00:30")
	for i := range 10 {
		b.node(fmt.Sprint("n", i), func(n *nightwatch.Node) { n.Capacity = 64 })
	}
	id := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},"shards":1000,"shardParams":[` + strings.Repeat(`"0123456789012345678901234567890123456789",`, 999) + `"x"]}`))
	transactions := 0
	for {
		p := b.decide(demo)
		if p.txn.Empty() {
			break
		}
		if _, then := p.txn.Parts(); len(then) > 40 {
			t.Errorf("%d operations", len(then))
		}
		transactions++
		if !b.commit(p) {
			t.Fatal("refused")
		}
		switch transactions % 3 {
		case 1:
			b.relist() // a successor
			b.term++
		case 2:
			if late := b.decide(demo); !late.txn.Empty() { // two of them at once
				if again := b.decide(demo); !b.commit(late) || b.commit(again) {
					t.Fatal("one of two equal plans must be refused")
				}
			}
		}
	}
	if transactions > 150 {
		t.Errorf("%d transactions", transactions)
	}
	r := b.want(id, nightwatch.PhasePending, "", "0-999 active")
	if r.Shards.Count != 1000 {
		t.Errorf("%+v", r.Shards)
	}
	assigned, on := 0, map[string]int{}
	for _, line := range b.runs() {
		if strings.HasSuffix(line, " Assigned") {
			assigned++
		}
	}
	for _, tail := range b.below(store.Queue) {
		node, _, _ := strings.Cut(tail, "/")
		on[node]++
	}
	if assigned != 640 || len(on) != 10 || on["n3"] != 64 {
		t.Errorf("%d are assigned: %v", assigned, on)
	}
	for k := range 1000 {
		if k := nightwatch.ShardRunID(id, k); b.run(k).Phase == nightwatch.PhaseAssigned {
			b.claim(k)
			b.finish(k, nightwatch.PhaseSucceeded)
		}
	}
	b.settle(demo)
	b.want(id, nightwatch.PhaseRunning, "", "0-639 succeeded 640-999 active")
	for k := 640; k < 1000; k++ {
		b.claim(nightwatch.ShardRunID(id, k))
		b.finish(nightwatch.ShardRunID(id, k), nightwatch.PhaseSucceeded)
	}
	b.settle(demo)
	b.want(id, nightwatch.PhaseSucceeded, "", "0-999 succeeded")
	if s := b.status(); s.Counts.Succeeded != 1 {
		t.Errorf("%+v", s)
	}
	// They leave with it, a few at a time.
	b.put(`{"process":{"command":["true"]},"shards":1000,"history":{"succeeded":0}}`)
	b.del(b.keys.Task(demo))
	b.settle(demo)
	if left := b.below(store.Runs); len(left) != 0 {
		t.Errorf("%d records are left", len(left))
	}
}

func TestShardsLeaveWithTheirRun(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	b.put(with(`"shards":120,"history":{"succeeded":1}`))
	b.settle(demo)
	for _, clock := range []string{"10:05", "10:10"} {
		b.goTo(clock)
		b.complete(nightwatch.PhaseSucceeded)
	}
	if n := len(b.runs()); n != 121 {
		t.Errorf("%d records", n)
	}
	b.wantSpans("10:05:00-10:05:00 1 Succeeded")
	b.wantAccounted()
	if s := b.status(); s.Counts != (nightwatch.Counts{Succeeded: 2}) || s.StartedRuns != 2 {
		t.Errorf("%+v", s)
	}
}

// A run waits as a whole before it is split; what waits with it has no shards yet.
func TestDividedRunsAndOverlap(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"shards":2,"overlap":"queue-one"`))
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:10")
	b.goTo("10:15")
	first, second := idAt("10:05"), idAt("10:10")
	b.wantRuns(first+" Pending", first+".0 Assigned", first+".1 Assigned", second+" Pending Overlap", idAt("10:15")+" Skipped QueueFull")
	b.end(first, 0, nightwatch.PhaseSucceeded)
	b.want(second, nightwatch.PhasePending, nightwatch.ReasonOverlap, "")
	b.end(first, 1, nightwatch.PhaseFailed)
	b.want(second, nightwatch.PhasePending, "", "0-1 active")
	if s := b.status(); s.Counts != (nightwatch.Counts{Failed: 1, Skipped: 1}) || s.ActiveCount != 1 {
		t.Errorf("%+v", s)
	}
	b.wantAccounted()
}

// On Kubernetes a run is one Job, whatever its shards; a second chance of some of them is a Job for each.
func TestShardsOnKubernetes(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(`{"image":"busybox","shardParams":["a","b","c"]}`)
	b.wantRuns(id + " Assigned")
	if s := b.run(id).Shards; s == nil || s.Count != 3 {
		t.Errorf("%+v", s)
	}
	b.claim(id, func(r *nightwatch.Run) {
		r.Job = &nightwatch.Job{Namespace: "default", Name: "demo", UID: "u"}
		r.Shards.Active = "0-2"
	})
	b.settle(demo)
	if v := b.askFor("c", `{"action":"cancel","shards":[1]}`); v.Accepted || v.Errors[0].Reason != `run "`+id+`" is one Job of Kubernetes: cancel it as a whole` {
		t.Errorf("%+v", v)
	}
	r := b.run(id)
	r.Shards = &nightwatch.RunShards{Count: 3, Succeeded: "0", Failed: "1-2"}
	b.set(b.keys.Run(demo, id), r)
	b.finish(id, nightwatch.PhaseFailed)
	b.settle(demo)
	if v := b.askFor("again", `{"action":"retry","shards":[2]}`); !v.Accepted {
		t.Errorf("%+v", v)
	}
	b.want("req-again", nightwatch.PhasePending, "", "2 active")
	if r := b.run("req-again.2"); r.Phase != nightwatch.PhaseAssigned || r.Runner != nightwatch.RunnerKubernetes || string(r.Shard.Param) != `"c"` || r.Shards != nil {
		t.Errorf("%+v", r)
	}
}

func TestNamesOfShardsAndRequests(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"shards":2,"overlap":"allow","history":{"succeeded":10}`))
	b.settle(demo)
	for _, row := range []struct{ id, refused string }{
		{"a", ""},
		{"a.1", `key: run "req-a.1" is there already: use another id`},
		{"a.7", `key: run "req-a.7" would have the name of shard 7 of run "req-a": use another id`},
		{"b.1", ""},
		{"b", `key: there is a run "req-b.1", which would be the name of shard 1: use another id`},
		{strings.Repeat("x", 55), ""},
		{strings.Repeat("x", 56), "key: the id is too long for a run of shards: want at most 55 characters"},
	} {
		v := b.askFor(row.id, `{"action":"run"}`)
		if text := nightwatch.InvalidError(v.Errors).Error(); v.Accepted != (row.refused == "") || text != row.refused {
			t.Errorf("%s: %+v", row.id, v)
		}
		b.complete(nightwatch.PhaseSucceeded)
	}
}

func TestPerNode(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(`{"process":{"command":["true"]},"shards":"per-node","runsOn":"disk=ssd","schedule":"*/5 * * * *","overlap":"queue-all","history":{"succeeded":9,"failed":9}}`)
	b.settle(demo)
	b.goTo("10:05")
	id := idAt("10:05")
	if r := b.want(id, nightwatch.PhasePending, nightwatch.ReasonNoFittingNode, ""); r.Message != `no live node has the runner "process" and the labels "disk=ssd"` {
		t.Errorf("%+v", r)
	}
	ssd := func(n *nightwatch.Node) { n.Labels = map[string]string{"disk": "ssd"} }
	b.node("n3", ssd)
	b.node("n1", ssd, func(n *nightwatch.Node) { n.Capacity = 1 })
	b.node("n2")
	b.node("n4", ssd, func(n *nightwatch.Node) { n.Draining = true })
	b.node("n5", ssd, func(n *nightwatch.Node) { n.Runners = []string{nightwatch.RunnerHTTP} })
	b.set(b.keys.Cordon("n7"), `{}`)
	b.node("n7", ssd)
	b.settle(demo)
	r := b.want(id, nightwatch.PhasePending, "", "0-1 active")
	if !slices.Equal(r.Shards.Nodes, []string{"n1", "n3"}) || r.Shards.Count != 2 {
		t.Errorf("%+v", r.Shards)
	}
	for k, node := range r.Shards.Nodes {
		if s := b.run(nightwatch.ShardRunID(id, k)); s.Node != node || s.Shard.Node != node || string(s.Shard.Param) != `"`+node+`"` || s.Shard.Count != 2 {
			t.Errorf("shard %d: %+v, %+v", k, s, s.Shard)
		}
	}
	b.node("n6", ssd) // it is not part of this run
	b.settle(demo)
	b.claim(id + ".1")
	b.settle(demo)
	// A node that is lost is waited for: its shard runs nowhere else.
	b.del(b.keys.Node("n3"))
	b.settle(demo)
	if s := b.run(id + ".1"); s.Phase != nightwatch.PhasePending || s.Reason != nightwatch.ReasonNoFittingNode || s.Attempt != 2 ||
		!strings.Contains(s.Message, `the name "n3", which the shard is for`) {
		t.Errorf("%+v", s)
	}
	b.end(id, 0, nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseRunning, "", "0 succeeded 1 active")
	b.node("n3", ssd)
	b.settle(demo)
	if s := b.run(id + ".1"); s.Node != "n3" || s.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%+v", s)
	}
	b.end(id, 1, nightwatch.PhaseFailed, exits(1))
	b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1 failed")
	// Its second chance is on that node, too.
	if v := b.askFor("again", `{"action":"retry","shards":"failed"}`); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	if s := b.run("req-again.1"); s.Node != "n3" || string(s.Shard.Param) != `"n3"` {
		t.Errorf("%+v", s)
	}
	b.end("req-again", 1, nightwatch.PhaseSucceeded)
	b.goTo("10:10")
	if r := b.run(idAt("10:10")); !slices.Equal(r.Shards.Nodes, []string{"n1", "n3", "n6"}) {
		t.Errorf("%+v", r.Shards)
	}
}
