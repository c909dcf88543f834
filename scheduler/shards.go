package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// The protocol of runs that are split stands in the package's documentation.

const (
	// maxUnplaced is how many shards of one task may wait at a time: further ones are made when these go to nodes.
	maxUnplaced = 1000
	// maxTold is of how many failed shards the message of their run tells more than the number.
	maxTold = 5
	// maxToldRanges is how many bytes of ranges a message has.
	maxToldRanges = 100
)

// splits tells whether a run is to be split, and does what is to be done about that. What comes to be assigned for the
// first time has the shards that its task has by now.
func (p *plan) splits(r *runView, task *nightwatch.Task, before nightwatch.Run) bool {
	shape(&r.run, task)
	switch {
	case r.run.Shard != nil || !r.run.Parent():
		return false
	case !r.present():
		// First the record, with the cursor of its occurrence or the answer to its request. If we die here it waits, as
		// any run does, and its shards are made by whoever comes next.
		p.saveRun(r, before)
	default:
		p.beginShards(r, task, before)
	}
	return true
}

// shape gives a run that no node has the runner of the version that it is going to run, unless its Job may exist, and one
// that has not begun the shards of that version.
func shape(r *nightwatch.Run, task *nightwatch.Task) {
	if r.Job != nil {
		return
	}
	if s := r.Shards; s != nil && r.Runner != task.Runner() {
		// What the shards of a Job came to went with it: the next attempt does all of them again.
		r.Shards = &nightwatch.RunShards{Count: s.Count, Indexes: s.Indexes, Nodes: s.Nodes, Cancel: s.Cancel}
	}
	r.Runner = task.Runner()
	if r.Shard != nil || r.Attempt > 1 || !r.StartTime.IsZero() || r.Shards != nil && (r.Shards.Indexes != "" || begun(r.Shards)) {
		return
	}
	count := max(int(task.Split()), 0)
	switch {
	case task.Split() == 0:
		r.Shards = nil
	case r.Shards == nil || r.Shards.Count != count:
		r.Shards = &nightwatch.RunShards{Count: count}
	}
}

// begun tells whether any shard has been made.
func begun(s *nightwatch.RunShards) bool {
	return s.Active != "" || s.Succeeded != "" || s.Failed != ""
}

// divided tells whether a run is a parent whose shards exist: from then on it is what they are.
func divided(r *nightwatch.Run) bool { return r.Parent() && begun(r.Shards) }

// beginShards makes the first shards of a run that nothing holds back any more. For one on each node this is the moment
// that says which nodes. They are not compared: one that is gone by the time this is done was lost a moment later.
func (p *plan) beginShards(r *runView, task *nightwatch.Task, before nightwatch.Run) {
	if !nightwatch.ValidRunID(nightwatch.ShardRunID(r.run.ID, nightwatch.MaxShards-1)) {
		p.end(r, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused, "the run's id is too long for its shards to have theirs: want a request id of at most 55 characters")
		return
	}
	if task.Split() == nightwatch.PerNode && r.run.Shards.Indexes == "" {
		s := *r.run.Shards
		s.Nodes = nil
		for name, n := range p.view.nodes {
			if n.open() && fits(&n.node, task, &r.run) {
				s.Nodes = append(s.Nodes, name)
			}
		}
		switch n := len(s.Nodes); {
		case n == 0:
			p.wait(r, task, before, nightwatch.ReasonNoFittingNode, wanted(task, &r.run))
			return
		case n > nightwatch.MaxShards:
			p.end(r, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused, fmt.Sprintf("%d nodes fit: want at most %d, by runsOn", n, nightwatch.MaxShards))
			return
		}
		slices.Sort(s.Nodes)
		s.Count = len(s.Nodes)
		r.run.Shards = &s
	}
	p.tendDivided(r, before)
}

// tendDivided brings a run up to what its shards are at, and looks after them.
func (p *plan) tendDivided(r *runView, before nightwatch.Run) {
	s := *r.run.Shards // before keeps its own
	r.run.Shards = &s
	p.gather(r)
	p.missDivided(r)
	p.makeShards(r)
	p.tendShards(r)
	if !p.endDivided(r) && r.run.Phase == nightwatch.PhasePending {
		r.run.Reason, r.run.Message = p.whyShardsWait(r)
	}
	if reflect.DeepEqual(before, r.run) {
		delete(p.runs, r.run.ID)
		return
	}
	p.saveRun(r, before)
}

