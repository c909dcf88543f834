package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// maxLostSessions is how many nodes may be lost under one run before it is taken for the cause.
const maxLostSessions = 10

// tendRuns looks after every live run: those whose session is gone, those that are to end, those that wait. While
// the task is being removed (canceling) nothing starts, and every run is told to end.
func tendRuns(p *plan, canceling bool) {
	first := "" // the oldest run that stays live
	live := p.live()
	replacer := p.replacer(live)
	for i, r := range live {
		id := r.run.ID
		if p.full() {
			p.wakeBy(p.now)
			return
		}
		if p.runs[id] == nil { // else it was made in this very transaction
			var cancel *nightwatch.Cancel
			switch {
			case canceling:
				cancel = endOfTask(p)
			case i < replacer:
				by := live[replacer].run.ID
				cancel = &nightwatch.Cancel{By: by, Reason: nightwatch.ReasonReplaced, Why: "run " + by + " takes its place", Time: p.now}
			default:
				cancel = p.backfillCancel(&r.run)
			}
			if cancel != nil || divided(&r.run) || !p.waitsStill(r, first) {
				tend(p, id, first, cancel)
			}
		}
		if changed := p.runs[id]; first == "" && (changed == nil || changed.run.Live()) {
			first = id
		}
	}
}

// tend looks after one run; first is the oldest live one before it, if there is one, and cancel says why it is to
// end, if it is.
func tend(p *plan, id, first string, cancel *nightwatch.Cancel) {
	r := p.run(id)
	before := r.run
	moved := true
	switch {
	case queued(&r.run) && p.view.sessions[r.run.Session] == nil:
		if done := lose(p, r); done {
			return
		}
	case p.view.stranded(&r.run):
		takeBack(p, r)
	default:
		moved = p.setBack(&r.run)
	}
	if r.run.Cancel == nil {
		r.run.Cancel = cancel
	}
	if divided(&r.run) {
		p.tendDivided(r, before)
		return
	}
	if p.settleCancel(r, before) || p.missStart(r, before) || p.timeOut(r, before) {
		return
	}
	if r.run.Phase != nightwatch.PhasePending {
		delete(p.runs, id) // as it was
		return
	}
	switch waits := p.waitsFor(r, first); {
	case waits == "":
		p.startAgain(r, before)
	case moved || !p.saysSo(r, waits):
		r.run.Reason, r.run.Message = waits, p.waitMessage(waits)
		p.saveRun(r, before)
	default:
		delete(p.runs, id)
	}
}

// waitsStill tells of a run that it waits, as its record says, and that nothing else can become of it now: with a long
// queue that is what most runs do.
func (p *plan) waitsStill(r *runView, first string) bool {
	if p.def == nil || r.run.Phase != nightwatch.PhasePending || r.run.Cancel != nil {
		return false
	}
	if p.ahead(&r.run) > 0 {
		return false
	}
	task := p.taskOf(&r.run)
	if task.StartWithin > 0 || task.RunTimeout > 0 {
		return false
	}
	waits := p.waitsFor(r, first)
	if waits == "" {
		return p.lacksAsWell(r, task)
	}
	return p.saysSo(r, waits)
}

// lacksAsWell tells of a run that may go to a node that one before it found none in this very transaction, which has taken up
// room since and given none back, and that its record says so.
func (p *plan) lacksAsWell(r *runView, task *nightwatch.Task) bool {
	if p.waits == (place{}) || r.run.Occupies() || r.run.Shards != nil || r.run.Shard != nil || task.Shards != 0 ||
		r.run.Job == nil && r.run.Runner != task.Runner() {
		return false
	}
	return lacks(p.waits.reason, task, &r.run) == p.waits && says(&r.run, p.waits.reason, p.lacking)
}

// says tells whether the record of a run says that it waits for a node for this reason.
func says(r *nightwatch.Run, reason, message string) bool {
	return r.Reason == reason && r.Message == message || crowded(r.Reason) && crowded(reason)
}

