package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
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

// rig is a worker on a real etcd, behind a proxy of its own, and the test in the scheduler's place.
type rig struct {
	*Worker
	t       *testing.T
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

func newRig(t *testing.T, change ...func(*Config)) *rig {
	server := etcdtest.Start(t)
	r := &rig{t: t, server: server, proxy: server.Proxy(t), client: server.Client(t), stopped: make(chan struct{})}
	r.store = store.New(r.client, "")
	r.process = &stub{nightwatch.RunnerProcess, make(chan *Attempt, 10), succeed}
	r.kube = jobs{&stub{nightwatch.RunnerKubernetes, make(chan *Attempt, 10), succeed}}
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

// later has a run begin a moment after the worker was told of it, so that the network can be broken in between.
func later(run *nightwatch.Run) { run.NotBefore = time.Now().Add(500 * time.Millisecond).UTC() }

func TestRunIsClaimedStartedAndFinished(t *testing.T) {
	r := newRig(t)
	var locked bool
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		h, err := r.store.Holds(ctx, demo)
		locked = err == nil && h.Locked
		return succeed(ctx, a)
	}
	r.start().give("a")
	run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	if run.Fence == 0 || run.StartTime.IsZero() || run.EndTime.IsZero() || run.Output != "done\n" || run.TaskRevision != 5 || run.Session != r.session.ID() {
		t.Errorf("%+v", run)
	}
	if a := <-r.process.attempts; a.Run.Fence != run.Fence || a.Adopt || a.Run.Task != "demo" || a.Run.Namespace != "default" {
		t.Errorf("%+v", a.Run)
	}
	if !locked {
		t.Error("the mutex was not held during the dispatch")
	}
	r.clean()
}

// What a runner says, an API server's words or an embedder's, is not for it to bound.
func TestMessageIsBounded(t *testing.T) {
	r := newRig(t)
	r.process.run = func(context.Context, *Attempt) Outcome {
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonStartRefused, Message: strings.Repeat("no ", 100_000) + "\xff"}
	}
	r.start().give("a")
	run := r.wait("a", "fails", in(nightwatch.PhaseFailed))
	if !strings.HasPrefix(run.Message, "no no ") || !strings.HasSuffix(run.Message, "…") || len(run.Message) > 600 {
		t.Errorf("message of %d bytes", len(run.Message))
	}
	r.clean()
}

// The claim is done and its answer lost: the run is started once, without waiting for a sweep.
func TestAmbiguousClaimRunsOnce(t *testing.T) {
	for name, breaks := range map[string]func(*etcdtest.Proxy){"dropped": (*etcdtest.Proxy).DropResponses, "late": (*etcdtest.Proxy).HoldResponses} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).start()
			r.told(r.give("a", later))
			breaks(r.proxy)
			r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
			if r.starts() != 0 {
				t.Error("it was started before the claim was answered")
			}
			began := time.Now()
			r.proxy.Resume()
			run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
			if took := time.Since(began); took > sweepEvery/2 {
				t.Errorf("it took %s", took)
			}
			if r.starts() != 1 || run.Attempt != 1 || run.LostSessions != 0 {
				t.Errorf("%d starts, %+v", r.starts(), run)
			}
			r.clean()
		})
	}
}

func TestAmbiguousFinishStays(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-release
		return succeed(ctx, a)
	}
	r.start().give("a")
	<-r.process.attempts
	r.proxy.DropResponses()
	close(release)
	first := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	_, revision, err := r.store.Run(t.Context(), demo, "a")
	if err != nil {
		t.Fatal(err)
	}
	r.proxy.Resume()
	r.clean()
	second, again, err := r.store.Run(t.Context(), demo, "a")
	if err != nil || again != revision || !second.EndTime.Equal(first.EndTime) {
		t.Errorf("it was written again: %+v %v", second, err)
	}
}

