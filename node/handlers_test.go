package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

func nothing(context.Context, jobrunner.Run) error { return nil }

// waitHandlers waits until the cluster sees that a node has these handlers, and no others.
func waitHandlers(t *testing.T, st *store.Store, name string, want ...string) {
	t.Helper()
	etcdtest.Eventually(t, 20*time.Second, func() bool {
		nodes, err := st.Nodes(t.Context())
		return err == nil && slices.Equal(nodes[name].Handlers, want)
	}, "%s has the handlers %q", name, want)
}

// A handler is registered, taken away and registered again while its node runs: its tasks wait, and go on.
func TestHandlersComeAndGo(t *testing.T) {
	server := etcdtest.Start(t)
	n := startPeer(t, server.Client(t), node.Config{Name: "n1"})
	waitReady(t, n)
	st := n.Store()
	for _, task := range []string{"default/first", "default/second"} {
		put(t, st, task, `{"handler":{"name":"work"}}`)
		waitStatus(t, st, task, func(s *nightwatch.Status) bool {
			return s != nil && s.Phase == nightwatch.PhasePending && s.Reason == nightwatch.ReasonNoFittingNode
		})
		remove, err := n.Handle("work", nothing)
		if err != nil {
			t.Fatal(err)
		}
		waitHandlers(t, st, "n1", "work")
		waitStatus(t, st, task, succeeded)
		remove()
		waitHandlers(t, st, "n1")
	}
}

// A handler that is taken away while it is at work ends its work.
func TestHandlerTakenAwayAtWork(t *testing.T) {
	server := etcdtest.Start(t)
	n := startPeer(t, server.Client(t), node.Config{Name: "n1"})
	waitReady(t, n)
	called, release := make(chan struct{}), make(chan struct{})
	remove, err := n.Handle("work", func(context.Context, jobrunner.Run) error {
		close(called)
		<-release
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, n.Store(), "default/work", `{"handler":{"name":"work"}}`)
	<-called
	remove()
	waitHandlers(t, n.Store(), "n1")
	close(release)
	waitStatus(t, n.Store(), "default/work", succeeded)
}

// Two nodes have the same handlers; on one of them some are switched off, whether they are there before it starts or
// come later.
func TestDisabledHandlers(t *testing.T) {
	server := etcdtest.Start(t)
	handle := func(name string) func(*node.Node) {
		return func(n *node.Node) {
			if _, err := n.Handle(name, nothing); err != nil {
				t.Error(err)
			}
		}
	}
	a := startPeer(t, server.Client(t), node.Config{Name: "a", DisabledHandlers: []string{"mail", "later"}}, handle("mail"), handle("resize"))
	waitReady(t, a)
	st := a.Store()
	put(t, st, "default/mail", `{"handler":{"name":"mail"}}`)
	waitStatus(t, st, "default/mail", func(s *nightwatch.Status) bool {
		return s != nil && s.Phase == nightwatch.PhasePending && s.Reason == nightwatch.ReasonNoFittingNode
	})
	handle("later")(a.Node)
	handle("now")(a.Node)
	waitHandlers(t, st, "a", "now", "resize")
	b := startPeer(t, server.Client(t), node.Config{Name: "b"}, handle("mail"), handle("resize"))
	waitReady(t, b)
	if s := waitStatus(t, st, "default/mail", succeeded); s.LastRun.Node != "b" {
		t.Errorf("ran on %q", s.LastRun.Node)
	}
	if _, err := node.New(server.Client(t), node.Config{Name: "c", DisabledHandlers: []string{""}}); err == nil {
		t.Error("a handler without a name was switched off")
	}
}
