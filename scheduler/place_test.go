package scheduler

import (
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestPlace(t *testing.T) {
	node := func(name string, change func(*nightwatch.Node)) nightwatch.Node {
		n := nightwatch.Node{Name: name, Session: name, Capacity: 10, Runners: []string{"process", "handler", "kubernetes"}}
		if change != nil {
			change(&n)
		}
		return n
	}
	handlers := func(names ...string) func(*nightwatch.Node) {
		return func(n *nightwatch.Node) { n.Handlers = names }
	}
	labels := func(zone string) func(*nightwatch.Node) {
		return func(n *nightwatch.Node) { n.Labels = map[string]string{"zone": zone} }
	}
	capacity := func(c int) func(*nightwatch.Node) { return func(n *nightwatch.Node) { n.Capacity = c } }
	for _, row := range []struct {
		name, task string
		nodes      []nightwatch.Node
		load       map[string]int
		job        *nightwatch.Job
		want       string
		reason     string
		message    string
	}{
		{name: "no nodes", task: onceTask, reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "process"`},
		{name: "one", task: onceTask, nodes: []nightwatch.Node{node("a", nil)}, want: "a"},
		{name: "none with the runner", task: `{"http":{"url":"http://x"}}`, nodes: []nightwatch.Node{node("a", nil)}, reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "http"`},
		{name: "the least loaded", task: onceTask, nodes: []nightwatch.Node{node("a", nil), node("b", nil)}, load: map[string]int{"a": 3, "b": 2}, want: "b"},
		{name: "by share, not by number", task: onceTask, nodes: []nightwatch.Node{node("a", capacity(100)), node("b", capacity(10))}, load: map[string]int{"a": 9, "b": 1}, want: "a"},
		{name: "equal shares by name", task: onceTask, nodes: []nightwatch.Node{node("b", nil), node("a", nil)}, want: "a"},
		{name: "all full", task: onceTask, nodes: []nightwatch.Node{node("a", capacity(1))}, load: map[string]int{"a": 1}, reason: nightwatch.ReasonNoCapacity, message: "every node that fits is full"},
		{name: "no capacity at all", task: onceTask, nodes: []nightwatch.Node{node("a", capacity(0)), node("b", capacity(-7))}, reason: nightwatch.ReasonNoCapacity, message: "every node that fits is full"},
		{name: "full ones passed over", task: onceTask, nodes: []nightwatch.Node{node("a", capacity(1)), node("b", capacity(9))}, load: map[string]int{"a": 1, "b": 8}, want: "b"},
		{name: "draining", task: onceTask, nodes: []nightwatch.Node{node("a", func(n *nightwatch.Node) { n.Draining = true })}, reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "process"`},
		{name: "where the handler is", task: `{"handler":{"name":"mail"}}`, nodes: []nightwatch.Node{node("a", handlers("resize")), node("b", handlers("mail"))}, want: "b"},
		{name: "handler nowhere", task: `{"handler":{"name":"mail"}}`, nodes: []nightwatch.Node{node("a", handlers("resize"))}, reason: nightwatch.ReasonNoFittingNode, message: `no live node has the handler "mail"`},
		{name: "labels", task: `{"process":{"command":["true"]},"runsOn":"zone=b"}`, nodes: []nightwatch.Node{node("a", labels("a")), node("b", labels("b"))}, want: "b"},
		{name: "labels nowhere", task: `{"process":{"command":["true"]},"runsOn":"zone in (c)"}`, nodes: []nightwatch.Node{node("a", labels("a"))}, reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "process" and the labels "zone in (c)"`},
		{
			name: "the cluster of its Job", task: kubernetesJob, job: &nightwatch.Job{Cluster: "k1"}, want: "b",
			nodes: []nightwatch.Node{node("a", nil), node("b", func(n *nightwatch.Node) { n.Clusters = map[string]string{"x": "k2", "y": "k1"} })},
		},
		{
			name: "nobody reaches the cluster of its Job", task: kubernetesJob, job: &nightwatch.Job{Cluster: "k1"}, nodes: []nightwatch.Node{node("a", nil)},
			reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "kubernetes" and reaches the Kubernetes cluster of its Job`,
		},
		{
			name: "where the cluster is", task: `{"kubernetes":{"image":"a","cluster":"x"}}`, want: "b",
			nodes: []nightwatch.Node{node("a", nil), node("b", func(n *nightwatch.Node) { n.Clusters = map[string]string{"x": "k2"} })},
		},
		{
			name: "the cluster is nowhere", task: `{"kubernetes":{"image":"a","cluster":"x"}}`, nodes: []nightwatch.Node{node("a", nil)},
			reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "kubernetes" and reaches the Kubernetes cluster "x"`,
		},
		{
			name: "the default cluster is away", task: kubernetesJob, nodes: []nightwatch.Node{node("a", func(n *nightwatch.Node) { n.DefaultCluster = "x" })},
			reason: nightwatch.ReasonNoFittingNode, message: `no live node has the runner "kubernetes" and reaches its default Kubernetes cluster`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			def, err := nightwatch.ParseTask(demo, []byte(row.task))
			if err != nil {
				t.Fatal(err)
			}
			nodes := map[string]*nodeView{}
			for _, n := range row.nodes {
				nodes[n.Name] = &nodeView{revisions{1, 1}, n}
			}
			run := &nightwatch.Run{Runner: def.Runner(), Job: row.job}
			best, reason, message := choose(nodes, func(session string) int { return row.load[session] }, nil, def, run)
			got := ""
			if best != nil {
				got = best.node.Name
			}
			if got != row.want || reason != row.reason || message != row.message {
				t.Errorf("node %q, reason %q, message %q", got, reason, message)
			}
		})
	}
}

// Runs that are on their way to a node count before the view shows them.
func TestReservationsCount(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 2 })
	b.node("n2", func(n *nightwatch.Node) { n.Capacity = 1 })
	var plans []*plan
	for _, task := range []string{"default/a", "default/b", "default/c", "default/d"} {
		b.set(b.keys.Task(task), onceTask)
		plans = append(plans, b.decide(task))
	}
	for i, p := range plans {
		if gave := len(p.sessions) == 1; gave != (i < 3) {
			t.Errorf("task %d: given to %q", i, p.sessions)
		}
		if !b.commit(p) {
			t.Error("refused")
		}
	}
	for session, n := range b.view.load {
		if limit := b.view.sessions[session].node.Capacity; n > limit {
			t.Errorf("%d runs on a node of %d", n, limit)
		}
	}
}
