package scheduler

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

type testTerm struct{ ctx context.Context }

func (testTerm) Revision() int64    { return 7 }
func (testTerm) ConfirmedAt() int64 { return 1 }
func (testTerm) Guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision("leader"), "=", 7)
}
func (t testTerm) Context() context.Context { return t.ctx }

// leading is a Scheduler in mid-term whose loop is the test; it must not come to writing anything.
func leading(t *testing.T, events ...store.Event) *Scheduler {
	s := New(store.New(nil, ""), Config{})
	s.startLeading(lease{term: testTerm{t.Context()}, ended: make(chan struct{})})
	s.lastTick = time.Now()
	s.apply(store.Batch{Snapshot: true, Revision: 10, Events: events})
	return s
}

// A list may come while tasks of the view that it replaces are both on the list of the next pass and on the clock.
func TestRelistWhileTasksWait(t *testing.T) {
	event := store.Event{Key: store.NewKeys("").Task(demo), Value: []byte("x"), CreateRevision: 5, ModRevision: 5}
	for _, after := range [][]store.Event{{event}, nil} {
		s := leading(t, event)
		task := s.view.known(demo)
		s.agenda.at(task, time.Now().Add(time.Hour)) // as look does
		task.heldUntil = 100                         // its transaction was answered before the watch, which is deaf, tells of it
		s.agenda.now(task)
		s.pass(t.Context(), time.Now())
		s.apply(store.Batch{Snapshot: true, Revision: 50, Events: after})
		s.pass(t.Context(), time.Now())
		if len(after) > 0 && (s.view.known(demo).heldUntil != 100 || s.agenda.pending() != 1) {
			t.Error("the list lost what the view waits for")
		}
	}
}

// The answer to the transaction that removed the last of a task may come after the watch told of it.
func TestTaskOfWhichNothingIsLeftIsForgotten(t *testing.T) {
	key := store.NewKeys("").Status(demo)
	s := leading(t, store.Event{Key: key, Value: []byte("{}"), CreateRevision: 5, ModRevision: 5})
	s.view.known(demo).busy = true
	s.inFlight++
	s.apply(store.Batch{Revision: 11, Events: []store.Event{{Key: key, ModRevision: 11, Deleted: true}}})
	s.settle(result{task: demo, revision: 11})
	s.pass(t.Context(), time.Now())
	if n := len(s.view.tasks); n != 0 {
		t.Errorf("%d tasks are left", n)
	}
}

// The scheduler's clock is no task's: a key without a name in it stands for a task of no name, which has answers of its own.
func TestAnswersToTheClockAreNoTasks(t *testing.T) {
	s := leading(t, store.Event{Key: store.NewKeys("").Of(store.Requests) + "foo", Value: []byte("x"), CreateRevision: 5, ModRevision: 5})
	s.cluster = &link{memory: newMemory(t)}
	nameless := s.view.known("")
	if nameless == nil {
		t.Fatal("there is no task of no name")
	}
	nameless.busy = true
	s.writeClock(t.Context(), time.Now())
	s.settle(<-s.results)
	if !nameless.busy {
		t.Error("its transaction is under way, and another would be sent")
	}
}

// An etcd that takes no writes (no space, no quorum) is not asked by every task twice a second.
func TestTroubleWithEtcdRestsTheWholeLoop(t *testing.T) {
	s := leading(t, store.Event{Key: store.NewKeys("").Task(demo), Value: []byte("x"), CreateRevision: 5, ModRevision: 5})
	trouble := func(err error) {
		s.inFlight++
		s.settle(result{task: demo, err: err})
	}
	trouble(rpctypes.ErrNoSpace)
	first := time.Until(s.restUntil)
	for range 10 {
		trouble(errors.Join(nightwatch.ErrOutcomeUnknown, context.DeadlineExceeded))
		s.restUntil = time.Time{} // it passes
	}
	trouble(rpctypes.ErrNoSpace)
	if last := time.Until(s.restUntil); first <= 0 || first > time.Second || last < 2*time.Second || last > maxRest {
		t.Errorf("rests %s at first, %s after many failures", first, last)
	}
	s.inFlight++
	s.settle(result{task: demo, revision: 11})
	trouble(rpctypes.ErrNoSpace)
	if again := time.Until(s.restUntil); again > time.Second {
		t.Errorf("rests %s after a success", again)
	}
}

// A leader whose key is gone, and who has not heard of it, does not try each transaction again and again.
func TestRefusalsInARowRestTheWholeLoop(t *testing.T) {
	s := leading(t, store.Event{Key: store.NewKeys("").Task(demo), Value: []byte("x"), CreateRevision: 5, ModRevision: 5})
	answer := func(err error) {
		s.inFlight++
		s.settle(result{task: demo, revision: 10, err: err})
	}
	for range maxInFlight - 1 {
		answer(nightwatch.ErrRefused)
	}
	answer(nil)
	for range maxInFlight - 1 {
		answer(nightwatch.ErrRefused)
	}
	if !s.restUntil.IsZero() {
		t.Error("rests though etcd took a write in between")
	}
	answer(nightwatch.ErrRefused)
	if rest := time.Until(s.restUntil); rest <= 0 || rest > time.Second {
		t.Errorf("rests %s", rest)
	}
}

// One task whose transaction etcd will never take is that task's trouble alone.
func TestTaskWhoseTransactionsAreImpossible(t *testing.T) {
	for _, err := range []error{rpctypes.ErrRequestTooLarge, rpctypes.ErrTooManyOps, rpctypes.ErrDuplicateKey} {
		s := leading(t, store.Event{Key: store.NewKeys("").Task(demo), Value: []byte("x"), CreateRevision: 5, ModRevision: 5})
		s.inFlight++
		s.settle(result{task: demo, err: err})
		if !s.restUntil.IsZero() {
			t.Errorf("%v: all tasks rest", err)
		}
		if rest := time.Until(s.view.known(demo).retryAt); rest < 10*time.Second {
			t.Errorf("%v: it is tried again in %s", err, rest)
		}
	}
}
