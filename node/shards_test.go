package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// parts is a handler for shards that writes down who did what.
type parts struct {
	mu   sync.Mutex
	done []string // "<node>: <run> <shard>/<shards> <param>", in order of their starts
	// work is what a shard does after that.
	work func(ctx context.Context, node string, run jobrunner.Run) error
}

func (p *parts) on(t testing.TB, name string) func(*node.Node) {
	return func(n *node.Node) {
		if _, err := n.Handle("part", func(ctx context.Context, run jobrunner.Run) error {
			p.mu.Lock()
			p.done = append(p.done, fmt.Sprintf("%s: %s %d/%d %s", name, run.ID, run.Shard, run.Shards, run.ShardParam))
			p.mu.Unlock()
			if p.work == nil {
				return nil
			}
			return p.work(ctx, name, run)
		}); err != nil {
			t.Error(err)
		}
	}
}

func (p *parts) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.done)
}

// byNode counts what nodes did.
func (p *parts) byNode() map[string]int {
	counts := map[string]int{}
	for _, line := range p.all() {
		name, _, _ := strings.Cut(line, ":")
		counts[name]++
	}
	return counts
}

// ended waits until no run of a task is live and returns the last one.
func ended(t testing.TB, st *store.Store, task string) *nightwatch.Run {
	t.Helper()
	status := waitStatus(t, st, task, func(s *nightwatch.Status) bool {
		return s != nil && s.ActiveCount == 0 && s.LastRun != nil && !s.LastRun.Live()
	})
	run, _, err := st.Run(t.Context(), task, status.LastRun.ID)
	if err != nil {
		t.Fatal(err)
	}
	return &run
}

func request(t testing.TB, st *store.Store, task, id string, r nightwatch.Request) nightwatch.Verdict {
	t.Helper()
	if err := st.Request(t.Context(), task, id, r); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	verdict, err := st.WaitVerdict(ctx, task, id)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

// Four shards on two nodes: each is told its number and its param, one fails, and that one alone has a second chance.
func TestShardsOverTwoNodes(t *testing.T) {
	server := etcdtest.Start(t)
	both := make(chan struct{}) // two shards on each node at a time
	var begun sync.WaitGroup
	begun.Add(4)
	p := &parts{work: func(ctx context.Context, _ string, run jobrunner.Run) error {
		if run.Attempt == 1 && !strings.HasPrefix(run.ID, "req-") {
			begun.Done()
		}
		select {
		case <-both:
		case <-ctx.Done():
			return ctx.Err()
		}
		if run.Shard == 2 && !strings.HasPrefix(run.ID, "req-") {
			return errors.New("no luck")
		}
		return run.SetResult(map[string]int{"rows": 10 * run.Shard})
	}}
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, p.on(t, "a"))
	b := startPeer(t, server.Client(t), node.Config{Name: "b"}, p.on(t, "b"))
	waitReady(t, a, b)
	st := a.Store()
	put(t, st, "default/import", `{"handler":{"name":"part"},"shardParams":["eu","us",{"region":"asia"},null]}`)
	begun.Wait()
	waitStatus(t, st, "default/import", func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseRunning })
	close(both)
	run := ended(t, st, "default/import")
	if run.Phase != nightwatch.PhaseFailed || run.Reason != nightwatch.ReasonShardFailed || run.Shards.Succeeded != "0-1,3" || run.Shards.Failed != "2" ||
		!strings.HasPrefix(run.Message, "shard 2 of 4 failed: 2: HandlerError on node ") {
		t.Errorf("%+v, %+v", run, run.Shards)
	}
	if len(run.Shards.Results) != 3 || string(run.Shards.Results[3]) != `{"rows":30}` {
		t.Errorf("%v", run.Shards.Results)
	}
	if counts := p.byNode(); counts["a"] != 2 || counts["b"] != 2 {
		t.Errorf("%v", counts)
	}
	for k, param := range []string{`"eu"`, `"us"`, `{"region":"asia"}`, `null`} {
		want := fmt.Sprintf(": %s.%d %d/4 %s", run.ID, k, k, param)
		if n := len(slices.DeleteFunc(p.all(), func(line string) bool { return !strings.HasSuffix(line, want) })); n != 1 {
			t.Errorf("%q was done %d times: %q", want, n, p.all())
		}
	}
	if v := request(t, st, "default/import", "again", nightwatch.Request{Action: nightwatch.ActionRetry, Shards: nightwatch.FailedShards}); !v.Accepted || v.Run != "req-again" {
		t.Fatalf("%+v", v)
	}
	again := ended(t, st, "default/import")
	if again.ID != "req-again" || again.Phase != nightwatch.PhaseSucceeded || again.Shards.Succeeded != "2" || again.RetryOf != run.ID {
		t.Errorf("%+v, %+v", again, again.Shards)
	}
	if done := p.all(); len(done) != 5 || !strings.HasSuffix(done[4], `: req-again.2 2/4 {"region":"asia"}`) {
		t.Errorf("%q", done)
	}
	etcdtest.Eventually(t, 20*time.Second, func() bool {
		first, _, err := st.Run(t.Context(), "default/import", run.ID)
		return err == nil && first.ResolvedBy == "req-again" && first.Phase == nightwatch.PhaseFailed
	}, "the first run is made good")
	waitStatus(t, st, "default/import", func(s *nightwatch.Status) bool {
		return s != nil && s.Counts == nightwatch.Counts{Succeeded: 1, Failed: 1}
	})
}

