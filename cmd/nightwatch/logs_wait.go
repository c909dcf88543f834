package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// firstRun waits for a run of a task that has none on record, for as long as there is the task.
func (t *tailing) firstRun(ctx context.Context) (*nightwatch.Run, error) {
	whole := func(run *nightwatch.Run) bool { return run.Shard == nil }
	return t.born(ctx, whole, func(ctx context.Context) error {
		there := false
		_, err := t.store.Wait(ctx, t.task, func(s *nightwatch.Status) bool {
			if s != nil && !there {
				there = true
				t.note("%s has no run on record (%s); waiting for one", t.task, statusText(s))
			}
			return s == nil && there
		})
		if err != nil {
			return err
		}
		return errors.New(t.task + " was deleted")
	})
}

// statusText is how a task stands that has no run.
func statusText(s *nightwatch.Status) string {
	words := []string{string(s.Phase)}
	if s.Reason != "" && s.Reason != string(s.Phase) {
		words = append(words, s.Reason)
	}
	if len(s.Next) > 0 {
		words = append(words, "next at "+s.Next[0].Format(time.RFC3339))
	}
	return strings.Join(words, ", ")
}

// shardRun waits for the record of a shard, which may be made later than that of its run.
func (t *tailing) shardRun(ctx context.Context, of *nightwatch.Run, id string) (*nightwatch.Run, error) {
	shard := func(run *nightwatch.Run) bool { return run.ID == id }
	return t.born(ctx, shard, func(ctx context.Context) error {
		last, err := t.store.WaitRun(ctx, of.Task, of.ID, func(r *nightwatch.Run) bool { return r == nil || !r.Live() })
		switch {
		case err != nil:
			return err
		case last == nil:
			return fmt.Errorf("run %s: its record was deleted", of.ID)
		}
		return fmt.Errorf("run %s ended without this shard: %s", of.ID, phaseText(last))
	})
}

// born waits for the record of a run of the task that is wanted, and no longer than over does, which says why there will be
// none.
func (t *tailing) born(ctx context.Context, wanted func(*nightwatch.Run) bool, over func(context.Context) error) (*nightwatch.Run, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var found *nightwatch.Run
	followed := make(chan struct{})
	follower := store.Follower{Client: t.store.Client(), Prefix: t.store.Keys().RunsOf(t.task)}
	go func() {
		defer close(followed)
		follower.Run(ctx, func(b store.Batch) {
			for _, e := range b.Events {
				run := new(nightwatch.Run)
				if found == nil && !e.Deleted && json.Unmarshal(e.Value, run) == nil && wanted(run) {
					found = run
					stop()
				}
			}
		})
	}()
	err := over(ctx)
	stop()
	<-followed
	if found != nil {
		return found, nil
	}
	return nil, err
}

// waitFor is wait; unless it is to last, it gives the record as it is after a while.
func (t *tailing) waitFor(ctx context.Context, run *nightwatch.Run, lasting bool, done func(*nightwatch.Run) bool) (*nightwatch.Run, error) {
	if lasting {
		return t.wait(ctx, run, done)
	}
	waitCtx, cancel := context.WithTimeout(ctx, retryLog)
	defer cancel()
	next, err := t.wait(waitCtx, run, done)
	if err != nil && ctx.Err() == nil && waitCtx.Err() != nil {
		return run, nil
	}
	return next, err
}

// wait waits for a record that satisfies done.
func (t *tailing) wait(ctx context.Context, run *nightwatch.Run, done func(*nightwatch.Run) bool) (*nightwatch.Run, error) {
	next, err := t.store.WaitRun(ctx, run.Task, run.ID, func(r *nightwatch.Run) bool { return r == nil || done(r) })
	switch {
	case err != nil:
		return nil, err
	case next == nil:
		return nil, fmt.Errorf("run %s: its record was deleted", run.ID)
	}
	return next, nil
}