func TestFrozenAndLockedRunsAreGivenBack(t *testing.T) {
	keys := store.NewKeys("")
	for reason, key := range map[string]string{
		nightwatch.ReasonFrozen:        keys.Of(store.Freezes) + demo,
		nightwatch.ReasonFrozen + "ns": keys.Of(store.Freezes) + "default",
		nightwatch.ReasonFrozen + "cl": keys.Of(store.Freezes) + store.FrozenCluster,
		nightwatch.ReasonLocked:        keys.LocksOf(demo) + "abc",
		nightwatch.ReasonLocked + "2":  keys.LocksOf(demo) + "a/b",
	} {
		t.Run(reason, func(t *testing.T) {
			r := newRig(t)
			if _, err := r.client.Put(t.Context(), key, ""); err != nil {
				t.Fatal(err)
			}
			r.start().give("a")
			run := r.wait("a", "is given back", in(nightwatch.PhasePending))
			if !strings.HasPrefix(reason, run.Reason) || run.Reason == "" || run.Session != "" || run.Node != "" || run.Attempt != 1 || !run.StartTime.IsZero() {
				t.Errorf("%+v", run)
			}
			if _, err := r.client.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			r.clean()
			if r.starts() != 0 {
				t.Error("it was started")
			}
		})
	}
}

// concurrency.Mutex, and with it "etcdctl lock", and our dispatch keep each other out.
func TestMutexIsRespectedBothWays(t *testing.T) {
	r := newRig(t)
	saved, release := make(chan struct{}), make(chan struct{})
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-release
		if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil {
			t.Error(err)
		}
		close(saved)
		<-ctx.Done()
		return Stopped(ctx)
	}
	session, err := concurrency.NewSession(r.client)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	mutex := concurrency.NewMutex(session, r.keys.Mutex(demo))
	if err := mutex.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.start().give("a")
	if run := r.wait("a", "is given back", in(nightwatch.PhasePending)); run.Reason != nightwatch.ReasonLocked {
		t.Errorf("%+v", run)
	}
	if err := mutex.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.give("a")
	<-r.process.attempts
	if err := mutex.TryLock(t.Context()); !errors.Is(err, concurrency.ErrLocked) {
		t.Errorf("during the dispatch: %v", err)
	}
	close(release)
	<-saved
	if err := mutex.TryLock(t.Context()); err != nil {
		t.Errorf("after the dispatch, while the run goes on: %v", err)
	}
	if run := r.record("a"); run.Phase != nightwatch.PhaseRunning {
		t.Errorf("%+v", run)
	}
	if err := mutex.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
}

// Two runs of one task on one node: dispatch by dispatch, though the mutex is re-entrant within a session.
func TestDispatchesOfOneTaskTakeTurns(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	dispatching, most := 0, 0
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		mu.Lock()
		dispatching++
		most = max(most, dispatching)
		mu.Unlock()
		if h, err := r.store.Holds(ctx, demo); err != nil || !h.Locked {
			t.Errorf("%s: %+v %v", a.Run.ID, h, err)
		}
		mu.Lock()
		dispatching--
		mu.Unlock()
		return succeed(ctx, a)
	}
	r.start()
	for i := range 10 {
		r.give(fmt.Sprint(i))
	}
	for i := range 10 {
		r.wait(fmt.Sprint(i), "succeeds", in(nightwatch.PhaseSucceeded))
	}
	if most != 1 {
		t.Errorf("%d at once", most)
	}
	r.clean()
}

// tellCancel writes the wish to cancel as the scheduler does.
func (r *rig) tellCancel(id string) (nightwatch.Run, int64) {
	run, revision, err := r.store.Run(r.t.Context(), demo, id)
	if err != nil {
		r.t.Fatal(err)
	}
	run.Cancel = &nightwatch.Cancel{By: "me", Why: "enough", Time: time.Now().UTC()}
	at := r.commit(func(txn *store.Txn) {
		txn.Seen(r.keys.Run(demo, id), revision)
		txn.Put(r.keys.Run(demo, id), encode(&run))
		txn.Put(r.keys.Queue("n1", demo, id), encode(&run))
	})
	return run, at
}

func TestCancelInMidRun(t *testing.T) {
	r := newRig(t)
	r.process.run = untilEnded
	r.start().give("a")
	<-r.process.attempts
	etcdtest.Eventually(t, soon, func() bool { h, err := r.store.Holds(t.Context(), demo); return err == nil && !h.Locked }, "it is dispatched")
	r.tellCancel("a")
	run := r.wait("a", "is canceled", in(nightwatch.PhaseCanceled))
	if run.Cancel == nil || run.Cancel.By != "me" || run.Reason != nightwatch.ReasonCancelRequested {
		t.Errorf("%+v", run)
	}
	r.clean()
}

