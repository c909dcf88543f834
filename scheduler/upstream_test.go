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

// upstreams puts tasks that have no time of their own for long, "default/<name>" each, and settles.
func (b *board) upstreams(names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.set(b.keys.Task("default/"+name), `{"process":{"command":["true"]},"schedule":"0 0 1 1 *"}`)
		b.settle("default/" + name)
	}
}

// follower is a task that comes after others.
func follower(after string, more ...string) string {
	fields := append([]string{`"process":{"command":["true"]}`, `"after":{` + after + `}`}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

// ended is the record of a run of an upstream that ended now.
func (b *board) ended(task, id string, phase nightwatch.Phase, change ...func(*nightwatch.Run)) (key string, run nightwatch.Run) {
	task = "default/" + task
	run = nightwatch.Run{
		ID: id, Task: task, TaskUID: b.entries[b.keys.Task(task)].CreateRevision, Phase: phase, Runner: nightwatch.RunnerProcess,
		NominalTime: b.now.Add(-time.Minute), CreateTime: b.now.Add(-time.Minute), EndTime: b.now, Attempt: 1,
	}
	for _, f := range change {
		f(&run)
	}
	return b.keys.Run(task, id), run
}

// arrives has a run of an upstream end now, in a revision of its own, and settles the demo task.
func (b *board) arrives(task, id string, phase nightwatch.Phase, change ...func(*nightwatch.Run)) (revision int64) {
	b.t.Helper()
	key, run := b.ended(task, id, phase, change...)
	revision = b.set(key, run)
	b.settle(demo)
	return revision
}

func depID(revision int64) string { return nightwatch.UpstreamRunID(revision, "") }

// What makes a set, in steps "<upstream> <phase or reason> <clock>"; "!" after a step says that it completes one.
func TestSetsOfUpstreamRuns(t *testing.T) {
	for _, row := range []struct {
		name, after string
		steps       []string
		passed      []int64
		waiting     []string
	}{
		{name: "each success", after: `"tasks":["a"]`, steps: []string{"a Succeeded 10:01!", "a Succeeded 10:02!", "a Failed 10:03", "a Succeeded 10:04!"}, passed: []int64{0}},
		{
			name: "failures", after: `"tasks":["a"],"condition":"failed"`,
			steps: []string{"a Succeeded 10:01", "a Canceled 10:02", "a Skipped 10:03", "a Missed 10:03", "a Failed 10:04!"}, passed: []int64{0},
		},
		{
			name: "whatever has ended", after: `"tasks":["a"],"condition":"finished"`,
			steps: []string{
				"a Succeeded 10:01!", "a Canceled 10:02!", "a Skipped 10:03", "a Missed 10:03", "a Failed 10:04!", "a TaskDeleted 10:05",
				"a TaskReplaced 10:06", "a Replaced 10:07!",
			}, passed: []int64{0},
		},
		{
			name: "one of each", after: `"tasks":["a","default/b","c"]`, steps: []string{"b Succeeded 10:01", "a Succeeded 10:02", "c Succeeded 10:03!", "c Succeeded 10:04"},
			passed: []int64{0, 0, 0}, waiting: []string{"", "", "3"},
		},
		{
			name: "the newest of each", after: `"tasks":["a","b"]`,
			steps:  []string{"a Succeeded 10:01", "a Succeeded 10:02", "a Succeeded 10:03", "b Succeeded 10:04!", "b Succeeded 10:05", "b Succeeded 10:06", "a Succeeded 10:07!"},
			passed: []int64{2, 1}, waiting: []string{"", ""},
		},
		{
			name: "a failure takes nothing away", after: `"tasks":["a","b"]`, steps: []string{"a Succeeded 10:01", "a Failed 10:02", "b Succeeded 10:03!"},
			passed: []int64{0, 0},
		},
		{
			name: "too far apart", after: `"tasks":["a","b"],"window":"1h"`,
			steps: []string{"a Succeeded 10:00", "b Succeeded 11:00:00.001", "a Succeeded 11:30!", "a Succeeded 12:00", "b Succeeded 13:00!"}, passed: []int64{1, 0},
		},
		{
			name: "within a day, by default", after: `"tasks":["a","b"]`, steps: []string{"a Succeeded 00:00", "b Succeeded 23:59!"}, passed: []int64{0, 0},
		},
		{
			name: "one of three has expired", after: `"tasks":["a","b","c"],"window":"10m"`,
			steps: []string{"a Succeeded 10:00", "b Succeeded 10:08", "c Succeeded 10:12", "a Succeeded 10:13!"}, passed: []int64{1, 0, 0},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "00:00")
			b.node("n1")
			b.upstreams("a", "b", "c")
			b.put(follower(row.after, `"overlap":"allow","history":{"succeeded":100}`))
			b.settle(demo)
			var want []string
			for i, step := range row.steps {
				step, completes := strings.CutSuffix(step, "!")
				words := strings.Fields(step)
				b.moveTo(words[2])
				phase, change := nightwatch.Phase(words[1]), func(*nightwatch.Run) {}
				if !phase.Terminal() {
					change = func(r *nightwatch.Run) { r.Phase, r.Reason = nightwatch.PhaseCanceled, words[1] }
				}
				rev := b.arrives(words[0], fmt.Sprint(i), phase, change)
				if completes {
					want = append(want, depID(rev)+" Assigned")
				}
			}
			b.wantRuns(want...)
			for i, u := range b.status().Upstream {
				waiting := ""
				if u.Waiting != nil {
					waiting = u.Waiting.Run
				}
				if i < len(row.passed) && u.Passed != row.passed[i] || i < len(row.waiting) && waiting != row.waiting[i] {
					t.Errorf("%+v, waiting %q; want %d passed, waiting %q", u, waiting, row.passed, row.waiting)
				}
			}
		})
	}
}

