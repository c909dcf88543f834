package scheduler

import (
	"fmt"
	"slices"

	"github.com/nightwatch-go/nightwatch"
)

// place is what a run waits for: a node of some kind, or room on one.
type place struct{ reason, runner, handler, runsOn, cluster string }

// choose finds the node for a run: of those that have its runner, its handler, its labels, and for a Job that may
// exist its cluster, the one that has room with the fewest siblings of it, and of these the least loaded. With none it says
// why, as a reason and a message.
func choose(nodes map[string]*nodeView, load func(session string) int, siblings map[string]int, def *nightwatch.Task, run *nightwatch.Run) (best *nodeView, reason, message string) {
	fitting := 0
	for _, n := range nodes {
		if !fits(&n.node, def, run) {
			continue
		}
		fitting++
		if load(n.node.Session) >= n.node.Capacity {
			continue
		}
		if best == nil || apart(n, best, siblings) || !apart(best, n, siblings) && lighter(n, best, load) {
			best = n
		}
	}
	switch {
	case best != nil:
		return best, "", ""
	case fitting > 0:
		return nil, nightwatch.ReasonNoCapacity, "every node that fits is full"
	default:
		return nil, nightwatch.ReasonNoFittingNode, wanted(def, run)
	}
}

func fits(n *nightwatch.Node, def *nightwatch.Task, run *nightwatch.Run) bool {
	if run.Shard != nil && run.Shard.Node != "" && run.Shard.Node != n.Name {
		return false
	}
	if n.Draining || !slices.Contains(n.Runners, run.Runner) || !def.Selector().Matches(n.Labels) {
		return false
	}
	if run.Runner == nightwatch.RunnerHandler && (def.Handler == nil || !slices.Contains(n.Handlers, def.Handler.Name)) {
		return false
	}
	_, reached := clusterFor(n, def, run)
	return reached
}

// apart tells whether fewer siblings of a run are on a than on b.
func apart(a, b *nodeView, siblings map[string]int) bool {
	return siblings[a.node.Session] < siblings[b.node.Session]
}

func lighter(a, b *nodeView, load func(string) int) bool {
	// The fuller share loses, by cross-multiplication; equal shares go by name, so that the choice is repeatable.
	left, right := load(a.node.Session)*b.node.Capacity, load(b.node.Session)*a.node.Capacity
	if left != right {
		return left < right
	}
	return a.node.Name < b.node.Name
}

// lacks is the place that a run waits for, for a reason.
func lacks(reason string, def *nightwatch.Task, run *nightwatch.Run) place {
	p := place{reason: reason, runner: run.Runner, runsOn: def.RunsOn, cluster: clusterWish(def, run)}
	if def.Handler != nil {
		p.handler = def.Handler.Name
	}
	return p
}

func wanted(def *nightwatch.Task, run *nightwatch.Run) string {
	text := fmt.Sprintf("no live node has the runner %q", run.Runner)
	if run.Runner == nightwatch.RunnerHandler && def.Handler != nil {
		text = fmt.Sprintf("no live node has the handler %q", def.Handler.Name)
	}
	if wish := clusterWish(def, run); wish != "" {
		text += " and reaches the Kubernetes cluster " + wish
	} else if run.Runner == nightwatch.RunnerKubernetes {
		text += " and reaches its default Kubernetes cluster"
	}
	if run.Shard != nil && run.Shard.Node != "" {
		text += fmt.Sprintf(" and the name %q, which the shard is for", run.Shard.Node)
	}
	if def.RunsOn != "" {
		text += fmt.Sprintf(" and the labels %q", def.RunsOn)
	}
	return text
}
