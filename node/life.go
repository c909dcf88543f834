package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/registry"
	"github.com/nightwatch-go/nightwatch/store"
)

const (
	// goodbye bounds what a stopping node still asks of etcd.
	goodbye = 2 * time.Second
	// announceEvery is how often a node looks whether what it says of itself is still true.
	announceEvery = time.Second
)

var errUnregistered = errors.New("the node's key was deleted")

// live is one life: from a new session to its loss, or to the end of ctx and the drain. An error is incurable.
func (n *Node) live(ctx context.Context, clusterID string) error {
	session, err := registry.NewSession(ctx, n.client, registry.SessionConfig{TTL: n.cfg.LeaseTTL, Logger: n.log.Named("session")})
	if err != nil {
		return n.excuse(ctx, fmt.Errorf("open a session: %w", err))
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if err := session.Close(closing); err != nil && !errors.Is(err, registry.ErrSessionLost) {
			n.log.Debug("close the session", "error", err)
		}
	}()
	keys := n.store.Keys()
	registration, err := registry.WaitRegister(ctx, n.client, session, keys.Of(store.Nodes), n.announcement(session), 2*session.TTL())
	if err != nil {
		return n.excuse(ctx, err)
	}
	peers, err := registry.NewView(n.client, registry.ViewConfig{Prefix: keys.Of(store.Nodes), Logger: n.log.Named("registry")})
	if err != nil {
		return err
	}
	n.begin(session, peers)
	n.log.Info("registered", "session", session.ID(), "cluster", clusterID)

	// Three things go on side by side: standing for the scheduler role, keeping the announcement true, and doing
	// runs. They stop in this order; each is waited for before the next is told.
	life, endLife := context.WithCancelCause(session.Context())
	defer endLife(nil)
	var peersDone sync.WaitGroup
	peersDone.Go(func() {
		if err := peers.Run(life); err != nil && life.Err() == nil {
			n.log.Warn("follow the nodes", "error", err)
		}
	})
	announcing, stopAnnouncing := context.WithCancel(life)
	defer stopAnnouncing()
	var announced sync.WaitGroup
	announced.Go(func() { n.keepAnnounced(announcing, session, registration, peers, endLife) })

	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	worker := jobrunner.NewWorker(jobrunner.Config{
		Store: n.store, ClusterID: clusterID, Node: n.cfg.Name, Session: session.ID(), Lease: session.Lease(), Life: life,
		Deadline: session.Deadline, Runners: n.runners, DrainTimeout: n.cfg.DrainTimeout, Logger: n.log.Named("jobrunner"), Metrics: n.metrics,
		Secrets: n.cfg.Secrets, Callbacks: n.callbacks, Logs: n.cfg.Logs,
		ClockOffset: func() time.Duration {
			if n.scheduler == nil {
				return 0 // nobody knows
			}
			return n.scheduler.ClockOffset()
		},
	})
	var worked sync.WaitGroup
	worked.Go(func() { worker.Run(working) })

	n.serve(ctx, life, session, worker)
	stopAnnouncing()
	announced.Wait()
	if life.Err() == nil {
		n.sayDraining(ctx, registration)
	}
	stopWorking()
	worked.Wait()
	if life.Err() == nil {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		if err := registration.Deregister(leaving); err != nil {
			n.log.Debug("deregister", "error", err)
		}
		cancel()
	}
	endLife(nil)
	peersDone.Wait()
	n.begin(nil, nil)
	return nil
}

// serve has the node stand for the scheduler role and its worker take runs, until ctx or the life ends and the role is
// given up. While somebody has drained the node it does neither: it gives back what it has, and is there.
func (n *Node) serve(ctx, life context.Context, session *registry.Session, worker *jobrunner.Worker) {
	standDown, working := func() {}, false
	for {
		drained, changed := n.cordon.drained()
		switch {
		case drained:
			standDown()
			worker.Drain(true)
			standDown, working = func() {}, false
		case !working:
			worker.Drain(false)
			standDown, working = n.stand(ctx, life, session), true
		}
		select {
		case <-ctx.Done():
			n.stopping.Store(true)
			n.log.Info("stopping")
			standDown()
			return
		case <-life.Done():
			n.log.Warn("this life is over: starting another", "cause", context.Cause(life))
			standDown()
			return
		case <-changed:
		}
	}
}

