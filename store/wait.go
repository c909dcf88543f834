package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// Wait blocks until the status of a task satisfies done, and returns that status. It is called with nil while there
// is no status key. It waits as long as ctx lets it, over any trouble with etcd but that etcd does not let this user read.
func (s *Store) Wait(ctx context.Context, task string, done func(*nightwatch.Status) bool) (*nightwatch.Status, error) {
	var last *nightwatch.Status
	err := s.waitKey(ctx, s.keys.Status(task), func(value []byte) bool {
		last = nil
		if value != nil {
			last = new(nightwatch.Status)
			if json.Unmarshal(value, last) != nil {
				return false
			}
		}
		return done(last)
	})
	return last, err
}

// WaitRun blocks until the record of a run satisfies done, and returns that record. It is called with nil while there is
// no record.
func (s *Store) WaitRun(ctx context.Context, task, id string, done func(*nightwatch.Run) bool) (*nightwatch.Run, error) {
	var last *nightwatch.Run
	err := s.waitKey(ctx, s.keys.Run(task, id), func(value []byte) bool {
		last = nil
		if value != nil {
			last = new(nightwatch.Run)
			if json.Unmarshal(value, last) != nil {
				return false
			}
		}
		return done(last)
	})
	return last, err
}

// WaitVerdict blocks until the cluster has answered a request.
func (s *Store) WaitVerdict(ctx context.Context, task, id string) (nightwatch.Verdict, error) {
	var verdict nightwatch.Verdict
	err := s.waitKey(ctx, s.keys.Verdict(task, id), func(value []byte) bool {
		return value != nil && json.Unmarshal(value, &verdict) == nil
	})
	return verdict, err
}

// waitKey calls done with the value of key, nil while it is absent, at every change until it is true.
func (s *Store) waitKey(ctx context.Context, key string, done func([]byte) bool) error {
	w := waiter{s: s, key: key, done: done}
	for {
		finished, err := w.watch(ctx)
		switch {
		case finished:
			return nil
		case errors.Is(err, rpctypes.ErrPermissionDenied):
			return err
		case ctx.Err() != nil && err != nil && !errors.Is(err, ctx.Err()):
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			continue
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
		}
	}
}

// waiter waits for a key.
type waiter struct {
	s    *Store
	key  string
	done func([]byte) bool
	told bool // done was called, last with this value
	last []byte
}

func (w *waiter) tell(value []byte) (done bool) {
	w.told, w.last = true, value
	return w.done(value)
}

// lookAgain is how often one who waits for a key reads it, whatever its watch says: of a cluster that was restored from a
// backup that says nothing until revisions are what they were.
var lookAgain = 15 * time.Second

// watch reads the key and follows it, until it is done or it is time to look again.
func (w *waiter) watch(ctx context.Context) (done bool, err error) {
	getCtx, cancelGet := context.WithTimeout(ctx, callTimeout)
	response, err := w.s.client.Get(getCtx, w.key)
	cancelGet()
	if err != nil {
		return false, fmt.Errorf("get %s: %w", w.key, err)
	}
	var value []byte
	if len(response.Kvs) > 0 {
		value = response.Kvs[0].Value
	}
	news := !w.told || !bytes.Equal(value, w.last) || (value == nil) != (w.last == nil)
	if news && w.tell(value) {
		return true, nil
	}
	watchCtx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), lookAgain)
	defer cancel()
	for changes := range w.s.client.Watch(watchCtx, w.key, clientv3.WithRev(response.Header.Revision+1)) {
		if err := changes.Err(); err != nil {
			return false, fmt.Errorf("watch %s: %w", w.key, err)
		}
		for _, event := range changes.Events {
			value = event.Kv.Value
			if event.Type == clientv3.EventTypeDelete {
				value = nil
			}
			if w.tell(value) {
				return true, nil
			}
		}
	}
	if watchCtx.Err() != nil {
		return false, nil
	}
	return false, fmt.Errorf("watch %s: closed", w.key)
}
