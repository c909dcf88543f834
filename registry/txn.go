package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// retryPause is between tries against an etcd that is away.
const retryPause = 200 * time.Millisecond

// commit does one transaction for the session, repeating it with the same comparisons while its outcome is unknown or
// etcd is away, until the context or the session ends. Its callers make sure that a repetition finds out whether an
// earlier try was applied.
func commit(ctx context.Context, s *Session, client *clientv3.Client, when []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Context(), func() { cancel(context.Cause(s.Context())) })()
	// A closed client answers a call only when the call's own time is up.
	defer context.AfterFunc(client.Ctx(), func() { cancel(errors.New("the etcd client was closed")) })()
	for {
		callCtx, cancelCall := context.WithTimeout(ctx, s.TTL())
		resp, err := client.Txn(callCtx).If(when...).Then(then...).Else(otherwise...).Commit()
		cancelCall()
		if err == nil {
			return resp, nil
		}
		if !transient(err) && ctx.Err() == nil {
			return nil, err
		}
		pause := time.NewTimer(retryPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, fmt.Errorf("%w: the transaction's outcome is unknown (last error: %v)", context.Cause(ctx), err)
		}
	}
}

// transient says whether waiting may cure the error of a call whose own timeout, not the caller's context, ended it.
func transient(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rpctypes.ErrTooManyRequests) {
		return true
	}
	code := status.Code(err)
	var fromEtcd rpctypes.EtcdError
	if errors.As(err, &fromEtcd) {
		code = fromEtcd.Code()
	}
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Internal
}
