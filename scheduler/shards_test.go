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

func TestReplaceCancelsAllShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"shards":3,"overlap":"replace"`))
	b.settle(demo)
	b.goTo("10:05")
	first, second := idAt("10:05"), idAt("10:10")
	b.claim(first + ".1")
	b.settle(demo)
	b.goTo("10:10")
	if c := b.run(first + ".1").Cancel; c == nil || c.By != second {
		t.Errorf("cancel %+v", c)
	}
	b.want(first, nightwatch.PhaseRunning, "", "0,2 failed 1 active")
	b.want(second, nightwatch.PhasePending, nightwatch.ReasonOverlap, "")
	b.end(first, 1, nightwatch.PhaseCanceled)
	b.want(first, nightwatch.PhaseCanceled, nightwatch.ReasonReplaced, "0-2 failed")
	b.want(second, nightwatch.PhasePending, "", "0-2 active")
}

// ask makes a request and returns the verdict on it.
func (b *board) askFor(id, request string) nightwatch.Verdict {
	b.t.Helper()
	b.set(b.keys.Request(demo, id), request)
	b.settle(demo)
	var v nightwatch.Verdict
	if !b.read(b.keys.Verdict(demo, id), &v) {
		b.t.Fatalf("no verdict on %s", request)
	}
	return v
}

func TestCancelOfShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(fourShards)
	b.claim(id + ".1")
	b.end(id, 3, nightwatch.PhaseSucceeded)
	for _, row := range []struct{ request, refused string }{
		{`{"action":"cancel","shards":[4]}`, `shards: 4: run "` + id + `" has the shards 0-3`},
		{`{"action":"cancel","shards":[2,3]}`, `shards: 3 of run "` + id + `" succeeded`},
		{`{"action":"cancel","run":"` + id + `.7"}`, `run: there is no run "` + id + `.7"`},
		{`{"action":"cancel","shards":[1],"by":"me","note":"too slow"}`, ``},
		{`{"action":"cancel","run":"` + id + `.2","by":"me"}`, ``},
		{`{"action":"cancel","shards":[2]}`, `shards: 2 of run "` + id + `" ended already`},
	} {
		v := b.askFor(fmt.Sprintf("r%d", b.rev), row.request)
		text := nightwatch.InvalidError(v.Errors).Error()
		if v.Accepted != (row.refused == "") || !strings.HasPrefix(text, row.refused) || v.Accepted && v.Run != id {
			t.Errorf("%s: %+v", row.request, v)
		}
	}
	if r := b.run(id + ".1"); r.Phase != nightwatch.PhaseRunning || r.Cancel == nil || r.Cancel.By != "me" || r.Cancel.Why != "too slow" {
		t.Errorf("%+v", r)
	}
	if r := b.run(id + ".2"); r.Phase != nightwatch.PhaseCanceled || r.Reason != nightwatch.ReasonCancelRequested {
		t.Errorf("%+v", r)
	}
	b.end(id, 1, nightwatch.PhaseCanceled)
	b.end(id, 0, nightwatch.PhaseSucceeded)
	b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0,3 succeeded 1-2 failed")
}

func TestCancelOfAllShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	id := b.submitted(`{"process":{"command":["true"]},"shards":60}`)
	b.end(id, 5, nightwatch.PhaseSucceeded)
	b.claim(id + ".7")
	if v := b.askFor("stop", `{"action":"cancel","by":"me","note":"enough"}`); !v.Accepted || v.Run != id {
		t.Errorf("%+v", v)
	}
	b.want(id, nightwatch.PhaseRunning, "", "5 succeeded 0-4,6,8-59 failed 7 active")
	b.end(id, 7, nightwatch.PhaseCanceled)
	if r := b.want(id, nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested, "5 succeeded 0-4,6-59 failed"); r.Message != "by me: enough" {
		t.Errorf("%+v", r)
	}
	if s := b.status(); s.Counts != (nightwatch.Counts{Canceled: 1}) {
		t.Errorf("%+v", s)
	}
}

// A run that is canceled while its shards are being made gets no more of them.
func TestCancelWhileShardsAreMade(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	id := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},"shards":100}`))
	for range 3 {
		b.commit(b.decide(demo))
	}
	made := b.run(id).Shards.Active.Len()
	if made == 0 || made == 100 {
		t.Fatalf("%d are made", made)
	}
	r := b.run(id)
	r.Cancel = &nightwatch.Cancel{Reason: nightwatch.ReasonCancelRequested, Time: b.now}
	b.set(b.keys.Run(demo, id), r)
	b.settle(demo)
	b.want(id, nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested, "0-99 failed")
	if n := len(b.runs()); n != made+1 {
		t.Errorf("%d records, %d shards were made", n, made)
	}
	// All of them can have a second chance, those that never came to be too.
	if v := b.askFor("again", `{"action":"retry","run":"`+id+`","shards":"failed"}`); !v.Accepted {
		t.Errorf("%+v", v)
	}
	b.want("req-again", nightwatch.PhasePending, "", "0-99 active")
}

func TestRetryOfShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(`{"process":{"command":["true"]},"shardParams":["a","b","c","d"],"history":{"succeeded":10,"failed":10}}`)
	for k, phase := range []nightwatch.Phase{nightwatch.PhaseSucceeded, nightwatch.PhaseFailed, nightwatch.PhaseSucceeded, nightwatch.PhaseFailed} {
		b.end(id, k, phase)
	}
	b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0,2 succeeded 1,3 failed")
	b.put(`{"process":{"command":["true"]},"shardParams":["new"],"suspend":true,"history":{"succeeded":10,"failed":10}}`) // an edit by now
	b.settle(demo)
	for _, row := range []struct{ request, refused string }{
		{`{"action":"retry","shards":[0,1]}`, `shards: 0 of run "` + id + `" succeeded: want shards that did not`},
		{`{"action":"retry","shards":[4]}`, `shards: 4: run "` + id + `" has the shards 0-3`},
		{`{"action":"drop","run":"` + id + `.1"}`, `run: "` + id + `.1" is a shard: want the run that it is part of, "` + id + `"`},
	} {
		v := b.askFor(fmt.Sprintf("r%d", b.rev), row.request)
		if text := nightwatch.InvalidError(v.Errors).Error(); v.Accepted || !strings.HasPrefix(text, row.refused) {
			t.Errorf("%s: %+v", row.request, v)
		}
	}
	// One of the two, by the name of its run.
	if v := b.askFor("one", `{"action":"retry","run":"`+id+`.1"}`); !v.Accepted || v.Run != "req-one" {
		t.Fatalf("%+v", v)
	}
	b.want("req-one", nightwatch.PhasePending, "", "1 active")
	r := b.run("req-one.1")
	if b.run("req-one").RetryOf != id || r.Shard.Index != 1 || r.Shard.Count != 4 || string(r.Shard.Param) != `"b"` {
		t.Errorf("%+v, %+v", b.run("req-one"), r.Shard)
	}
	b.end("req-one", 1, nightwatch.PhaseSucceeded)
	b.want("req-one", nightwatch.PhaseSucceeded, "", "1 succeeded")
	if by := b.run(id).ResolvedBy; by != "" {
		t.Errorf("resolved by %s, while shard 3 is not", by)
	}
	// All that failed: shard 1 again, as its record says so, and 3.
	if v := b.askFor("rest", `{"action":"retry","shards":"failed"}`); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	b.end("req-rest", 3, nightwatch.PhaseSucceeded)
	b.end("req-rest", 1, nightwatch.PhaseFailed)
	b.want("req-rest", nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "3 succeeded 1 failed")
	if by := b.run(id).ResolvedBy; by != "req-rest" {
		t.Errorf("resolved by %q: shard 1 by req-one, shard 3 by req-rest", by)
	}
	if s := b.status(); s.Counts != (nightwatch.Counts{Succeeded: 1, Failed: 2}) {
		t.Errorf("%+v", s)
	}
	// The whole of what is left, by the version in force: one shard.
	if v := b.askFor("whole", `{"action":"retry"}`); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	b.want("req-whole", nightwatch.PhasePending, "", "0 active")
	if r := b.run("req-whole"); r.RetryOf != "req-rest" || string(b.run("req-whole.0").Shard.Param) != `"new"` {
		t.Errorf("%+v", r)
	}
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

// A record that stands where a shard's should is another's: the shard has failed, and nothing waits for it.
func TestRecordInTheWayOfAShard(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes[:len(fiveMinutes)-1] + `,"shards":3}`)
	b.settle(demo)
	id := idAt("10:05")
	b.set(b.keys.Run(demo, id+".1"), "garbage")
	b.goTo("10:05")
	b.want(id, nightwatch.PhasePending, "", "1 failed 0,2 active")
	b.end(id, 0, nightwatch.PhaseSucceeded)
	// Nor is one that somebody deleted made again, or one that somebody spoilt waited for.
	b.del(b.keys.Run(demo, id+".2"))
	b.settle(demo)
	r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1-2 failed")
	if r.Message != "shards 1-2 of 3 failed: 1: another record has its name; 2: its record is gone" {
		t.Errorf("%s", r.Message)
	}
}