// gather takes in how shards ended. A record that is terminal stays as it is, so it needs no comparison.
func (p *plan) gather(r *runView) {
	s := r.run.Shards
	var succeeded, failed, active []int
	for _, k := range s.Active.Numbers() {
		shard := p.shard(r.run.ID, k)
		switch {
		case shard == nil && p.full():
			active = append(active, k)
		case shard == nil:
			// Somebody deleted its record, or put something else in its place. It may have run, so it does not run again.
			p.seenRun(nightwatch.ShardRunID(r.run.ID, k))
			p.changes++
			failed = append(failed, k)
		case shard.run.Live():
			active = append(active, k)
		case shard.run.Phase == nightwatch.PhaseSucceeded:
			succeeded = append(succeeded, k)
			s.AddResult(k, shard.run.Result)
		default:
			failed = append(failed, k)
			s.AddResult(k, shard.run.Result)
		}
		if shard != nil && !shard.run.StartTime.IsZero() {
			began(&r.run, shard.run.StartTime)
		}
	}
	s.Succeeded, s.Failed, s.Active = s.Succeeded.Add(succeeded...), s.Failed.Add(failed...), nightwatch.IndexesOf(active...)
}

// began notes that a shard began then.
func began(r *nightwatch.Run, at time.Time) {
	if r.StartTime.IsZero() || at.Before(r.StartTime) {
		r.StartTime = at
	}
	if r.Phase == nightwatch.PhasePending {
		r.Phase, r.Reason, r.Message = nightwatch.PhaseRunning, "", ""
	}
}

// seenRun adds that a record is as it was seen, or absent.
func (p *plan) seenRun(id string) {
	mod := int64(0)
	if r := p.t.find(id); r != nil {
		mod = r.mod
	}
	p.txn.Seen(p.keys.Run(p.t.name, id), mod)
}

// missDivided ends a run none of whose shards has been claimed within the task's startWithin. That is a wish first, as
// its shards may be too many for one transaction; one that is claimed before it hears of it is canceled.
func (p *plan) missDivided(r *runView) {
	if r.run.Phase != nightwatch.PhasePending || !r.run.StartTime.IsZero() || r.run.Cancel != nil {
		return
	}
	if why := p.overdue(&r.run); why != "" {
		r.run.Cancel = &nightwatch.Cancel{Reason: nightwatch.ReasonStartWithin, Why: why, Time: p.now}
	}
}

// makeShards makes shards that do not exist yet. Their records and the parent's, which says that they exist, are one
// transaction, so that each is made once, also if somebody deletes it later. If we die between two of these, whoever
// comes next goes on from there.
func (p *plan) makeShards(r *runView) {
	s := r.run.Shards
	if r.run.Cancel != nil || p.def == nil {
		return
	}
	left := s.All().Minus(made(s)).Numbers()
	if len(left) == 0 {
		return
	}
	unplaced := p.unplaced()
	for _, k := range left {
		if p.full() || unplaced >= maxUnplaced {
			return // what has changed by then brings it on
		}
		id := nightwatch.ShardRunID(r.run.ID, k)
		if p.t.find(id) != nil || s.Cancel != nil && s.Cancel.Shards.Has(k) {
			p.seenRun(id) // its name is another's, or it is not to be
			p.changes++
			s.Failed = s.Failed.Add(k)
			continue
		}
		s.Active = s.Active.Add(k)
		if shard := p.makeShard(r, id, k); shard.run.Phase == nightwatch.PhasePending {
			unplaced++
		}
	}
}

// made are the shards that exist or existed.
func made(s *nightwatch.RunShards) nightwatch.Indexes {
	return s.Active.Union(s.Succeeded).Union(s.Failed)
}

// unplaced counts the shards of the task that wait.
func (p *plan) unplaced() int {
	n := 0
	for _, shards := range p.t.shards {
		for _, shard := range shards {
			if shard.run.Phase == nightwatch.PhasePending {
				n++
			}
		}
	}
	return n
}

// makeShard makes a shard, and gives it to a node if there is one. It has the time of creation of the whole, so that
// runTimeout speaks of that. Params and the version that was submitted are the whole's, which a claim reads too.
func (p *plan) makeShard(whole *runView, id string, k int) *runView {
	s, run := whole.run.Shards, &whole.run
	shard := &runView{run: nightwatch.Run{
		ID: id, Task: run.Task, TaskUID: run.TaskUID, TaskRevision: run.TaskRevision, Phase: nightwatch.PhasePending,
		NominalTime: run.NominalTime, CreateTime: run.CreateTime, Attempt: 1, Runner: run.Runner,
		Shard: &nightwatch.RunShard{Of: run.ID, Index: k, Count: s.Count, Param: p.shardParam(run, k)},
	}}
	if k < len(s.Nodes) {
		shard.run.Shard.Node = s.Nodes[k]
	}
	p.change(shard)
	if waits := p.waitsFor(shard, ""); waits != "" {
		shard.run.Reason, shard.run.Message = waits, p.waitMessage(waits)
		p.saveRun(shard, shard.run)
		return shard
	}
	p.seenTask()
	p.assign(shard, shard.run)
	return shard
}

