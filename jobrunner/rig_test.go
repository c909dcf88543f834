package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/registry"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

const (
	demo     = "default/demo"
	soon     = 20 * time.Second
	onceTask = `{"process":{"command":["true"]}}`
)

// stub is a runner whose attempts do what the test says.
type stub struct {
	name     string
	attempts chan *Attempt
	run      func(ctx context.Context, a *Attempt) Outcome
}

func (s *stub) Name() string { return s.name }

func (s *stub) Run(ctx context.Context, a *Attempt) Outcome {
	s.attempts <- a
	return s.run(ctx, a)
}

// jobs is a stub whose effects live apart from the node.
type jobs struct{ *stub }

func (jobs) Prepare(run *nightwatch.Run, _ string) {
	if run.Job == nil {
		run.Job = &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo"}
	}
}

func succeed(context.Context, *Attempt) Outcome {
	return Outcome{Phase: nightwatch.PhaseSucceeded, Output: "done\n"}
}

// untilEnded saves once, and then works until its context ends.
func untilEnded(ctx context.Context, a *Attempt) Outcome {
	if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil && ctx.Err() == nil {
		return Interrupted
	}
	<-ctx.Done()
	return Stopped(ctx)
}

// untilReleased saves once, and succeeds when the test says so.
func untilReleased(t *testing.T, release <-chan struct{}) func(context.Context, *Attempt) Outcome {
	return func(ctx context.Context, a *Attempt) Outcome {
		if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		select {
		case <-release:
			return succeed(ctx, a)
		case <-ctx.Done():
			return Stopped(ctx)
		}
	}
}

// jobLeftAlone puts a Job on record, which it leaves alone when its context ends.
func jobLeftAlone(t *testing.T) func(context.Context, *Attempt) Outcome {
	return func(ctx context.Context, a *Attempt) Outcome {
		// The test may see the record, and go on, before the answer is here.
		if err := a.Save(ctx, func(run *nightwatch.Run) { run.Job.UID = "u1" }); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		<-ctx.Done()
		return Interrupted
	}
}

// rig is a worker on a real etcd, behind a proxy of its own, and the test in the scheduler's place.
type rig struct {
	*Worker
	t       testing.TB
	server  *etcdtest.Server
	proxy   *etcdtest.Proxy // between the worker and etcd
	client  *clientv3.Client
	store   *store.Store
	session *registry.Session
	process *stub
	kube    jobs
	stop    context.CancelFunc
	stopped chan struct{}
	taskUID int64
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	server := etcdtest.Start(t)
	r := &rig{t: t, server: server, proxy: server.Proxy(t), client: server.Client(t), stopped: make(chan struct{})}
	r.store = store.New(r.client, "")
	r.process = &stub{nightwatch.RunnerProcess, make(chan *Attempt, 100), succeed}
	r.kube = jobs{&stub{nightwatch.RunnerKubernetes, make(chan *Attempt, 100), succeed}}
	session, err := registry.NewSession(t.Context(), r.client, registry.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	r.session = session
	t.Cleanup(func() { _ = session.Close(context.WithoutCancel(t.Context())) })
	cfg := Config{
		Store: store.New(etcdtest.NewClient(t, r.proxy.Endpoint()), ""), ClusterID: "c1", Node: "n1",
		Session: session.ID(), Lease: session.Lease(), Life: session.Context(), Deadline: session.Deadline,
		Runners:      map[string]Runner{r.process.Name(): r.process, r.kube.Name(): r.kube},
		DrainTimeout: time.Second, Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: logTo{t}}),
	}
	for _, f := range change {
		f(&cfg)
	}
	r.Worker = NewWorker(cfg)
	r.accept(onceTask)
	return r
}

type logTo struct{ t testing.TB }

func (l logTo) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	r.stop = cancel
	go func() {
		defer close(r.stopped)
		r.Run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-r.stopped
	})
	return r
}

func (r *rig) commit(fill func(*store.Txn)) int64 {
	r.t.Helper()
	var txn store.Txn
	fill(&txn)
	response, err := r.store.Commit(r.t.Context(), &txn)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.Header.Revision
}

