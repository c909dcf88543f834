package scheduler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/registry"
	"github.com/nightwatch-go/nightwatch/scheduler"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

// echo is a runner that ends when it is told to.
type echo struct {
	mu      sync.Mutex
	started []jobrunner.Run
	hold    chan struct{} // nil: end at once
}

func (e *echo) Name() string { return nightwatch.RunnerProcess }

func (e *echo) Run(ctx context.Context, a *jobrunner.Attempt) jobrunner.Outcome {
	e.mu.Lock()
	e.started = append(e.started, a.Run)
	hold := e.hold
	e.mu.Unlock()
	if hold == nil {
		zero := 0
		return jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded, Output: "hello\n", ExitCode: &zero}
	}
	if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil {
		return jobrunner.Interrupted
	}
	select {
	case <-hold:
		return jobrunner.Outcome{Phase: nightwatch.PhaseSucceeded}
	case <-ctx.Done():
		return jobrunner.Stopped(ctx)
	}
}

func (e *echo) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.started)
}

// term is a term nobody contends for.
type term struct {
	ctx context.Context
	key string
	rev int64
}

func (t term) Revision() int64          { return t.rev }
func (t term) ConfirmedAt() int64       { return t.rev }
func (t term) Context() context.Context { return t.ctx }
func (t term) Guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(t.key), "=", t.rev)
}

// cluster is one scheduler and one worker on a real etcd.
type cluster struct {
	t         testing.TB
	store     *store.Store
	runner    *echo
	client    *clientv3.Client
	scheduler *scheduler.Scheduler
}

func start(t testing.TB) *cluster {
	t.Helper()
	return startWith(t, 64)
}

func startWith(t testing.TB, capacity int) *cluster {
	t.Helper()
	server := etcdtest.Start(t)
	client := server.Client(t)
	c := &cluster{t: t, store: store.New(client, ""), runner: &echo{}, client: client}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	id, err := c.store.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: testWriter{t}})
	s := scheduler.New(c.store, scheduler.Config{Logger: log})
	c.scheduler = s
	work.Go(func() { s.Run(ctx) })
	session, err := registry.NewSession(ctx, client, registry.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(context.WithoutCancel(ctx)) })
	if _, err := registry.Register(ctx, client, session, c.store.Keys().Of(store.Nodes), nightwatch.Node{
		Name: "n1", Session: session.ID(), Runners: []string{"process"}, Capacity: capacity, StartTime: time.Now().UTC(),
	}); err != nil {
		t.Fatal(err)
	}
	worker := jobrunner.NewWorker(jobrunner.Config{
		Store: c.store, ClusterID: id, Node: "n1", Session: session.ID(), Lease: session.Lease(), Life: session.Context(),
		Deadline: session.Deadline, Runners: map[string]jobrunner.Runner{"process": c.runner}, DrainTimeout: time.Second, Logger: log,
	})
	work.Go(func() { worker.Run(ctx) })
	key := c.store.Keys().Election() + "/test"
	put, err := client.Put(ctx, key, "n1", clientv3.WithLease(session.Lease()))
	if err != nil {
		t.Fatal(err)
	}
	work.Go(func() { _ = s.Lead(ctx, term{ctx, key, put.Header.Revision}) })
	return c
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

func (c *cluster) put(task, value string) {
	c.t.Helper()
	if _, err := c.client.Put(c.t.Context(), c.store.Keys().Task(task), value); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) wait(task string, done func(*nightwatch.Status) bool) *nightwatch.Status {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	status, err := c.store.Wait(ctx, task, done)
	if err != nil {
		text, _ := json.Marshal(status)
		c.t.Fatalf("%s: %v; status %s", task, err, text)
	}
	return status
}

func phase(want nightwatch.Phase) func(*nightwatch.Status) bool {
	return func(s *nightwatch.Status) bool { return s != nil && s.Phase == want }
}

const hello = `{"process":{"command":["echo","hello"]}}`

func TestSubmittedTaskRuns(t *testing.T) {
	c := start(t)
	c.put("default/hello", hello)
	s := c.wait("default/hello", func(s *nightwatch.Status) bool {
		return s != nil && s.Phase == nightwatch.PhaseSucceeded && s.Counts.Succeeded == 1
	})
	if s.LastRun == nil || s.LastRun.Output != "hello\n" || s.LastRun.ID != fmt.Sprintf("rev-%d", s.UID) {
		t.Errorf("last run %+v", s.LastRun)
	}
}

