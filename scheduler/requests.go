package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// answerRequests answers the oldest request: its effect, its verdict and its removal are one transaction. Those that follow it
// are in that as well while none has to do with another, so that a thousand dead letters are not a thousand transactions.
func answerRequests(p *plan) {
	if len(p.t.requests) == 0 {
		return
	}
	ids := slices.SortedFunc(maps.Keys(p.t.requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.t.requests[a].mod, p.t.requests[b].mod), cmp.Compare(a, b))
	})
	accepted := false
	for i, id := range ids {
		if i > 0 && (i == maxRunChanges || p.full() || !p.apart(p.t.requests[id])) || p.first && p.dropsUncounted(p.t.requests[id]) {
			break
		}
		accepted = p.answer(id, p.t.requests[id]) || accepted
	}
	if accepted {
		p.saveStatus()
	}
}

// mayAnswerFirst tells whether requests can do without what conduct sees to as a rule before them: a version that has not been
// judged, or a run that was announced.
func (p *plan) mayAnswerFirst() bool {
	return p.t.current() && p.status.ObservedRevision == p.t.task.mod && p.announced() == nil
}

// dropsUncounted tells of a request that it puts a run aside which the counts do not hold yet, and then never would.
func (p *plan) dropsUncounted(r keyView) bool {
	request, err := nightwatch.ParseRequest(r.value)
	if err != nil || request.Action != nightwatch.ActionDrop {
		return false
	}
	run, _ := p.addressed(request)
	dead, err := p.finished(run)
	return err == nil && !p.counts(dead)
}

// apart tells of a request that neither does its answer depend on what was answered in this plan before, nor does it write what
// that wrote.
func (p *plan) apart(r keyView) bool {
	request, err := nightwatch.ParseRequest(r.value)
	if err != nil {
		return true // it is refused
	}
	run, _ := p.addressed(request)
	named := p.t.runs[run] != nil && p.runs[run] == nil
	switch request.Action {
	case nightwatch.ActionRun:
		return p.mayStart(request)
	case nightwatch.ActionRetry:
		return named && p.mayStart(request)
	case nightwatch.ActionDrop:
		return named
	}
	return false
}

// mayStart tells of a request that the run it asks for may start whatever other runs there are.
func (p *plan) mayStart(request *nightwatch.Request) bool {
	return p.def != nil && cmp.Or(request.Overlap, p.def.Task.OverlapPolicy()) == nightwatch.OverlapAllow
}

// answer answers one request, and tells whether it was accepted.
func (p *plan) answer(id string, request keyView) bool {
	p.remove(request.key, request.mod)
	before := p.t.verdicts[id]
	if before.present() && before.time.Add(nightwatch.VerdictTTL).After(p.now) {
		return false // the same id within the hour: its answer stands
	}
	verdict := nightwatch.Verdict{Time: p.now}
	err := p.perform(id, request, &verdict)
	if verdict.Accepted = err == nil; err != nil {
		verdict.Errors = faultsOf(err)
	}
	_, tail, _ := p.keys.Parse(request.key)
	p.put(p.keys.Of(store.Verdicts)+tail, before.mod, verdict)
	return err == nil
}

// faultsOf is an error about a value in the form a verdict has.
func faultsOf(err error) nightwatch.InvalidError {
	var all nightwatch.InvalidError
	if errors.As(err, &all) {
		return all
	}
	var one nightwatch.FieldError
	if errors.As(err, &one) {
		return nightwatch.InvalidError{one}
	}
	return nightwatch.InvalidError{{Reason: err.Error()}}
}

func fault(field, format string, args ...any) error {
	return nightwatch.InvalidError{{Field: field, Reason: fmt.Sprintf(format, args...)}}
}

// perform does what a request asks for, and says in the verdict which run it is about. On error nothing is done.
func (p *plan) perform(id string, r keyView, verdict *nightwatch.Verdict) error {
	if _, _, err := nightwatch.ParseTaskName(p.t.name); err != nil {
		_, tail, _ := p.keys.Parse(r.key)
		return fault("key", "%q: want requests/<namespace>/<task>/<id>", tail)
	}
	if err := nightwatch.CheckRequestID(id); err != nil {
		return err
	}
	request, err := nightwatch.ParseRequest(r.value)
	if err != nil {
		return err
	}
	if !p.t.task.present() {
		return fault("key", "there is no task %q", p.t.name)
	}
	if p.def == nil {
		return fault("key", "task %q has never been accepted: see its status", p.t.name)
	}
	switch request.Action {
	case nightwatch.ActionCancel:
		verdict.Run, err = p.cancel(request)
	case nightwatch.ActionBackfill:
		err = p.backfill(id, request, verdict)
	case nightwatch.ActionRetry:
		verdict.Run, err = p.retryRun(id, request)
	case nightwatch.ActionDrop:
		verdict.Run, err = p.drop(id, request)
	default:
		verdict.Run, err = p.requested(id, request.Overlap, func(r *nightwatch.Run) { r.Params = request.Params })
	}
	return err
}

// requested makes a run that no schedule asked for, under an overlap policy, the task's own by default. It never moves
// the cursor.
func (p *plan) requested(id, policy string, fill func(*nightwatch.Run)) (string, error) {
	name := nightwatch.RequestedRunID(id)
	if p.t.find(name) != nil {
		return name, fault("key", "run %q is there already: use another id", name)
	}
	if policy == "" {
		policy = p.def.Task.OverlapPolicy()
	}
	r := p.newRun(name, p.now)
	if reason, message := p.collide(r, policy); reason != "" {
		delete(p.runs, name)
		return "", fault("overlap", "%s, and the policy is %s: ask for another to run all the same", message, policy)
	}
	fill(&r.run)
	if err := p.checkName(&r.run); err != nil {
		delete(p.runs, name)
		return "", err
	}
	p.seenTask()
	if what, frozen := p.view.frozen(p.t.name); frozen {
		r.run.Reason, r.run.Message = nightwatch.ReasonFrozen, p.view.freezeMessage(what)
		if waitsForEarlier(policy) {
			r.run.Overlap = policy
		}
		p.saveRun(r, r.run)
		return name, nil
	}
	p.startOrWait(r, policy)
	return name, nil
}

// cancel writes the wish that a run end; without a name the oldest live run is meant.
func (p *plan) cancel(request *nightwatch.Request) (string, error) {
	id, shards := p.addressed(request)
	if id == "" {
		live := p.live()
		if len(live) == 0 {
			return "", fault("run", "no run of %q is live", p.t.name)
		}
		id = live[0].run.ID
	}
	if p.cancelBackfill(id, request) {
		return id, nil
	}
	if p.t.runs[id] == nil || p.t.runs[id].run.TaskUID != p.uid {
		return "", fault("run", "there is no run %q", id)
	}
	r := p.run(id)
	if !r.run.Live() {
		return id, fault("run", "run %q is %s already", id, r.run.Phase)
	}
	if r.run.Cancel != nil {
		return id, nil // it is being canceled
	}
	if shards != "" {
		return id, p.cancelShards(r, shards, request)
	}
	before := r.run
	r.run.Cancel = p.cancelFor(request)
	p.settleCancel(r, before)
	return id, nil
}

// cancelFor is the wish of a request.
func (p *plan) cancelFor(request *nightwatch.Request) *nightwatch.Cancel {
	return &nightwatch.Cancel{By: request.By, Reason: nightwatch.ReasonCancelRequested, Why: request.Note, Time: p.now}
}