// A node dies in mid-run: its shards are done again by the other, the others not.
func TestShardsOfANodeThatDies(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	dead := make(chan struct{})
	begun := make(chan string, 20)
	p := &parts{work: func(ctx context.Context, name string, run jobrunner.Run) error {
		begun <- name
		if name == "a" || run.Attempt > 1 {
			<-dead
			return nil
		}
		<-ctx.Done() // it ends with its node
		return ctx.Err()
	}}
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, p.on(t, "a"))
	waitReady(t, a)
	b := startPeer(t, etcdtest.NewClient(t, proxy.Endpoint()), node.Config{Name: "b", LeaseTTL: 2 * time.Second, NoScheduler: true}, p.on(t, "b"))
	waitReady(t, b)
	put(t, a.Store(), "default/import", `{"handler":{"name":"part"},"shards":4}`)
	for range 4 {
		<-begun
	}
	proxy.Pause()
	for range 2 { // the shards of b, anew
		if name := <-begun; name != "a" {
			t.Errorf("begun on %s", name)
		}
	}
	close(dead)
	run := ended(t, a.Store(), "default/import")
	if run.Phase != nightwatch.PhaseSucceeded || run.Shards.Succeeded != "0-3" {
		t.Errorf("%+v, %+v", run, run.Shards)
	}
	if counts := p.byNode(); counts["a"] != 4 || counts["b"] != 2 {
		t.Errorf("%v: %q", counts, p.all())
	}
	proxy.Resume()
}

