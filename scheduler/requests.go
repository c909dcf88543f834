package scheduler

import (
	"errors"
	"fmt"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// answerRequests answers one request: its effect, its verdict and its removal are one transaction.
func answerRequests(p *plan) {
	id, oldest := "", int64(0)
	for other, request := range p.t.requests {
		if oldest == 0 || request.mod < oldest {
			id, oldest = other, request.mod
		}
	}
	if oldest == 0 {
		return
	}
	request := p.t.requests[id]
	p.remove(request.key, request.mod)
	if _, answered := p.t.verdicts[id]; answered {
		return // the same id within the hour: its answer stands
	}
	run, err := p.perform(id, request)
	verdict := nightwatch.Verdict{Accepted: err == nil, Run: run, Time: p.now}
	if err != nil {
		verdict.Errors = faultsOf(err)
	}
	_, tail, _ := p.keys.Parse(request.key)
	p.put(p.keys.Of(store.Verdicts)+tail, 0, verdict)
	if err == nil {
		p.saveStatus()
	}
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

// perform does what a request asks for and returns the run it is about. On error nothing is done.
func (p *plan) perform(id string, r keyView) (run string, err error) {
	if _, _, err := nightwatch.ParseTaskName(p.t.name); err != nil {
		_, tail, _ := p.keys.Parse(r.key)
		return "", fault("key", "%q: want requests/<namespace>/<task>/<id>", tail)
	}
	if err := nightwatch.CheckRequestID(id); err != nil {
		return "", err
	}
	request, err := nightwatch.ParseRequest(r.value)
	if err != nil {
		return "", err
	}
	if !p.t.task.present() {
		return "", fault("key", "there is no task %q", p.t.name)
	}
	if p.def == nil {
		return "", fault("key", "task %q has never been accepted: see its status", p.t.name)
	}
	if request.Action == nightwatch.ActionCancel {
		return p.cancel(request)
	}
	return p.runNow(id, request)
}

// runNow makes a run that no schedule asked for. It never moves the cursor.
func (p *plan) runNow(id string, request *nightwatch.Request) (string, error) {
	name := nightwatch.RequestedRunID(id)
	if p.t.runs[name] != nil {
		return name, fault("key", "run %q is there already: use another id", name)
	}
	policy := request.Overlap
	if policy == "" {
		policy = p.def.Task.OverlapPolicy()
	}
	if live := p.live(); policy == nightwatch.OverlapSkip && len(live) > 0 {
		return "", fault("overlap", "run %q is live: ask for queue-all or allow to run all the same", live[0].run.ID)
	}
	r := p.newRun(name, p.now)
	r.run.Params = request.Params
	p.seenTask()
	if what, frozen := p.view.frozen(p.t.name); frozen {
		r.run.Reason, r.run.Message = nightwatch.ReasonFrozen, "freeze/"+what+" is there"
		if policy == nightwatch.OverlapQueueAll {
			r.run.Overlap = policy
		}
		p.saveRun(r, r.run)
		return name, nil
	}
	p.startOrQueue(r, policy)
	return name, nil
}

// cancel writes the wish that a run end; without a name the oldest live run is meant.
func (p *plan) cancel(request *nightwatch.Request) (string, error) {
	id := request.Run
	if id == "" {
		live := p.live()
		if len(live) == 0 {
			return "", fault("run", "no run of %q is live", p.t.name)
		}
		id = live[0].run.ID
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
	before := r.run
	why := request.Note
	if why == "" {
		why = nightwatch.ReasonCancelRequested
	}
	r.run.Cancel = &nightwatch.Cancel{By: request.By, Why: why, Time: p.now}
	p.settleCancel(r, before)
	return id, nil
}
