package nightwatch

import "time"

// Node is one peer as it announces itself under nodes/<name>: a name, and the session (its lease) of the life it is
// in. The key lives exactly as long as that lease.
type Node struct {
	// Name is unique in the cluster while its session lives; a DNS-1123 subdomain of at most 63 characters.
	Name string `json:"name"`
	// Session is the node's lease in lower-case hexadecimal: what a run belongs to. Another life of the same node
	// has another session.
	Session string `json:"session"`
	// Address is host:port of the node's HTTP listener as its peers reach it; empty when it has none.
	Address string `json:"address,omitempty"`
	// Version is the version of the binary, or of the program that embeds it.
	Version string `json:"version"`
	// Labels are what a task's runsOn selects by.
	Labels map[string]string `json:"labels,omitempty"`
	// Runners are the ways this node can run things: "kubernetes", "process", "http", "handler".
	Runners []string `json:"runners,omitempty"`
	// Handlers are the names of the Go handlers registered at this moment.
	Handlers []string `json:"handlers,omitempty"`
	// Clusters are the Kubernetes clusters that the node reaches at this moment: how the node calls each, and the uid of
	// its kube-system namespace.
	Clusters map[string]string `json:"clusters,omitempty"`
	// ClusterLabels are the labels of clusters that have some, reached or not, and DefaultCluster is the name of the one
	// that takes Jobs which ask for none.
	ClusterLabels  map[string]map[string]string `json:"clusterLabels,omitempty"`
	DefaultCluster string                       `json:"defaultCluster,omitempty"`
	// Capacity is how many places the node has for runs; most take one each.
	Capacity int `json:"capacity"`
	// Capacities are how many of these places runs of one kind may take at once, by runner ("process") or by handler
	// ("handler/resize"). Kinds that are not in it may take all.
	Capacities map[string]int `json:"capacities,omitempty"`
	// Draining says that the node is stopping, or has been drained, and takes no new runs.
	Draining bool `json:"draining,omitempty"`
	// StartTime is when this life of the node began, UTC.
	StartTime time.Time `json:"startTime,omitzero"`
}

// NodeHeader is the HTTP header in which every answer of a node's listener says the node's name. Several nodes may announce
// the same address, on loopback for example, where each is reached on its own machine only.
const NodeHeader = "Nightwatch-Node"

// KindOfHandler is what Capacities call the runs of one handler.
func KindOfHandler(name string) string { return RunnerHandler + "/" + name }