// The scheduler died when the run was on record and none of its shards: the next one makes them.
func TestShardsAreMadeByASuccessor(t *testing.T) {
	server := etcdtest.Start(t)
	st := store.New(server.Client(t), "")
	value := `{"handler":{"name":"part"},"shards":20}`
	revision, err := st.Put(t.Context(), "default/import", []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	task, err := nightwatch.ParseTask("default/import", []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	accepted := nightwatch.Accepted{Key: "default/import", Revision: revision, UID: revision, Since: time.Now().UTC(), Task: *task}
	run := nightwatch.Run{
		ID: nightwatch.SubmittedRunID(revision), Task: "default/import", TaskUID: revision, TaskRevision: revision, Phase: nightwatch.PhasePending,
		NominalTime: time.Now().UTC(), CreateTime: time.Now().UTC(), Attempt: 1, Runner: nightwatch.RunnerHandler,
		Shards: &nightwatch.RunShards{Count: 20}, Submitted: &accepted,
	}
	keys := st.Keys()
	var txn store.Txn
	for key, value := range map[string]any{
		keys.Accepted("default/import"): accepted,
		keys.Status("default/import"): nightwatch.Status{
			Phase: nightwatch.PhasePending, Accepted: true, ObservedRevision: revision, AcceptedRevision: revision, UID: revision,
			SubmittedRevision: revision, CreateTime: time.Now().UTC(), ActiveCount: 1, Active: []string{run.ID},
		},
		keys.Run("default/import", run.ID): run,
	} {
		data, err := nightwatch.Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		txn.Put(key, data)
	}
	if _, err := st.Commit(t.Context(), &txn); err != nil {
		t.Fatal(err)
	}
	p := &parts{}
	a := startPeer(t, server.Client(t), node.Config{Name: "a"}, p.on(t, "a"))
	waitReady(t, a)
	if run := ended(t, st, "default/import"); run.Phase != nightwatch.PhaseSucceeded || run.Shards.Succeeded != "0-19" {
		t.Errorf("%+v, %+v", run, run.Shards)
	}
	if done := p.all(); len(done) != 20 {
		t.Errorf("%d were done: %q", len(done), done)
	}
}

// One shard on each of three nodes, whatever their load, and none on a fourth that has another label.
func TestPerNodeOnThreeNodes(t *testing.T) {
	server := etcdtest.Start(t)
	p := &parts{work: func(ctx context.Context, _ string, run jobrunner.Run) error {
		if run.Task == "long" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	var peers []*peer
	for name, labels := range map[string]map[string]string{"a": {"disk": "ssd"}, "b": {"disk": "ssd"}, "c": {"disk": "ssd"}, "d": {"disk": "hdd"}} {
		peers = append(peers, startPeer(t, server.Client(t), node.Config{Name: name, Labels: labels}, p.on(t, name)))
	}
	waitReady(t, peers...)
	st := peers[0].Store()
	put(t, st, "default/trim", `{"handler":{"name":"part"},"shards":"per-node","runsOn":"disk=ssd"}`)
	run := ended(t, st, "default/trim")
	if run.Phase != nightwatch.PhaseSucceeded || run.Shards.Succeeded != "0-2" || !slices.Equal(run.Shards.Nodes, []string{"a", "b", "c"}) {
		t.Errorf("%+v, %+v", run, run.Shards)
	}
	done := p.all()
	slices.Sort(done)
	want := []string{"a: " + run.ID + `.0 0/3 "a"`, "b: " + run.ID + `.1 1/3 "b"`, "c: " + run.ID + `.2 2/3 "c"`}
	if !slices.Equal(done, want) {
		t.Errorf("%q, want %q", done, want)
	}
	// All of it is canceled at once, and the task can be removed with it.
	put(t, st, "default/long", `{"handler":{"name":"part"},"shards":"per-node"}`)
	waitStatus(t, st, "default/long", func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseRunning })
	if _, err := st.Delete(t.Context(), "default/long"); err != nil {
		t.Fatal(err)
	}
	waitStatus(t, st, "default/long", func(s *nightwatch.Status) bool { return s == nil })
	runs, err := st.Runs(t.Context(), "default/long")
	if err != nil || len(runs) != 0 {
		t.Errorf("%v, %v", slices.Collect(maps.Keys(runs)), err)
	}
}

// Canceling a run ends all its shards, those that wait for a node too.
func TestCancelOfARunOfShards(t *testing.T) {
	server := etcdtest.Start(t)
	begun := make(chan struct{}, 100)
	p := &parts{work: func(ctx context.Context, _ string, _ jobrunner.Run) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	a := startPeer(t, server.Client(t), node.Config{Name: "a", Capacity: 3}, p.on(t, "a"))
	waitReady(t, a)
	put(t, a.Store(), "default/import", `{"handler":{"name":"part"},"shards":40}`)
	for range 3 {
		<-begun
	}
	if v := request(t, a.Store(), "default/import", "stop", nightwatch.Request{Action: nightwatch.ActionCancel, By: "me", Note: "enough"}); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	run := ended(t, a.Store(), "default/import")
	if run.Phase != nightwatch.PhaseCanceled || run.Reason != nightwatch.ReasonCancelRequested || run.Shards.Failed != "0-39" || run.Shards.Active != "" {
		t.Errorf("%+v, %+v", run, run.Shards)
	}
	if n := len(p.all()); n != 3 {
		t.Errorf("%d were begun", n)
	}
}