func TestEveryPutIsASubmission(t *testing.T) {
	c := start(t)
	for n := int64(1); n <= 3; n++ {
		c.put("default/hello", hello)
		c.wait("default/hello", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded == n })
	}
	if n := c.runner.count(); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	c := start(t)
	c.runner.hold = make(chan struct{})
	c.put("default/hello", hello)
	c.wait("default/hello", phase(nightwatch.PhaseRunning))
	if _, err := c.store.Delete(t.Context(), "default/hello"); err != nil {
		t.Fatal(err)
	}
	c.wait("default/hello", func(s *nightwatch.Status) bool { return s == nil })
	left, err := c.client.Get(t.Context(), "/nightwatch/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range left.Kvs {
		switch kind, _, _ := c.store.Keys().Parse(string(kv.Key)); kind {
		case store.Meta, store.Nodes, store.Election:
		default:
			t.Errorf("%s is left", kv.Key)
		}
	}
}

func TestBadValueGetsItsVerdict(t *testing.T) {
	c := start(t)
	c.put("default/bad", `{"process":{"command":["true"]},"schedule":"61 * * * *"}`)
	s := c.wait("default/bad", phase(nightwatch.PhaseInvalid))
	if s.Accepted || len(s.Errors) != 1 || s.Errors[0].Field != "schedule" {
		t.Errorf("%+v", s)
	}
	c.put("hello", hello)
	s = c.wait("hello", phase(nightwatch.PhaseInvalid))
	if raw, err := c.client.Get(t.Context(), c.store.Keys().Status("hello")); err != nil || !strings.Contains(string(raw.Kvs[0].Value), "tasks/<namespace>/<task>") {
		t.Errorf("not for people to read: %v %s", err, raw.Kvs[0].Value)
	}
	if len(s.Errors) != 1 || s.Errors[0].Field != "key" {
		t.Errorf("%+v", s)
	}
	if _, err := c.client.Delete(t.Context(), c.store.Keys().Task("hello")); err != nil {
		t.Fatal(err)
	}
	c.wait("hello", func(s *nightwatch.Status) bool { return s == nil })
}

func TestRecurringTaskRunsAndSkips(t *testing.T) {
	c := start(t)
	c.put("default/often", `{"process":{"command":["true"]},"every":"200ms","history":{"succeeded":2}}`)
	s := c.wait("default/often", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded >= 6 })
	if s.Counts.Missed+s.Counts.Failed != 0 {
		t.Errorf("counts %+v", s.Counts)
	}
	c.runner.mu.Lock()
	c.runner.hold = make(chan struct{})
	c.runner.mu.Unlock()
	s = c.wait("default/often", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Skipped >= 3 })
	if s.ActiveCount != 1 {
		t.Errorf("%d live runs, want 1", s.ActiveCount)
	}
}

