package jobrunner

import (
	"encoding/json"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// give a shard and the run that it is part of.
func (r *rig) giveShard(whole string, k int, change ...func(*nightwatch.Run)) {
	run := nightwatch.Run{
		ID: whole, Task: demo, TaskUID: r.taskUID, Phase: nightwatch.PhasePending, Attempt: 1, Runner: nightwatch.RunnerProcess,
		Shards: &nightwatch.RunShards{Count: 3, Active: "0-2"},
	}
	for _, f := range change {
		f(&run)
	}
	if _, err := r.client.Put(r.t.Context(), r.keys.Run(demo, whole), string(encode(&run))); err != nil {
		r.t.Fatal(err)
	}
	r.give(nightwatch.ShardRunID(whole, k), func(shard *nightwatch.Run) {
		shard.Shard = &nightwatch.RunShard{Of: whole, Index: k, Count: 3, Param: json.RawMessage(`"eu"`)}
	})
}

// A shard is told its number and param, and what the whole run was asked for with, and runs the version that was
// submitted; none of that is copied into its record.
func TestShardIsPartOfAWhole(t *testing.T) {
	r := newRig(t)
	def, err := nightwatch.ParseTask(demo, []byte(`{"process":{"command":["submitted"]},"shards":3,"params":{"a":1,"b":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.start().giveShard("rev-5", 2, func(whole *nightwatch.Run) {
		whole.Params = map[string]json.RawMessage{"b": json.RawMessage("2")}
		whole.Submitted = &nightwatch.Accepted{Revision: 4, UID: 5, Task: *def}
	})
	a := <-r.process.attempts
	if a.Run.Shards != 3 || a.Run.Shard != 2 || string(a.Run.ShardParam) != `"eu"` || a.Run.ID != "rev-5.2" {
		t.Errorf("%+v", a.Run)
	}
	if string(a.Run.Params["a"]) != "1" || string(a.Run.Params["b"]) != "2" || a.Task.Process.Command[0] != "submitted" {
		t.Errorf("%v, %+v", a.Run.Params, a.Task)
	}
	if run := r.wait("rev-5.2", "succeeds", in(nightwatch.PhaseSucceeded)); run.Params != nil || run.Submitted != nil || run.TaskRevision != 4 {
		t.Errorf("%+v", run)
	}
	r.clean()
}

// A shard whose run is gone, or is of another life of the task, is not started.
func TestShardOfNothing(t *testing.T) {
	r := newRig(t).start()
	r.giveShard("other", 1, func(whole *nightwatch.Run) { whole.TaskUID = 4 })
	r.give("gone.1", func(shard *nightwatch.Run) { shard.Shard = &nightwatch.RunShard{Of: "gone", Index: 1, Count: 2} })
	for _, id := range []string{"other.1", "gone.1"} {
		if run := r.wait(id, "ends", in(nightwatch.PhaseCanceled)); run.Reason != nightwatch.ReasonTaskDeleted {
			t.Errorf("%+v", run)
		}
	}
	if r.starts() != 0 {
		t.Errorf("%d starts", r.starts())
	}
	r.clean()
}

// A run that was given out before an edit that splits it otherwise is given back, as if nobody had claimed it.
func TestRunIsSplitByTheVersionItRuns(t *testing.T) {
	for _, row := range []struct {
		name, value string
		change      func(*nightwatch.Run)
		back        bool
	}{
		{"split by now", `{"process":{"command":["true"]},"shards":3}`, func(*nightwatch.Run) {}, true},
		{"one for each node by now", `{"process":{"command":["true"]},"shards":"per-node"}`, func(*nightwatch.Run) {}, true},
		{"a Job of as many shards", `{"image":"a","shards":3}`, func(run *nightwatch.Run) {
			run.Runner, run.Shards = nightwatch.RunnerKubernetes, &nightwatch.RunShards{Count: 3}
		}, false},
		{"a Job of fewer shards by now", `{"image":"a","shards":2}`, func(run *nightwatch.Run) {
			run.Runner, run.Shards = nightwatch.RunnerKubernetes, &nightwatch.RunShards{Count: 3}
		}, true},
		{"a Job of one pod by now", `{"image":"a"}`, func(run *nightwatch.Run) {
			run.Runner, run.Shards = nightwatch.RunnerKubernetes, &nightwatch.RunShards{Count: 3}
		}, true},
		{"a second attempt", `{"process":{"command":["true"]},"shards":3}`, func(run *nightwatch.Run) {
			run.Attempt, run.StartTime = 2, run.CreateTime
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t).start()
			r.accept(row.value)
			r.give("a", row.change)
			run := r.wait("a", "is done with", func(run nightwatch.Run) bool {
				return !run.Live() || run.Phase == nightwatch.PhasePending
			})
			if back := run.Phase == nightwatch.PhasePending; back != row.back || back && (!run.StartTime.IsZero() || run.Job != nil || run.Node != "") {
				t.Errorf("%+v", run)
			}
			r.clean()
		})
	}
}
