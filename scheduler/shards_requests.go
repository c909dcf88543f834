package scheduler

import (
	"github.com/nightwatch-go/nightwatch"
)

// addressed are the run and the shards that a request is about: one that names the run of a shard means that shard of the
// whole.
func (p *plan) addressed(request *nightwatch.Request) (run string, shards nightwatch.ShardChoice) {
	if of, k, ok := nightwatch.SplitShardRunID(request.Run); ok && p.t.runs[request.Run] == nil && p.t.shards[of][k] != nil {
		return of, nightwatch.ShardsNamed(nightwatch.IndexesOf(k))
	}
	return request.Run, request.Shards
}

// chosen are the shards of a run that a request names, all of which must be its own and none of which has succeeded.
func chosen(r *nightwatch.Run, choice nightwatch.ShardChoice) (nightwatch.Indexes, error) {
	if r.Shards == nil {
		return "", fault("shards", "run %q is not split into shards", r.ID)
	}
	shards := choice.Of(r.Shards)
	switch {
	case shards == "":
		return "", fault("shards", "%q: no shard of run %q failed", choice, r.ID)
	case shards.Minus(r.Shards.All()) != "":
		return "", fault("shards", "%s: run %q has the shards %s", shards.Minus(r.Shards.All()), r.ID, r.Shards.All())
	case shards.Minus(r.Shards.Succeeded) != shards:
		return "", fault("shards", "%s of run %q succeeded: want shards that did not", shards.Minus(shards.Minus(r.Shards.Succeeded)), r.ID)
	}
	return shards, nil
}

// cancelShards writes the wish that some shards of a run end into the record of the run; they hear of it one after the
// other, those that do not exist yet as well.
func (p *plan) cancelShards(r *runView, choice nightwatch.ShardChoice, request *nightwatch.Request) error {
	if r.run.Shards != nil && !r.run.Parent() {
		return fault("shards", "run %q is one Job of Kubernetes: cancel it as a whole", r.run.ID)
	}
	shards, err := chosen(&r.run, choice)
	if err != nil {
		return err
	}
	if ended := shards.Minus(shards.Minus(r.run.Shards.Failed)); ended != "" {
		return fault("shards", "%s of run %q ended already", ended, r.run.ID)
	}
	before := r.run
	s := *r.run.Shards
	s.Cancel = &nightwatch.ShardCancel{Shards: shards, Cancel: *p.cancelFor(request)}
	if earlier := r.run.Shards.Cancel; earlier != nil {
		s.Cancel.Shards = s.Cancel.Shards.Union(earlier.Shards)
	}
	r.run.Shards = &s
	p.saveRun(r, before)
	return nil
}

// checkName refuses the name of a requested run that could be taken for a shard, or whose shards could be taken for
// runs.
func (p *plan) checkName(r *nightwatch.Run) error {
	if of, k, ok := nightwatch.SplitShardRunID(r.ID); ok {
		if whole := p.named(of); whole != nil && whole.run.Shards != nil {
			return fault("key", "run %q would have the name of shard %d of run %q: use another id", r.ID, k, of)
		}
	}
	if r.Shards == nil && p.def.Task.Split() == 0 {
		return nil
	}
	if !nightwatch.ValidRunID(nightwatch.ShardRunID(r.ID, nightwatch.MaxShards-1)) {
		return fault("key", "the id is too long for a run of shards: want at most 55 characters")
	}
	for _, runs := range []map[string]*runView{p.t.runs, p.runs} {
		for id := range runs {
			if of, k, ok := nightwatch.SplitShardRunID(id); ok && of == r.ID {
				return fault("key", "there is a run %q, which would be the name of shard %d: use another id", id, k)
			}
		}
	}
	return nil
}

// named is a run that is no shard, be it there or made in this plan.
func (p *plan) named(id string) *runView {
	if r := p.runs[id]; r != nil {
		return r
	}
	return p.t.runs[id]
}

// madeGood tells whether the second chances of a run of which only some shards had one have made good all that failed.
func (p *plan) madeGood(dead *nightwatch.Run) bool {
	left := dead.Shards.Unsuccessful()
	for _, r := range p.all() {
		if r.run.RetryOf == dead.ID && r.run.Shards != nil && !r.run.Live() {
			left = left.Minus(r.run.Shards.Succeeded)
		}
	}
	return left == ""
}