// A run is told of those that it comes after, in the order of the task, and was due when the last of them ended.
func TestRunIsToldOfItsUpstreams(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a", "b")
	b.put(follower(`"tasks":["a","b"],"condition":"finished"`))
	b.settle(demo)
	three := 3
	b.moveTo("10:05")
	b.arrives("b", "req-x", nightwatch.PhaseFailed, func(r *nightwatch.Run) { r.ExitCode = &three })
	b.moveTo("10:07")
	rev := b.arrives("a", "20261120T095900Z", nightwatch.PhaseSucceeded, func(r *nightwatch.Run) {
		r.NominalTime, r.Result, r.EndTime = at("09:59"), json.RawMessage(`{"rows":7}`), at("10:06")
	})
	r := b.run(depID(rev))
	want := []nightwatch.UpstreamRun{
		{Task: "default/a", Run: "20261120T095900Z", Phase: nightwatch.PhaseSucceeded, Result: json.RawMessage(`{"rows":7}`), NominalTime: at("09:59"), EndTime: at("10:06")},
		{Task: "default/b", Run: "req-x", Phase: nightwatch.PhaseFailed, ExitCode: &three, NominalTime: at("10:04"), EndTime: at("10:05")},
	}
	if r == nil || text(r.Upstream) != text(want) || !r.NominalTime.Equal(at("10:06")) || !r.CreateTime.Equal(at("10:07")) {
		t.Fatalf("%+v", r)
	}
	s := b.status()
	if s.LastRun.Upstream != nil || s.LastSet != r.ID || s.Upstream[0].Used != "20261120T095900Z" || s.Upstream[1].Used != "req-x" {
		t.Errorf("%+v", s)
	}
	// A dead letter is retried with what it was told.
	b.complete(nightwatch.PhaseFailed)
	b.set(b.keys.Request(demo, "again"), `{"action":"retry"}`)
	b.settle(demo)
	if again := b.run("req-again"); text(again.Upstream) != text(want) || !again.NominalTime.Equal(r.NominalTime) {
		t.Errorf("%+v", again)
	}
}

// The time of a set is no node's clock's that is ahead, and grows from set to set.
func TestTimeOfASet(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a")
	b.put(follower(`"tasks":["a"]`, `"overlap":"allow"`))
	b.settle(demo)
	var times []string
	for i, clock := range []string{"10:00", "10:30", "09:00", "10:00"} { // as the node's clock says
		rev := b.arrives("a", fmt.Sprint(i), nightwatch.PhaseSucceeded, func(r *nightwatch.Run) { r.CreateTime, r.EndTime = at("08:00"), at(clock) })
		times = append(times, b.run(depID(rev)).NominalTime.Format("15:04:05.000"))
	}
	if want := []string{"10:00:00.000", "10:00:00.001", "10:00:00.002", "10:00:00.003"}; !slices.Equal(times, want) {
		t.Errorf("%q, want %q", times, want)
	}
}

