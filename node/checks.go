package node

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Check is one condition of a node's readiness.
type Check struct {
	// Name is the same in pages, metrics and logs.
	Name string
	// Err is nil while the condition holds.
	Err error
}

// maxPeersAge is how old the view of the nodes may be.
const maxPeersAge = 30 * time.Second

// Checks are the conditions under which a node is ready: its session is alive, its watches are fresh, nothing that is
// due waits for it, its clock agrees with the scheduler's, and its runners have what they need. It does not block.
func (n *Node) Checks() []Check {
	n.mu.Lock()
	session, peers, scheduler, lastErr := n.session, n.peers, n.scheduler, n.lastErr
	n.mu.Unlock()
	checks := []Check{{"stopping", nil}, {"session", nil}, {"nodes-watch", nil}}
	if n.stopping.Load() {
		checks[0].Err = errors.New("the node is stopping")
	}
	switch {
	case session == nil && lastErr != nil:
		checks[1].Err = fmt.Errorf("none yet: %w", lastErr)
	case session == nil:
		checks[1].Err = errors.New("none yet")
	case !session.Alive():
		checks[1].Err = errors.New("lost")
	}
	if peers == nil {
		checks[2].Err = errors.New("not started")
	} else if age := peers.Age(); age > maxPeersAge {
		checks[2].Err = errors.New("the nodes have not been read yet")
		if age != math.MaxInt64 {
			checks[2].Err = fmt.Errorf("last heard %s ago", age.Round(time.Second))
		}
	}
	if scheduler != nil {
		checks = append(checks, Check{"keys-watch", scheduler.Watching()}, Check{"overdue", scheduler.Overdue()}, Check{"clock", scheduler.Clock()})
	} else if !n.cfg.NoScheduler {
		checks = append(checks, Check{"keys-watch", errors.New("not started")})
	}
	for _, runner := range n.cfg.Runners {
		if c, ok := runner.(jobrunner.Checker); ok {
			checks = append(checks, Check{runner.Name(), c.Check()})
		}
	}
	return checks
}
