package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/console"
	"github.com/nightwatch-go/nightwatch/node"
)

// peer is a node with what a process of its own has around it: the HTTP listener, metrics and systemd.
type peer struct {
	config   node.Config
	etcd     clientv3.Config
	listener net.Listener // nil for none
	logger   hclog.Logger

	running atomic.Pointer[node.Node] // nil until there is a client
}

// listen opens the listener of a flag, whose name an error tells.
func listen(flag, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, usage("--%s: %q: want host:port", flag, address)
	}
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, taken(flag, address)
	}
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return listener, nil
}

func taken(flag, address string) error {
	return fmt.Errorf("%s is taken by another process; choose another address with --%s", address, flag)
}

// check refuses a configuration that a node cannot have, without a connection to etcd.
func (p *peer) check() error {
	etcd := p.etcd
	etcd.Username, etcd.Password = "", "" // with these, New waits for etcd
	client, err := clientv3.New(etcd)
	if err != nil {
		return usage("--endpoints: %w", err)
	}
	defer client.Close()
	config := p.config
	config.Registerer = nil
	if _, err := node.New(client, config); err != nil {
		return usageError{err}
	}
	return nil
}

// run runs the node until ctx ends and it has stopped, or it cannot go on. The listener serves from before the node
// starts until after it has stopped, so that a node that drains, or waits for etcd, can be looked at.
func (p *peer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.config.Registerer = registry

	consoleCtx, stopConsole := context.WithCancel(context.WithoutCancel(ctx))
	defer stopConsole()
	consoleEnd := make(chan error, 1)
	if p.listener != nil {
		handler := console.New(console.Config{Checks: p.checks, Gatherer: registry, Callbacks: http.HandlerFunc(p.calledBack), Log: p.readLog, Node: p.config.Name})
		go func() { consoleEnd <- console.Serve(consoleCtx, p.listener, handler) }()
	} else {
		go func() { <-consoleCtx.Done(); consoleEnd <- nil }()
	}
	nodeEnd := make(chan error, 1)
	go func() { nodeEnd <- p.runNode(ctx) }()

	// The loop depends on nothing but this process: it is what systemd's watchdog watches.
	systemd := &notifier{logger: p.logger}
	systemd.ready()
	systemd.beat(p.checks())
	ticker := time.NewTicker(systemd.interval())
	defer ticker.Stop()
	stopping := ctx.Done()
	var consoleErr error
	for {
		select {
		case <-ticker.C:
			systemd.beat(p.checks())
		case <-stopping:
			stopping = nil
			systemd.stopping()
		case consoleErr = <-consoleEnd:
			cancel() // a node that nobody can look at is not left running
			return errors.Join(consoleErr, <-nodeEnd)
		case err := <-nodeEnd:
			if stopping != nil && ctx.Err() != nil {
				systemd.stopping() // the drain was over before this loop heard that it had begun
			}
			stopConsole()
			return errors.Join(err, <-consoleEnd)
		}
	}
}

// checks are the node's; until there is one, that there is none.
func (p *peer) checks() []node.Check {
	if n := p.running.Load(); n != nil {
		return n.Checks()
	}
	return []node.Check{{Name: "etcd", Err: errNotConnected}}
}

// calledBack hands a callback to the node; until there is one, nobody waits for it yet.
func (p *peer) calledBack(w http.ResponseWriter, r *http.Request) {
	if n := p.running.Load(); n != nil {
		n.Callbacks().ServeHTTP(w, r)
		return
	}
	http.Error(w, errNotConnected.Error(), http.StatusServiceUnavailable)
}

// readLog reads the log of a run from the node; until there is one there is no record to compare with.
func (p *peer) readLog(ctx context.Context, r node.LogRequest) (io.ReadCloser, error) {
	if n := p.running.Load(); n != nil {
		return n.ReadLog(ctx, r)
	}
	return nil, errNotConnected
}

var errNotConnected = errors.New("not connected yet")

func (p *peer) runNode(ctx context.Context) error {
	client, err := p.connect(ctx)
	if err != nil || client == nil {
		return err
	}
	defer client.Close()
	n, err := node.New(client, p.config)
	if err != nil {
		return err
	}
	p.running.Store(n)
	return n.Run(ctx)
}

// connectDelay is the time between attempts to log in to etcd.
const connectDelay = time.Second

// connect makes the client. With a user's name that takes an etcd that answers, for which it waits until ctx ends;
// then there is neither a client nor an error.
func (p *peer) connect(ctx context.Context) (*clientv3.Client, error) {
	told := ""
	p.logger.Debug("connecting to etcd", "endpoints", strings.Join(p.etcd.Endpoints, ","))
	for {
		client, err := p.dial(ctx)
		if err == nil {
			return client, nil
		}
		if ctx.Err() != nil {
			return nil, nil //nolint:nilerr // told to stop, which is no error
		}
		if denied(err) {
			return nil, fmt.Errorf("log in to etcd at %s as %s: %w", strings.Join(p.etcd.Endpoints, ", "), p.etcd.Username, err)
		}
		if text := err.Error(); text != told {
			told = text
			p.logger.Warn("etcd cannot be reached, trying on", "endpoints", strings.Join(p.etcd.Endpoints, ","), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(connectDelay):
		}
	}
}

// dial makes the client. Its making ends with ctx, which with a user's name would take as long as etcd does; the client
// itself goes on, as a node that drains needs it.
func (p *peer) dial(ctx context.Context) (*clientv3.Client, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	made := context.AfterFunc(ctx, end)
	cfg := p.etcd
	cfg.Context = life
	client, err := clientv3.New(cfg)
	if err == nil && !made() {
		_ = client.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		end()
		return nil, err
	}
	return client, nil
}
