package scheduler

import (
	"fmt"

	"github.com/nightwatch-go/nightwatch"
)

// maxQueued is how many runs of one task may wait, for earlier ones or for a node.
const maxQueued = 1000

// The policies are those of Temporal's schedules: skip is Skip, queue-one BufferOne, queue-all BufferAll, replace
// TerminateOther and CancelOther at once (the new run starts when the old one has ended, by its own will or not),
// allow AllowAll.

// waitsForEarlier tells whether runs under this policy wait until no earlier run of their task is live.
func waitsForEarlier(policy string) bool {
	return policy == nightwatch.OverlapQueueOne || policy == nightwatch.OverlapQueueAll || policy == nightwatch.OverlapReplace
}

// collide says why a new run must not be, under an overlap policy; empty: it may. What a policy does to the runs that
// are there is done by tendRuns.
func (p *plan) collide(r *runView, policy string) (reason, message string) {
	live := p.live()
	switch {
	case len(live) == 0 || live[0] == r || policy == nightwatch.OverlapReplace:
		return "", ""
	case policy == nightwatch.OverlapSkip:
		p.seenLive(live[0])
		return nightwatch.ReasonOverlap, "run " + live[0].run.ID + " is live"
	}
	limit := maxQueued
	if policy == nightwatch.OverlapQueueOne {
		limit = 1
	}
	waiting := 0
	for _, other := range live[1:] {
		// What may run beside others waits for a node only; should there be none for long, it must not pile up either.
		if other != r && other.run.Phase == nightwatch.PhasePending && (policy == nightwatch.OverlapAllow || waitsForEarlier(other.run.Overlap)) {
			waiting++
		}
	}
	if waiting < limit {
		return "", ""
	}
	p.seenLive(live[0])
	if limit == 1 {
		return nightwatch.ReasonQueueFull, "a run waits already"
	}
	return nightwatch.ReasonQueueFull, fmt.Sprintf("%d runs wait already", waiting)
}

// seenLive adds that a run is as it was seen: an occurrence that is refused because of it must not be if it has ended.
func (p *plan) seenLive(r *runView) {
	if r.present() && !p.writes(p.keys.Run(p.t.name, r.run.ID)) {
		p.seenRun(r.run.ID)
	}
}

// startOrWait starts a new run, or writes down that it waits for an earlier one.
func (p *plan) startOrWait(r *runView, policy string) {
	if waitsForEarlier(policy) {
		r.run.Overlap = policy
		if live := p.live(); live[0] != r {
			r.run.Reason, r.run.Message = nightwatch.ReasonOverlap, p.waitMessage(nightwatch.ReasonOverlap)
			p.saveRun(r, r.run)
			return
		}
	}
	p.assign(r, r.run)
}

// replacer is the newest live run that is to take the place of all before it, if there is one.
func (p *plan) replacer(live []*runView) int {
	for i := len(live) - 1; i > 0; i-- {
		if live[i].run.Overlap == nightwatch.OverlapReplace && live[i].run.Cancel == nil {
			return i
		}
	}
	return 0
}