// ahead is by how much the clock was ahead of the node on which the attempt before a retry failed: its record says that it
// ended in the future. 0: it was not.
func (p *plan) ahead(r *nightwatch.Run) time.Duration {
	if r.Phase != nightwatch.PhasePending || !r.NotBefore.After(p.now) || len(r.Attempts) == 0 {
		return 0
	}
	if off := r.Attempts[len(r.Attempts)-1].EndTime.Sub(p.now); off > MaxClockOffset {
		return off
	}
	return 0
}

// setBack has a retry wait from now that would wait until a clock that was ahead comes to its time. It tells whether it did.
func (p *plan) setBack(r *nightwatch.Run) bool {
	off := p.ahead(r)
	if off == 0 {
		return false
	}
	r.NotBefore = r.NotBefore.Add(-off)
	r.Attempts = slices.Clone(r.Attempts)
	r.Attempts[len(r.Attempts)-1].EndTime = p.now
	return true
}

// saysSo tells whether the record of a run says that it waits for this reason, and by which freeze.
func (p *plan) saysSo(r *runView, waits string) bool {
	return r.run.Reason == waits && (waits != nightwatch.ReasonFrozen || r.run.Message == p.waitMessage(waits))
}

// missStart ends a run as Missed that has not been claimed within the task's startWithin. Its node may be about to
// claim it: of the two transactions, which compare the run, one is refused.
func (p *plan) missStart(r *runView, before nightwatch.Run) bool {
	if r.run.Phase == nightwatch.PhaseRunning || r.run.Attempt > 1 || !r.run.StartTime.IsZero() || r.run.Job != nil {
		return false
	}
	if shard := r.run.Shard; shard != nil && shard.Node == "" {
		return false // it may wait for the others, once one of them has started
	}
	why := p.overdue(&r.run)
	if why == "" {
		return false
	}
	r.run.Phase, r.run.Reason, r.run.Message, r.run.EndTime = nightwatch.PhaseMissed, nightwatch.ReasonStartWithin, why, p.now
	p.saveRun(r, before)
	return true
}

// overdue says why a run that has not started must not any more. It is empty as long as the run may: where that has an end, the
// task is looked at again then.
func (p *plan) overdue(r *nightwatch.Run) (why string) {
	if whole := p.whole(r); p.def == nil || whole.Backfill != "" || whole.RetryOf != "" {
		return ""
	}
	within := p.taskOf(r).StartWithin
	if within == 0 {
		return ""
	}
	if last := later(r.NominalTime, r.NotBefore).Add(time.Duration(within)); !p.now.After(last) {
		p.wakeBy(last.Add(time.Millisecond))
		return ""
	}
	return tooLate(within)
}

// atMostOnce tells whether a run must not be tried again when its node is lost: as the version says that was submitted, or
// the one in force.
func (p *plan) atMostOnce(r *nightwatch.Run) bool {
	if p.def == nil && p.whole(r).Submitted == nil {
		return false
	}
	return p.taskOf(r).Delivery == nightwatch.AtMostOnce
}

// lose takes a run from a session that is gone. It tells whether that ended the run.
func lose(p *plan, r *runView) (done bool) {
	claimed := r.run.Phase == nightwatch.PhaseRunning
	node := r.run.Node
	before := r.run
	r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhasePending, nightwatch.ReasonNodeLost, fmt.Sprintf("node %q is gone", node)
	r.run.Node, r.run.Session = "", ""
	if !claimed {
		return false // nothing was started: the claim comes before the effect
	}
	r.run.LostSessions++
	if r.run.Runner == nightwatch.RunnerKubernetes {
		return false // the Job lives on: whoever gets the run next adopts it
	}
	// Processes, requests and handlers ended at the node's own deadline, which lies before the end of its lease. (Where somebody
	// deleted the node's key they are being ended now.)
	message := fmt.Sprintf("node %q was lost in mid-run", node)
	end := func(phase nightwatch.Phase, reason, message string) bool {
		r.run.Phase, r.run.Reason, r.run.Message, r.run.EndTime = phase, reason, message, p.now
		r.run.Node, r.run.Session = before.Node, before.Session
		p.saveRun(r, before)
		return true
	}
	switch {
	case r.run.Cancel != nil:
		phase, reason, why := r.run.Cancel.End()
		if why != "" {
			message = why + "; " + message
		}
		return end(phase, reason, message)
	case p.atMostOnce(&r.run):
		return end(nightwatch.PhaseFailed, nightwatch.ReasonNodeLost, message)
	case r.run.LostSessions >= maxLostSessions:
		return end(nightwatch.PhaseFailed, nightwatch.ReasonNodeLost, fmt.Sprintf("%s, the %dth time", message, r.run.LostSessions))
	}
	r.run.Lost(nightwatch.FailedAttempt{Node: node, StartTime: before.AttemptTime, EndTime: p.now, Message: message})
	return false
}

