package jobrunner

import (
	"encoding/json"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// A shard's record says which part of which run it is. What all shards of a run have in common, the params of its request
// and the version that was submitted, stands in the record of the whole, which a claim reads in the same transaction.

// readWhole takes in the record of the run that this one is a shard of, from the answer to a claim. It is false when that
// is gone: then nobody wants the shard any more.
func (j *job) readWhole(response *clientv3.TxnResponse) bool {
	if j.run.Shard == nil {
		return true
	}
	kvs := response.Responses[len(response.Responses)-2].GetResponseRange().Kvs
	j.whole = new(nightwatch.Run)
	return len(kvs) > 0 && json.Unmarshal(kvs[0].Value, j.whole) == nil && j.whole.TaskUID == j.run.TaskUID
}

// common is the record that has the params and the submitted version of a run: its own, or that of the whole.
func (j *job) common(record *nightwatch.Run) *nightwatch.Run {
	if record.Shard != nil && j.whole != nil {
		return j.whole
	}
	return record
}

// reshaped tells whether a version of the task splits its runs otherwise than the one by which a run was given to a
// node. What has been started once stays as it is.
func (j *job) reshaped(record *nightwatch.Run, task *nightwatch.Task) bool {
	if !j.fresh || record.Shard != nil {
		return false
	}
	split := 0
	if record.Shards != nil {
		split = record.Shards.Count
	}
	return int(task.Split()) != split
}

// turn is what dispatches take turns by in this process, as their keys tell no two of one session apart: those of a task,
// but for shards, which need not wait for each other and have keys of their own.
func (j *job) turn() string {
	if j.run.Shard == nil {
		return j.run.Task
	}
	return turnOfShard(j.run.Task, j.run.ID)
}

func turnOfShard(task, run string) string { return task + "/" + run }