func (r *rig) accept(value string) {
	r.t.Helper()
	def, err := nightwatch.ParseTask(demo, []byte(value))
	if err != nil {
		r.t.Fatal(err)
	}
	r.taskUID = 5
	a := nightwatch.Accepted{Revision: 5, UID: r.taskUID, Task: *def}
	if _, err := r.client.Put(r.t.Context(), r.keys.Accepted(demo), string(must(a))); err != nil {
		r.t.Fatal(err)
	}
}

// give puts a run into the worker's queue as the scheduler does.
func (r *rig) give(id string, change ...func(*nightwatch.Run)) (queueKey string) {
	r.t.Helper()
	run := &nightwatch.Run{
		ID: id, Task: demo, TaskUID: r.taskUID, Phase: nightwatch.PhaseAssigned, Node: "n1", Session: r.session.ID(), Attempt: 1,
		Runner: nightwatch.RunnerProcess, CreateTime: time.Now().UTC(), NominalTime: time.Now().UTC(),
	}
	for _, f := range change {
		f(run)
	}
	queueKey = r.keys.Queue("n1", demo, id)
	r.commit(func(txn *store.Txn) {
		txn.Put(r.keys.Run(demo, id), encode(run))
		txn.Put(queueKey, encode(run))
	})
	return queueKey
}

func (r *rig) record(id string) nightwatch.Run {
	run, _, err := r.store.Run(r.t.Context(), demo, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return run
}

// wait waits until the record of a run is as wanted, and returns it.
func (r *rig) wait(id, what string, done func(nightwatch.Run) bool) (run nightwatch.Run) {
	r.t.Helper()
	etcdtest.Eventually(r.t, soon, func() error {
		if run = r.record(id); !done(run) {
			return fmt.Errorf("%s", encode(&run))
		}
		return nil
	}, "%s %s", id, what)
	return run
}

func in(phase nightwatch.Phase) func(nightwatch.Run) bool {
	return func(run nightwatch.Run) bool { return run.Phase == phase }
}

// told waits until the worker has heard of the run.
func (r *rig) told(queueKey string) {
	r.t.Helper()
	etcdtest.Eventually(r.t, soon, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.jobs[queueKey] != nil
	}, "the worker hears of %s", queueKey)
}

// failures is how many tries in a row the job of a run had that etcd did not do, if there is one.
func (r *rig) failures(queueKey string) (n int, there bool) {
	r.mu.Lock()
	j := r.jobs[queueKey]
	r.mu.Unlock()
	if j == nil {
		return 0, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failures, true
}

// clean checks that nothing of a finished or given back run is left with the worker.
func (r *rig) clean() {
	r.t.Helper()
	etcdtest.Eventually(r.t, soon, func() error {
		for _, prefix := range []string{r.keys.Of(store.Locks), r.keys.Of(store.Queue)} {
			got, err := r.client.Get(r.t.Context(), prefix, clientv3.WithPrefix())
			if err != nil || len(got.Kvs) > 0 {
				return fmt.Errorf("%v %v", got.Kvs, err)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.jobs) != 0 {
			return errors.New("a job is left")
		}
		return nil
	}, "nothing is left")
}

func (r *rig) starts() int { return len(r.process.attempts) }

// holders is how many have the task's mutex, or wait for it; -1 when that cannot be read.
func (r *rig) holders() int64 {
	locks, err := r.client.Get(r.t.Context(), r.keys.LocksOf(demo), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return -1
	}
	return locks.Count
}

// later has a run begin a moment after the worker was told of it, so that the network can be broken in between.
func later(run *nightwatch.Run) { run.NotBefore = time.Now().Add(500 * time.Millisecond).UTC() }

// tellCancel writes the wish to cancel as the scheduler does.
func (r *rig) tellCancel(id string) (nightwatch.Run, int64) {
	run, revision, err := r.store.Run(r.t.Context(), demo, id)
	if err != nil {
		r.t.Fatal(err)
	}
	run.Cancel = &nightwatch.Cancel{By: "me", Reason: nightwatch.ReasonCancelRequested, Why: "enough", Time: time.Now().UTC()}
	at := r.commit(func(txn *store.Txn) {
		txn.Seen(r.keys.Run(demo, id), revision)
		txn.Put(r.keys.Run(demo, id), encode(&run))
		txn.Put(r.keys.Queue("n1", demo, id), encode(&run))
	})
	return run, at
}

func must(a nightwatch.Accepted) []byte {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return data
}
