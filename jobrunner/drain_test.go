package jobrunner

import (
	"context"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// A worker that is drained gives back what it has and what comes, waits for what runs, and takes runs again when the
// drain is called off.
func TestDrainIsCalledOff(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTimeout = time.Minute })
	release := make(chan struct{})
	r.process.run = untilReleased(t, release)
	r.start().give("works")
	<-r.process.attempts
	r.told(r.give("waits", func(run *nightwatch.Run) { run.NotBefore = time.Now().Add(time.Hour) }))
	r.Drain(true)
	r.Drain(true)
	r.give("late")
	for _, id := range []string{"waits", "late"} {
		if run := r.wait(id, "is handed back", in(nightwatch.PhasePending)); run.Reason != nightwatch.ReasonHandedBack || run.Attempt != 1 || run.Session != "" {
			t.Errorf("%+v", run)
		}
	}
	r.Drain(false)
	r.give("again")
	r.wait("again", "is taken", in(nightwatch.PhaseRunning))
	if run := r.record("works"); run.Phase != nightwatch.PhaseRunning {
		t.Errorf("%+v", run)
	}
	close(release)
	for _, id := range []string{"works", "again"} {
		if run := r.wait(id, "ends", in(nightwatch.PhaseSucceeded)); run.Attempt != 1 {
			t.Errorf("%+v", run)
		}
	}
	r.clean()
}

// What a drain has waited for long enough is ended as in a stop, Jobs are handed over at once, and all works as before
// when the drain is over.
func TestDrainEndsWhatTakesTooLong(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	r.process.run = untilEnded
	r.kube.run = jobLeftAlone(t)
	r.start()
	for round := range 3 {
		process, job := string(rune('a'+round)), string(rune('A'+round))
		r.accept(onceTask)
		r.give(process)
		<-r.process.attempts
		r.accept(`{"image":"busybox"}`)
		r.give(job, func(run *nightwatch.Run) { run.Runner = nightwatch.RunnerKubernetes })
		<-r.kube.attempts
		r.wait(job, "is on record", func(run nightwatch.Run) bool { return run.Job != nil && run.Job.UID == "u1" })
		r.Drain(true)
		if run := r.wait(process, "is ended", in(nightwatch.PhasePending)); run.Attempt != 2 || run.Reason != nightwatch.ReasonHandedBack {
			t.Errorf("%+v", run)
		}
		if run := r.wait(job, "is handed over", in(nightwatch.PhasePending)); run.Attempt != 1 || run.Job == nil {
			t.Errorf("%+v", run)
		}
		r.clean()
		r.Drain(false)
	}
}

// What could not be given back in time, as etcd did not answer, is by the next sweep.
func TestSweepWhileDrained(t *testing.T) {
	life, endLife := context.WithCancel(context.WithoutCancel(t.Context()))
	defer endLife()
	r := newRig(t, func(c *Config) {
		c.Life, c.DrainTimeout = life, time.Millisecond
		c.Deadline = func() time.Time { return time.Now().Add(time.Minute) }
	})
	r.process.run = untilEnded
	r.start().give("a")
	<-r.process.attempts
	r.wait("a", "is claimed", in(nightwatch.PhaseRunning))
	r.proxy.Refuse()
	r.Drain(true)
	etcdtest.Eventually(t, soon, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.jobs) == 0
	}, "its job is over")
	if run := r.record("a"); run.Phase != nightwatch.PhaseRunning {
		t.Fatalf("%+v", run)
	}
	r.proxy.Resume()
	etcdtest.Eventually(t, soon, func() bool {
		r.giveUpOrphans()
		return r.record("a").Phase == nightwatch.PhasePending
	}, "it is given back")
	if run := r.record("a"); run.Attempt != 2 {
		t.Errorf("%+v", run)
	}
	r.clean()
}

// A stop in the middle of a drain waits no longer than a stop does.
func TestStopInADrain(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTimeout = 200 * time.Millisecond })
	r.process.run = untilEnded
	r.start().give("a")
	<-r.process.attempts
	r.Drain(true)
	r.stop()
	<-r.stopped
	r.Drain(false) // too late
	if run := r.record("a"); run.Phase != nightwatch.PhasePending || run.Attempt != 2 {
		t.Errorf("%+v", run)
	}
	r.clean()
}
