package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/registry"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

// peer is a node that runs until it is stopped.
type peer struct {
	*node.Node
	stop func() // and wait
	done chan error
}

func startPeer(t testing.TB, client *clientv3.Client, cfg node.Config, prepare ...func(*node.Node)) *peer {
	t.Helper()
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: logTo{t}})
	n, err := node.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(n)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &peer{Node: n, done: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		p.done <- n.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-finished
	}
	t.Cleanup(p.stop)
	return p
}

type logTo struct{ t testing.TB }

func (l logTo) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func (p *peer) ready() error {
	for _, check := range p.Checks() {
		if check.Err != nil {
			return fmt.Errorf("%s: %w", check.Name, check.Err)
		}
	}
	return nil
}

func waitReady(t testing.TB, peers ...*peer) {
	t.Helper()
	for _, p := range peers {
		etcdtest.Eventually(t, 20*time.Second, p.ready, "node is ready")
	}
}

func waitStatus(t testing.TB, st *store.Store, task string, done func(*nightwatch.Status) bool) *nightwatch.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	status, err := st.Wait(ctx, task, done)
	if err != nil {
		t.Fatalf("%s: %v; status %+v", task, err, status)
	}
	return status
}

func put(t testing.TB, st *store.Store, task, value string) {
	t.Helper()
	if _, err := st.Put(t.Context(), task, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func TestTaskRunsWhereItsHandlerIs(t *testing.T) {
	server := etcdtest.Start(t)
	where := make(chan string, 10)
	handle := func(name, handler string) func(*node.Node) {
		return func(n *node.Node) {
			if _, err := n.Handle(handler, func(_ context.Context, run jobrunner.Run) error {
				where <- name + ":" + run.Task + ":" + string(run.Params["size"])
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	}
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, handle("a", "resize"))
	b := startPeer(t, server.Client(t), node.Config{Name: "b"}, handle("b", "mail"))
	waitReady(t, a, b)
	put(t, a.Store(), "default/big", `{"handler":{"name":"resize"},"params":{"size":7}}`)
	waitStatus(t, a.Store(), "default/big", succeeded)
	put(t, a.Store(), "default/letter", `{"handler":{"name":"mail"}}`)
	waitStatus(t, a.Store(), "default/letter", succeeded)
	if got := <-where; got != "a:big:7" {
		t.Error(got)
	}
	if got := <-where; got != "b:letter:" {
		t.Error(got)
	}
	put(t, a.Store(), "default/later", `{"handler":{"name":"later"}}`)
	waitStatus(t, a.Store(), "default/later", func(s *nightwatch.Status) bool {
		return s != nil && s.Phase == nightwatch.PhasePending && s.Reason == nightwatch.ReasonNoFittingNode
	})
	handle("b", "later")(b.Node)
	waitStatus(t, a.Store(), "default/later", succeeded)
}

func succeeded(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseSucceeded }

func TestNameHeldIsRefusedAndFreedByTheEndOfTheLease(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	first := startPeer(t, etcdtest.NewClient(t, proxy.Endpoint()), node.Config{Name: "n1", LeaseTTL: 2 * time.Second, Address: "10.0.0.7:7420"})
	waitReady(t, first)
	second := startPeer(t, server.Client(t), node.Config{Name: "n1", LeaseTTL: 2 * time.Second})
	var err error
	select {
	case err = <-second.done:
	case <-time.After(20 * time.Second):
		t.Fatal("second n1 is not refused")
	}
	if !errors.Is(err, registry.ErrNameHeld) || !strings.Contains(err.Error(), "10.0.0.7:7420") {
		t.Errorf("second n1: %v", err)
	}
	proxy.Pause() // the first is cut off, as if it had crashed
	third := startPeer(t, server.Client(t), node.Config{Name: "n1", LeaseTTL: 4 * time.Second})
	waitReady(t, third)
	// Back again, it says who has its name now, and waits until that one goes.
	proxy.Resume()
	etcdtest.Eventually(t, 30*time.Second, func() bool { return errors.Is(first.ready(), registry.ErrNameHeld) }, "the first knows that its name is held")
	third.stop()
	waitReady(t, first)
}

func TestGracefulStopHandsOver(t *testing.T) {
	server := etcdtest.Start(t)
	handle := func(n *node.Node) {
		_, _ = n.Handle("work", func(context.Context, jobrunner.Run) error { return nil })
	}
	// A lease far longer than the test waits: only a resignation can hand over.
	peers := map[string]*peer{}
	for _, name := range []string{"a", "b", "c"} {
		peers[name] = startPeer(t, server.Client(t), node.Config{Name: name, LeaseTTL: time.Minute}, handle)
		waitReady(t, peers[name])
	}
	st := store.New(server.Client(t), "")
	put(t, st, "default/often", `{"handler":{"name":"work"},"every":"100ms"}`)
	for len(peers) > 1 {
		leader, _, err := election.Leader(t.Context(), server.Client(t), st.Keys().Election())
		if err != nil {
			t.Fatal(err)
		}
		before := waitStatus(t, st, "default/often", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded > 0 })
		began := time.Now()
		peers[leader].stop()
		delete(peers, leader)
		waitStatus(t, st, "default/often", func(s *nightwatch.Status) bool { return s.Counts.Succeeded >= before.Counts.Succeeded+5 })
		t.Logf("five more runs %s after %s was told to stop", time.Since(began), leader)
	}
	s := waitStatus(t, st, "default/often", func(s *nightwatch.Status) bool { return s != nil })
	if s.Counts.Missed+s.Counts.Failed+s.Counts.Canceled != 0 {
		t.Errorf("counts %+v", s.Counts)
	}
}

func TestLifeEndsWhenTheNodesKeyIsDeleted(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	n := startPeer(t, client, node.Config{Name: "n1"})
	waitReady(t, n)
	session := func() string {
		nodes, err := n.Store().Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return nodes["n1"].Session
	}
	before := session()
	if _, err := client.Delete(t.Context(), n.Store().Keys().Node("n1")); err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, 20*time.Second, func() bool { now := session(); return now != "" && now != before }, "another session")
	waitReady(t, n)
}

func TestLostSessionStopsHandlersAndRunsThemAgain(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	var mu sync.Mutex
	live, most, started := 0, 0, 0
	work := func(n *node.Node) {
		_, _ = n.Handle("long", func(ctx context.Context, _ jobrunner.Run) error {
			mu.Lock()
			live++
			started++
			first := started == 1
			most = max(most, live)
			mu.Unlock()
			if first {
				<-ctx.Done()
			}
			mu.Lock()
			live--
			mu.Unlock()
			return ctx.Err()
		})
	}
	cutOff := startPeer(t, etcdtest.NewClient(t, proxy.Endpoint()), node.Config{Name: "a", LeaseTTL: 2 * time.Second}, work)
	waitReady(t, cutOff)
	st := store.New(server.Client(t), "")
	put(t, st, "default/long", `{"handler":{"name":"long"}}`)
	waitStatus(t, st, "default/long", func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseRunning })
	other := startPeer(t, server.Client(t), node.Config{Name: "b", LeaseTTL: 2 * time.Second}, work)
	etcdtest.Eventually(t, 10*time.Second, func() bool {
		nodes, _ := st.Nodes(t.Context())
		return nodes["b"].Session != ""
	}, "b is there")
	proxy.Pause()
	s := waitStatus(t, st, "default/long", succeeded)
	if s.LastRun.Attempt != 2 || s.LastRun.Node != "b" || s.LastRun.LostSessions != 1 {
		t.Errorf("%+v", s.LastRun)
	}
	mu.Lock()
	if most != 1 {
		t.Errorf("%d at once, want 1", most)
	}
	mu.Unlock()
	proxy.Resume()
	waitReady(t, cutOff, other)
}

func TestEveryRunsOnTheLeaderOnly(t *testing.T) {
	server := etcdtest.Start(t)
	var calls [2]atomic.Int64
	prepare := func(i int) func(*node.Node) {
		return func(n *node.Node) {
			if _, err := n.Every("@every 50ms", "watch", func(context.Context) error {
				if calls[i].Add(1) == 2 {
					panic("a panic must not end the node")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	}
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, prepare(0))
	waitReady(t, a)
	etcdtest.Eventually(t, 10*time.Second, func() bool { return calls[0].Load() > 3 }, "calls on a")
	b := startPeer(t, server.Client(t), node.Config{Name: "b"}, prepare(1))
	waitReady(t, b)
	before := calls[0].Load()
	etcdtest.Eventually(t, 10*time.Second, func() bool { return calls[0].Load() > before+3 }, "more calls on a")
	if n := calls[1].Load(); n != 0 {
		t.Errorf("%d calls on the standby", n)
	}
	a.stop()
	stopped := calls[0].Load()
	etcdtest.Eventually(t, 10*time.Second, func() bool { return calls[1].Load() > 3 }, "calls on b")
	if calls[0].Load() != stopped {
		t.Error("a calls on after it stopped")
	}
	if _, err := b.Every("TZ=UTC", "bad", func(context.Context) error { return nil }); err == nil {
		t.Error("a bad spec was accepted")
	}
}

func TestFunctionThatIgnoresItsContextDoesNotKeepTheRole(t *testing.T) {
	server := etcdtest.Start(t)
	release, called := make(chan struct{}), make(chan struct{}, 1)
	t.Cleanup(func() { close(release) })
	a := startPeer(t, server.Client(t), node.Config{Name: "a", LeaseTTL: time.Minute}, func(n *node.Node) {
		_, _ = n.Every("@every 50ms", "deaf", func(context.Context) error {
			called <- struct{}{}
			<-release
			return nil
		})
	})
	<-called
	b := startPeer(t, server.Client(t), node.Config{Name: "b"})
	waitReady(t, b)
	a.stop()
	etcdtest.Eventually(t, 10*time.Second, func() bool {
		leader, _, err := election.Leader(t.Context(), server.Client(t), b.Store().Keys().Election())
		return err == nil && leader == "b"
	}, "b leads")
}

func TestNodeWaitsForEtcdAndLeavesWhenTold(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	server.Stop()
	n := startPeer(t, client, node.Config{Name: "n1"})
	etcdtest.Eventually(t, 20*time.Second, func() bool {
		for _, check := range n.Checks() {
			if check.Name == "etcd" && check.Err != nil && !strings.Contains(check.Err.Error(), "no answer yet") {
				return true
			}
		}
		return false
	}, "the check says what is wrong")
	server.Restart(t)
	waitReady(t, n)
	n.stop()
	if err := <-n.done; err != nil {
		t.Error(err)
	}
	left, err := client.Get(t.Context(), "/nightwatch/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range left.Kvs {
		if !strings.HasPrefix(string(kv.Key), "/nightwatch/meta/") {
			t.Errorf("%s is left", kv.Key)
		}
	}
}

func TestMetrics(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	registry := prometheus.NewRegistry()
	n := startPeer(t, client, node.Config{Name: "n1", Registerer: registry}, func(n *node.Node) {
		_, _ = n.Handle("work", func(context.Context, jobrunner.Run) error { return nil })
	})
	waitReady(t, n)
	put(t, n.Store(), "default/work", `{"handler":{"name":"work"}}`)
	waitStatus(t, n.Store(), "default/work", succeeded)
	etcdtest.Eventually(t, 10*time.Second, func() error {
		return testutil.GatherAndCompare(registry, strings.NewReader(`
			# HELP nightwatch_runs_finished_total Attempts that ended on this node, by outcome; Interrupted means that another node goes on.
			# TYPE nightwatch_runs_finished_total counter
			nightwatch_runs_finished_total{outcome="Succeeded",runner="handler"} 1
			# HELP nightwatch_scheduler_leading 1 while this node holds the scheduler role.
			# TYPE nightwatch_scheduler_leading gauge
			nightwatch_scheduler_leading 1
		`), "nightwatch_runs_finished_total", "nightwatch_scheduler_leading")
	}, "the metrics")
	if _, err := node.New(client, node.Config{Name: "n2", Registerer: registry}); err == nil {
		t.Error("two nodes on one registry")
	}
	if faults, err := testutil.GatherAndLint(registry); err != nil || len(faults) > 0 {
		t.Error(faults, err)
	}
	n.stop()
	if _, err := node.New(client, node.Config{Name: "n2", Registerer: registry}); err != nil {
		t.Error(err)
	}
}

func TestStartAndStopManyTimes(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	for range 15 {
		n := startPeer(t, client, node.Config{Name: "n1"})
		n.stop()
		if err := <-n.done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAddressesThatNobodyReaches(t *testing.T) {
	client := etcdtest.NewClient(t, "127.0.0.1:1")
	for _, address := range []string{":7420", "vm1", "vm1:http", "vm1:0"} {
		if _, err := node.New(client, node.Config{Name: "n1", Address: address}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("address: %q: want host:port", address)) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
