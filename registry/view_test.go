package registry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/registry"
)

// runView runs a view until the test ends.
func runView(t *testing.T, client *clientv3.Client, resync time.Duration) *registry.View {
	t.Helper()
	v, err := registry.NewView(client, registry.ViewConfig{Prefix: prefix, Resync: resync, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := v.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return v
}

func names(v *registry.View) string {
	var names []string
	for _, entry := range v.Nodes() {
		names = append(names, entry.Name)
	}
	return strings.Join(names, " ")
}

func wantNames(t *testing.T, v *registry.View, want string) {
	t.Helper()
	etcdtest.Eventually(t, 10*time.Second, func() error {
		if got := names(v); got != want {
			return fmt.Errorf("there are %q", got)
		}
		return nil
	}, "want nodes %q", want)
}

func TestView(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 5*time.Second)
	b, err := registry.Register(t.Context(), client, s, prefix, testNode("b"))
	if err != nil {
		t.Fatal(err)
	}
	v := runView(t, client, time.Hour)
	if err := v.WaitRevision(t.Context(), b.Revision()); err != nil {
		t.Fatal(err)
	}
	<-v.Changed()
	if got := names(v); got != "b" {
		t.Errorf("nodes %q, want b", got)
	}
	if _, err := registry.Register(t.Context(), client, s, prefix, testNode("a")); err != nil {
		t.Fatal(err)
	}
	<-v.Changed()
	wantNames(t, v, "a b")

	if err := b.Update(t.Context(), func(n *nightwatch.Node) { n.Handlers = []string{"h"} }); err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, 5*time.Second, func() bool {
		entry := v.Nodes()[1]
		return slices.Equal(entry.Handlers, []string{"h"}) && entry.CreateRevision == b.Revision() && entry.ModRevision > b.Revision()
	}, "the update is seen")
	v.Nodes()[1].Handlers[0] = "scribbled"
	if got := v.Nodes()[1].Handlers[0]; got != "h" {
		t.Errorf("a caller changed the view: %q", got)
	}

	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantNames(t, v, "")
	if age := v.Age(); age > 10*time.Second {
		t.Errorf("age %s", age)
	}
	// A revision that no node's key brought about is reached by listing.
	put, err := client.Put(t.Context(), "elsewhere", "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.WaitRevision(t.Context(), put.Header.Revision); err != nil {
		t.Fatal(err)
	}
	if got := v.Revision(); got < put.Header.Revision {
		t.Errorf("revision %d, want %d or more", got, put.Header.Revision)
	}
}

func TestViewLeavesOutWhatIsNoNode(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 5*time.Second)
	put := func(key, value string, options ...clientv3.OpOption) {
		t.Helper()
		if _, err := client.Put(t.Context(), prefix+key, value, options...); err != nil {
			t.Fatal(err)
		}
	}
	leased := clientv3.WithLease(s.Lease())
	bad := func(suffix string) {
		put("json"+suffix, "{", leased)
		put("empty"+suffix, "", leased)
		put("list"+suffix, "[1]", leased)
		put("type"+suffix, `{"name":"type`+suffix+`","session":"`+s.ID()+`","capacity":"many"}`, leased)
		put("name"+suffix, `{"name":"good","session":"`+s.ID()+`"}`, leased)
		put("session"+suffix, `{"name":"session`+suffix+`","session":"1"}`, leased)
		put("noLease"+suffix, `{"name":"nolease`+suffix+`","session":"`+s.ID()+`"}`)
		put("nolease"+suffix, `{"name":"nolease`+suffix+`","session":"`+s.ID()+`"}`)
		put("a/b"+suffix, `{"name":"a/b`+suffix+`","session":"`+s.ID()+`"}`, leased)
		put("", `{}`, leased)
	}
	bad("1") // listed
	v := runView(t, client, time.Hour)
	etcdtest.Eventually(t, 5*time.Second, func() bool { return v.Revision() > 0 }, "listed")
	bad("2") // watched
	good, err := registry.Register(t.Context(), client, s, prefix, testNode("good"))
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, v, "good")
	// A good one that turns bad is left out, and is back when it is good again.
	put("good", "rubbish")
	wantNames(t, v, "")
	if err := good.Update(t.Context(), func(n *nightwatch.Node) { n.Capacity++ }); err != nil {
		t.Fatal(err)
	}
	wantNames(t, v, "good")
}

func TestViewSurvivesCompactionAndRestart(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	s := newSession(t, direct, 60*time.Second)
	register := func(name string) *registry.Registration {
		t.Helper()
		r, err := registry.Register(t.Context(), direct, s, prefix, testNode(name))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := register("a")
	proxy := server.Proxy(t)
	v := runView(t, etcdtest.NewClient(t, proxy.Endpoint()), time.Hour)
	wantNames(t, v, "a")

	// While the view is cut off, a node goes, one comes, and the history of it is compacted away.
	proxy.Refuse()
	if err := a.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	register("b")
	if _, err := direct.Put(t.Context(), "elsewhere", "x"); err != nil {
		t.Fatal(err)
	}
	server.Compact(t)
	if got := names(v); got != "a" {
		t.Fatalf("nodes %q: the view was not cut off", got)
	}
	proxy.Resume()
	wantNames(t, v, "b")

	server.Restart(t)
	etcdtest.Eventually(t, 10*time.Second, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := direct.Get(ctx, "k")
		return err
	}, "etcd is back")
	register("c")
	wantNames(t, v, "b c")
}

func TestViewAgesWhenEtcdIsSilent(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	v := runView(t, etcdtest.NewClient(t, proxy.Endpoint()), 100*time.Millisecond)
	etcdtest.Eventually(t, 5*time.Second, func() bool { return v.Age() < time.Second }, "fresh")
	proxy.Pause()
	etcdtest.Eventually(t, 10*time.Second, func() bool { return v.Age() > 2*time.Second }, "ages")
	proxy.Resume()
	etcdtest.Eventually(t, 20*time.Second, func() bool { return v.Age() < time.Second }, "fresh again")
}

func TestViewHealsADeafWatch(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 30*time.Second)
	deaf := clientv3.NewCtxClient(t.Context())
	deaf.KV, deaf.Watcher = client.KV, deafWatcher{client.Watcher}
	v := runView(t, deaf, 200*time.Millisecond)
	etcdtest.Eventually(t, 5*time.Second, func() bool { return v.Revision() > 0 }, "listed")
	if _, err := registry.Register(t.Context(), client, s, prefix, testNode("a")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, v, "a")
}

// deafWatcher is a watch that never tells anything.
type deafWatcher struct{ clientv3.Watcher }

func (deafWatcher) Watch(context.Context, string, ...clientv3.OpOption) clientv3.WatchChan {
	return make(chan clientv3.WatchResponse)
}

func TestViewConfig(t *testing.T) {
	client := clientv3.NewCtxClient(t.Context())
	if _, err := registry.NewView(client, registry.ViewConfig{Prefix: "/nightwatch/nodes"}); err == nil {
		t.Error("no error for a prefix without a slash at its end")
	}
	if _, err := registry.NewView(nil, registry.ViewConfig{Prefix: prefix}); err == nil {
		t.Error("no error without a client")
	}
	v, err := registry.NewView(client, registry.ViewConfig{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	if age := v.Age(); age < time.Hour {
		t.Errorf("age %s before the first listing", age)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := v.Run(ctx); err == nil {
		t.Error("ran twice")
	}
}
