package scheduler

import (
	"maps"
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// A run whose attempts are used up is a dead letter until a retry of it succeeds or somebody drops it. Its phase stays;
// who made it good is written into its record, when the run has been counted, so that a record whose revision grew by
// that is not counted again.

// retryRun makes a run that is a second chance of another: same nominal time, same params with the request's laid over
// them.
func (p *plan) retryRun(id string, request *nightwatch.Request) (string, error) {
	run, choice := p.addressed(request)
	dead, err := p.finished(run)
	if err != nil {
		return "", err
	}
	switch dead.run.Phase {
	case nightwatch.PhaseFailed, nightwatch.PhaseCanceled, nightwatch.PhaseMissed:
	default:
		return "", fault("run", "run %q is %s: want one that failed, was canceled or was missed", dead.run.ID, dead.run.Phase)
	}
	if dead.run.ResolvedBy != "" {
		return "", fault("run", "run %q was resolved by %s already", dead.run.ID, dead.run.ResolvedBy)
	}
	var shards *nightwatch.RunShards
	if choice != "" {
		again, err := chosen(&dead.run, choice)
		if err != nil {
			return "", err
		}
		shards = &nightwatch.RunShards{Count: dead.run.Shards.Count, Indexes: again, Nodes: dead.run.Shards.Nodes}
	}
	params := maps.Clone(dead.run.Params)
	if params == nil {
		params = request.Params
	} else {
		maps.Copy(params, request.Params)
	}
	if size := len(encodeAny(params)); size > nightwatch.MaxValue {
		return "", fault("params", "%d bytes with those of run %q: want at most %d", size, dead.run.ID, nightwatch.MaxValue)
	}
	return p.requested(id, request.Overlap, func(r *nightwatch.Run) {
		r.NominalTime, r.Params, r.RetryOf, r.Shards = dead.run.NominalTime, params, dead.run.ID, shards
		r.Upstream = dead.run.Upstream
	})
}

// drop puts a dead letter aside.
func (p *plan) drop(id string, request *nightwatch.Request) (string, error) {
	run, choice := p.addressed(request)
	if choice != "" {
		return "", fault("run", "%q is a shard: want the run that it is part of, %q", request.Run, run)
	}
	if r := p.t.runs[run]; r != nil && r.run.Live() && r.run.TaskUID == p.uid {
		return run, p.abandon(r, request)
	}
	dead, err := p.finished(run)
	if err != nil {
		return "", err
	}
	if !dead.run.Dead() {
		return "", fault("run", "run %q is no dead letter: it is %s", dead.run.ID, dead.run.Phase)
	}
	p.resolve(dead, nightwatch.RequestedRunID(id))
	return dead.run.ID, nil
}

// finished is the record of a run that has ended; by default that of the newest dead letter.
func (p *plan) finished(id string) (*runView, error) {
	all := p.all()
	for i := len(all) - 1; i >= 0; i-- {
		r := all[i]
		if r.run.ID != id && (id != "" || !r.run.Dead()) {
			continue
		}
		if r.run.Live() {
			return nil, fault("run", "run %q is %s: it has not ended", r.run.ID, r.run.Phase)
		}
		return r, nil
	}
	if id == "" {
		return nil, fault("run", "%q has no dead letter", p.t.name)
	}
	return nil, fault("run", "there is no run %q", id)
}

// resolveRetried writes into dead letters by which run they were made good.
func resolveRetried(p *plan) {
	for _, r := range slices.Backward(p.t.ordered) { // what this transaction makes has not ended
		if r.run.RetryOf == "" || r.run.TaskUID != p.uid {
			continue
		}
		if changed := p.runs[r.run.ID]; changed != nil {
			r = changed
		}
		some := r.run.Shards != nil && r.run.Shards.Indexes != ""
		if r.run.Live() || r.run.Phase != nightwatch.PhaseSucceeded && !some {
			continue
		}
		dead := p.t.runs[r.run.RetryOf]
		if dead == nil || p.runs[dead.run.ID] != nil || dead.run.ResolvedBy != "" || dead.run.Live() || dead.run.TaskUID != p.uid || p.full() {
			continue
		}
		if some && (dead.run.Shards == nil || !p.madeGood(&dead.run)) {
			continue
		}
		if !p.counts(dead) || p.writes(p.keys.Run(p.t.name, dead.run.ID)) {
			p.wakeBy(p.now)
			continue
		}
		p.resolve(dead, r.run.ID)
	}
}

// resolve notes who dealt with a run that has ended.
func (p *plan) resolve(dead *runView, by string) {
	r := p.run(dead.run.ID)
	before := r.run
	r.run.ResolvedBy, r.run.EndRevision = by, r.endRevision()
	p.saveRun(r, before)
	p.txn.Seen(p.keys.Status(p.t.name), p.t.statusAt.mod) // it is among the counts that stand in the store
}

// counts tells whether the counts in the store hold a run that has ended.
func (p *plan) counts(r *runView) bool {
	return r.run.ResolvedBy != "" || r.mod <= p.t.status.CountedRevision
}

// timeOut ends a run that waits for longer than its runTimeout allows. One that a node has is ended by that node. One
// whose Job may live, while no node has it, is given the wish that it end, as a cancel is: whichever node gets it ends the
// Job and then the run, as Failed (Timeout). The timeout of an attempt needs nobody: what a lost node ran ended with it,
// and a Job has it as its activeDeadlineSeconds.
func (p *plan) timeOut(r *runView, before nightwatch.Run) bool {
	if p.def == nil || r.run.Phase == nightwatch.PhaseRunning || r.run.Phase == nightwatch.PhaseAssigned && r.run.Job != nil {
		return false
	}
	limit := p.taskOf(&r.run).RunTimeout
	if limit == 0 {
		return false
	}
	end := r.run.CreateTime.Add(time.Duration(limit))
	if p.now.Before(end) {
		p.wakeBy(end)
		return false
	}
	r.run.Cancel = &nightwatch.Cancel{
		Reason: nightwatch.ReasonTimeout, Why: "the run took longer than its runTimeout, " + limit.String(), Time: p.now,
	}
	return p.settleCancel(r, before)
}
