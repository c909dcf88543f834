package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/store"
)

const (
	// ceilingBatch runs share a request, and ceilingFlying requests are under way: what etcd does best with.
	ceilingBatch  = 32
	ceilingFlying = 8
)

// sizes of values in bytes, as those of a run of a small handler task are.
const (
	runBytes    = 420
	statusBytes = 900
)

// Ceiling is how many lives of runs a second etcd takes, for about as long as asked for. Its keys are below prefix, and
// are removed.
func Ceiling(ctx context.Context, client *clientv3.Client, prefix string, length time.Duration) (perSecond float64, err error) {
	keys := store.NewKeys(prefix)
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		_, cleanErr := client.Delete(cleaning, keys.Prefix(), clientv3.WithPrefix())
		err = errors.Join(err, cleanErr)
	}()
	lease, err := client.Grant(ctx, 60)
	if err != nil {
		return 0, fmt.Errorf("grant a lease: %w", err)
	}
	defer func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		_, revokeErr := client.Revoke(cleaning, lease.ID)
		err = errors.Join(err, revokeErr)
	}()
	var done atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, ceilingFlying)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	for lane := range ceilingFlying {
		group.Go(func() {
			for round := 0; time.Since(began) < length; round++ {
				if err := lives(ctx, client, keys, lease.ID, fmt.Sprintf("l%d-%d", lane, round)); err != nil {
					failed <- err
					cancel()
					return
				}
				done.Add(ceilingBatch)
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return 0, fmt.Errorf("measure etcd: %w", err)
	default:
		return float64(done.Load()) / took.Seconds(), nil
	}
}

// bareCost is what such a life writes for each run, a third of a request's share at each of its steps.
func bareCost() (requests, keys, bytes float64) {
	all := store.NewKeys("")
	const node, task, id = "bench-node-1", "bench-12345678/l0-0-0", "20261120T141500Z"
	run, queue, lock := len(all.Run(task, id)), len(all.Queue(node, task, id)), len(all.LocksOf(task))+16
	status := len(all.Status(task)) + statusBytes
	return 3.0 / ceilingBatch, 8, float64(3*(run+runBytes) + 2*queue + runBytes + status + 2*lock)
}

// lives sees a batch of runs through their lives.
func lives(ctx context.Context, client *clientv3.Client, keys store.Keys, lease clientv3.LeaseID, name string) error {
	batch := make([][]step, ceilingBatch)
	for i := range batch {
		batch[i] = life(keys, lease, fmt.Sprintf("bench-12345678/%s-%d", name, i))
	}
	return together(ctx, client, batch)
}

// step is a guarded transaction.
type step struct {
	guards []clientv3.Cmp
	ops    []clientv3.Op
}

// life is that of a task's run: created, claimed, finished.
func life(keys store.Keys, lease clientv3.LeaseID, task string) []step {
	const id = "20261120T141500Z"
	value := strings.Repeat("r", runBytes)
	run, queue, status := keys.Run(task, id), keys.Queue("bench-node-1", task, id), keys.Status(task)
	lock, freezes := keys.LocksOf(task)+"694d8f2a1b3c4d5e", keys.Freezes(task)
	absent := func(key string) clientv3.Cmp { return clientv3.Compare(clientv3.ModRevision(key), "=", 0) }
	there := func(key string) clientv3.Cmp { return clientv3.Compare(clientv3.ModRevision(key), ">", 0) }
	return []step{{
		[]clientv3.Cmp{absent(run), absent(status), absent(freezes[0]), absent(freezes[1])},
		[]clientv3.Op{clientv3.OpPut(run, value), clientv3.OpPut(queue, value), clientv3.OpPut(status, strings.Repeat("s", statusBytes))},
	}, {
		[]clientv3.Cmp{
			there(run), absent(freezes[0]), absent(freezes[1]),
			clientv3.Compare(clientv3.CreateRevision(keys.LocksOf(task)).WithPrefix(), "=", 0),
		},
		[]clientv3.Op{clientv3.OpPut(lock, "", clientv3.WithLease(lease)), clientv3.OpPut(run, value), clientv3.OpGet(keys.Accepted(task))},
	}, {
		[]clientv3.Cmp{there(run), there(lock)},
		[]clientv3.Op{clientv3.OpPut(run, value), clientv3.OpDelete(queue), clientv3.OpDelete(lock)},
	}}
}

// together takes lives of as many steps one step after the other, each step of all of them in one request.
func together(ctx context.Context, client *clientv3.Client, lives [][]step) error {
	for k := range lives[0] {
		ops := make([]clientv3.Op, len(lives))
		for i, steps := range lives {
			ops[i] = clientv3.OpTxn(steps[k].guards, steps[k].ops, nil)
		}
		response, err := client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		for _, r := range response.Responses {
			if !r.GetResponseTxn().Succeeded {
				return errors.New("a guarded transaction of its own was refused")
			}
		}
	}
	return nil
}
