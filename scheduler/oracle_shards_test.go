package scheduler

import (
	"maps"
	"reflect"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

// shardsBefore are copies of what is known of shards, for compareShards.
func shardsBefore(t *taskView) map[string]map[int]*runView {
	copied := map[string]map[int]*runView{}
	for of, shards := range t.shards {
		copied[of] = maps.Clone(shards)
	}
	return copied
}

// compareShards holds the records of shards after a change against those before it.
func (o *oracle) compareShards(before, after *taskView) {
	for of, shards := range after.shards {
		for k, shard := range shards {
			was := before.shards[of][k]
			switch id := shard.run.ID; {
			case was != nil && was.create == shard.create:
				if !was.run.Live() && !reflect.DeepEqual(was.run, shard.run) {
					o.t.Errorf("the terminal record of %s changed: %+v, then %+v", id, was.run, shard.run)
				}
			case o.made[id]:
				o.t.Errorf("%s was made twice", id)
			default:
				o.made[id] = true
			}
		}
	}
	for of, shards := range before.shards {
		for k, was := range shards {
			if after.shards[of][k] == nil && was.run.TaskUID == o.uid && was.run.Live() {
				o.t.Errorf("the record of %s, which is live, has gone", was.run.ID)
			}
		}
	}
}

// checkShards holds what runs say of their shards against the records of these, at rest.
func (o *oracle) checkShards(t *taskView) {
	o.t.Helper()
	for of, shards := range t.shards {
		whole := t.runs[of]
		for k, shard := range shards {
			switch {
			case whole == nil || whole.run.TaskUID != shard.run.TaskUID:
				o.t.Errorf("%s is part of nothing", shard.run.ID)
			case shard.run.Live() != whole.run.Shards.Active.Has(k):
				o.t.Errorf("%s is %s; of %s %s are active", shard.run.ID, shard.run.Phase, of, whole.run.Shards.Active)
			case shard.run.Phase == nightwatch.PhaseSucceeded != whole.run.Shards.Succeeded.Has(k):
				o.t.Errorf("%s is %s; of %s %s succeeded", shard.run.ID, shard.run.Phase, of, whole.run.Shards.Succeeded)
			case shard.run.Live() && whole.run.Cancel != nil && shard.run.Cancel == nil:
				o.t.Errorf("%s has not heard that %s is to end", shard.run.ID, of)
			case shard.run.Live() && whole.run.Cancel == nil && whole.run.Shards.Cancel == nil && shard.run.Cancel != nil && shard.run.Cancel.Reason != nightwatch.ReasonTimeout:
				o.t.Errorf("%s is to end (%s), and %s is not", shard.run.ID, shard.run.Cancel.Reason, of)
			}
		}
	}
	for id, whole := range t.runs {
		r := &whole.run
		if !divided(r) {
			if r.Parent() && r.Phase == nightwatch.PhaseRunning {
				o.t.Errorf("%s runs without a shard", id)
			}
			continue
		}
		s := r.Shards
		all := made(s)
		switch {
		case all.Len() != s.Active.Len()+s.Succeeded.Len()+s.Failed.Len() || all.Minus(s.All()) != "":
			o.t.Errorf("%s has the shards %s: %+v", id, s.All(), s)
		case r.Live() && s.Active == "" || !r.Live() && s.Active != "":
			o.t.Errorf("%s is %s: %+v", id, r.Phase, s)
		case !r.Live() && all != s.All():
			o.t.Errorf("%s has ended as %s without %s: %+v", id, r.Phase, s.All().Minus(all), s)
		case r.Phase == nightwatch.PhaseSucceeded != (s.Succeeded == s.All()):
			o.t.Errorf("%s is %s: %+v", id, r.Phase, s)
		case r.Phase == nightwatch.PhaseFailed && (r.Reason != nightwatch.ReasonShardFailed || !strings.Contains(r.Message, "failed")):
			o.t.Errorf("%s is %s: %s, %s", id, r.Phase, r.Reason, r.Message)
		case r.Node != "" || r.Session != "":
			o.t.Errorf("%s is on node %q", id, r.Node)
		}
	}
}
