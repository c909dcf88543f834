package registry

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Run keeps the view up to date until the context ends, and then returns nil. It never gives up: while etcd is away, or
// refuses, Nodes stays as it was and Age grows. It is single-use.
func (v *View) Run(ctx context.Context) error {
	if !v.started.CompareAndSwap(false, true) {
		return errors.New("run view: it was run before")
	}
	healthy := true
	for ctx.Err() == nil {
		revision, err := v.list(ctx)
		if err == nil {
			if !healthy {
				v.log.Info("the view of the nodes is fresh again", "revision", revision)
			}
			healthy = true
			if err = v.watch(ctx, revision+1); err == nil {
				continue
			}
			v.log.Debug("the watch of the nodes ended", "error", err)
		} else if healthy && ctx.Err() == nil {
			healthy = false
			v.log.Warn("the nodes cannot be listed", "error", err)
		}
		select { // an etcd that refuses is not asked in a tight loop
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
	return nil
}

// list replaces the view by a linearizable reading and returns its revision. One page will do: a cluster has hundreds of
// nodes at most.
func (v *View) list(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	select { // this listing is the answer to whoever asked before it was sent
	case <-v.relist:
	default:
	}
	sent := time.Now()
	resp, err := v.client.Get(ctx, v.cfg.Prefix, clientv3.WithPrefix())
	if err != nil {
		return 0, err
	}
	v.replace(resp.Kvs, resp.Header.Revision, sent)
	return resp.Header.Revision, nil
}

// makeTimeout bounds how long the client waits for a connection over which to make a watch.
const makeTimeout = 5 * time.Second

// makeWatch makes a watch, which has failed when that took too long.
func makeWatch(ctx context.Context, cancel context.CancelFunc, client *clientv3.Client, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	making := time.AfterFunc(makeTimeout, cancel)
	defer making.Stop()
	return client.Watch(ctx, key, opts...)
}

// watch applies what happens from the revision on. It returns nil when it is time to list anew, an error when the watch
// ended by itself: closed, compacted, no leader, or the context's end.
func (v *View) watch(ctx context.Context, revision int64) error {
	watchCtx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := makeWatch(watchCtx, cancel, v.client, v.cfg.Prefix, clientv3.WithPrefix(), clientv3.WithRev(revision), clientv3.WithProgressNotify())
	resync := time.NewTimer(v.cfg.Resync)
	defer resync.Stop()
	for {
		select {
		case resp, ok := <-events:
			if !ok {
				return errors.New("closed")
			}
			if err := resp.Err(); err != nil {
				return err
			}
			reached := resp.Header.Revision // a progress notification's: nothing is outstanding up to it
			if n := len(resp.Events); n > 0 {
				// The header of a watch that is catching up is ahead of the events that came with it.
				reached = resp.Events[n-1].Kv.ModRevision
			}
			v.apply(resp.Events, reached, time.Now())
		case <-v.relist:
			return nil
		case <-resync.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
