package nightwatch

import "fmt"

const (
	// maxShardRecords is how many records of shards the history of a task may hold.
	maxShardRecords = 20_000
	// nodesAssumed is how many shards a run of one for each node is taken to have there.
	nodesAssumed = 100
)

func (t *Task) checkShards(f *faults) {
	split := t.Split()
	switch {
	case len(t.ShardParams) > MaxShards:
		f.add("shardParams", "%d values: want at most %d", len(t.ShardParams), MaxShards)
		return
	case t.Shards == PerNode && len(t.ShardParams) > 0:
		f.add("shardParams", "goes with a number of shards; a shard for each node is told its node's name")
	case t.Shards > 0 && len(t.ShardParams) > 0 && int(t.Shards) != len(t.ShardParams):
		f.add("shardParams", "%d values for %d shards: want one for each", len(t.ShardParams), t.Shards)
	}
	for i, param := range t.ShardParams {
		f.noNUL(fmt.Sprintf("shardParams[%d]", i), ShardParamText(param))
	}
	if split == 0 {
		return
	}
	if split == PerNode {
		if t.Runner() == RunnerKubernetes {
			f.add("shards", "\"%s\": where pods run is for Kubernetes to say. Want a number of shards, spread by a pod's "+
				"topologySpreadConstraints, or a DaemonSet for one pod on each of its nodes", perNode)
		}
		split = nodesAssumed
	}
	if kept := t.Keep(PhaseSucceeded) + t.Keep(PhaseFailed); kept*int(split) > maxShardRecords {
		f.add("history", "%d finished runs of %d shards each: want at most %d records of shards, so at most %d runs in succeeded and failed together",
			kept, split, maxShardRecords, maxShardRecords/int(split))
	}
}
