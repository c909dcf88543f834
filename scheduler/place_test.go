package scheduler

import (
	"strings"
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
	capacities := func(kind string, c int) func(*nightwatch.Node) {
		return func(n *nightwatch.Node) { n.Capacities = map[string]int{kind: c} }
	}
	mail := func(c int) func(*nightwatch.Node) {
		return func(n *nightwatch.Node) {
			n.Handlers, n.Capacities = []string{"mail"}, map[string]int{"handler/mail": c, "handler/resize": 0}
		}
	}
	const threeSlots = `{"process":{"command":["true"]},"slots":3}`
	for _, row := range []struct {
		name, task string
		nodes      []nightwatch.Node
		load       map[string]int // by session, or by session and kind
		cordoned   string
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
		{name: "draining", task: onceTask, nodes: []nightwatch.Node{node("a", func(n *nightwatch.Node) { n.Draining = true })}, reason: nightwatch.ReasonNoFittingNode, message: "every node that fits is cordoned, drained or stopping"},
		{name: "cordoned", task: onceTask, nodes: []nightwatch.Node{node("a", nil)}, cordoned: "a", reason: nightwatch.ReasonNoFittingNode, message: "every node that fits is cordoned, drained or stopping"},
		{name: "cordoned ones passed over", task: onceTask, nodes: []nightwatch.Node{node("a", nil), node("b", nil)}, load: map[string]int{"b": 9}, cordoned: "a", want: "b"},
		{name: "equal shares by load", task: onceTask, nodes: []nightwatch.Node{node("a", capacity(20)), node("b", nil)}, load: map[string]int{"a": 4, "b": 2}, want: "b"},
		{name: "slots", task: threeSlots, nodes: []nightwatch.Node{node("a", nil), node("b", capacity(20))}, load: map[string]int{"a": 8, "b": 17}, want: "b"},
		{name: "slots that are not free", task: threeSlots, nodes: []nightwatch.Node{node("a", nil)}, load: map[string]int{"a": 8}, reason: nightwatch.ReasonNoCapacity, message: "every node that fits is full"},
		{
			name: "more slots than any node has", task: threeSlots, nodes: []nightwatch.Node{node("a", capacity(2)), node("b", capacity(1))},
			reason: nightwatch.ReasonNoFittingNode, message: "it takes 3 slots, and no node that fits has more than 2 for it",
		},
		{
			name: "more slots than any node has for its runner", task: threeSlots, nodes: []nightwatch.Node{node("a", capacities("process", 2))},
			reason: nightwatch.ReasonNoFittingNode, message: "it takes 3 slots, and no node that fits has more than 2 for it",
		},
		{name: "full for its runner", task: onceTask, nodes: []nightwatch.Node{node("a", capacities("process", 2))}, load: map[string]int{"a": 2, "a process": 2}, reason: nightwatch.ReasonNoCapacity, message: "every node that fits is full"},
		{name: "full for another runner", task: onceTask, nodes: []nightwatch.Node{node("a", capacities("http", 2))}, load: map[string]int{"a": 2, "a http": 2}, want: "a"},
		{name: "full for its handler", task: `{"handler":{"name":"mail"}}`, nodes: []nightwatch.Node{node("a", mail(1)), node("b", mail(2))}, load: map[string]int{"a handler/mail": 1, "b handler/mail": 1}, want: "b"},
		{name: "the fullest of its shares counts", task: onceTask, nodes: []nightwatch.Node{node("a", capacities("process", 2)), node("b", nil)}, load: map[string]int{"a": 1, "a process": 1, "b": 4, "b process": 4}, want: "b"},
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
				nodes[n.Name] = &nodeView{revisions: revisions{1, 1}, node: n}
				if row.cordoned == n.Name {
					nodes[n.Name].cordon = new(cordonView)
				}
			}
			run := &nightwatch.Run{Runner: def.Runner(), Job: row.job}
			best, reason, message := choose(nodes, func(session, kind string) int { return row.load[strings.TrimSuffix(session+" "+kind, " ")] }, nil, def, run)
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
		if gave := len(p.takings) == 1; gave != (i < 3) {
			t.Errorf("task %d: given to %v", i, p.takings)
		}
		if !b.commit(p) {
			t.Error("refused")
		}
	}
	for session := range b.view.used.sessions {
		if n, limit := b.load(session, ""), b.view.sessions[session].node.Capacity; n > limit {
			t.Errorf("%d runs on a node of %d", n, limit)
		}
	}
}

// What a run takes is counted as it was given, whatever becomes of its task.
func TestSlotsAreCountedAsGiven(t *testing.T) {
	b := newBoard(t, "10:00")
	session := b.node("n1", func(n *nightwatch.Node) { n.Capacity = 10 })
	wantLoad := func(places, handlers int) {
		t.Helper()
		if all, some := b.load(session, ""), b.load(session, "handler/work"); all != places || some != handlers {
			t.Errorf("load %d, %d of the handler; want %d and %d", all, some, places, handlers)
		}
	}
	b.put(`{"handler":{"name":"work"},"slots":4,"every":"5m","overlap":"allow"}`)
	b.settle(demo)
	b.goTo("10:05")
	wantLoad(4, 4)
	first := idAt("10:05")
	if r := b.run(first); r.Slots != 4 || r.Handler != "work" {
		t.Errorf("%+v", r)
	}
	b.put(`{"process":{"command":["true"]},"slots":6,"every":"5m","overlap":"allow"}`)
	b.settle(demo)
	wantLoad(4, 4)
	b.goTo("10:10")
	wantLoad(10, 4)
	b.goTo("10:15")
	b.wantRuns(first+" Assigned", idAt("10:10")+" Assigned", idAt("10:15")+" Pending NoCapacity")
	b.claim(first)
	b.finish(first, nightwatch.PhaseSucceeded)
	wantLoad(6, 0)
	b.relist()
	wantLoad(6, 0)
}
