package scheduler_test

import (
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestDeletedAndPutAgainWhileItRuns(t *testing.T) {
	c := start(t)
	c.runner.hold = make(chan struct{})
	c.put("default/hello", hello)
	first := c.wait("default/hello", phase(nightwatch.PhaseRunning))
	if _, err := c.store.Delete(t.Context(), "default/hello"); err != nil {
		t.Fatal(err)
	}
	c.put("default/hello", hello)
	second := c.wait("default/hello", func(s *nightwatch.Status) bool {
		return s != nil && s.UID > first.UID && s.Phase == nightwatch.PhaseRunning
	})
	if second.ActiveCount != 1 || second.LastRun.TaskUID != second.UID || second.Counts != (nightwatch.Counts{}) {
		t.Errorf("%+v", second)
	}
	// The record says Running before the runner is told.
	etcdtest.Eventually(t, 20*time.Second, func() bool { return c.runner.count() == 2 }, "one start of each life")
}

// Whatever somebody writes among the system's keys, the loop goes on and other tasks do not notice.
func TestGarbageAmongTheSystemsKeys(t *testing.T) {
	c := start(t)
	c.put("default/hello", hello)
	c.wait("default/hello", phase(nightwatch.PhaseSucceeded))
	keys := c.store.Keys()
	for _, key := range []string{
		keys.Run("default/hello", "x"), keys.Run("default/hello", "rev-1"), keys.Run("a/b/c", "x"), keys.Status("default/hello"), keys.Status("x"),
		keys.Accepted("default/ghost"), keys.Ledger("default/hello"), keys.Node("ghost"), keys.MetaClock(), keys.Of(store.Queue) + "n1/default/hello/x",
	} {
		for _, value := range []string{"\xff", `{"id":"y","task":"default/hello","taskUID":4,"phase":"Pending","name":"ghost","session":"1","capacity":9}`} {
			if _, err := c.client.Put(t.Context(), key, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.put("default/other", hello)
	c.wait("default/other", phase(nightwatch.PhaseSucceeded))
	c.wait("default/hello", phase(nightwatch.PhaseSucceeded))
	if n := c.runner.count(); n != 2 {
		t.Errorf("%d starts, want 2", n)
	}
}

// With no space left etcd refuses every put; once the alarm is disarmed all goes on by itself.
func TestNoSpace(t *testing.T) {
	c := start(t)
	c.put("default/often", `{"process":{"command":["true"]},"every":"200ms"}`)
	c.wait("default/often", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded > 1 })
	etcdtest.NoSpace(t, c.client, true)
	before, err := c.store.Status(t.Context(), "default/often")
	if err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, 60*time.Second, func() bool { return c.scheduler.Overdue() != nil }, "it says that nothing is written")
	etcdtest.NoSpace(t, c.client, false)
	after := c.wait("default/often", func(s *nightwatch.Status) bool { return s.Counts.Succeeded > before.Counts.Succeeded+5 })
	etcdtest.Eventually(t, 20*time.Second, func() bool { return c.scheduler.Overdue() == nil }, "it is ready again")
	if after.Counts.Failed+after.Counts.Canceled != 0 {
		t.Errorf("counts %+v", after.Counts)
	}
}
