package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A run whose Job may live in a Kubernetes cluster that is gone waits for a node that reaches it, and a deleted task waits
// with it. Nobody but a person can say that this will not be; whoever does, drops the run.

// abandon ends a live run whose Job no live node reaches, and leaves the Job alone. No node has the run, and a node that
// is given it meanwhile changes its record, which is compared. A Job that turns up later is ended by the sweep of whoever
// reaches it, as its run has ended.
func (p *plan) abandon(r *runView, request *nightwatch.Request) error {
	job := r.run.Job
	if job == nil || r.run.Phase != nightwatch.PhasePending {
		return fault("run", "run %q is %s: cancel it; what is live is dropped only when no live node reaches the cluster of its Job", r.run.ID, r.run.Phase)
	}
	for _, n := range p.view.nodes {
		if reaches(&n.node, job) {
			return fault("run", "node %q reaches the cluster of the Job of run %q: cancel the run", n.node.Name, r.run.ID)
		}
	}
	text := "dropped"
	if request.By != "" {
		text += " by " + request.By
	}
	if request.Note != "" {
		text += " (" + request.Note + ")"
	}
	text += fmt.Sprintf(": its Job %s/%s was left alone, as no live node reaches its cluster", job.Namespace, job.Name)
	p.end(p.run(r.run.ID), nightwatch.PhaseFailed, nightwatch.ReasonNodeLost, text)
	return nil
}

// reaches tells whether a node may come by a Job: it reaches the cluster on record, or any if none is.
func reaches(n *nightwatch.Node, job *nightwatch.Job) bool {
	if job.Cluster == "" {
		return slices.Contains(n.Runners, nightwatch.RunnerKubernetes)
	}
	for _, uid := range n.Clusters {
		if uid == job.Cluster {
			return true
		}
	}
	return false
}

// abandonRemains answers the oldest request to drop a live run of a task that is gone: all others wait until it is.
func abandonRemains(p *plan) {
	ids := slices.SortedFunc(maps.Keys(p.t.requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.t.requests[a].mod, p.t.requests[b].mod), cmp.Compare(a, b))
	})
	for _, id := range ids {
		asked := p.t.requests[id]
		request, err := nightwatch.ParseRequest(asked.value)
		if err != nil || nightwatch.CheckRequestID(id) != nil || request.Action != nightwatch.ActionDrop || request.Run == "" {
			continue
		}
		r := p.t.runs[request.Run]
		if r == nil || !r.run.Live() || r.run.TaskUID != p.uid {
			continue
		}
		verdict := nightwatch.Verdict{Time: p.now, Run: request.Run}
		err = p.abandon(r, request)
		if verdict.Accepted = err == nil; err != nil {
			verdict.Errors = faultsOf(err)
		}
		p.remove(asked.key, asked.mod)
		_, tail, _ := p.keys.Parse(asked.key)
		p.put(p.keys.Of(store.Verdicts)+tail, p.t.verdicts[id].mod, verdict)
		return
	}
}
