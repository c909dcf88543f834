package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

// stage is where handlers wait for their turn, and what they were told.
type stage struct {
	mu    sync.Mutex
	told  map[string][]jobrunner.Run // by task
	gates map[string]chan struct{}
}

func newStage(tasks ...string) *stage {
	s := &stage{told: map[string][]jobrunner.Run{}, gates: map[string]chan struct{}{}}
	for _, task := range tasks {
		s.gates[task] = make(chan struct{})
	}
	return s
}

// play has the handler "play" wait until its task may end; its result is the sum of those that it was told, and one.
func (s *stage) play(n *node.Node) {
	_, _ = n.Handle("play", func(ctx context.Context, run jobrunner.Run) error {
		s.mu.Lock()
		s.told[run.Task] = append(s.told[run.Task], run)
		gate := s.gates[run.Task]
		s.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		sum := 1
		for _, u := range run.Upstream {
			var of int
			if err := json.Unmarshal(u.Result, &of); err != nil {
				return fmt.Errorf("%s: %w", u.Task, err)
			}
			sum += of
		}
		return run.SetResult(sum)
	})
}

func (s *stage) runs(task string) []jobrunner.Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told[task])
}

// A diamond of tasks, b and c after a and d after both, goes through once, with the results handed on, although each step
// ends while nobody is there to see it, and another node has the scheduler's role in each. No record is kept for it.
func TestDiamondWithAnotherSchedulerAtEachStep(t *testing.T) {
	server := etcdtest.Start(t)
	s := newStage("a", "b", "c", "d")
	worker := startPeer(t, server.Client(t), node.Config{Name: "worker", NoScheduler: true}, s.play)
	st := worker.Store()
	step := 0
	lead := func() *peer {
		step++
		return startPeer(t, server.Client(t), node.Config{Name: fmt.Sprint("scheduler", step), Labels: map[string]string{"only": "schedules"}})
	}
	begun := func(tasks ...string) {
		t.Helper()
		for _, task := range tasks {
			etcdtest.Eventually(t, 30*time.Second, func() bool { return len(s.runs(task)) > 0 }, "%s begins", task)
		}
	}
	// endUnseen lets tasks end while nobody leads, and waits until their records say so.
	endUnseen := func(tasks ...string) {
		t.Helper()
		for _, task := range tasks {
			close(s.gates[task])
			name, id := "default/"+task, s.runs(task)[0].ID
			etcdtest.Eventually(t, 30*time.Second, func() bool {
				run, _, err := st.Run(t.Context(), name, id)
				return err == nil && run.Phase == nightwatch.PhaseSucceeded
			}, "%s ends", task)
		}
	}
	first := lead()
	const none = `,"history":{"succeeded":0}`
	put(t, st, "default/d", `{"handler":{"name":"play"},"after":{"tasks":["b","default/c"]}}`)
	put(t, st, "default/b", `{"handler":{"name":"play"},"after":{"tasks":["a"]}`+none+`}`)
	put(t, st, "default/c", `{"handler":{"name":"play"},"after":{"tasks":["default/a"],"condition":"finished"}`+none+`}`)
	put(t, st, "default/a", `{"handler":{"name":"play"},"schedule":"0 0 1 1 *"`+none+`}`)
	for _, task := range []string{"a", "b", "c", "d"} {
		waitStatus(t, st, "default/"+task, func(s *nightwatch.Status) bool { return s != nil && s.Accepted })
	}
	if err := st.Request(t.Context(), "default/a", "go", nightwatch.Request{Action: nightwatch.ActionRun}); err != nil {
		t.Fatal(err)
	}
	begun("a")
	first.stop()
	endUnseen("a")
	second := lead()
	begun("b", "c")
	second.stop()
	endUnseen("b", "c")
	third := lead()
	begun("d")
	third.stop()
	endUnseen("d")
	lead()
	done := waitStatus(t, st, "default/d", func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded == 1 && s.ActiveCount == 0 })
	for _, task := range []string{"a", "b", "c"} {
		waitStatus(t, st, "default/"+task, func(s *nightwatch.Status) bool {
			runs, err := st.Runs(t.Context(), "default/"+task)
			return err == nil && len(runs) == 0 && s.Counts.Succeeded == 1
		})
	}
	for task, runs := range map[string]int{"a": 1, "b": 1, "c": 1, "d": 1} {
		if told := s.runs(task); len(told) != runs {
			t.Errorf("%s: %d attempts, want %d: %+v", task, len(told), runs, told)
		}
	}
	told := s.runs("d")[0]
	if !strings.HasPrefix(told.ID, "dep-") || len(told.Upstream) != 2 || told.Upstream[0].Task != "default/b" || told.Upstream[1].Task != "default/c" {
		t.Errorf("%+v", told)
	}
	for i, task := range []string{"b", "c"} {
		of := s.runs(task)[0]
		if u := told.Upstream[i]; u.Run != of.ID || u.Phase != nightwatch.PhaseSucceeded || string(u.Result) != "2" || u.EndTime.IsZero() {
			t.Errorf("%s: %+v", task, u)
		}
		if of.Upstream[0].Run != "req-go" {
			t.Errorf("%s: %+v", task, of)
		}
	}
	if result := done.LastRun.Result; string(result) != "5" { // 1 + 2 + 2
		t.Errorf("result %s, want 5", result)
	}
}