func TestRequests(t *testing.T) {
	c := start(t)
	c.put("default/yearly", `{"process":{"command":["true"]},"schedule":"0 0 1 1 *"}`)
	c.wait("default/yearly", phase(nightwatch.PhaseScheduled))
	ask := func(id string, r nightwatch.Request) nightwatch.Verdict {
		t.Helper()
		if err := c.store.Request(t.Context(), "default/yearly", id, r); err != nil {
			t.Fatal(err)
		}
		v, err := c.store.WaitVerdict(t.Context(), "default/yearly", id)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := ask("a", nightwatch.Request{Action: "run"}); !v.Accepted || v.Run != "req-a" {
		t.Errorf("run: %+v", v)
	}
	c.wait("default/yearly", func(s *nightwatch.Status) bool { return s.Counts.Succeeded == 1 })
	ask("a", nightwatch.Request{Action: "run"})
	c.runner.mu.Lock()
	c.runner.hold = make(chan struct{})
	c.runner.mu.Unlock()
	if v := ask("b", nightwatch.Request{Action: "run"}); !v.Accepted {
		t.Errorf("run: %+v", v)
	}
	if v := ask("c", nightwatch.Request{Action: "run"}); v.Accepted {
		t.Errorf("a second run at the same time: %+v", v)
	}
	etcdtest.Eventually(t, 30*time.Second, func() bool { return c.runner.count() == 2 }, "req-b being started")
	if v := ask("d", nightwatch.Request{Action: "cancel", By: "me"}); !v.Accepted || v.Run != "req-b" {
		t.Errorf("cancel: %+v", v)
	}
	s := c.wait("default/yearly", func(s *nightwatch.Status) bool { return s.Counts.Canceled == 1 })
	if s.LastRun.Cancel == nil || s.LastRun.Cancel.By != "me" || s.Counts.Succeeded != 1 {
		t.Errorf("%+v", s)
	}
	if n := c.runner.count(); n != 2 {
		t.Errorf("%d runs, want 2", n)
	}
}

func TestFreezeHoldsAndLockHolds(t *testing.T) {
	c := start(t)
	if err := c.store.Freeze(t.Context(), "default", nightwatch.Freeze{By: "me"}); err != nil {
		t.Fatal(err)
	}
	c.put("default/hello", hello)
	s := c.wait("default/hello", phase(nightwatch.PhaseSuspended))
	if s.Reason != nightwatch.ReasonFrozen {
		t.Errorf("%+v", s)
	}
	if _, err := c.client.Put(t.Context(), c.store.Keys().LocksOf("default/hello")+"abc", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.store.Unfreeze(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	c.wait("default/hello", func(s *nightwatch.Status) bool { return s.Reason == nightwatch.ReasonLocked })
	if n := c.runner.count(); n != 0 {
		t.Errorf("%d runs, want none", n)
	}
	if _, err := c.client.Delete(t.Context(), c.store.Keys().LocksOf("default/hello")+"abc"); err != nil {
		t.Fatal(err)
	}
	c.wait("default/hello", phase(nightwatch.PhaseSucceeded))
}

// Runs that wait for room all get it, those that meanwhile must not start notwithstanding.
func TestWaitingRunsGetRoom(t *testing.T) {
	c := startWith(t, 4)
	hold := make(chan struct{})
	c.runner.hold = hold
	const each = 60
	for i := range each {
		c.put(fmt.Sprintf("a/t%d", i), hello)
		c.put(fmt.Sprintf("b/t%d", i), hello)
	}
	waits := func(s *nightwatch.Status) bool {
		return s != nil && (s.Phase == nightwatch.PhaseRunning || s.Reason == nightwatch.ReasonNoCapacity)
	}
	for i := range each {
		c.wait(fmt.Sprintf("a/t%d", i), waits)
		c.wait(fmt.Sprintf("b/t%d", i), waits)
	}
	if err := c.store.Freeze(t.Context(), "b", nightwatch.Freeze{}); err != nil {
		t.Fatal(err)
	}
	close(hold)
	for i := range each {
		c.wait(fmt.Sprintf("a/t%d", i), phase(nightwatch.PhaseSucceeded))
	}
	if _, err := c.store.Unfreeze(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	for i := range each {
		c.wait(fmt.Sprintf("b/t%d", i), phase(nightwatch.PhaseSucceeded))
	}
	if n := c.runner.count(); n != 2*each {
		t.Errorf("%d runs, want %d", n, 2*each)
	}
}

// A freeze that ends by itself does not take the occurrence that falls on its end.
func TestFreezeEndsBeforeWhatIsDueAtItsEnd(t *testing.T) {
	c := start(t)
	until := time.Now().Add(2 * time.Second).Truncate(time.Second).UTC()
	if err := c.store.Freeze(t.Context(), "default", nightwatch.Freeze{Until: until}); err != nil {
		t.Fatal(err)
	}
	c.put("default/often", `{"process":{"command":["true"]},"every":"500ms","history":{"succeeded":100},"catchUp":{"mode":"all"},"overlap":"allow"}`)
	c.wait("default/often", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded >= 2 })
	run, _, err := c.store.Run(t.Context(), "default/often", nightwatch.ScheduledRunID(until))
	if err != nil || run.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("the run of %s: %v %+v", until, err, run)
	}
	if freezes, err := c.client.Get(t.Context(), c.store.Keys().Of(store.Freezes), clientv3.WithPrefix()); err != nil || freezes.Count > 0 {
		t.Errorf("%v, %v", freezes, err)
	}
}
