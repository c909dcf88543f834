package store

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// Standing is all that the claim of a run depends on, at one revision.
type Standing struct {
	Run      nightwatch.Run
	Revision int64 // ModRevision of its record
	Queued   int64 // CreateRevision of the queue key that gave it to a node; 0: it is not there
	Frozen   bool  // a freeze covers the task
	Locked   int64 // CreateRevision of the oldest key of those who hold or wait for the task's mutex; 0: nobody does
}

// Standing reads how a run stands for the node that it was given to by a queue key. Where it has no record the error is
// nightwatch.ErrNotFound, and the rest is as it is.
func (s *Store) Standing(ctx context.Context, task, id, queue string) (Standing, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	key := s.keys.Run(task, id)
	ops := []clientv3.Op{
		clientv3.OpGet(key), clientv3.OpGet(queue, clientv3.WithKeysOnly()),
		clientv3.OpGet(s.keys.LocksOf(task), append(clientv3.WithFirstCreate(), clientv3.WithKeysOnly())...),
	}
	for _, freeze := range s.keys.Freezes(task) {
		ops = append(ops, clientv3.OpGet(freeze, clientv3.WithCountOnly()))
	}
	response, err := s.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return Standing{}, fmt.Errorf("read %s: %w", key, err)
	}
	var st Standing
	for i, r := range response.Responses {
		found := r.GetResponseRange()
		switch {
		case i > 2:
			st.Frozen = st.Frozen || found.Count > 0
		case len(found.Kvs) == 0:
		case i == 0:
			st.Revision = found.Kvs[0].ModRevision
			err = json.Unmarshal(found.Kvs[0].Value, &st.Run)
		case i == 1:
			st.Queued = found.Kvs[0].CreateRevision
		case i == 2:
			st.Locked = found.Kvs[0].CreateRevision
		}
	}
	switch {
	case err != nil:
		return st, fmt.Errorf("read %s: %w", key, err)
	case st.Revision == 0:
		return st, fmt.Errorf("%s: %w", key, nightwatch.ErrNotFound)
	}
	return st, nil
}
