package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

// services is the world in which the runner's effects happen: a request that is being answered is one that is live.
type services struct {
	*httptest.Server

	mu      sync.Mutex
	started map[string]int
	live    map[string]bool
	told    map[string][]string
}

func startServices(t *testing.T) *services {
	s := &services{started: map[string]int{}, live: map[string]bool{}, told: map[string][]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *services) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if user, password, _ := request.BasicAuth(); user != "batch" || password != "secret" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	run := request.Header.Get("Nightwatch-Run")
	s.mu.Lock()
	s.started[run]++
	s.live[run] = true
	for name, values := range request.Header {
		s.told[run] = append(s.told[run], strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+values[0])
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.live[run] = false
	}()
	switch kind := runnertest.Kind(request.URL.Path[1:]); kind {
	case runnertest.Fail:
		w.WriteHeader(http.StatusTeapot)
	case runnertest.Permanent:
		w.WriteHeader(http.StatusGone)
	case runnertest.Retryable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case runnertest.Big:
		fmt.Fprint(w, strings.Repeat("x", 1<<20), runnertest.BigEnd)
	default:
		fmt.Fprintln(w, "hello")
		w.(http.Flusher).Flush()
		if kind == runnertest.Live {
			<-request.Context().Done()
		}
	}
}

func TestConformance(t *testing.T) {
	world := startServices(t)
	runnertest.Run(t, runnertest.Subject{
		New: func(tb testing.TB) jobrunner.Runner {
			r := newCaller("batch", "secret")
			tb.Cleanup(r.client.CloseIdleConnections)
			return r
		},
		Task: func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task {
			return &nightwatch.Task{HTTP: &nightwatch.HTTPSpec{URL: world.URL + "/" + string(kind)}}
		},
		Started: func(run jobrunner.Run) int { world.mu.Lock(); defer world.mu.Unlock(); return world.started[run.ID] },
		Live:    func(run jobrunner.Run) bool { world.mu.Lock(); defer world.mu.Unlock(); return world.live[run.ID] },
		Told: func(run jobrunner.Run) jobrunner.Run {
			world.mu.Lock()
			defer world.mu.Unlock()
			return runnertest.Told(t, world.told[run.ID])
		},
		Says: "hello\n",
	})
}

// TestProgram puts a task that the platform's node does.
func TestProgram(t *testing.T) {
	world, server, caller := startServices(t), etcdtest.Start(t), newCaller("batch", "secret")
	t.Cleanup(caller.client.CloseIdleConnections)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, server.Endpoint(), caller) }()
	st := store.New(server.Client(t), "/platform/nightwatch/")
	if _, err := st.Put(t.Context(), "default/ping", []byte(`{"http":{"url":"`+world.URL+`/succeed"}}`)); err != nil {
		t.Fatal(err)
	}
	waiting, enough := context.WithTimeout(t.Context(), 30*time.Second)
	defer enough()
	status, err := st.Wait(waiting, "default/ping", func(s *nightwatch.Status) bool { return s != nil && s.Phase.Terminal() })
	if err != nil || status.Phase != nightwatch.PhaseSucceeded || status.LastRun.Output != "hello\n" || status.LastRun.Node != "platform" {
		t.Errorf("%v: %+v", err, status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