// settleCancel carries out the wish that a run end as far as the scheduler can. A run that nobody claimed is
// canceled at once; one whose effect may exist is ended by the node that has it, or that gets it.
func (p *plan) settleCancel(r *runView, before nightwatch.Run) bool {
	if r.run.Cancel == nil {
		return false
	}
	if divided(&r.run) {
		p.saveRun(r, before) // its shards hear of it one after the other
		return true
	}
	if r.run.Phase != nightwatch.PhaseRunning && r.run.Job == nil {
		r.run.Phase, r.run.Reason, r.run.Message = r.run.Cancel.End()
		r.run.EndTime = p.now
		p.saveRun(r, before)
		return true
	}
	if r.run.Phase != nightwatch.PhasePending {
		if before.Cancel == nil {
			p.saveRun(r, before) // touches the queue key too, which is how the node hears of it
		} else {
			delete(p.runs, r.run.ID)
		}
		return true
	}
	p.startAgain(r, before)
	return true
}

// startAgain gives a run that is in the store to a node, if there is one.
func (p *plan) startAgain(r *runView, before nightwatch.Run) {
	def := p.def
	if def == nil {
		return
	}
	if r.run.Cancel == nil {
		p.seenTask()
	}
	p.assign(r, before)
	if p.runs[r.run.ID] == r && !p.writes(p.keys.Run(p.t.name, r.run.ID)) {
		delete(p.runs, r.run.ID)
	}
}

// waitsFor is why a run that is Pending must not be given to a node yet, beside there being none.
func (p *plan) waitsFor(r *runView, first string) string {
	if r.run.NotBefore.After(p.now) {
		p.wakeBy(r.run.NotBefore)
		if r.run.Reason == nightwatch.ReasonRetry {
			return r.run.Reason
		}
		return nightwatch.ReasonNotBefore
	}
	if r.run.Job != nil && r.run.Job.UID != "" {
		return "" // its Job is running: to be followed, not started
	}
	if _, frozen := p.view.frozen(p.t.name); frozen {
		return nightwatch.ReasonFrozen
	}
	if r.run.Reason == nightwatch.ReasonLocked && p.t.lockedFor(&r.run) {
		return nightwatch.ReasonLocked
	}
	if waitsForEarlier(r.run.Overlap) && first != "" {
		return nightwatch.ReasonOverlap
	}
	return ""
}

// waitMessage is the sentence to a reason. It does not name the run that a run waits for, as that changes while it waits.
func (p *plan) waitMessage(reason string) string {
	switch reason {
	case nightwatch.ReasonFrozen:
		what, _ := p.view.frozen(p.t.name)
		return p.view.freezeMessage(what)
	case nightwatch.ReasonLocked:
		return "somebody holds locks/" + p.t.name
	case nightwatch.ReasonOverlap:
		return "an earlier run of the task is live"
	}
	return ""
}

// endOfTask is the wish that a run end because the life of its task is over.
func endOfTask(p *plan) *nightwatch.Cancel {
	if p.t.task.present() {
		return &nightwatch.Cancel{Reason: nightwatch.ReasonTaskReplaced, Why: "the task was deleted and put anew", Time: p.now}
	}
	return &nightwatch.Cancel{Reason: nightwatch.ReasonTaskDeleted, Why: "the task was deleted", Time: p.now}
}
