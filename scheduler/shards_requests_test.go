package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

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

// Requests that are answered together do not take the names of each other's shards either.
func TestNamesOfShardsAndRequestsAnsweredTogether(t *testing.T) {
	for _, row := range []struct{ first, second, refused string }{{"a", "a.0", "a.0"}, {"a.0", "a", "a"}} {
		b := newBoard(t, "10:00:30")
		b.node("n1")
		b.put(with(`"shards":2,"overlap":"allow"`))
		b.settle(demo)
		for _, id := range []string{row.first, row.second} {
			b.set(b.keys.Request(demo, id), `{"action":"run"}`)
		}
		b.settle(demo)
		for _, id := range []string{row.first, row.second} {
			if v := b.verdict(id); v.Accepted == (id == row.refused) {
				t.Errorf("%s first, %s: %+v", row.first, id, v)
			}
		}
	}
}
