package jobrunner

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// putTask puts the task's key, and returns the revision that is announced with it.
func (r *rig) putTask(value string) int64 {
	r.t.Helper()
	put, err := r.client.Put(r.t.Context(), r.keys.Task(demo), value)
	if err != nil {
		r.t.Fatal(err)
	}
	return put.Header.Revision
}

// announce gives a run to the worker ahead of its time, by the scheduler's clock.
func (r *rig) announce(id string, taskRevision int64, now time.Time, ahead time.Duration) (queueKey string) {
	return r.give(id, func(run *nightwatch.Run) {
		run.Announced, run.TaskRevision, run.CreateTime = true, taskRevision, now.UTC()
		run.NominalTime = now.Add(ahead).UTC()
		run.NotBefore = run.NominalTime
	})
}

func TestAnnouncedRunStartsAtItsTime(t *testing.T) {
	r := newRig(t)
	var began time.Time
	r.process.run = func(ctx context.Context, a *Attempt) Outcome {
		began = time.Now()
		return succeed(ctx, a)
	}
	r.start()
	due := time.Now().Add(time.Second)
	r.told(r.announce("a", r.putTask(onceTask), due.Add(-time.Second), time.Second))
	run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	if began.Before(due) || run.Announced || !run.NotBefore.IsZero() || run.StartTime.Before(run.NominalTime.Truncate(time.Millisecond)) {
		t.Errorf("it began %s after its time: %+v", began.Sub(due), run)
	}
	r.clean()
}

// Whatever it was announced on must be as it was.
func TestAnnouncedRunIsGivenBack(t *testing.T) {
	for name, row := range map[string]struct {
		comes  func(r *rig)
		reason string
	}{
		"an edit":             {comes: func(r *rig) { r.putTask(onceTask + " ") }},
		"a delete":            {comes: func(r *rig) { _, _ = r.client.Delete(t.Context(), r.keys.Task(demo)) }},
		"a freeze":            {func(r *rig) { _, _ = r.client.Put(t.Context(), r.keys.Of(store.Freezes)+"default", "") }, nightwatch.ReasonFrozen},
		"a worker that stops": {func(r *rig) { r.stop() }, nightwatch.ReasonHandedBack},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).start()
			r.told(r.announce("a", r.putTask(onceTask), time.Now(), time.Second))
			row.comes(r)
			run := r.wait("a", "is given back", in(nightwatch.PhasePending))
			if run.Reason != row.reason || run.Session != "" || !run.StartTime.IsZero() {
				t.Errorf("%+v", run)
			}
			r.clean()
			if r.starts() != 0 {
				t.Error("it was started")
			}
		})
	}
}

// The record goes as it came when the scheduler withdraws it.
func TestAnnouncedRunIsWithdrawn(t *testing.T) {
	r := newRig(t).start()
	queue := r.announce("a", r.putTask(onceTask), time.Now(), time.Hour)
	r.told(queue)
	r.commit(func(txn *store.Txn) {
		txn.Delete(queue)
		txn.Delete(r.keys.Run(demo, "a"))
	})
	r.clean()
	if r.starts() != 0 {
		t.Error("it was started")
	}
}

// What was given to this session once more, such as after a withdrawal that the queue has not told of yet, is for another job
// to claim.
func TestClaimIsOfItsOwnAssignment(t *testing.T) {
	r := newRig(t)
	revision := r.putTask(onceTask)
	queue := r.announce("a", revision, time.Now(), 0)
	job := func() *job {
		st, err := r.store.Standing(t.Context(), demo, "a", queue)
		if err != nil {
			t.Fatal(err)
		}
		return r.newJob(queue, queued{st.Run, st.Queued, st.Revision})
	}
	first := job()
	r.commit(func(txn *store.Txn) {
		txn.Delete(queue)
		txn.Delete(r.keys.Run(demo, "a"))
	})
	r.announce("a", revision, time.Now(), 0)
	second := job()
	if _, err := first.claim(); !errors.Is(err, errNotOurs) {
		t.Errorf("the first claims: %v", err)
	}
	if run := r.record("a"); run.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%+v", run)
	}
	if _, err := second.claim(); err != nil || r.record("a").Phase != nightwatch.PhaseRunning {
		t.Errorf("the second claims: %v, %+v", err, r.record("a"))
	}
}

// A node whose clock is off goes by what it was told, give or take what it may have taken to hear of it.
func TestAnnouncedRunAndWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": -time.Hour, "behind": time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).start()
			began := time.Now()
			r.announce("a", r.putTask(onceTask), began.Add(off), time.Second)
			<-r.process.attempts
			if took := time.Since(began); took < time.Second-hearing {
				t.Errorf("it began after %s", took)
			}
			r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
			r.clean()
		})
	}
}