// shardParam is what a shard is told: in a second chance what it was told in the first.
func (p *plan) shardParam(whole *nightwatch.Run, k int) json.RawMessage {
	if k < len(whole.Shards.Nodes) {
		name, _ := nightwatch.Encode(whole.Shards.Nodes[k]) // a string can be written
		return name
	}
	if first := p.t.shards[whole.RetryOf][k]; first != nil && whole.Shards.Indexes != "" {
		return first.run.Shard.Param
	}
	return p.taskOf(whole).ShardParam(k)
}

// tendShards looks after the shards that live, as tendRuns does after runs.
func (p *plan) tendShards(r *runView) {
	s := r.run.Shards
	var unwanted nightwatch.Indexes
	if s.Cancel != nil {
		unwanted = s.Cancel.Shards
	}
	lack := "" // the reason for which one of them has found no node: the others would find none either
	for _, k := range s.Active.Numbers() {
		shard := p.t.shards[r.run.ID][k]
		if shard == nil || !shard.run.Live() || p.runs[shard.run.ID] != nil {
			continue
		}
		if p.full() {
			p.wakeBy(p.now)
			return
		}
		var cancel *nightwatch.Cancel
		switch {
		case r.run.Cancel != nil:
			cancel = r.run.Cancel
		case unwanted != "" && unwanted.Has(k):
			cancel = &s.Cancel.Cancel
		case p.waitsStill(shard, "") || p.lacks(shard, lack):
			continue
		}
		id := shard.run.ID
		tend(p, id, "", cancel)
		if changed := p.runs[id]; changed != nil {
			shard = changed
		}
		if shard.run.Phase == nightwatch.PhasePending && shard.run.Shard.Node == "" &&
			(shard.run.Reason == nightwatch.ReasonNoCapacity || shard.run.Reason == nightwatch.ReasonNoFittingNode) {
			lack = shard.run.Reason
		}
	}
}

// lacks tells that a shard waits for what another of its run has just been found to lack, as its record says.
func (p *plan) lacks(shard *runView, lack string) bool {
	r := &shard.run
	if lack == "" || p.def == nil || r.Phase != nightwatch.PhasePending || r.Reason != lack || r.Shard.Node != "" || r.Job != nil || r.Cancel != nil || r.NotBefore.After(p.now) {
		return false
	}
	limit := time.Duration(p.taskOf(r).RunTimeout)
	return limit == 0 || p.now.Before(r.CreateTime.Add(limit))
}

// endDivided makes a run terminal once all its shards are.
func (p *plan) endDivided(r *runView) bool {
	s := r.run.Shards
	if s.Active != "" || r.run.Cancel == nil && made(s) != s.All() {
		return false
	}
	s.Failed = s.Unsuccessful() // those that never came to be, too
	end, missed, why := r.run.CreateTime, true, ""
	for _, k := range s.All().Numbers() {
		shard := p.shard(r.run.ID, k)
		if shard != nil {
			end = later(end, shard.run.EndTime)
		}
		if missed = missed && shard != nil && shard.run.Phase == nightwatch.PhaseMissed; missed {
			why = shard.run.Message
		}
	}
	cancel := r.run.Cancel
	r.run.EndTime = end
	late := cancel != nil && cancel.Reason == nightwatch.ReasonStartWithin
	if late {
		why = cancel.Why
	}
	switch {
	case s.Failed == "":
		r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhaseSucceeded, "", ""
	case r.run.StartTime.IsZero() && (late || missed):
		r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhaseMissed, nightwatch.ReasonStartWithin, why
		r.run.EndTime = later(end, p.now)
	case cancel != nil:
		r.run.Phase, r.run.Reason, r.run.Message = cancel.End()
		r.run.EndTime = later(end, cancel.Time)
	default:
		r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, p.whyShardsFailed(r)
	}
	return true
}

// whyShardsFailed names the shards that failed.
func (p *plan) whyShardsFailed(r *runView) string {
	s := r.run.Shards
	failed := s.Failed.Numbers()
	text := string(s.Failed)
	if len(text) > maxToldRanges {
		text = text[:strings.LastIndexByte(text[:maxToldRanges], ',')+1] + "…"
	}
	word := "shards"
	if len(failed) == 1 {
		word = "shard"
	}
	text = fmt.Sprintf("%s %s of %d failed", word, text, s.Count)
	for i, k := range failed[:min(len(failed), maxTold)] {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		text += fmt.Sprintf("%s%d: %s", separator, k, p.whyShardFailed(r, k))
	}
	if len(failed) > maxTold {
		text += "; …"
	}
	return text
}

