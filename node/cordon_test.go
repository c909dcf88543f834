package node_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// slow is a handler whose runs last until they are let go, or told to end.
type slow struct {
	started chan string // "<node> <task>"
	letGo   chan struct{}
	once    sync.Once
}

func newSlow(t testing.TB) *slow {
	s := &slow{started: make(chan string, 10_000), letGo: make(chan struct{})}
	t.Cleanup(s.release)
	return s
}

func (s *slow) release() { s.once.Do(func() { close(s.letGo) }) }

func (s *slow) on(t testing.TB, name string) func(*node.Node) {
	return func(n *node.Node) {
		if _, err := n.Handle("slow", func(ctx context.Context, run jobrunner.Run) error {
			s.started <- name + " " + run.Task
			select {
			case <-s.letGo:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

const slowTask = `{"handler":{"name":"slow"}}`

func cordon(t testing.TB, st *store.Store, name, value string) {
	t.Helper()
	if _, err := st.Client().Put(t.Context(), st.Keys().Cordon(name), value); err != nil {
		t.Fatal(err)
	}
}

func uncordon(t testing.TB, st *store.Store, name string) {
	t.Helper()
	if _, err := st.Client().Delete(t.Context(), st.Keys().Cordon(name)); err != nil {
		t.Fatal(err)
	}
}

func leads(t testing.TB, st *store.Store, name string) {
	t.Helper()
	etcdtest.Eventually(t, 20*time.Second, func() error {
		leader, _, err := election.Leader(t.Context(), st.Client(), st.Keys().Election())
		if err == nil && leader != name {
			err = fmt.Errorf("%q is scheduler", leader)
		}
		return err
	}, "%s is scheduler", name)
}

// announces waits until a node says of itself what is wanted, and returns that.
func announces(t testing.TB, st *store.Store, name string, draining bool) (n nightwatch.Node) {
	t.Helper()
	etcdtest.Eventually(t, 20*time.Second, func() error {
		nodes, err := st.Nodes(t.Context())
		if n = nodes[name]; err != nil || n.Name == "" || n.Draining != draining {
			return fmt.Errorf("%+v %v", n, err)
		}
		return nil
	}, "%s says draining %v", name, draining)
	return n
}

func running(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseRunning }

// waits tells whether a task waits for a node that fits.
func waits(s *nightwatch.Status) bool {
	return s != nil && s.Phase == nightwatch.PhasePending && s.Reason == nightwatch.ReasonNoFittingNode
}

func TestDrainAndComeBack(t *testing.T) {
	server := etcdtest.Start(t)
	handler := newSlow(t)
	// Leases far longer than the test waits: nothing here is for the loss of one.
	a := startPeer(t, server.Client(t), node.Config{Name: "a", LeaseTTL: time.Minute, DrainTimeout: time.Minute}, handler.on(t, "a"))
	waitReady(t, a)
	st := a.Store()
	leads(t, st, "a")
	put(t, st, "default/first", slowTask)
	if got := <-handler.started; got != "a first" {
		t.Fatal(got)
	}
	b := startPeer(t, server.Client(t), node.Config{Name: "b", LeaseTTL: time.Minute}, handler.on(t, "b"))
	waitReady(t, b)
	before := announces(t, st, "a", false)

	cordon(t, st, "a", `{"drain":true,"by":"ann","note":"new kernel"}`)
	announces(t, st, "a", true)
	leads(t, st, "b")
	if err := a.ready(); err == nil || err.Error() != "cordon: the node is drained: cordons/a, by ann: new kernel" {
		t.Errorf("drained, and ready: %v", err)
	}
	for i := range 3 {
		task := fmt.Sprint("default/later-", i)
		put(t, st, task, slowTask)
		if got := <-handler.started; !strings.HasPrefix(got, "b ") {
			t.Errorf("a drained node was given %s", got)
		}
	}
	if s := waitStatus(t, st, "default/first", running); s.LastRun.Node != "a" || s.LastRun.Attempt != 1 {
		t.Errorf("a drain waits for what runs: %+v", s.LastRun)
	}
	handler.release()
	if s := waitStatus(t, st, "default/first", succeeded); s.LastRun.Node != "a" || s.LastRun.Attempt != 1 {
		t.Errorf("%+v", s.LastRun)
	}

	uncordon(t, st, "a")
	if after := announces(t, st, "a", false); after.Session != before.Session {
		t.Errorf("session %s, before %s", after.Session, before.Session)
	}
	waitReady(t, a)
	cordon(t, st, "b", `{"drain":true}`)
	leads(t, st, "a")
	put(t, st, "default/again", slowTask)
	if got := <-handler.started; got != "a again" {
		t.Error(got)
	}
	waitStatus(t, st, "default/again", succeeded)
}

// What a drain has waited for long enough is ended, and goes on elsewhere.
func TestDrainTimeout(t *testing.T) {
	server := etcdtest.Start(t)
	handler := newSlow(t)
	a := startPeer(t, server.Client(t), node.Config{Name: "a", LeaseTTL: time.Minute, DrainTimeout: 50 * time.Millisecond}, handler.on(t, "a"))
	waitReady(t, a)
	st := a.Store()
	put(t, st, "default/twice", slowTask)
	put(t, st, "default/once", `{"handler":{"name":"slow"},"delivery":"at-most-once"}`)
	for range 2 {
		<-handler.started
	}
	b := startPeer(t, server.Client(t), node.Config{Name: "b", LeaseTTL: time.Minute}, handler.on(t, "b"))
	waitReady(t, b)
	cordon(t, st, "a", `{"drain":true}`)
	if got := <-handler.started; got != "b twice" {
		t.Error(got)
	}
	s := waitStatus(t, st, "default/once", func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseFailed })
	if s.Reason != nightwatch.ReasonNodeLost {
		t.Errorf("%+v", s)
	}
	handler.release()
	if s := waitStatus(t, st, "default/twice", succeeded); s.LastRun.Attempt != 2 || s.LastRun.Node != "b" || s.LastRun.LostSessions != 0 {
		t.Errorf("%+v", s.LastRun)
	}
}

// A cordon keeps new runs away and nothing else; one that cannot be read is a cordon.
func TestCordonLetsGoOn(t *testing.T) {
	server := etcdtest.Start(t)
	handler := newSlow(t)
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, handler.on(t, "a"))
	waitReady(t, a)
	st := a.Store()
	put(t, st, "default/first", slowTask)
	<-handler.started
	cordon(t, st, "a", `{"drain":true,"until":"tomorrow"}`)
	put(t, st, "default/second", slowTask)
	waitStatus(t, st, "default/second", waits)
	if err := a.ready(); err != nil {
		t.Error(err)
	}
	leads(t, st, "a")
	announces(t, st, "a", false)
	handler.release()
	waitStatus(t, st, "default/first", succeeded)
	uncordon(t, st, "a")
	waitStatus(t, st, "default/second", succeeded)
}

// A node that starts under a cordon that drains, as after a reboot in the middle of a repair, says so from the start.
func TestStartDrained(t *testing.T) {
	server := etcdtest.Start(t)
	st := store.New(server.Client(t), "")
	cordon(t, st, "a", `{"drain":true}`)
	handler := newSlow(t)
	handler.release()
	first := make(chan nightwatch.Node, 1)
	follow, stop := context.WithCancel(t.Context())
	defer stop()
	go store.Follower{Client: st.Client(), Prefix: st.Keys().Of(store.Nodes)}.Run(follow, func(b store.Batch) {
		for range b.Events {
			if nodes, err := st.Nodes(follow); err == nil {
				select {
				case first <- nodes["a"]:
				default:
				}
			}
		}
	})
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, handler.on(t, "a"))
	if n := <-first; !n.Draining {
		t.Errorf("%+v", n)
	}
	put(t, st, "default/demo", slowTask)
	b := startPeer(t, server.Client(t), node.Config{Name: "b"})
	waitReady(t, b)
	leads(t, st, "b")
	waitStatus(t, st, "default/demo", waits)
	uncordon(t, st, "a")
	waitReady(t, a)
	waitStatus(t, st, "default/demo", succeeded)
	a.stop() // its peer has the role
	cordon(t, st, "b", `{"drain":true}`)
}

// Blue and green: a task runs where its labels say, and nowhere else, whatever there is room for.
func TestPinnedToALabel(t *testing.T) {
	server := etcdtest.Start(t)
	handler := newSlow(t)
	handler.release()
	blue := startPeer(t, server.Client(t), node.Config{Name: "blue", Labels: map[string]string{"color": "blue"}}, handler.on(t, "blue"))
	waitReady(t, blue)
	st := blue.Store()
	put(t, st, "default/green", `{"handler":{"name":"slow"},"runsOn":"color=green","every":"50ms","overlap":"allow"}`)
	put(t, st, "default/blue", `{"handler":{"name":"slow"},"runsOn":"color=blue","every":"50ms","overlap":"allow"}`)
	many := func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded >= 10 }
	waitStatus(t, st, "default/blue", many)
	waitStatus(t, st, "default/green", func(s *nightwatch.Status) bool { return s != nil && s.Reason == nightwatch.ReasonNoFittingNode })
	green := startPeer(t, server.Client(t), node.Config{Name: "green", Labels: map[string]string{"color": "green"}}, handler.on(t, "green"))
	waitReady(t, green)
	waitStatus(t, st, "default/green", many)
	for _, task := range []string{"default/green", "default/blue"} {
		if _, err := st.Delete(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		waitStatus(t, st, task, func(s *nightwatch.Status) bool { return s == nil })
	}
	blue.stop()
	green.stop()
	for len(handler.started) > 0 {
		if got := <-handler.started; got != "blue blue" && got != "green green" {
			t.Error(got)
		}
	}
}

// deafToResigning is a KV that never answers the first deletion of a candidate's key, and does not do it either.
type deafToResigning struct {
	clientv3.KV
	prefix string
	missed atomic.Bool
}

func (d *deafToResigning) Txn(ctx context.Context) clientv3.Txn {
	return &deafTxn{Txn: d.KV.Txn(ctx), kv: d, ctx: ctx}
}

type deafTxn struct {
	clientv3.Txn
	kv      *deafToResigning
	ctx     context.Context
	resigns bool
}

func (d *deafTxn) If(cmps ...clientv3.Cmp) clientv3.Txn {
	d.Txn = d.Txn.If(cmps...)
	return d
}

func (d *deafTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	for _, op := range ops {
		d.resigns = d.resigns || op.IsDelete() && strings.HasPrefix(string(op.KeyBytes()), d.kv.prefix)
	}
	d.Txn = d.Txn.Then(ops...)
	return d
}

func (d *deafTxn) Commit() (*clientv3.TxnResponse, error) {
	if d.resigns && d.kv.missed.CompareAndSwap(false, true) {
		<-d.ctx.Done()
		return nil, d.ctx.Err()
	}
	return d.Txn.Commit()
}

// A drained node keeps its session: it must not keep the role because etcd did not answer when it resigned.
func TestDrainedLeaderFreesTheRole(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	deaf := &deafToResigning{KV: client.KV, prefix: store.NewKeys("").Election()}
	client.KV = deaf
	a := startPeer(t, client, node.Config{Name: "a", LeaseTTL: time.Minute})
	waitReady(t, a)
	st := store.New(server.Client(t), "")
	leads(t, st, "a")
	b := startPeer(t, server.Client(t), node.Config{Name: "b", LeaseTTL: time.Minute})
	waitReady(t, b)
	cordon(t, st, "a", `{"drain":true}`)
	leads(t, st, "b")
	if !deaf.missed.Load() {
		t.Error("etcd answered when a resigned")
	}
	uncordon(t, st, "a")
	announces(t, st, "a", false)
}
