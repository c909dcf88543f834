package scheduler

import (
	"fmt"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A node under a cordon is given nothing. One that is drained also gives back what it has, by itself (package node):
// the scheduler only takes away what the node has not claimed, which it may be slow to give back, or too old to know of.
// Of the two transactions, which compare the run, one is refused.

type cordonView struct {
	revisions
	cordon nightwatch.Cordon
}

// applyCordon takes in a cordon: whatever the value says, the key is what cordons.
func (v *view) applyCordon(name string, at revisions, e store.Event) {
	delete(v.cordons, name)
	if !e.Deleted {
		cordon, _ := nightwatch.ParseCordon(e.Value)
		v.cordons[name] = &cordonView{at, cordon}
	}
	if n := v.nodes[name]; n != nil {
		n.cordon = v.cordons[name]
	}
	v.nodesChanged = true
}

// open tells whether the node may be given runs.
func (n *nodeView) open() bool { return !n.node.Draining && n.cordon == nil }

func (n *nodeView) drained() bool { return n.cordon != nil && n.cordon.cordon.Drain }

// stranded tells whether a run was given to a node that has been drained since and has not claimed it.
func (v *view) stranded(r *nightwatch.Run) bool {
	if r.Phase != nightwatch.PhaseAssigned {
		return false
	}
	n := v.sessions[r.Session]
	return n != nil && n.drained()
}

// takeBack takes a run that nobody claimed from a node that is drained.
func takeBack(p *plan, r *runView) {
	node := p.view.sessions[r.run.Session]
	p.txn.Seen(p.keys.Cordon(node.node.Name), node.cordon.mod)
	r.run.Phase, r.run.Reason, r.run.Message = nightwatch.PhasePending, nightwatch.ReasonHandedBack, fmt.Sprintf("node %q is drained", r.run.Node)
	r.run.Node, r.run.Session = "", ""
}
