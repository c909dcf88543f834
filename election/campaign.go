package election

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// campaign runs one concurrency.Election campaign and returns the CreateRevision of the key that won. When it is called
// off, concurrency.Election removes its key with the client's own context, which has no deadline: with a silent
// connection that would block for as long as the client is open. So the election gets a client of the same interfaces
// and a context of ours, which ends cleanTimeout after the campaign was called off.
func (c *Candidate) campaign(ctx context.Context) (int64, error) {
	ctx, callOff := context.WithCancelCause(ctx)
	defer callOff(nil)
	lastCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); errors.Is(cause, ErrSessionLost) || errors.Is(cause, ErrClientClosed) {
			cancel() // nothing to remove: the key goes with the lease
			return
		}
		time.AfterFunc(cleanTimeout, cancel)
	})()
	client := clientv3.NewCtxClient(lastCtx)
	client.KV, client.Watcher, client.Lease = c.client.KV, c.client.Watcher, unrenewed{c.client.Lease}
	session, err := concurrency.NewSession(client, concurrency.WithLease(c.cfg.Session.Lease()), concurrency.WithContext(lastCtx))
	if err != nil {
		return 0, err
	}
	defer session.Orphan()
	var overdue sync.WaitGroup
	defer overdue.Wait()
	defer callOff(nil) // before waiting
	overdue.Go(func() { c.callOffIfDeaf(ctx, callOff) })
	election := concurrency.NewElection(session, c.cfg.Prefix)
	// The watch for older keys fails, and is begun anew, when its member has lost the cluster.
	if err := election.Campaign(clientv3.WithRequireLeader(ctx), c.cfg.Value); err != nil {
		if errors.Is(context.Cause(ctx), errDeaf) {
			err = errDeaf
		}
		return 0, err
	}
	return election.Rev(), nil
}

// errDeaf: this key is the first in line, and the campaign has not heard of it.
var errDeaf = errors.New("the watch for older keys went silent")

// callOffIfDeaf reads who is first in line at intervals. The campaign waits for a watch to tell that the last older key
// is gone; should that watch miss it, nobody would lead. First in line for a whole interval without a win is taken for
// that: the campaign is called off, and begun anew.
func (c *Candidate) callOffIfDeaf(ctx context.Context, callOff context.CancelCauseFunc) {
	first := false
	for wait(ctx, c.reread) == nil {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		resp, err := c.client.Get(callCtx, c.cfg.Prefix+"/", clientv3.WithFirstCreate()...)
		cancel()
		ours := err == nil && len(resp.Kvs) > 0 && string(resp.Kvs[0].Key) == c.key
		if ours && first {
			callOff(errDeaf)
			return
		}
		first = ours
	}
}

// unrenewed is a lease service whose keepalives renew nothing: the lease belongs to the session that we were given, and
// must end when that one ends.
type unrenewed struct{ clientv3.Lease }

func (unrenewed) KeepAlive(ctx context.Context, _ clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	answers := make(chan *clientv3.LeaseKeepAliveResponse)
	context.AfterFunc(ctx, func() { close(answers) })
	return answers, nil
}

// curable says whether an error of etcd's may go away by waiting. What is known not to: no lease, no permission, a bad
// request, a closed client. The loss of a watch and anything unknown may.
func curable(err error) bool {
	code := status.Code(err)
	var fromEtcd rpctypes.EtcdError
	if errors.As(err, &fromEtcd) {
		code = fromEtcd.Code()
	}
	switch code {
	case codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented, codes.Canceled:
		return false
	}
	return true
}

// wait pauses, less if the context ends.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
