package node_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/handler"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// book is read page by page, from the checkpoint on; each attempt stops at a page that it is given, until its end.
type book struct {
	mu    sync.Mutex
	read  []int // pages, in the order in which they were read
	stops []int // by attempt, from the first
}

type bookParams struct {
	Pages int `json:"pages"`
}

func (b *book) handle(n *node.Node) {
	_, _ = n.Handle("read", handler.Typed(func(ctx context.Context, run jobrunner.Run, params bookParams) error {
		page, _ := strconv.Atoi(string(run.Checkpoint()))
		for page < params.Pages {
			b.mu.Lock()
			stop := run.Attempt <= len(b.stops) && page == b.stops[run.Attempt-1]
			if !stop {
				page++
				b.read = append(b.read, page)
			}
			b.mu.Unlock()
			if stop {
				<-ctx.Done()
				return ctx.Err()
			}
			run.Progress(float64(page)/float64(params.Pages), "page "+strconv.Itoa(page))
			if err := run.SaveCheckpoint(ctx, []byte(strconv.Itoa(page))); err != nil {
				return err
			}
		}
		return run.SetResult(map[string]int{"pages": page})
	}))
}

// finished checks that every page was read once, in order.
func (b *book) finished(t *testing.T, st *store.Store, attempts int) {
	t.Helper()
	s := waitStatus(t, st, "default/book", succeeded)
	run, _, err := st.Run(t.Context(), "default/book", s.LastRun.ID)
	if err != nil {
		t.Fatal(err)
	}
	if run.Attempt != attempts || run.Checkpoint != nil || string(run.Result) != `{"pages":9}` || run.Progress == nil || run.Progress.Fraction != 1 {
		t.Errorf("%+v, progress %+v, result %s", run, run.Progress, run.Result)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, page := range b.read {
		if page != i+1 {
			t.Fatalf("pages %v: want each once, in order", b.read)
		}
	}
	if len(b.read) != 9 {
		t.Errorf("pages %v: want 9", b.read)
	}
}

// saved waits until the record of the book's run has a page as its checkpoint.
func saved(t *testing.T, st *store.Store, page string) {
	t.Helper()
	etcdtest.Eventually(t, 20*time.Second, func() bool {
		s, err := st.Status(t.Context(), "default/book")
		if err != nil || s.LastRun == nil {
			return false
		}
		run, _, err := st.Run(t.Context(), "default/book", s.LastRun.ID)
		return err == nil && string(run.Checkpoint) == page && run.Phase == nightwatch.PhaseRunning
	}, "page %s is saved", page)
}

const bookTask = `{"handler":{"name":"read"},"params":{"pages":9}}`

func TestCheckpointOutlivesALostNode(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	b := &book{stops: []int{3}}
	first := startPeer(t, etcdtest.NewClient(t, proxy.Endpoint()), node.Config{Name: "a", LeaseTTL: 2 * time.Second}, b.handle)
	waitReady(t, first)
	st := store.New(server.Client(t), "")
	put(t, st, "default/book", bookTask)
	saved(t, st, "3")
	proxy.Pause() // as if it had crashed
	second := startPeer(t, server.Client(t), node.Config{Name: "b", LeaseTTL: 2 * time.Second}, b.handle)
	b.finished(t, st, 2)
	waitReady(t, second)
}

func TestCheckpointOutlivesStopsAndRestarts(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	st := store.New(client, "")
	b := &book{stops: []int{2, 4, 7}}
	put(t, st, "default/book", bookTask)
	for _, page := range []string{"2", "4", "7"} {
		n := startPeer(t, client, node.Config{Name: "a", LeaseTTL: 2 * time.Second, DrainTimeout: 10 * time.Millisecond}, b.handle)
		saved(t, st, page)
		n.stop()
		server.Stop()
		server.Restart(t)
	}
	startPeer(t, client, node.Config{Name: "a", LeaseTTL: 2 * time.Second}, b.handle)
	b.finished(t, st, 4)
}

func TestWrongParamFailsTheRunByItsName(t *testing.T) {
	server := etcdtest.Start(t)
	b := &book{}
	n := startPeer(t, server.Client(t), node.Config{Name: "a"}, b.handle)
	waitReady(t, n)
	put(t, n.Store(), "default/book", `{"handler":{"name":"read"},"params":{"pages":"nine"},"retry":{"attempts":3,"backoff":"1h"}}`)
	s := waitStatus(t, n.Store(), "default/book", func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseFailed })
	if run := s.LastRun; run.Reason != nightwatch.ReasonStartRefused || run.Message != `params.pages: "nine": want a whole number (int)` || run.Attempt != 1 {
		t.Errorf("%+v", run)
	}
}
