package node

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/registry"
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
	session, peers, lastErr := n.session, n.peers, n.lastErr
	n.mu.Unlock()
	checks := []Check{
		{"etcd", checkEtcd(session, lastErr)},
		{"session", checkSession(session)},
		{"nodes-watch", checkPeers(peers)},
	}
	if s := n.scheduler; s != nil {
		checks = append(checks, Check{"keys-watch", s.Watching()}, Check{"overdue", s.Overdue()}, Check{"clock", s.Clock()})
	}
	for _, runner := range n.cfg.Runners {
		if c, ok := runner.(jobrunner.Checker); ok {
			for _, check := range c.Checks() {
				checks = append(checks, Check{runner.Name() + "/" + check.Name, check.Err})
			}
		}
	}
	if err := n.cordon.check(n.cfg.Name); err != nil {
		checks = append(checks, Check{"cordon", err})
	}
	if n.stopping.Load() {
		checks = append(checks, Check{"running", errors.New("the node is stopping")})
	}
	return checks
}

// checkEtcd says whether etcd has answered lately: a session is renewed every quarter of its TTL.
func checkEtcd(session *registry.Session, lastErr error) error {
	switch {
	case session == nil && lastErr != nil:
		return lastErr
	case session == nil:
		return errors.New("no answer yet")
	}
	// The deadline is four fifths of the TTL after the last renewal that was answered had been sent.
	if silent := session.TTL()*4/5 - time.Until(session.Deadline()); silent > session.TTL()*2/5 {
		return fmt.Errorf("no renewal of the session has been answered that was sent in the last %s", silent.Round(100*time.Millisecond))
	}
	return nil
}

func checkSession(session *registry.Session) error {
	switch {
	case session == nil:
		return errors.New("none yet")
	case !session.Alive():
		return errors.New("lost")
	}
	return nil
}

func checkPeers(peers *registry.View) error {
	if peers == nil {
		return errors.New("not started")
	}
	switch age := peers.Age(); {
	case age == math.MaxInt64:
		return errors.New("the nodes have not been read yet")
	case age > maxPeersAge:
		return fmt.Errorf("last heard %s ago", age.Round(time.Second))
	}
	return nil
}
