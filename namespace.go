package nightwatch

import "fmt"

// Namespace is the value of a key namespaces/<namespace>, written by users. A namespace needs no key to exist.
type Namespace struct {
	Description string `json:"description,omitempty"`
	// Weight is the share of the nodes that the namespace has when runs wait, relative to others; 1 to 1,000. Default 1.
	Weight Count           `json:"weight,omitempty"`
	Limits NamespaceLimits `json:"limits,omitzero"`
}

// NamespaceLimits bound what a namespace has.
type NamespaceLimits struct {
	// Running is how many runs of the namespace may be live at once; further ones wait. Default no limit.
	Running Count `json:"running,omitempty"`
}

// AcceptedNamespace is the last value of a namespace that was accepted: accepted/_namespaces/<namespace>. It stays in
// force while a newer value is refused.
type AcceptedNamespace struct {
	Revision  int64     `json:"revision"`
	Namespace Namespace `json:"namespace"`
}

// NamespaceStatus is what the cluster says of a namespace: status/_namespaces/<namespace>.
type NamespaceStatus = CalendarStatus

const (
	maxWeight  = 1000
	maxRunning = 1_000_000
)

// ParseNamespace reads the value of namespaces/<namespace>: JSON or YAML. The error is an InvalidError that names the
// fields at fault. It never panics, whatever the value.
func ParseNamespace(name string, value []byte) (*Namespace, error) {
	if _, _, err := ParseTaskName(name + "/any"); err != nil {
		return nil, InvalidError{{"key", fmt.Sprintf("%q: want namespaces/<namespace>, of lower-case letters, digits and '-', at most %d", clip(name), MaxNamespaceName)}}
	}
	n := new(Namespace)
	if err := decodeValueOf(value, n, MaxValue); err != nil {
		return nil, err
	}
	var f faults
	if n.Weight > maxWeight {
		f.add("weight", "%d: want 1 to %d", n.Weight, maxWeight)
	}
	if n.Limits.Running > maxRunning {
		f.add("limits.running", "%d: want 1 to %d", n.Limits.Running, maxRunning)
	}
	if len(f) > 0 {
		return nil, f.verdict()
	}
	return n, nil
}
