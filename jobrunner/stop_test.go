package jobrunner

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

func TestDrain(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTimeout = time.Minute })
	release := make(chan struct{})
	r.process.run = untilReleased(t, release)
	r.kube.run = jobLeftAlone(t)
	r.start()
	r.give("works")
	<-r.process.attempts
	etcdtest.Eventually(t, soon, func() bool { return r.holders() == 0 }, "it is dispatched")
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
			if run := r.record("a"); run.Phase != row.want || run.Attempt != row.attempt || len(run.Attempts) > 0 { // handed over, not lost
				t.Errorf("%+v", run)
			}
			r.clean()
		})
	}
}

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

// A stop between the claim and its answer starts nothing, and costs neither an attempt nor, with at-most-once, the run. The record
// does not say that it has begun.
func TestStopWhileTheClaimIsUnanswered(t *testing.T) {
	for _, row := range []struct {
		name   string
		breaks func(*etcdtest.Proxy)
		runner string
		value  string
	}{
		{"dropped", (*etcdtest.Proxy).DropResponses, nightwatch.RunnerProcess, `{"process":{"command":["true"]},"delivery":"at-most-once"}`},
		{"late", (*etcdtest.Proxy).HoldResponses, nightwatch.RunnerProcess, `{"process":{"command":["true"]},"delivery":"at-most-once"}`},
		{"late, of a Job", (*etcdtest.Proxy).HoldResponses, nightwatch.RunnerKubernetes, `{"image":"alpine"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.DrainTimeout = time.Minute })
			r.accept(row.value)
			r.start()
			r.told(r.give("a", later, func(run *nightwatch.Run) { run.Runner = row.runner }))
			row.breaks(r.proxy)
			r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
			r.stop()
			r.proxy.Resume()
			<-r.stopped
			run := r.record("a")
			if run.Phase != nightwatch.PhasePending || run.Attempt != 1 || r.starts()+len(r.kube.attempts) != 0 || !run.StartTime.IsZero() || run.Job != nil {
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

// Nor must an attempt that was asked to end, and then has something to put on record: its context has ended for that, and
// does not say that the node stops.
func TestStopWhileACanceledAttemptSaves(t *testing.T) {
	life, endLife := context.WithCancel(context.WithoutCancel(t.Context()))
	defer endLife()
	r := newRig(t, func(c *Config) {
		c.Life, c.DrainTimeout = life, 50*time.Millisecond
		c.Deadline = func() time.Time { return time.Now().Add(time.Minute) }
	})
	defer r.proxy.Resume()
	canceled := make(chan struct{})
	r.kube.run = func(ctx context.Context, a *Attempt) Outcome {
		if err := a.Save(ctx, func(run *nightwatch.Run) { run.Job.UID = "u1" }); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		<-ctx.Done()
		r.proxy.Refuse()
		close(canceled)
		if err := a.Save(context.WithoutCancel(ctx), func(*nightwatch.Run) {}); !errors.Is(err, ErrSessionLost) {
			t.Errorf("saved: %v", err)
		}
		return Interrupted
	}
	r.accept(`{"image":"alpine"}`)
	r.start().give("a", func(run *nightwatch.Run) { run.Runner = nightwatch.RunnerKubernetes })
	r.wait("a", "has its Job", func(run nightwatch.Run) bool { return run.Job != nil && run.Job.UID != "" })
	r.tellCancel("a")
	<-canceled
	r.stop()
	select {
	case <-r.stopped:
	case <-time.After(4 * afterlife):
		t.Error("it does not stop")
	}
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
