package store

import (
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
	for {
		finished, err := s.watchKey(ctx, key, done)
		if finished {
			return nil
		}
		if errors.Is(err, rpctypes.ErrPermissionDenied) {
			return err
		}
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, ctx.Err()) {
				return fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
			return context.Cause(ctx)
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
		}
	}
}

func (s *Store) watchKey(ctx context.Context, key string, done func([]byte) bool) (bool, error) {
	getCtx, cancelGet := context.WithTimeout(ctx, callTimeout)
	response, err := s.client.Get(getCtx, key)
	cancelGet()
	if err != nil {
		return false, fmt.Errorf("get %s: %w", key, err)
	}
	var value []byte
	if len(response.Kvs) > 0 {
		value = response.Kvs[0].Value
	}
	if done(value) {
		return true, nil
	}
	watchCtx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for changes := range s.client.Watch(watchCtx, key, clientv3.WithRev(response.Header.Revision+1)) {
		if err := changes.Err(); err != nil {
			return false, fmt.Errorf("watch %s: %w", key, err)
		}
		for _, event := range changes.Events {
			value = event.Kv.Value
			if event.Type == clientv3.EventTypeDelete {
				value = nil
			}
			if done(value) {
				return true, nil
			}
		}
	}
	return false, fmt.Errorf("watch %s: closed", key)
}
