package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

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

// A claim whose answer was lost has the name of a Job on record that nobody has created: should the task have changed
// meanwhile, the run is assigned anew, and not taken for one whose Job may exist.
func TestTaskChangesDuringAnAmbiguousClaim(t *testing.T) {
	r := newRig(t)
	r.accept(`{"image":"busybox"}`)
	r.start()
	r.told(r.give("a", later, func(run *nightwatch.Run) { run.Runner = nightwatch.RunnerKubernetes }))
	r.proxy.DropResponses()
	r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
	r.accept(onceTask)
	r.proxy.Resume()
	run := r.wait("a", "is given back", func(run nightwatch.Run) bool { return run.Phase != nightwatch.PhaseRunning })
	if run.Phase != nightwatch.PhasePending || run.Runner != nightwatch.RunnerProcess || run.Job != nil || len(r.kube.attempts) > 0 {
		t.Errorf("%s, %d attempts", encode(&run), len(r.kube.attempts))
	}
	r.clean()
}

// A claim that etcd has no room for is made again until it has.
func TestClaimWaitsForSpace(t *testing.T) {
	r := newRig(t).start()
	leave, err := r.turns.enter(t.Context(), demo, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	queue := r.give("a")
	r.told(queue)
	etcdtest.NoSpace(t, r.client, true)
	leave()
	etcdtest.Eventually(t, soon, func() bool {
		failures, there := r.failures(queue)
		return there && failures > 1
	}, "the claim is refused, twice")
	etcdtest.NoSpace(t, r.client, false)
	if run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded)); run.Attempt != 1 || r.starts() != 1 {
		t.Errorf("%d starts, %+v", r.starts(), run)
	}
	r.clean()
}

// spy is a KV that is told of each transaction before it is sent.
type spy struct {
	clientv3.KV
	told func(ifs []clientv3.Cmp, then []clientv3.Op)
}

// spied has the worker's client be told.
func spied(told func([]clientv3.Cmp, []clientv3.Op)) func(*Config) {
	return func(c *Config) { c.Store.Client().KV = spy{c.Store.Client().KV, told} }
}

func (s spy) Txn(ctx context.Context) clientv3.Txn {
	return &spiedTxn{Txn: s.KV.Txn(ctx), told: s.told}
}

type spiedTxn struct {
	clientv3.Txn
	told func(ifs []clientv3.Cmp, then []clientv3.Op)
	ifs  []clientv3.Cmp
	then []clientv3.Op
}

func (t *spiedTxn) If(ifs ...clientv3.Cmp) clientv3.Txn {
	t.Txn, t.ifs = t.Txn.If(ifs...), ifs
	return t
}

func (t *spiedTxn) Then(then ...clientv3.Op) clientv3.Txn {
	t.Txn, t.then = t.Txn.Then(then...), then
	return t
}

func (t *spiedTxn) Commit() (*clientv3.TxnResponse, error) {
	t.told(t.ifs, t.then)
	return t.Txn.Commit()
}

// A claim that could not be sent in the time that a transaction has, because of another that it meets, is made again.
func TestClaimThatIsNotSentInTime(t *testing.T) {
	nobody := store.NewKeys("").LocksOf(demo) + "nobody"
	held, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, spied(func(_ []clientv3.Cmp, then []clientv3.Op) {
		if string(then[0].KeyBytes()) == nobody {
			close(held)
			<-release
		}
	})).start()
	answered := make(chan error, 1)
	go func() {
		patient, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var meets store.Txn
		meets.Delete(nobody)
		_, err := r.cfg.Store.Commit(patient, &meets)
		answered <- err
	}()
	<-held
	queue := r.give("a")
	r.told(queue)
	etcdtest.Eventually(t, soon, func() bool {
		failures, there := r.failures(queue)
		return !there || failures > 0
	}, "its time is up")
	close(release)
	began := time.Now()
	run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	if took := time.Since(began); run.Attempt != 1 || r.starts() != 1 || took > sweepEvery/2 {
		t.Errorf("%d starts after %s, %+v", r.starts(), took, run)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	r.clean()
}