// Runs that end at one revision come one after the other, by the order of the task and their ids, and the sets that they
// complete have names of their own, however many transactions it takes.
func TestRunsThatEndAtOneRevision(t *testing.T) {
	for _, n := range []int{3, 40} {
		b := newBoard(t, "10:00")
		b.node("n1")
		b.upstreams("a", "b")
		b.put(follower(`"tasks":["a","b"]`, `"overlap":"allow"`))
		b.settle(demo)
		b.arrives("b", "zz", nightwatch.PhaseSucceeded)
		var pairs []any
		add := func(task, id string) {
			key, run := b.ended(task, id, nightwatch.PhaseSucceeded)
			pairs = append(pairs, key, run)
		}
		for i := range n { // all of a's come before those of b
			add("a", fmt.Sprintf("a%03d", i))
			add("b", fmt.Sprintf("b%03d", i))
		}
		rev := b.set(pairs...)
		b.settle(demo)
		want := []string{depID(rev) + " Assigned", depID(rev) + "-2 Assigned"}
		if got := b.runs(); !slices.Equal(got, want) {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
		if s := b.status(); s.Upstream[0].Passed != int64(n-2) || s.Upstream[1].Passed != int64(n-2) || s.Upstream[1].Waiting == nil {
			t.Errorf("%d: %+v", n, s.Upstream)
		}
	}
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a")
	b.put(follower(`"tasks":["a"]`, `"overlap":"allow"`))
	b.settle(demo)
	var pairs []any
	for i := range 40 {
		key, run := b.ended("a", fmt.Sprintf("a%03d", i), nightwatch.PhaseSucceeded)
		pairs = append(pairs, key, run)
	}
	rev := b.set(pairs...)
	p := b.decide(demo)
	b.commit(p)
	b.relist() // a successor goes on
	b.settle(demo)
	for i := range 40 {
		id := depID(rev)
		if i > 0 {
			id += fmt.Sprint("-", i+1)
		}
		if r := b.run(id); r == nil || r.Upstream[0].Run != fmt.Sprintf("a%03d", i) {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if n := len(b.runs()); n != 40 {
		t.Errorf("%d runs", n)
	}
}

// Only what ends after the put counts, and an edit takes nothing of that away.
func TestUpstreamRunsCountFromThePut(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a", "b")
	key, run := b.ended("a", "0", nightwatch.PhaseSucceeded)
	b.set(key, run)
	b.put(follower(`"tasks":["a"]`))
	key, run = b.ended("a", "1", nightwatch.PhaseSucceeded)
	rev := b.set(key, run) // before the put was looked at
	b.settle(demo)
	b.wantRuns(depID(rev) + " Assigned")
	b.complete(nightwatch.PhaseSucceeded)

	t.Log("an upstream more: of the new one only what ends from now on")
	key, run = b.ended("b", "0", nightwatch.PhaseSucceeded)
	b.set(key, run)
	key, run = b.ended("a", "2", nightwatch.PhaseSucceeded)
	before := b.set(key, run) // is settled under the version before
	b.put(follower(`"tasks":["b","a"]`))
	b.settle(demo)
	b.wantRuns(depID(rev)+" Succeeded", depID(before)+" Assigned")
	b.complete(nightwatch.PhaseSucceeded)
	b.arrives("a", "3", nightwatch.PhaseSucceeded)
	b.put(follower(`"tasks":["b","a"]`, `"description":"nothing to do with it"`))
	b.settle(demo)
	both := b.arrives("b", "1", nightwatch.PhaseSucceeded)
	b.wantRuns(depID(rev)+" Succeeded", depID(before)+" Succeeded", depID(both)+" Assigned")
	b.complete(nightwatch.PhaseSucceeded)

	t.Log("an upstream less: what waits is all there is to wait for")
	b.put(follower(`"tasks":["b","a"]`, `"history":{"succeeded":0}`))
	b.arrives("b", "2", nightwatch.PhaseSucceeded)
	put := b.put(follower(`"tasks":["b"]`, `"history":{"succeeded":0}`))
	b.settle(demo)
	b.wantRuns(depID(put) + " Assigned")
	if r := b.run(depID(put)); len(r.Upstream) != 1 || r.Upstream[0].Run != "2" {
		t.Errorf("%+v", r)
	}
	b.complete(nightwatch.PhaseSucceeded)

	t.Log("another condition: of neither what ended before")
	b.arrives("b", "3", nightwatch.PhaseFailed)
	b.put(follower(`"tasks":["b"],"condition":"failed"`, `"history":{"succeeded":0}`))
	b.settle(demo)
	b.wantRuns()
	failed := b.arrives("b", "4", nightwatch.PhaseFailed)
	b.wantRuns(depID(failed) + " Assigned")
}

// What was once a task of another kind goes on as the new one.
func TestTaskBecomesAFollower(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.upstreams("a")
	b.put(fiveMinutes)
	b.settle(demo)
	b.goTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)
	b.put(follower(`"tasks":["a"]`))
	b.goTo("10:30")
	b.wantRuns(idAt("10:05") + " Succeeded")
	if s := b.status(); s.Phase != nightwatch.PhaseScheduled || s.Reason != nightwatch.ReasonUpstream || s.PendingRevision != 0 || len(s.Next) > 0 {
		t.Errorf("%+v", s)
	}
	rev := b.arrives("a", "1", nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	put := b.put(onceTask)
	b.settle(demo)
	b.wantRuns(idAt("10:05")+" Succeeded", depID(rev)+" Succeeded", nightwatch.SubmittedRunID(put)+" Assigned")
	if s := b.status(); len(s.Upstream) > 0 {
		t.Errorf("%+v", s.Upstream)
	}
}

// A set that is complete while the task stands still is skipped for that reason; what arrives counts.
func TestSetsWhileTheTaskStandsStill(t *testing.T) {
	for _, row := range []struct {
		reason      string
		begin, stop func(b *board)
	}{
		{
			nightwatch.ReasonSuspended,
			func(b *board) { b.put(follower(`"tasks":["a","b"]`, `"suspend":true`)) },
			func(b *board) { b.put(follower(`"tasks":["a","b"]`)) },
		},
		{
			nightwatch.ReasonFrozen,
			func(b *board) { b.set(b.keys.Of(store.Freezes)+"default", "{}") },
			func(b *board) { b.del(b.keys.Of(store.Freezes) + "default") },
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			b.upstreams("a", "b")
			b.put(follower(`"tasks":["a","b"]`))
			b.settle(demo)
			row.begin(b)
			b.settle(demo)
			for i, clock := range []string{"10:01", "10:02", "10:03"} {
				b.moveTo(clock)
				b.arrives("a", fmt.Sprint(i), nightwatch.PhaseSucceeded)
				b.arrives("b", fmt.Sprint(i), nightwatch.PhaseSucceeded)
			}
			b.wantRuns()
			b.wantSpans("10:01:00-10:03:00 3 Skipped " + row.reason)
			if s := b.status(); s.Counts.Skipped != 3 || s.Phase != nightwatch.PhaseSuspended || s.Reason != row.reason {
				t.Errorf("%+v", s)
			}
			b.arrives("a", "x", nightwatch.PhaseSucceeded)
			row.stop(b)
			b.settle(demo)
			b.wantRuns()
			rev := b.arrives("b", "x", nightwatch.PhaseSucceeded)
			b.wantRuns(depID(rev) + " Assigned")
		})
	}
}

// Overlap and startWithin are as with times of one's own.
func TestSetsCollide(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a")
	b.put(follower(`"tasks":["a"]`))
	b.settle(demo)
	first := b.arrives("a", "1", nightwatch.PhaseSucceeded)
	second := b.arrives("a", "2", nightwatch.PhaseSucceeded)
	b.wantRuns(depID(first)+" Assigned", depID(second)+" Pending Overlap")
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns(depID(first)+" Succeeded", depID(second)+" Assigned")
	b.put(follower(`"tasks":["a"]`, `"overlap":"skip","startWithin":"5m"`))
	b.settle(demo)
	third := b.arrives("a", "3", nightwatch.PhaseSucceeded)
	b.wantRuns(depID(first)+" Succeeded", depID(second)+" Assigned", depID(third)+" Skipped Overlap")
	b.complete(nightwatch.PhaseSucceeded)
	fourth := b.arrives("a", "4", nightwatch.PhaseSucceeded, func(r *nightwatch.Run) {
		r.CreateTime, r.EndTime = at("09:00"), at("09:30") // as if nobody had led since
	})
	b.wantRuns(depID(first)+" Succeeded", depID(second)+" Succeeded", depID(third)+" Skipped Overlap", depID(fourth)+" Assigned")
	b.complete(nightwatch.PhaseSucceeded)
	b.moveTo("10:10")
	fifth := b.arrives("a", "5", nightwatch.PhaseSucceeded, func(r *nightwatch.Run) { r.EndTime, r.CreateTime = at("10:04"), at("10:03") })
	if r := b.run(depID(fifth)); r.Phase != nightwatch.PhaseMissed || r.Reason != nightwatch.ReasonStartWithin {
		t.Errorf("%+v", r)
	}
}

// A run that is split is one run, whatever its shards are.
func TestShardsOfAnUpstreamAreOneRun(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a")
	b.put(follower(`"tasks":["a"],"condition":"finished"`))
	b.settle(demo)
	for k := range 2 {
		b.arrives("a", fmt.Sprint("req-x.", k), nightwatch.PhaseSucceeded, func(r *nightwatch.Run) {
			r.Shard = &nightwatch.RunShard{Of: "req-x", Index: k, Count: 2}
		})
	}
	b.wantRuns()
	rev := b.arrives("a", "req-x", nightwatch.PhaseSucceeded, func(r *nightwatch.Run) { r.Shards = &nightwatch.RunShards{Count: 2, Succeeded: "0-1"} })
	b.wantRuns(depID(rev) + " Assigned")
}