// stand has the node stand for the scheduler role. standDown ends that, and returns when the role is free for others, or with
// the session. Once running has ended it waits for that no longer than goodbye.
func (n *Node) stand(running, life context.Context, session *registry.Session) (standDown func()) {
	if n.scheduler == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(life)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.campaign(ctx, running, session)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// excuse turns an error that waiting cures into a pause.
func (n *Node) excuse(ctx context.Context, err error) error {
	stopping := ctx.Err() != nil
	if !stopping && n.incurable(err) {
		return err
	}
	if !stopping {
		level := hclog.Debug
		if n.setErr(err) {
			level = hclog.Warn
		}
		n.log.Log(level, "begin a life", "error", err)
		n.pause(ctx)
	}
	return nil //nolint:nilerr // the caller tries again, or stops
}

func (n *Node) begin(session *registry.Session, peers *registry.View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.session, n.peers, n.lastErr = session, peers, nil
	n.named = n.named || session != nil
}

// announcement is what the node says of itself at this moment.
func (n *Node) announcement(session *registry.Session) nightwatch.Node {
	node := nightwatch.Node{
		Name: n.cfg.Name, Session: session.ID(), Address: n.cfg.Address, Version: n.cfg.Version, Labels: n.cfg.Labels,
		Runners: slices.Sorted(maps.Keys(n.runners)), Handlers: n.handlers.Names(), Capacity: n.cfg.Capacity,
		Capacities: n.cfg.Capacities,
		StartTime:  time.Now().UTC().Truncate(time.Second),
	}
	n.fillIn(&node)
	return node
}

// fillIn sets what changes while a node lives.
func (n *Node) fillIn(node *nightwatch.Node) {
	node.Draining, _ = n.cordon.drained()
	node.Handlers = n.handlers.Names()
	node.Clusters, node.ClusterLabels, node.DefaultCluster = map[string]string{}, map[string]map[string]string{}, ""
	for _, runner := range n.runners {
		c, ok := runner.(jobrunner.Clusterer)
		if !ok {
			continue
		}
		for i, cluster := range c.Clusters() {
			if i == 0 {
				node.DefaultCluster = cluster.Name
			}
			if cluster.UID != "" {
				node.Clusters[cluster.Name] = cluster.UID
			}
			if len(cluster.Labels) > 0 {
				node.ClusterLabels[cluster.Name] = cluster.Labels
			}
		}
	}
}

// keepAnnounced writes what the node says of itself anew when it has changed, and ends the life when somebody deleted
// the key: the cluster takes the runs of such a session for lost.
func (n *Node) keepAnnounced(ctx context.Context, session *registry.Session, r *registry.Registration, peers *registry.View, end context.CancelCauseFunc) {
	if peers.WaitRevision(ctx, r.Revision()) != nil {
		return
	}
	ticker := time.NewTicker(announceEvery)
	defer ticker.Stop()
	for {
		there := slices.ContainsFunc(peers.Nodes(), func(e registry.NodeEntry) bool {
			return e.Name == n.cfg.Name && e.CreateRevision == r.Revision()
		})
		if !there {
			end(errUnregistered)
			return
		}
		_, cordoned := n.cordon.drained()
		now, said := r.Node(), r.Node()
		n.fillIn(&now)
		if now.Draining != said.Draining || !slices.Equal(now.Handlers, said.Handlers) || !maps.Equal(now.Clusters, said.Clusters) {
			if err := r.Update(ctx, n.fillIn); err != nil && ctx.Err() == nil {
				n.log.Warn("announce", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-cordoned:
		case <-n.handlers.Changed():
		case <-peers.Changed():
		case <-ticker.C:
		}
	}
}

// sayDraining has the scheduler give nothing more to this node. Not worth waiting for: whatever comes is handed back.
func (n *Node) sayDraining(ctx context.Context, r *registry.Registration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := r.Update(ctx, func(node *nightwatch.Node) { node.Draining = true }); err != nil {
		n.log.Debug("say draining", "error", err)
	}
}

// campaign stands for the scheduler role and acts in it, term after term, until ctx ends.
func (n *Node) campaign(ctx, running context.Context, session *registry.Session) {
	candidate, err := election.New(n.client, election.Config{
		Session: session.Concurrency(), Context: session.Context(), Prefix: n.store.Keys().Election(), Value: n.cfg.Name,
		Logger: n.log.Named("election"),
	})
	if err != nil {
		n.log.Error("stand for scheduler", "error", err)
		return
	}
	for off := false; ctx.Err() == nil; {
		if err := n.scheduler.MayLead(); err != nil {
			if !off {
				n.log.Warn("not standing for scheduler", "error", err)
			}
			off = true
			n.pause(ctx)
			continue
		}
		off = false
		term, err := n.win(ctx, candidate)
		if err != nil {
			if ctx.Err() == nil {
				n.log.Warn("campaign", "error", err)
				n.pause(ctx)
			}
			continue
		}
		n.lead(ctx, term)
	}
	n.withdraw(running, session, candidate)
}

// withdraw leaves no key that keeps the role from others: the session of a node that is drained goes on.
func (n *Node) withdraw(running context.Context, session *registry.Session, candidate *election.Candidate) {
	ctx, cancel := context.WithCancel(session.Context())
	defer cancel()
	defer context.AfterFunc(running, func() { time.AfterFunc(goodbye, cancel) })()
	if err := candidate.Withdraw(ctx); err != nil {
		n.log.Debug("withdraw", "error", err) // the key goes with the session
	}
}

// clockEvery is how often who stands for the role looks at its clock.
const clockEvery = time.Second

// win stands for the role until it is won, or ctx ends, or this node's clock is off: it may go wrong while others lead.
func (n *Node) win(ctx context.Context, candidate *election.Candidate) (*election.Term, error) {
	standing, withdraw := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		ticker := time.NewTicker(clockEvery)
		defer ticker.Stop()
		for {
			select {
			case <-standing.Done():
				return
			case <-ticker.C:
				if err := n.scheduler.MayLead(); err != nil {
					withdraw(err)
				}
			}
		}
	})
	term, err := candidate.Campaign(standing)
	withdraw(nil)
	looking.Wait()
	return term, err
}

// lead is one term: the scheduler's work and the periodic functions, both over before the role is resigned.
func (n *Node) lead(ctx context.Context, term *election.Term) {
	held, release := context.WithCancel(term.Context())
	defer release()
	stop := context.AfterFunc(ctx, release)
	defer stop()
	var functions sync.WaitGroup
	functions.Go(func() { n.periodic.run(held) })
	if err := n.scheduler.Lead(held, heldTerm{term, held}); err != nil && held.Err() == nil {
		n.log.Warn("lead", "error", err)
	}
	release()
	functions.Wait()
	resigning, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := term.Resign(resigning); err != nil {
		n.log.Debug("resign", "error", err)
	}
}

// heldTerm is a term that ends as well when the node stops.
type heldTerm struct {
	*election.Term
	ctx context.Context
}

func (t heldTerm) Context() context.Context { return t.ctx }
