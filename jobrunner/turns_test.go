package jobrunner

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var order []int
		dispatch := func(ctx context.Context, task string, nominal int) {
			leave, err := all.enter(ctx, task, time.Unix(int64(nominal), 0))
			if err != nil {
				order = append(order, -nominal)
				return
			}
			order = append(order, nominal)
			leave()
			leave()
		}
		first, err := all.enter(t.Context(), "a", time.Unix(9, 0))
		if err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithCancel(t.Context())
		for _, nominal := range []int{5, 3, 8, 5} {
			go dispatch(t.Context(), "a", nominal)
			synctest.Wait()
		}
		go dispatch(impatient, "a", 4)
		dispatch(t.Context(), "another", 1)
		synctest.Wait()
		cancel()
		synctest.Wait()
		first()
		synctest.Wait()
		if want := []int{1, -4, 3, 5, 5, 8}; !slices.Equal(order, want) {
			t.Errorf("%v: want %v", order, want)
		}
		if len(all.lines) > 0 {
			t.Errorf("left: %v", all.lines)
		}
	})
}

// One who holds the mutex for long is not waited for; many who hold it for a moment each are, however long that takes.
func TestWaitForLock(t *testing.T) {
	r := newRig(t)
	queue := r.give("a")
	st, err := r.store.Standing(t.Context(), demo, "a", queue)
	if err != nil {
		t.Fatal(err)
	}
	j := r.newJob(queue, queued{st.Run, st.Queued, st.Revision})
	for holder := range int64(3) {
		if err := j.waitForLock(t.Context(), holder+1); err != nil {
			t.Errorf("holder %d: %v", holder+1, err)
		}
		j.refused = j.refused.Add(-lockPatience)
	}
	var reason refusal
	if err := j.waitForLock(t.Context(), 3); !errors.As(err, &reason) || reason != nightwatch.ReasonLocked {
		t.Errorf("the same for long: %v", err)
	}
}

// What has its Job on record is followed, and dispatches nothing: it does not wait for a dispatch that takes long.
func TestJobOnRecordWaitsForNoTurn(t *testing.T) {
	r := newRig(t)
	r.kube.run = succeed
	r.accept(`{"image":"busybox"}`)
	r.start()
	leave, err := r.turns.enter(t.Context(), demo, time.Time{}) // as one whose create is refused for the moment
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	r.give("a", func(run *nightwatch.Run) {
		run.Runner, run.LostSessions = nightwatch.RunnerKubernetes, 1
		run.Job = &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo", UID: "u1"}
	})
	r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	r.clean()
}
