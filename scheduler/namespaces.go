package scheduler

import (
	"fmt"
	"strings"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// What goes for a namespace as a whole is kept as pools are: accepted values are compared by every assignment in it.

// judgeNamespace keeps what the system says of a namespace.
func judgeNamespace(p *plan, name string) {
	inForce := int64(0)
	if p.t.namespace != nil {
		inForce = p.t.namespace.Revision
	}
	p.judge(p.keys.Namespace(name), p.keys.AcceptedNamespace(name), p.keys.NamespaceStatus(name), inForce, func(revision int64, value []byte) (any, error) {
		namespace, err := nightwatch.ParseNamespace(name, value)
		if err != nil {
			return nil, err
		}
		return nightwatch.AcceptedNamespace{Revision: revision, Namespace: *namespace}, nil
	})
}

// namespace is what goes for a namespace, and the revision of the key that says so.
func (v *view) namespace(name string) (n nightwatch.Namespace, mod int64) {
	t := v.tasks[store.NamespaceTail(name)]
	if t == nil {
		return n, 0
	}
	if t.namespace != nil {
		n = t.namespace.Namespace
	}
	return n, t.accepted.mod
}

// weight is the share that a namespace has, relative to others.
func (v *view) weight(name string) int {
	n, _ := v.namespace(name)
	return max(int(n.Weight), 1)
}

// namespaceLacks is why a run must wait for its namespace, as a reason and a message; empty when it need not.
func (p *plan) namespaceLacks(r *runView) (reason, message string) {
	name, _, _ := strings.Cut(p.t.name, "/")
	n, _ := p.view.namespace(name)
	limit := int(n.Limits.Running)
	if limit == 0 || p.occupies(r) {
		return "", ""
	}
	if p.view.used.running[name]+p.reserved.running[name] < limit {
		return "", ""
	}
	return nightwatch.ReasonNamespaceFull, fmt.Sprintf("as many runs of namespace %q are live as may be", name)
}