// The watch may tell of a wish to cancel before the claim that it follows is answered.
func TestCancelOvertakesTheAnswerToTheClaim(t *testing.T) {
	r := newRig(t)
	r.process.run = untilEnded
	r.start()
	key := r.give("a", later)
	r.told(key)
	created := r.queue[key].created
	r.proxy.HoldResponses()
	r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
	run, revision := r.tellCancel("a")
	r.apply(store.Batch{Revision: revision, Events: []store.Event{{Key: key, Value: encode(&run), CreateRevision: created, ModRevision: revision}}})
	r.proxy.Resume()
	r.wait("a", "is canceled", in(nightwatch.PhaseCanceled))
	r.clean()
}

func TestSaveIsRefusedWhenTheRunWasMoved(t *testing.T) {
	r := newRig(t)
	moved, refused := make(chan struct{}), make(chan error, 1)
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-moved
		refused <- a.Save(context.WithoutCancel(ctx), func(*nightwatch.Run) {})
		if !errors.Is(context.Cause(ctx), ErrSessionLost) {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		return Outcome{Phase: nightwatch.PhaseSucceeded} // too late
	}
	r.start().give("a")
	<-r.process.attempts
	run := r.record("a")
	run.Session, run.Node, run.Attempt, run.Phase = "other", "n2", 2, nightwatch.PhaseAssigned
	at := r.commit(func(txn *store.Txn) {
		txn.Put(r.keys.Run(demo, "a"), encode(&run))
		txn.Delete(r.keys.Queue("n1", demo, "a"))
	})
	close(moved)
	if err := <-refused; !errors.Is(err, errNotOurs) {
		t.Errorf("%v", err)
	}
	r.stop()
	<-r.stopped
	if _, revision, _ := r.store.Run(t.Context(), demo, "a"); revision != at {
		t.Error("the record was written by who lost it")
	}
}

func TestDrain(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTimeout = time.Minute })
	release := make(chan struct{})
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		if err := a.Save(ctx, func(*nightwatch.Run) {}); err != nil {
			t.Error(err)
		}
		select {
		case <-release:
			return succeed(ctx, a)
		case <-ctx.Done():
			return Stopped(ctx)
		}
	}
	r.kube.run = func(ctx context.Context, a *Attempt) Outcome {
		if err := a.Save(ctx, func(run *nightwatch.Run) { run.Job.UID = "u1" }); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return Interrupted
	}
	r.start()
	r.give("works")
	<-r.process.attempts
	etcdtest.Eventually(t, soon, func() bool { h, err := r.store.Holds(t.Context(), demo); return err == nil && !h.Locked }, "it is dispatched")
	r.accept(`{"image":"busybox"}`)
	r.give("job", func(run *nightwatch.Run) { run.Runner = nightwatch.RunnerKubernetes })
	<-r.kube.attempts
	r.wait("job", "is on record", func(run nightwatch.Run) bool { return run.Job != nil && run.Job.UID == "u1" })
	r.told(r.give("waits", func(run *nightwatch.Run) { run.NotBefore = time.Now().Add(time.Hour) }))
	r.stop()
	for _, id := range []string{"job", "waits"} {
		run := r.wait(id, "is handed back", in(nightwatch.PhasePending))
		if run.Reason != nightwatch.ReasonHandedBack || run.Attempt != 1 || run.Session != "" || (id == "job") != (run.Job != nil) {
			t.Errorf("%+v", run)
		}
	}
	r.give("late") // the scheduler has not heard yet
	r.wait("late", "is handed back", in(nightwatch.PhasePending))
	if run := r.record("works"); run.Phase != nightwatch.PhaseRunning {
		t.Errorf("%+v", run)
	}
	close(release)
	<-r.stopped
	if run := r.record("works"); run.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v", run)
	}
	r.clean()
}

func TestDrainTimeIsUp(t *testing.T) {
	for _, row := range []struct {
		delivery string
		want     nightwatch.Phase
		attempt  int
	}{
		{nightwatch.AtLeastOnce, nightwatch.PhasePending, 2},
		{nightwatch.AtMostOnce, nightwatch.PhaseFailed, 1},
	} {
		t.Run(row.delivery, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
			r.accept(`{"process":{"command":["true"]},"delivery":"` + row.delivery + `"}`)
			r.process.run = untilEnded
			r.start().give("a")
			<-r.process.attempts
			r.stop()
			<-r.stopped
			if run := r.record("a"); run.Phase != row.want || run.Attempt != row.attempt {
				t.Errorf("%+v", run)
			}
			r.clean()
		})
	}
}