// The lock of a claim that was done though its answer was lost is removed by its revision: a delete that comes late would
// else take the lock of the claim that follows.
func TestLockOfALostClaimIsRemovedByItsRevision(t *testing.T) {
	locks := store.NewKeys("").LocksOf(demo)
	var deleted, whoever atomic.Int64
	r := newRig(t, spied(func(ifs []clientv3.Cmp, then []clientv3.Op) {
		for _, op := range then {
			if op.IsDelete() && strings.HasPrefix(string(op.KeyBytes()), locks) {
				deleted.Add(1)
				if len(ifs) == 0 {
					whoever.Add(1)
				}
			}
		}
	})).start()
	r.told(r.give("a", later))
	r.proxy.HoldResponses()
	r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
	r.proxy.Resume()
	r.proxy.Cut()
	r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	if deleted.Load() < 2 || whoever.Load() > 0 || r.starts() != 1 {
		t.Errorf("%d deletes, %d of whoever's lock, %d starts", deleted.Load(), whoever.Load(), r.starts())
	}
	r.clean()
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

// A run of the same task elsewhere has the mutex for a moment: that is waited for, else runs that may overlap would be given
// back and out again, and the older ones fall behind.
func TestClaimWaitsForAnotherDispatch(t *testing.T) {
	r := newRig(t)
	held := r.keys.LocksOf(demo) + "abc"
	if _, err := r.client.Put(t.Context(), held, ""); err != nil {
		t.Fatal(err)
	}
	watch := r.client.Watch(t.Context(), r.keys.Run(demo, "a"))
	r.start().give("a")
	freed := time.AfterFunc(lockPatience/5, func() { _, _ = r.client.Delete(t.Context(), held) })
	defer freed.Stop()
	<-r.process.attempts
	for response := range watch {
		for _, event := range response.Events {
			var run nightwatch.Run
			if err := json.Unmarshal(event.Kv.Value, &run); err != nil {
				t.Fatal(err)
			}
			switch run.Phase {
			case nightwatch.PhasePending:
				t.Fatalf("it was given back: %s", run.Reason)
			case nightwatch.PhaseRunning:
				r.clean()
				return
			}
		}
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
		if n := r.holders(); n < 1 {
			t.Errorf("%s: %d have the mutex", a.Run.ID, n)
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

// choosy is a runner with several places, all but one of which are wrong.
type choosy struct{ jobs }

func (choosy) Suits(run *nightwatch.Run, _ *nightwatch.Task) bool { return run.Cluster == "right" }

// A run that was given to a place that its task, by now, does not ask for goes back before anything is started.
func TestRunInTheWrongPlaceIsGivenBack(t *testing.T) {
	r := newRig(t)
	r.cfg.Runners[nightwatch.RunnerKubernetes] = choosy{r.kube}
	r.accept(`{"image":"a"}`)
	r.start()
	at := func(cluster string) func(*nightwatch.Run) {
		return func(run *nightwatch.Run) { run.Runner, run.Cluster = nightwatch.RunnerKubernetes, cluster }
	}
	r.give("a", at("wrong"))
	run := r.wait("a", "is given back", in(nightwatch.PhasePending))
	if run.Cluster != "" || run.Job != nil || run.Node != "" || run.Attempt != 1 || len(r.kube.attempts) != 0 {
		t.Errorf("%+v", run)
	}
	r.give("b", at("right"))
	r.wait("b", "is done", in(nightwatch.PhaseSucceeded))
	// What may have been made before is seen to, wherever it is.
	r.give("c", at("wrong"), func(run *nightwatch.Run) {
		run.LostSessions, run.Job = 1, &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo"}
	})
	r.wait("c", "is done", in(nightwatch.PhaseSucceeded))
	r.clean()
}

// A run that says what it was submitted with runs that, whatever has been accepted since, until the task is gone.
func TestClaimOfASubmission(t *testing.T) {
	r := newRig(t).start()
	submitted, err := nightwatch.ParseTask(demo, []byte(`{"process":{"command":["echo","first"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.give("rev-3", func(run *nightwatch.Run) {
		run.Submitted = &nightwatch.Accepted{Key: demo, Revision: 3, UID: r.taskUID, Task: *submitted}
	})
	run := r.wait("rev-3", "is done", in(nightwatch.PhaseSucceeded))
	if a := <-r.process.attempts; a.Task.Process.Command[1] != "first" || run.TaskRevision != 3 || run.Submitted != nil {
		t.Errorf("ran %+v, recorded %+v", a.Task.Process, run)
	}
	if _, err := r.client.Delete(t.Context(), r.keys.Accepted(demo)); err != nil {
		t.Fatal(err)
	}
	r.give("rev-4", func(run *nightwatch.Run) {
		run.Submitted = &nightwatch.Accepted{Key: demo, Revision: 4, UID: r.taskUID, Task: *submitted}
	})
	r.wait("rev-4", "is canceled", in(nightwatch.PhaseCanceled))
}