// Shards whose run somebody deleted, or declared ended, do not go on for ever.
func TestStrayShards(t *testing.T) {
	for _, row := range []struct {
		name string
		hand func(b *board, id string)
		left []string
	}{
		{"the run is gone", func(b *board, id string) { b.del(b.keys.Run(demo, id)) }, nil},
		{"the run has ended", func(b *board, id string) {
			r := b.run(id)
			r.Phase, r.EndTime = nightwatch.PhaseFailed, b.now
			b.set(b.keys.Run(demo, id), r)
		}, []string{" Failed", ".0 Canceled CancelRequested", ".1 Canceled", ".2 Canceled CancelRequested", ".3 Canceled CancelRequested"}},
		{"the task is gone as well", func(b *board, id string) {
			b.del(b.keys.Run(demo, id))
			b.del(b.keys.Task(demo))
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			id := b.submitted(fourShards)
			b.claim(id + ".1")
			b.settle(demo)
			row.hand(b, id)
			b.settle(demo)
			if r := b.run(id + ".1"); r.Cancel == nil {
				t.Fatalf("%+v", r)
			}
			b.finish(id+".1", nightwatch.PhaseCanceled)
			b.settle(demo)
			var want []string
			for _, left := range row.left {
				want = append(want, id+left)
			}
			b.wantRuns(want...)
		})
	}
}

func TestDeletedTaskWithLiveShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 30 })
	id := b.submitted(`{"process":{"command":["true"]},"shards":70}`)
	b.claim(id + ".3")
	b.claim(id + ".4")
	b.settle(demo)
	b.del(b.keys.Task(demo))
	b.settle(demo)
	if s := b.status(); s.Reason != nightwatch.ReasonDeleting || s.ActiveCount != 1 {
		t.Errorf("%+v", s)
	}
	for _, k := range []string{".3", ".4"} {
		if c := b.run(id + k).Cancel; c == nil || c.Reason != nightwatch.ReasonTaskDeleted {
			t.Errorf("%s: %+v", k, c)
		}
		b.finish(id+k, nightwatch.PhaseCanceled)
	}
	b.settle(demo)
	for _, kind := range []store.Kind{store.Runs, store.Queue, store.Accepted, store.Statuses, store.Ledgers} {
		if left := b.below(kind); len(left) != 0 {
			t.Errorf("%s: %q", kind, left)
		}
	}
}

func TestShardsOfLostNodes(t *testing.T) {
	for _, row := range []struct{ delivery, want, message string }{
		{"at-least-once", "Assigned", ""},
		{"at-most-once", "Failed NodeLost", "shard 1 of 2 failed: 1: NodeLost on node n2"},
	} {
		t.Run(row.delivery, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.node("n2")
			id := b.submitted(`{"process":{"command":["true"]},"shards":2,"delivery":"` + row.delivery + `"}`)
			b.claim(id + ".0")
			b.claim(id + ".1")
			b.settle(demo)
			b.del(b.keys.Node("n2"))
			b.settle(demo)
			if r := b.run(id + ".1"); strings.TrimSpace(string(r.Phase)+" "+r.Reason) != row.want {
				t.Errorf("%+v", r)
			}
			b.end(id, 0, nightwatch.PhaseSucceeded)
			if row.want == "Assigned" {
				if r := b.run(id + ".1"); r.Node != "n1" || r.Attempt != 2 {
					t.Errorf("%+v", r)
				}
				b.end(id, 1, nightwatch.PhaseSucceeded)
				b.want(id, nightwatch.PhaseSucceeded, "", "0-1 succeeded")
			} else if r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1 failed"); r.Message != row.message {
				t.Errorf("%s", r.Message)
			}
			// Its record stays for an hour, and with it that of the whole.
			b.put(`{"process":{"command":["true"]},"history":{"succeeded":0,"failed":0},"suspend":true}`)
			b.settle(demo)
			if row.want == "Assigned" && b.run(id) == nil {
				t.Error("the record has left within the hour")
			}
			b.now = b.now.Add(61 * time.Minute)
			b.settle(demo)
			if left := b.runs(); len(left) != 0 {
				t.Errorf("%q", left)
			}
		})
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

// A shard that somebody's lock sent back waits for that lock, not for the dispatch of its siblings.
func TestLockedShardWaitsForNoSibling(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(fourShards)
	r := b.run(id + ".1")
	node := r.Node
	r.Phase, r.Reason, r.Node, r.Session = nightwatch.PhasePending, nightwatch.ReasonLocked, "", ""
	b.set(b.keys.LocksOf(demo)+"abc", "", b.keys.ShardLock(demo, "694d", id+".2"), "",
		b.keys.Run(demo, id+".1"), r, b.keys.Queue(node, demo, id+".1"), nil)
	b.settle(demo)
	if r := b.run(id + ".1"); r.Phase != nightwatch.PhasePending || r.Reason != nightwatch.ReasonLocked {
		t.Errorf("%+v", r)
	}
	b.del(b.keys.LocksOf(demo) + "abc")
	b.settle(demo)
	if r := b.run(id + ".1"); r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%+v", r)
	}
}