// A stop between the claim and its answer starts nothing, and costs neither an attempt nor, with at-most-once, the run.
// A canceled attempt whose end needs an API server that is away does not hold up a stop: when the drain's time is up the
// deadline has passed, and the run is handed to somebody who may end it.
func TestDrainTimeIsUpForACanceledJob(t *testing.T) {
	r := newRig(t)
	r.kube.run = func(ctx context.Context, a *Attempt) Outcome {
		if err := a.Save(ctx, func(run *nightwatch.Run) { run.Job.UID = "u1" }); err != nil {
			return Interrupted
		}
		<-ctx.Done()
		for time.Now().Before(a.Deadline()) { // as a runner does that tries again and again to delete the Job
			pace := time.NewTimer(10 * time.Millisecond)
			<-pace.C
		}
		return Interrupted
	}
	r.accept(`{"image":"alpine"}`)
	r.start().give("a", func(run *nightwatch.Run) { run.Runner = nightwatch.RunnerKubernetes })
	r.wait("a", "has its Job", func(run nightwatch.Run) bool { return run.Job != nil && run.Job.UID != "" })
	r.tellCancel("a")
	r.stop()
	select {
	case <-r.stopped:
	case <-time.After(soon):
		t.Fatal("the worker does not stop")
	}
	if run := r.record("a"); run.Phase != nightwatch.PhasePending || run.Cancel == nil || run.Job == nil || run.Job.UID != "u1" || run.Attempt != 1 {
		t.Errorf("%s", encode(&run))
	}
	r.clean()
}

func TestStopWhileTheClaimIsUnanswered(t *testing.T) {
	for name, breaks := range map[string]func(*etcdtest.Proxy){"dropped": (*etcdtest.Proxy).DropResponses, "late": (*etcdtest.Proxy).HoldResponses} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.DrainTimeout = time.Minute })
			r.accept(`{"process":{"command":["true"]},"delivery":"at-most-once"}`)
			r.start()
			r.told(r.give("a", later))
			breaks(r.proxy)
			r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
			r.stop()
			r.proxy.Resume()
			<-r.stopped
			if run := r.record("a"); run.Phase != nightwatch.PhasePending || run.Attempt != 1 || r.starts() != 0 {
				t.Errorf("%d starts, %+v", r.starts(), run)
			}
			r.clean()
		})
	}
}

// An etcd that answers no more must not keep a node from stopping, even if its session seems to live on.
func TestStopEndsThoughNothingCanBeWritten(t *testing.T) {
	life, endLife := context.WithCancel(context.WithoutCancel(t.Context()))
	defer endLife()
	r := newRig(t, func(c *Config) {
		c.Life, c.DrainTimeout = life, 50*time.Millisecond
		c.Deadline = func() time.Time { return time.Now().Add(time.Minute) }
	})
	r.process.run = untilEnded
	r.start().give("a")
	<-r.process.attempts
	r.proxy.Refuse()
	r.stop()
	select {
	case <-r.stopped:
	case <-time.After(3 * afterlife):
		t.Error("it does not stop")
	}
	endLife()
}

func TestSessionLostLetsGo(t *testing.T) {
	life, endLife := context.WithCancel(context.WithoutCancel(t.Context()))
	defer endLife()
	r := newRig(t, func(c *Config) { c.Life = life })
	causes := make(chan error, 1)
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return Stopped(ctx)
	}
	r.start().give("a")
	<-r.process.attempts
	endLife()
	<-r.stopped
	if err := <-causes; !errors.Is(err, ErrSessionLost) {
		t.Error(err)
	}
	if run := r.record("a"); run.Phase != nightwatch.PhaseRunning || run.Session != r.session.ID() {
		t.Errorf("a lost session wrote its run: %+v", run)
	}
}

func TestNothingIsClaimedPastTheDeadline(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Deadline = time.Now })
	r.start()
	key := r.give("a")
	etcdtest.Eventually(t, soon, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, heard := r.queue[key]
		return heard && r.jobs[key] == nil
	}, "the job is over")
	if run := r.record("a"); run.Phase != nightwatch.PhaseAssigned || r.starts() != 0 {
		t.Errorf("%+v", run)
	}
}

