package jobrunner

import (
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// A queue key that somebody puts anew, as it was, is another revision and the same assignment.
func TestQueueKeyPutByHand(t *testing.T) {
	r := newRig(t)
	key := r.start().give("a", func(run *nightwatch.Run) { run.NotBefore = time.Now().Add(time.Second).UTC() })
	r.told(key)
	was, err := r.client.Get(t.Context(), key)
	if err != nil || len(was.Kvs) != 1 {
		t.Fatal(was, err)
	}
	put, err := r.client.Put(t.Context(), key, string(was.Kvs[0].Value))
	if err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, soon, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.queue[key].revision == put.Header.Revision || r.jobs[key] == nil
	}, "the worker hears of it")
	if run := r.wait("a", "ends", in(nightwatch.PhaseSucceeded)); run.Attempt != 1 || r.starts() != 1 {
		t.Errorf("%d starts, %+v", r.starts(), run)
	}
	r.clean()
}

// A claimed run whose queue key somebody deletes is ended, and given back.
func TestQueueKeyDeletedByHand(t *testing.T) {
	r := newRig(t)
	r.process.run = untilEnded
	key := r.start().give("a")
	<-r.process.attempts
	etcdtest.Eventually(t, soon, func() bool { return r.holders() == 0 }, "it is dispatched")
	if _, err := r.client.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if run := r.wait("a", "is given back", in(nightwatch.PhasePending)); run.Attempt != 2 || run.Session != "" {
		t.Errorf("%+v", run)
	}
	r.clean()
}
