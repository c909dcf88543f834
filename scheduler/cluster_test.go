package scheduler

import (
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestClusterFor(t *testing.T) {
	two := nightwatch.Node{
		DefaultCluster: "main", Clusters: map[string]string{"main": "k1", "backup": "k2", "archive": "k3"},
		ClusterLabels: map[string]map[string]string{"main": {"region": "eu"}, "backup": {"region": "us"}, "archive": {"region": "us"}},
	}
	away := two
	away.Clusters = map[string]string{"backup": "k2"}
	plain := nightwatch.Node{}
	job := func(cluster string) *nightwatch.Job { return &nightwatch.Job{Cluster: cluster, Name: "demo"} }
	for _, row := range []struct {
		name, spec string
		node       nightwatch.Node
		job        *nightwatch.Job
		want       string
		no         bool
	}{
		{name: "no wish", node: two, want: "main"},
		{name: "no wish, and the default is away", node: away, no: true},
		{name: "no wish, and a runner that knows no clusters", node: plain},
		{name: "a name", spec: `,"cluster":"backup"`, node: two, want: "backup"},
		{name: "a name that is away", spec: `,"cluster":"main"`, node: away, no: true},
		{name: "a name that nobody knows", spec: `,"cluster":"other"`, node: two, no: true},
		{name: "a name, and a runner that knows no clusters", spec: `,"cluster":"main"`, node: plain, no: true},
		{name: "labels of the default", spec: `,"clusterSelector":"region"`, node: two, want: "main"},
		{name: "labels of two others", spec: `,"clusterSelector":"region=us"`, node: two, want: "archive"},
		{name: "labels of one that is away and one that is there", spec: `,"clusterSelector":"region"`, node: away, want: "backup"},
		{name: "labels that nobody has", spec: `,"clusterSelector":"region=asia"`, node: two, no: true},
		{name: "no such label", spec: `,"clusterSelector":"!tier"`, node: two, want: "main"},
		{name: "the cluster of its Job, whatever the task asks", spec: `,"cluster":"main"`, node: two, job: job("k2"), want: "backup"},
		{name: "the cluster of its Job is away", node: away, job: job("k1"), no: true},
		{name: "a Job that knows no cluster", node: two, job: job(""), want: "main"},
	} {
		t.Run(row.name, func(t *testing.T) {
			def, err := nightwatch.ParseTask(demo, []byte(`{"kubernetes":{"image":"a"`+row.spec+`}}`))
			if err != nil {
				t.Fatal(err)
			}
			name, ok := clusterFor(&row.node, def, &nightwatch.Run{Runner: nightwatch.RunnerKubernetes, Job: row.job})
			if name != row.want || ok == row.no {
				t.Errorf("got %q, %v", name, ok)
			}
		})
	}
	def, err := nightwatch.ParseTask(demo, []byte(onceTask))
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := clusterFor(&away, def, &nightwatch.Run{Runner: nightwatch.RunnerProcess}); name != "" || !ok {
		t.Errorf("a process is given to %q, %v", name, ok)
	}
}

// The record names the cluster from the moment on that the run has a node, and a run whose cluster nobody reaches says so
// and starts when somebody does.
func TestRunIsGivenACluster(t *testing.T) {
	b := newBoard(t, "10:00")
	id := nightwatch.SubmittedRunID(b.put(`{"kubernetes":{"image":"a","clusterSelector":"tier=gold"}}`))
	b.node("n1", func(n *nightwatch.Node) {
		n.DefaultCluster, n.Clusters = "main", map[string]string{"main": "k1"}
		n.ClusterLabels = map[string]map[string]string{"main": {"tier": "lead"}, "gold": {"tier": "gold"}}
	})
	b.settle(demo)
	run := b.run(id)
	if run.Phase != nightwatch.PhasePending || run.Reason != nightwatch.ReasonNoFittingNode || run.Cluster != "" ||
		run.Message != `no live node has the runner "kubernetes" and reaches the Kubernetes cluster with the labels "tier=gold"` {
		t.Fatalf("%+v", run)
	}
	b.node("n1", func(n *nightwatch.Node) {
		n.DefaultCluster, n.Clusters = "main", map[string]string{"main": "k1", "gold": "k2"}
		n.ClusterLabels = map[string]map[string]string{"main": {"tier": "lead"}, "gold": {"tier": "gold"}}
	})
	b.settle(demo)
	if run := b.run(id); run.Phase != nightwatch.PhaseAssigned || run.Cluster != "gold" || run.Job != nil {
		t.Errorf("%+v", run)
	}
}