// A run that is given back may be given to the same session again before the job that gave it back is quite over.
func TestSameRunGivenAgainWhileItsJobEnds(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		t.Run(fmt.Sprint(snapshot), func(t *testing.T) {
			r := newRig(t)
			ending := make(chan struct{})
			first := queued{run: nightwatch.Run{ID: "a", Task: demo, Session: r.session.ID()}, created: 1, revision: 1}
			key := r.keys.Queue("n1", demo, "a")
			r.mu.Lock()
			r.queue[key] = first
			r.begin(r.newJob(key, first), func(*job) { <-ending })
			r.mu.Unlock()
			r.give("a")
			run, revision, err := r.store.Run(t.Context(), demo, "a")
			if err != nil {
				t.Fatal(err)
			}
			put := store.Event{Key: key, Value: encode(&run), CreateRevision: revision, ModRevision: revision}
			events := []store.Event{{Key: key, ModRevision: revision - 1, Deleted: true}, put}
			if snapshot {
				events = []store.Event{put}
			}
			r.apply(store.Batch{Snapshot: snapshot, Revision: revision, Events: events})
			close(ending)
			r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
			r.clean()
		})
	}
}

func TestSweep(t *testing.T) {
	for _, row := range []struct {
		name, delivery string
		record         func(*nightwatch.Run)
		want           nightwatch.Phase
		attempt        int
	}{
		{name: "assigned", record: func(*nightwatch.Run) {}, want: nightwatch.PhasePending, attempt: 1},
		{name: "claimed", record: func(run *nightwatch.Run) { run.Phase = nightwatch.PhaseRunning }, want: nightwatch.PhasePending, attempt: 2},
		{
			name: "claimed, at most once", delivery: nightwatch.AtMostOnce, record: func(run *nightwatch.Run) { run.Phase = nightwatch.PhaseRunning },
			want: nightwatch.PhaseFailed, attempt: 1,
		},
		{name: "another's", record: func(run *nightwatch.Run) { run.Session = "other" }, want: nightwatch.PhaseAssigned, attempt: 1},
		{name: "ended", record: func(run *nightwatch.Run) { run.Phase = nightwatch.PhaseSucceeded }, want: nightwatch.PhaseSucceeded, attempt: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			if row.delivery != "" {
				r.accept(`{"process":{"command":["true"]},"delivery":"` + row.delivery + `"}`)
			}
			key := r.give("a", row.record)
			q := queued{run: r.record("a"), created: 1, revision: 1}
			q.run.Session = r.session.ID()
			r.queue[key] = q
			r.giveUpOrphans()
			r.idle(nil)
			if run := r.record("a"); run.Phase != row.want || run.Attempt != row.attempt {
				t.Errorf("%+v", run)
			}
		})
	}
	t.Run("no record", func(t *testing.T) {
		r := newRig(t)
		key := r.give("a")
		r.queue[key] = queued{run: r.record("a"), created: 1, revision: 1}
		if _, err := r.client.Delete(t.Context(), r.keys.Run(demo, "a")); err != nil {
			t.Fatal(err)
		}
		r.giveUpOrphans()
		r.idle(nil)
		r.clean()
	})
	t.Run("locks", func(t *testing.T) {
		r := newRig(t)
		ours := r.keys.LocksOf(demo) + r.session.ID()
		theirs := r.keys.LocksOf(demo) + "abc"
		for _, key := range []string{ours, theirs} {
			if _, err := r.client.Put(t.Context(), key, "", clientv3.WithLease(r.session.Lease())); err != nil {
				t.Fatal(err)
			}
		}
		leave, err := r.enter(t.Context(), demo)
		if err != nil {
			t.Fatal(err)
		}
		left := func() int64 {
			got, err := r.client.Get(t.Context(), r.keys.LocksOf(demo), clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil {
				t.Fatal(err)
			}
			return got.Count
		}
		r.freeLocks(t.Context())
		if left() != 2 {
			t.Error("freed in the middle of a dispatch")
		}
		leave()
		r.freeLocks(t.Context())
		if left() != 1 {
			t.Error("not freed, or somebody else's was")
		}
	})
}

// Runs that come while the worker stops are handed back, whatever the moment.
func TestStartAndStopUnderLoad(t *testing.T) {
	r := newRig(t)
	r.start()
	for i := range 40 {
		if i == 20 {
			r.stop()
		}
		r.give(fmt.Sprint(i), func(run *nightwatch.Run) { run.Task = demo })
	}
	<-r.stopped
	for i := range 40 {
		if run := r.record(fmt.Sprint(i)); run.Phase == nightwatch.PhaseRunning {
			t.Errorf("%d is left %s", i, run.Phase)
		}
	}
}

func must(a nightwatch.Accepted) []byte {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return data
}
