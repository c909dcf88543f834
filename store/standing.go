package store

import (
	"context"
	"encoding/json"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
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
	found := func(i int) []*mvccpb.KeyValue { return response.Responses[i].GetResponseRange().Kvs }
	var st Standing
	for _, freeze := range response.Responses[3:] {
		st.Frozen = st.Frozen || freeze.GetResponseRange().Count > 0
	}
	if queued := found(1); len(queued) > 0 {
		st.Queued = queued[0].CreateRevision
	}
	if locks := found(2); len(locks) > 0 {
		st.Locked = locks[0].CreateRevision
	}
	record := found(0)
	if len(record) == 0 {
		return st, fmt.Errorf("%s: %w", key, nightwatch.ErrNotFound)
	}
	st.Revision = record[0].ModRevision
	if err := json.Unmarshal(record[0].Value, &st.Run); err != nil {
		return st, fmt.Errorf("read %s: %w", key, err)
	}
	return st, nil
}
