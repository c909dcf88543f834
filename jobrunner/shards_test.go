package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
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

// The dispatches of shards do not wait for each other, but for whoever holds the task's mutex, and that for them.
func TestDispatchOfShardsAndTheMutex(t *testing.T) {
	r := newRig(t)
	r.process.run = func(ctx context.Context, _ *Attempt) Outcome { // a dispatch that goes on
		<-ctx.Done()
		return Stopped(ctx)
	}
	elsewhere := r.keys.ShardLock(demo, "694d", "rev-5.7")
	if _, err := r.client.Put(t.Context(), elsewhere, ""); err != nil {
		t.Fatal(err)
	}
	r.start()
	for k := range 3 {
		r.giveShard("rev-5", k)
	}
	for range 3 {
		<-r.process.attempts
	}
	// A run as a whole, and somebody with etcdctl, find the task locked.
	r.give("whole")
	r.wait("whole", "is given back", func(run nightwatch.Run) bool { return run.Reason == nightwatch.ReasonLocked })
	session, err := concurrency.NewSession(r.client)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	mutex := concurrency.NewMutex(session, r.keys.Mutex(demo))
	if err := mutex.TryLock(t.Context()); !errors.Is(err, concurrency.ErrLocked) {
		t.Errorf("the mutex could be had: %v", err)
	}
	if _, err := r.client.Delete(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	for k := range 3 {
		r.tellCancel(nightwatch.ShardRunID("rev-5", k))
		r.wait(nightwatch.ShardRunID("rev-5", k), "ends", in(nightwatch.PhaseCanceled))
	}
	// Once they have it, shards wait for them.
	if err := mutex.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.giveShard("rev-6", 0)
	r.wait("rev-6.0", "is given back", func(run nightwatch.Run) bool { return run.Reason == nightwatch.ReasonLocked })
	if err := mutex.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.clean()
}

// A key of a shard's dispatch that no dispatch stands behind is freed, one that is under way is not.
func TestSweepFreesLocksOfShards(t *testing.T) {
	r := newRig(t)
	idle, busy := r.keys.ShardLock(demo, r.session.ID(), "rev-5.1"), r.keys.ShardLock(demo, r.session.ID(), "rev-5.2")
	r.commit(func(txn *store.Txn) {
		txn.PutWithLease(idle, nil, r.session.Lease())
		txn.PutWithLease(busy, nil, r.session.Lease())
	})
	leave, err := r.turns.enter(t.Context(), turnOfShard(demo, "rev-5.2"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	r.freeLocks(t.Context())
	got, err := r.client.Get(t.Context(), r.keys.LocksOf(demo), clientv3.WithPrefix())
	if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Key) != busy {
		t.Errorf("%v %v", got, err)
	}
}
