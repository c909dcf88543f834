package jobrunner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestRunIsClaimedStartedAndFinished(t *testing.T) {
	r := newRig(t)
	var locked bool
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		locked = r.holders() > 0
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

func TestCancelInMidRun(t *testing.T) {
	r := newRig(t)
	r.process.run = untilEnded
	r.start().give("a")
	<-r.process.attempts
	etcdtest.Eventually(t, soon, func() bool { return r.holders() == 0 }, "it is dispatched")
	r.tellCancel("a")
	run := r.wait("a", "is canceled", in(nightwatch.PhaseCanceled))
	if run.Cancel == nil || run.Cancel.By != "me" || run.Reason != nightwatch.ReasonCancelRequested {
		t.Errorf("%+v", run)
	}
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

// The watch tells of a wish to cancel while the write that it made void is under way: what that write is refused for is
// the wish, and not that somebody took the lock away.
func TestCancelOvertakesAWrite(t *testing.T) {
	r := newRig(t)
	broken, saved := make(chan struct{}), make(chan error, 1)
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		<-broken
		saved <- a.Save(context.WithoutCancel(ctx), func(*nightwatch.Run) {})
		<-ctx.Done()
		return Stopped(ctx)
	}
	r.start()
	key := r.give("a")
	<-r.process.attempts
	r.mu.Lock()
	created := r.queue[key].created
	r.mu.Unlock()
	r.proxy.HoldRequests()
	close(broken)
	etcdtest.Eventually(t, soon, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.jobs[key].writing) == 1
	}, "the write is under way")
	run, revision := r.tellCancel("a")
	r.apply(store.Batch{Revision: revision, Events: []store.Event{{Key: key, Value: encode(&run), CreateRevision: created, ModRevision: revision}}})
	r.proxy.Resume()
	if err := <-saved; err != nil {
		t.Error(err)
	}
	if n := r.holders(); n != 0 {
		t.Errorf("%d have the mutex: want the lock freed by the write", n)
	}
	r.wait("a", "is canceled", in(nightwatch.PhaseCanceled))
	r.clean()
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
		leave, err := r.turns.enter(t.Context(), demo, time.Time{})
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
