package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/registry"
)

func TestRegister(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 5*time.Second)
	r, err := registry.Register(t.Context(), client, s, prefix, testNode("n1"))
	if err != nil {
		t.Fatal(err)
	}
	kv := readKey(t, client, prefix+"n1").Kvs[0]
	var node nightwatch.Node
	if err := json.Unmarshal(kv.Value, &node); err != nil {
		t.Fatal(err)
	}
	if node.Session != s.ID() || node.Name != "n1" || node.Capacity != 4 || node.StartTime.IsZero() {
		t.Errorf("the key says %s", kv.Value)
	}
	if kv.Lease != int64(s.Lease()) || kv.CreateRevision != r.Revision() {
		t.Errorf("lease %x, CreateRevision %d, want %x, %d", kv.Lease, kv.CreateRevision, s.Lease(), r.Revision())
	}

	if err := r.Update(t.Context(), func(n *nightwatch.Node) { n.Handlers = append(n.Handlers, "resize"); n.Name = "other" }); err != nil {
		t.Fatal(err)
	}
	kv = readKey(t, client, prefix+"n1").Kvs[0]
	if !strings.Contains(string(kv.Value), `"handlers":["resize"]`) || !strings.Contains(string(kv.Value), `"name":"n1"`) {
		t.Errorf("after Update the key says %s", kv.Value)
	}
	if kv.Lease != int64(s.Lease()) || kv.CreateRevision != r.Revision() {
		t.Error("Update changed the key's lease or life")
	}

	// Put by hand, the key loses its lease; the next Update puts that right.
	if _, err := client.Put(t.Context(), prefix+"n1", "rubbish"); err != nil {
		t.Fatal(err)
	}
	if err := r.Update(t.Context(), func(n *nightwatch.Node) { n.Handlers = nil }); err != nil {
		t.Fatal(err)
	}
	if kv = readKey(t, client, prefix+"n1").Kvs[0]; kv.Lease != int64(s.Lease()) || strings.Contains(string(kv.Value), "resize") {
		t.Errorf("after a put by hand and an Update: lease %x, %s", kv.Lease, kv.Value)
	}

	for range 2 {
		if err := r.Deregister(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(readKey(t, client, prefix+"n1").Kvs); n != 0 {
		t.Error("the key is there after Deregister")
	}
	if err := r.Update(t.Context(), func(n *nightwatch.Node) { n.Capacity = 9 }); !errors.Is(err, registry.ErrNotRegistered) {
		t.Errorf("Update after Deregister: %v, want ErrNotRegistered", err)
	}
	// Another life's key is none of this registration's business.
	again, err := registry.Register(t.Context(), client, s, prefix, testNode("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kv := readKey(t, client, prefix+"n1").Kvs; len(kv) != 1 || kv[0].CreateRevision != again.Revision() {
		t.Error("an old registration's Deregister removed a newer key")
	}
}

func TestRegisterRefuses(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 5*time.Second)
	for _, name := range []string{"", "a/b", "Upper", "-a", "a-", "a..b", ".a", "a.", "a.-b", "ü", "a b", strings.Repeat("a", 64)} {
		if _, err := registry.Register(t.Context(), client, s, prefix, testNode(name)); err == nil {
			t.Errorf("registered %q", name)
		}
	}
	if _, err := registry.Register(t.Context(), client, s, "/nightwatch/nodes", testNode("n1")); err == nil {
		t.Error("registered under a prefix without a slash at its end")
	}
	for _, name := range []string{"a", "1", "vm-1.example.org", strings.Repeat("a", 63)} {
		if _, err := registry.Register(t.Context(), client, s, prefix, testNode(name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNameHeld(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	old := newSession(t, client, 5*time.Second)
	if _, err := registry.Register(t.Context(), client, old, prefix, testNode("n1")); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, client, 5*time.Second)
	for name, register := range map[string]func() error{
		"Register": func() error {
			_, err := registry.Register(t.Context(), client, s, prefix, testNode("n1"))
			return err
		},
		"WaitRegister": func() error {
			_, err := registry.WaitRegister(t.Context(), client, s, prefix, testNode("n1"), 300*time.Millisecond)
			return err
		},
	} {
		err := register()
		var held *registry.NameHeldError
		if !errors.Is(err, registry.ErrNameHeld) || !errors.As(err, &held) {
			t.Fatalf("%s: %v, want a NameHeldError", name, err)
		}
		if held.Holder.Session != old.ID() || held.Name != "n1" {
			t.Errorf("%s: held by %+v, want session %s", name, held.Holder, old.ID())
		}
		for _, want := range []string{old.ID(), "10.0.0.7:7420", "since 20", "another name"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
	}

	if _, err := client.Put(t.Context(), prefix+"n2", "{"); err != nil {
		t.Fatal(err)
	}
	_, err := registry.Register(t.Context(), client, s, prefix, testNode("n2"))
	if !errors.Is(err, registry.ErrNameHeld) || !strings.Contains(err.Error(), "etcdctl del "+prefix+"n2") {
		t.Errorf("a key put by hand: %v", err)
	}
}

func TestNameFreedWhenTheOldLeaseEnds(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	proxy := server.Proxy(t)
	old := newSession(t, etcdtest.NewClient(t, proxy.Endpoint()), 2*time.Second)
	was, err := registry.Register(t.Context(), client, old, prefix, testNode("n1"))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Pause() // the old holder is cut off for good
	began := time.Now()
	s := newSession(t, client, 2*time.Second)
	r, err := registry.WaitRegister(t.Context(), client, s, prefix, testNode("n1"), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("waited %s for a lease of %s", time.Since(began), old.TTL())
	if old.Alive() {
		t.Error("two lives of one node are alive")
	}
	if r.Revision() <= was.Revision() {
		t.Errorf("revision %d, the old holder's %d", r.Revision(), was.Revision())
	}
}

func TestNameFreedAtOnceByDeregister(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	old := newSession(t, client, 30*time.Second)
	was, err := registry.Register(t.Context(), client, old, prefix, testNode("n1"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, client, 30*time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := registry.WaitRegister(t.Context(), client, s, prefix, testNode("n1"), 0); err != nil {
			t.Error(err)
		}
	}()
	server.Compact(t) // what is watched for lies ahead of any compaction
	if err := was.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, done, "registered")
}

func TestWaitRegisterEndsWithTheSession(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	old := newSession(t, client, 30*time.Second)
	if _, err := registry.Register(t.Context(), client, old, prefix, testNode("n1")); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, client, 30*time.Second)
	go func() { _ = s.Close(context.WithoutCancel(t.Context())) }()
	if _, err := registry.WaitRegister(t.Context(), client, s, prefix, testNode("n1"), 0); !errors.Is(err, registry.ErrSessionClosed) {
		t.Errorf("%v, want ErrSessionClosed", err)
	}
}

// The transaction is applied and its answer never comes.
func TestAmbiguousRegistration(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	s := newSession(t, direct, 2*time.Second)
	proxy := server.Proxy(t)
	client := etcdtest.NewClient(t, proxy.Endpoint())
	if _, err := client.Get(t.Context(), "k"); err != nil { // connected
		t.Fatal(err)
	}
	proxy.DropResponses()
	type result struct {
		r   *registry.Registration
		err error
	}
	results := make(chan result, 1)
	go func() {
		r, err := registry.Register(t.Context(), client, s, prefix, testNode("n1"))
		results <- result{r, err}
	}()
	etcdtest.Eventually(t, 5*time.Second, func() bool { return len(readKey(t, direct, prefix+"n1").Kvs) == 1 }, "the transaction is applied")
	created := readKey(t, direct, prefix+"n1").Kvs[0].CreateRevision
	proxy.Resume()
	got := <-results
	if got.err != nil {
		t.Fatal(got.err)
	}
	if got.r.Revision() != created {
		t.Errorf("revision %d, want that of the transaction that went unanswered, %d", got.r.Revision(), created)
	}

	// The same once more, given up: registering anew under the same session takes the key over, with the new value.
	node := testNode("n2")
	proxy.DropResponses()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		r, err := registry.Register(ctx, client, s, prefix, node)
		results <- result{r, err}
	}()
	etcdtest.Eventually(t, 5*time.Second, func() bool { return len(readKey(t, direct, prefix+"n2").Kvs) == 1 }, "the transaction is applied")
	cancel()
	if got := <-results; !errors.Is(got.err, context.Canceled) {
		t.Fatalf("given up: %v", got.err)
	}
	node.Capacity = 99
	r, err := registry.Register(t.Context(), direct, s, prefix, node)
	if err != nil {
		t.Fatal(err)
	}
	kv := readKey(t, direct, prefix+"n2").Kvs[0]
	if kv.CreateRevision != r.Revision() || !strings.Contains(string(kv.Value), `"capacity":99`) || kv.Lease != int64(s.Lease()) {
		t.Errorf("taken over: %d, %s; want %d", kv.CreateRevision, kv.Value, r.Revision())
	}
}