func (p *plan) whyShardFailed(whole *runView, k int) string {
	shard := p.shard(whole.run.ID, k)
	switch {
	case shard == nil && p.t.find(nightwatch.ShardRunID(whole.run.ID, k)) != nil:
		return "another record has its name"
	case shard == nil && whole.run.Shards.Cancel != nil && whole.run.Shards.Cancel.Shards.Has(k):
		return whole.run.Shards.Cancel.Reason
	case shard == nil:
		return "its record is gone"
	}
	text := shard.run.Reason
	if text == "" {
		text = string(shard.run.Phase)
	}
	if code := shard.run.ExitCode; code != nil && *code != 0 {
		text += fmt.Sprintf(" %d", *code)
	}
	if node := shard.run.Node; node != "" {
		text += " on node " + node
	}
	return text
}

// whyShardsWait is why none of the shards of a run has begun, as far as that is not for a node to say.
func (p *plan) whyShardsWait(r *runView) (reason, message string) {
	for _, k := range r.run.Shards.Active.Numbers() {
		shard := p.shard(r.run.ID, k)
		if shard == nil || shard.run.Phase != nightwatch.PhasePending {
			return "", ""
		}
		if reason == "" {
			reason, message = shard.run.Reason, shard.run.Message
		}
	}
	if r.run.Shards.Active == "" {
		return nightwatch.ReasonNoCapacity, fmt.Sprintf("%d shards of the task wait already", maxUnplaced)
	}
	return reason, message
}

// whole is the run that a run is a shard of, or the run itself.
func (p *plan) whole(r *nightwatch.Run) *nightwatch.Run {
	if r.Shard == nil {
		return r
	}
	if whole := p.runs[r.Shard.Of]; whole != nil {
		return &whole.run
	}
	if whole := p.t.runs[r.Shard.Of]; whole != nil {
		return &whole.run
	}
	return r
}

// shard is a shard of a run as it stands in this plan, nil when it is not there.
func (p *plan) shard(of string, k int) *runView {
	if len(p.runs) > 0 {
		if r := p.runs[nightwatch.ShardRunID(of, k)]; r != nil {
			return r
		}
	}
	return p.t.shards[of][k]
}

// siblings counts the shards of the run that r is one of by the session that has them.
func (p *plan) siblings(r *nightwatch.Run) map[string]int {
	if r.Shard == nil {
		return nil
	}
	on := map[string]int{}
	for _, shard := range p.t.shards[r.Shard.Of] {
		if p.runs[shard.run.ID] == nil && queued(&shard.run) {
			on[shard.run.Session]++
		}
	}
	for _, shard := range p.runs {
		if shard.run.Shard != nil && shard.run.Shard.Of == r.Shard.Of && queued(&shard.run) {
			on[shard.run.Session]++
		}
	}
	return on
}

// tendStray ends shards whose run is not there or has ended, which somebody's hand must have done, and removes what is
// left of them once their run is gone.
func tendStray(p *plan) {
	for of, shards := range inOrder(p.t.shards) {
		whole := p.t.runs[of]
		if whole != nil && whole.run.Live() {
			continue
		}
		for _, shard := range inOrder(shards) {
			if p.full() || p.txn.Operations() >= maxRemovals {
				p.wakeBy(p.now)
				return
			}
			switch {
			case shard.run.Live() && p.runs[shard.run.ID] == nil:
				tend(p, shard.run.ID, "", &nightwatch.Cancel{Reason: nightwatch.ReasonCancelRequested, Why: "the run that it is a shard of is gone", Time: p.now})
			case whole == nil && !shard.run.Live():
				p.remove(p.keys.Run(p.t.name, shard.run.ID), shard.mod)
			}
		}
	}
}

// liveShards tells whether any shard is live, be its run there or not.
func (p *plan) liveShards() bool {
	for _, shards := range p.t.shards {
		for _, shard := range shards {
			if shard.run.Live() {
				return true
			}
		}
	}
	return false
}

// shedShards removes the records of a run's shards, before that of the run. If we die in between, the run's own record
// still tells what became of them. It tells whether none was left.
func (p *plan) shedShards(of string) bool {
	for _, shard := range inOrder(p.t.shards[of]) {
		if p.txn.Operations() >= maxRemovals {
			break
		}
		p.remove(p.keys.Run(p.t.name, shard.run.ID), shard.mod)
	}
	return len(p.t.shards[of]) == 0
}

// inOrder goes through a map in the order of its keys, for what one transaction does not hold whole: equal views lead to
// equal plans.
func inOrder[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// lockedFor tells whether somebody holds the task's mutex against a run: the dispatch of a shard does not hold up others.
func (t *taskView) lockedFor(r *nightwatch.Run) bool {
	if r.Shard == nil {
		return len(t.locks) > 0
	}
	for holder := range t.locks {
		if _, _, run, _ := store.SplitLock(t.name + "/" + holder); run == "" {
			return true
		}
	}
	return false
}
