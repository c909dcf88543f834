package scheduler

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nightwatch-go/nightwatch"
)

// clusterFor finds the Kubernetes cluster that a run goes to if it is given to a node: the one that its Job is in or may
// be in, the one that its task asks for, of several the node's default or else the first by name, and for a task that
// asks for none the node's default. The name is empty where clusters mean nothing: to runners of other kinds, and to one
// that knows none. ok is false if the node does not reach any such cluster at this moment.
func clusterFor(n *nightwatch.Node, def *nightwatch.Task, run *nightwatch.Run) (name string, ok bool) {
	if run.Runner != nightwatch.RunnerKubernetes {
		return "", true
	}
	fits := func(name string) bool { return name == n.DefaultCluster }
	switch spec := def.KubernetesJob(); {
	case run.Job != nil && run.Job.Cluster != "":
		fits = func(name string) bool { return n.Clusters[name] == run.Job.Cluster }
	case spec.Cluster != "":
		fits = func(name string) bool { return name == spec.Cluster }
	case spec.ClusterSelector != "":
		selector := def.ClusterSelector()
		fits = func(name string) bool { return selector.Matches(n.ClusterLabels[name]) }
	case n.DefaultCluster == "":
		return "", true
	}
	if _, reached := n.Clusters[n.DefaultCluster]; reached && fits(n.DefaultCluster) {
		return n.DefaultCluster, true
	}
	for _, name := range slices.Sorted(maps.Keys(n.Clusters)) {
		if fits(name) {
			return name, true
		}
	}
	return "", false
}

// clusterWish is what a run asks of the clusters of a node, for comparison.
func clusterWish(def *nightwatch.Task, run *nightwatch.Run) string {
	if run.Runner != nightwatch.RunnerKubernetes {
		return ""
	}
	spec := def.KubernetesJob()
	switch {
	case run.Job != nil && run.Job.Cluster != "":
		return "of its Job"
	case spec.Cluster != "":
		return fmt.Sprintf("%q", spec.Cluster)
	case spec.ClusterSelector != "":
		return fmt.Sprintf("with the labels %q", spec.ClusterSelector)
	}
	return ""
}
