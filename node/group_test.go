package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// groupPeer is a node with three tasks: one that adds up, one that fails, and one that goes on until it is ended.
func groupPeer(t *testing.T, working chan string, ended chan<- error) *peer {
	n := startPeer(t, etcdtest.Start(t).Client(t), node.Config{Name: "n1"}, func(n *node.Node) {
		for name, fn := range map[string]func(context.Context, jobrunner.Run) error{
			"add": func(_ context.Context, run jobrunner.Run) error { return run.SetResult(run.Params["n"]) },
			"fail": func(_ context.Context, run jobrunner.Run) error {
				<-working // not before the long one works
				return errors.New("no paper")
			},
			"long": func(ctx context.Context, run jobrunner.Run) error {
				working <- run.ID
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return ctx.Err()
			},
		} {
			if _, err := n.Handle(name, fn); err != nil {
				t.Error(err)
			}
		}
	})
	waitReady(t, n)
	for _, name := range []string{"add", "fail", "long"} {
		// Of a run that ends nothing is left but what its key's past tells.
		put(t, n.Store(), "default/"+name, `{"handler":{"name":"`+name+`"},"schedule":"0 0 1 1 *","history":{"succeeded":0},"overlap":"allow"}`)
	}
	return n
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestGroupSucceeds(t *testing.T) {
	n := groupPeer(t, nil, nil)
	g := store.Group{ID: "sum", By: "me"}
	for _, n := range []string{"1", "2", "3"} {
		g.Members = append(g.Members, store.Member{Task: "default/add", Params: map[string]json.RawMessage{"n": json.RawMessage(n)}})
	}
	for range 2 { // the second time nothing starts any more
		ends, err := n.Store().RunGroup(within(t), g)
		if err != nil {
			t.Fatal(err)
		}
		for i, end := range ends {
			if want := string(g.Members[i].Params["n"]); string(end.Record.Result) != want || end.Err != nil {
				t.Errorf("%+v: want the result %s", end, want)
			}
		}
	}
	waitStatus(t, n.Store(), "default/add", func(s *nightwatch.Status) bool { return s.Counts.Succeeded == 3 })
}

func TestGroupEndsWhenOneFails(t *testing.T) {
	working, ended := make(chan string), make(chan error, 1)
	n := groupPeer(t, working, ended)
	ends, err := n.Store().RunGroup(within(t), store.Group{ID: "g", Members: []store.Member{{Task: "default/long"}, {Task: "default/fail"}}})
	if err == nil || err.Error() != `group "g": run req-g-1 of default/fail: Failed, HandlerError, no paper` {
		t.Error(err)
	}
	if ends[0].Record.Phase != nightwatch.PhaseCanceled || ends[0].Record.Cancel.Why != "group g is canceled" || ends[1].Record.Phase != nightwatch.PhaseFailed {
		t.Errorf("%+v", ends)
	}
	if cause := <-ended; !errors.Is(cause, jobrunner.ErrCancel) {
		t.Error(cause)
	}
}

func TestGroupEndsWithItsContext(t *testing.T) {
	working, ended := make(chan string), make(chan error, 1)
	n := groupPeer(t, working, ended)
	ctx, cancel := context.WithCancelCause(within(t))
	closing := errors.New("closing time")
	go func() {
		<-working
		cancel(closing)
	}()
	if _, err := n.Store().RunGroup(ctx, store.Group{ID: "g", Members: []store.Member{{Task: "default/long"}}}); !errors.Is(err, closing) {
		t.Error(err)
	}
	if cause := <-ended; !errors.Is(cause, jobrunner.ErrCancel) {
		t.Error(cause)
	}
	waitStatus(t, n.Store(), "default/long", func(s *nightwatch.Status) bool { return s.Counts.Canceled == 1 })
}
