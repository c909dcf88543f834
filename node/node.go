package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/handler"
	"github.com/nightwatch-go/nightwatch/registry"
	"github.com/nightwatch-go/nightwatch/scheduler"
	"github.com/nightwatch-go/nightwatch/store"
)

// Node is one peer. Its methods are safe for concurrent use.
type Node struct {
	cfg      Config
	client   *clientv3.Client
	store    *store.Store
	log      hclog.Logger
	handlers *handler.Runner
	runners  map[string]jobrunner.Runner
	metrics  *jobrunner.Metrics
	periodic periodic
	// callbacks are those of all lives: each ends with its attempt.
	callbacks *jobrunner.Callbacks
	cordon    cordoned
	// scheduler is nil on a node that does not campaign.
	scheduler *scheduler.Scheduler

	started  atomic.Bool
	stopping atomic.Bool
	mu       sync.Mutex
	session  *registry.Session
	peers    *registry.View
	lastErr  error // why there is no session
	named    bool  // it has had its name; Run's own
}

// retryPause is between two tries against an etcd that is away.
const retryPause = time.Second

// New checks cfg and makes a node on client, which stays the caller's. It does no I/O and starts nothing. The client should
// have a DialKeepAliveTime and a DialKeepAliveTimeout of some seconds: without them a member of etcd that hangs keeps all of
// the node's watches for as long as it does.
func New(client *clientv3.Client, cfg Config) (*Node, error) {
	if client == nil {
		return nil, errors.New("new node: no etcd client")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("new node: %w", err)
	}
	n := &Node{
		cfg: cfg, client: client, store: store.New(client, cfg.Prefix), log: cfg.Logger.With("node", cfg.Name),
		handlers: handler.New(), runners: map[string]jobrunner.Runner{}, metrics: jobrunner.NewMetrics(),
	}
	if n.callbacks, err = jobrunner.NewCallbacks(cfg.CallbackURL); err != nil {
		return nil, fmt.Errorf("new node: callback URL: %w", err)
	}
	n.handlers.Disabled = slices.Clone(cfg.DisabledHandlers)
	n.cordon.changed = make(chan struct{})
	n.periodic.log = n.log.Named("every")
	n.runners[n.handlers.Name()] = n.handlers
	for _, runner := range cfg.Runners {
		n.runners[runner.Name()] = runner
	}
	if !cfg.NoScheduler {
		n.scheduler = scheduler.New(n.store, scheduler.Config{Logger: n.log.Named("scheduler"), Cold: cfg.ColdStandby})
	}
	if err := n.register(); err != nil {
		return nil, fmt.Errorf("new node: %w", err)
	}
	return n, nil
}

// Handle registers fn for tasks with handler: {name: name}; handler.Typed makes one that takes its params as a struct.
// Handlers may come and go while the node runs; the cluster follows. The function that it returns takes fn away: nothing
// new starts, what runs goes on.
func (n *Node) Handle(name string, fn func(ctx context.Context, run jobrunner.Run) error) (remove func(), err error) {
	return n.handlers.Handle(name, fn)
}

// Callbacks takes what is said of attempts that wait to be called back (http.callback of a task): serve it at
// jobrunner.CallbackPath of CallbackURL. It is there as long as the node.
func (n *Node) Callbacks() http.Handler { return n.callbacks }

// Store reads and writes the keys of the node's cluster.
func (n *Node) Store() *store.Store { return n.store }

// Run is the node's life. It blocks until ctx has ended and the drain is done, and returns nil then. An error is
// something that waiting cannot cure: the name is held by another node that lives (registry.ErrNameHeld), the keys
// are of an unknown schema (nightwatch.ErrUnknownSchema), or etcd refuses this user (permission denied). It is never
// that etcd is away. Run may be called once.
func (n *Node) Run(ctx context.Context) error {
	if n.started.Swap(true) {
		return errors.New("run node: it has run already")
	}
	defer n.unregister()
	clusterID, err := n.bootstrap(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	// What serves every life outlives the drain, and ends when this function does.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	n.serveRunners(background, clusterID, &work)
	work.Go(func() { n.cfg.Logs.Run(background) })
	work.Go(func() { n.followCordon(background) })
	n.cordon.read(ctx) // so that a drained node never says that it is not
	if n.scheduler != nil {
		work.Go(func() { n.scheduler.Run(background) })
	}
	for ctx.Err() == nil {
		if err := n.live(ctx, clusterID); err != nil {
			return fmt.Errorf("node %q: %w", n.cfg.Name, err)
		}
	}
	return nil
}

// bootstrap waits for etcd, for ever, and for the cluster's id.
func (n *Node) bootstrap(ctx context.Context) (clusterID string, err error) {
	for {
		clusterID, err = n.store.Bootstrap(ctx)
		if err == nil {
			return clusterID, nil
		}
		if ctx.Err() != nil {
			return "", nil //nolint:nilerr // told to stop, which is no error
		}
		if n.incurable(err) {
			return "", fmt.Errorf("node %q: %w", n.cfg.Name, err)
		}
		if n.setErr(err) {
			n.log.Warn("waiting for etcd", "endpoints", n.client.Endpoints(), "error", err)
		}
		n.pause(ctx)
	}
}

// serveRunners starts the work of runners that have some beside their attempts.
func (n *Node) serveRunners(ctx context.Context, clusterID string, work *sync.WaitGroup) {
	var listeners []chan jobrunner.RunName
	for name, runner := range n.runners {
		service, ok := runner.(jobrunner.Service)
		if !ok {
			continue
		}
		gone := make(chan jobrunner.RunName, 64)
		listeners = append(listeners, gone)
		env := jobrunner.Env{
			ClusterID: clusterID, Node: n.cfg.Name, Logger: n.log.Named(name), Gone: gone, Revision: n.store.Revision,
			Lookup: func(ctx context.Context, task, id string) (*nightwatch.Run, error) {
				run, _, err := n.store.Run(ctx, task, id)
				if err != nil {
					return nil, err
				}
				return &run, nil
			},
		}
		work.Go(func() { service.Serve(ctx, env) })
	}
	if len(listeners) > 0 {
		work.Go(func() { n.tellGone(ctx, listeners) })
	}
}

// tellGone tells runners which run records were deleted. Who does not listen misses it: they sweep on a timer too.
func (n *Node) tellGone(ctx context.Context, listeners []chan jobrunner.RunName) {
	keys := n.store.Keys()
	follow := store.Follower{Client: n.client, Prefix: keys.Of(store.Runs), DeletesOnly: true}
	follow.Run(ctx, func(b store.Batch) {
		for _, e := range b.Events {
			_, tail, ok := keys.Parse(e.Key)
			if !ok || !e.Deleted {
				continue
			}
			task, id, _ := store.SplitLast(tail)
			for _, listener := range listeners {
				select {
				case listener <- jobrunner.RunName{Task: task, Run: id}:
				default:
				}
			}
		}
	})
}

// incurable tells whether waiting cannot help. Who has had its name waits for as long as it takes: for an etcd that is slow to
// end the lease of the life before, or until somebody stops the other node, which would not be helped by the end of this one.
func (n *Node) incurable(err error) bool {
	if n.named && errors.Is(err, registry.ErrNameHeld) {
		return false
	}
	for _, cause := range []error{
		registry.ErrNameHeld, nightwatch.ErrUnknownSchema, rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

func (n *Node) pause(ctx context.Context) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// setErr notes why there is no session, and tells whether that is news.
func (n *Node) setErr(err error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	news := n.lastErr == nil || n.lastErr.Error() != err.Error()
	n.lastErr = err
	return news
}
