package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

// place is what a run waits for: a node of some kind, or room on one.
type place struct {
	reason, runner, handler, runsOn, cluster, pool, node string
	places                                               int
}

// loads tells how many places are taken on a session by runs of a kind, of all kinds when that is empty.
type loads func(session, kind string) int

// choose finds the node for a run: of those that have its runner, its handler, its labels, and for a Job that may
// exist its cluster, the one that has room with the fewest siblings of it, and of these the one with the smallest share
// taken. With none it says why, as a reason and a message.
func choose(nodes map[string]*nodeView, load loads, siblings map[string]int, def *nightwatch.Task, run *nightwatch.Run) (best *nodeView, reason, message string) {
	wants := wish(def, run)
	fitting, open, largest := 0, 0, 0
	for _, n := range nodes {
		if !fits(&n.node, def, run) {
			continue
		}
		fitting++
		if !n.open() {
			continue
		}
		open++
		largest = max(largest, n.largest(wants))
		if n.free(load, wants) < wants.places {
			continue
		}
		if best == nil || apart(n, best, siblings) || !apart(best, n, siblings) && lighter(n, best, load, wants) {
			best = n
		}
	}
	switch {
	case best != nil:
		return best, "", ""
	case fitting == 0:
		return nil, nightwatch.ReasonNoFittingNode, wanted(def, run)
	case open == 0:
		return nil, nightwatch.ReasonNoFittingNode, "every node that fits is cordoned, drained or stopping"
	case largest < wants.places && wants.places > 1:
		return nil, nightwatch.ReasonNoFittingNode, fmt.Sprintf("it takes %d slots, and no node that fits has more than %d for it", wants.places, max(largest, 0))
	default:
		return nil, nightwatch.ReasonNoCapacity, "every node that fits is full"
	}
}

// give has a node have a run, if it still is the one that was seen and nobody has cordoned it.
func (p *plan) give(r *runView, task *nightwatch.Task, n *nodeView) {
	r.run.Node, r.run.Session = n.node.Name, n.node.Session
	r.run.Cluster, _ = clusterFor(&n.node, task, &r.run)
	r.run.Handler, r.run.Slots = "", 0
	if r.run.Runner == nightwatch.RunnerHandler && task.Handler != nil {
		r.run.Handler = task.Handler.Name
	}
	if places := task.Places(); places > 1 {
		r.run.Slots = places
	}
	p.enterPool(r, task.Pool)
	namespace, _, _ := strings.Cut(p.t.name, "/")
	_, seen := p.view.namespace(namespace)
	p.txn.Seen(p.keys.AcceptedNamespace(namespace), seen)
	p.txn.Seen(p.keys.Status(p.t.name), p.t.statusAt.mod) // see doubt
	p.txn.Alive(p.keys.Node(n.node.Name), n.create)
	p.txn.Seen(p.keys.Cordon(n.node.Name), 0)
	t := takingOf(&r.run)
	t.kept = p.occupies(r)
	p.reserved.add(t, 1)
	p.takings = append(p.takings, t)
}

// wish is what a run would take on any session, as the version of the task says that it is to run.
func wish(def *nightwatch.Task, run *nightwatch.Run) taking {
	would := nightwatch.Run{Runner: run.Runner, Slots: def.Places()}
	if run.Runner == nightwatch.RunnerHandler && def.Handler != nil {
		would.Handler = def.Handler.Name
	}
	return takingOf(&would)
}

func fits(n *nightwatch.Node, def *nightwatch.Task, run *nightwatch.Run) bool {
	if run.Shard != nil && run.Shard.Node != "" && run.Shard.Node != n.Name {
		return false
	}
	if !slices.Contains(n.Runners, run.Runner) || !def.Selector().Matches(n.Labels) {
		return false
	}
	if run.Runner == nightwatch.RunnerHandler && (def.Handler == nil || !slices.Contains(n.Handlers, def.Handler.Name)) {
		return false
	}
	_, reached := clusterFor(n, def, run)
	return reached
}

// limits calls each with every capacity that bounds t on the node: that of the node as a whole, and those of t's kinds.
func (n *nodeView) limits(t taking, each func(kind string, capacity int)) {
	each("", n.node.Capacity)
	for _, kind := range t.kinds[1:] {
		if capacity, limited := n.node.Capacities[kind]; limited {
			each(kind, capacity)
		}
	}
}

// largest is how many places one run like t could have on the node, were it idle.
func (n *nodeView) largest(t taking) int {
	least := n.node.Capacity
	n.limits(t, func(_ string, capacity int) { least = min(least, capacity) })
	return least
}

// free is how many places there are for t at the moment.
func (n *nodeView) free(load loads, t taking) int {
	least := n.node.Capacity
	n.limits(t, func(kind string, capacity int) { least = min(least, capacity-load(n.node.Session, kind)) })
	return least
}

// share is the part of the node that is taken, of those capacities that bound t the one that is fullest.
func (n *nodeView) share(load loads, t taking) (taken, of int) {
	of = 1
	n.limits(t, func(kind string, capacity int) {
		if used := load(n.node.Session, kind); used*of > taken*capacity {
			taken, of = used, capacity
		}
	})
	return taken, of
}

// busy tells whether t would leave less than half of the node: so much is there for what is due, whatever is announced.
func (n *nodeView) busy(load loads, t taking) bool {
	return 2*(n.free(load, t)-t.places) < n.largest(t)
}

// apart tells whether fewer siblings of a run are on a than on b.
func apart(a, b *nodeView, siblings map[string]int) bool {
	return siblings[a.node.Session] < siblings[b.node.Session]
}

// lighter tells whether a smaller share of a is taken than of b. Of equal shares the one with fewer places taken goes
// first, and then the first name, so that the choice is repeatable.
func lighter(a, b *nodeView, load loads, t taking) bool {
	takenA, ofA := a.share(load, t)
	takenB, ofB := b.share(load, t)
	if left, right := takenA*ofB, takenB*ofA; left != right {
		return left < right
	}
	if left, right := load(a.node.Session, ""), load(b.node.Session, ""); left != right {
		return left < right
	}
	return a.node.Name < b.node.Name
}

// lacks is the place that a run waits for, for a reason.
func lacks(reason string, def *nightwatch.Task, run *nightwatch.Run) place {
	p := place{reason: reason, runner: run.Runner, runsOn: def.RunsOn, cluster: clusterWish(def, run), places: def.Places(), pool: def.Pool}
	if def.Handler != nil {
		p.handler = def.Handler.Name
	}
	if run.Shard != nil {
		p.node = run.Shard.Node
	}
	if run.Job != nil && run.Job.Cluster != "" {
		p.cluster = run.Job.Cluster
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
