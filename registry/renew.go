package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// run renews the lease until the session is lost or closed, then puts an end to it. It is the one goroutine of a
// session.
func (s *Session) run(ctx context.Context) {
	defer close(s.finished)
	reason := s.renewals()
	s.mu.Lock()
	closed := s.over // only Close sets it before this line
	s.over = true
	lapse := s.deadline.Add(s.margin)
	s.mu.Unlock()
	if closed {
		s.stop()
		s.concurrent.Orphan()
		return // Close revokes
	}
	s.log.Warn("session lost", "session", s.ID(), "ttl", s.ttl, "error", reason)
	s.end(ErrSessionLost)
	s.stop()
	s.concurrent.Orphan()
	if errors.Is(reason, rpctypes.ErrLeaseNotFound) {
		return
	}
	// What was under way here may take a moment to end: the margin. Only then may others see the keys go. If the
	// process dies before the revocation, the lease ends by itself, since nothing renews it any more.
	timer := time.NewTimer(time.Until(lapse))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing: // the owner says that nothing is under way
	case <-s.client.Ctx().Done():
		return
	}
	if err := s.revoke(ctx); err != nil {
		s.log.Debug("a lost session's lease is left to expire", "session", s.ID(), "error", err)
	}
}

// renewals sends one renewal after another and returns why it gave up: the deadline passed, the lease is gone, or the
// keepalives were stopped.
func (s *Session) renewals() error {
	interval, pause := s.ttl/4, s.ttl/20
	keepCtx := s.concurrent.Ctx() // ends with Close, with the client, and when the library finds the lease gone
	next := time.NewTimer(interval)
	defer next.Stop()
	for {
		deadline := s.Deadline()
		lost := time.NewTimer(time.Until(deadline))
		select {
		case <-next.C:
			lost.Stop()
		case <-lost.C:
		case <-keepCtx.Done():
			lost.Stop()
			return s.keepaliveEnded()
		}
		if !s.Alive() {
			return fmt.Errorf("no renewal answered in %s", s.ttl-s.margin)
		}
		sent := time.Now()
		callCtx, cancel := context.WithDeadline(keepCtx, earlier(deadline, sent.Add(interval)))
		ttl, err := s.renew(callCtx)
		cancel()
		switch {
		case err == nil:
			s.extend(sent, ttl)
			next.Reset(time.Until(sent.Add(interval)))
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return err
		default:
			s.log.Debug("renewal of the session not answered", "session", s.ID(), "error", err)
			next.Reset(max(pause, time.Until(sent.Add(pause))))
		}
	}
}

// keepaliveEnded tells why the library's keepalive ended: closed by us, or the client was closed, or it found the lease
// gone (it gives no reason).
func (s *Session) keepaliveEnded() error {
	if err := s.client.Ctx().Err(); err != nil {
		return errors.New("the etcd client was closed")
	}
	return errors.New("the keepalive ended: the lease was revoked or expired")
}

// extend moves the deadline for a renewal that was sent at the given time and answered, unless the deadline has passed
// meanwhile: a session that was seen dead stays dead.
func (s *Session) extend(sent time.Time, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if deadline := sent.Add(min(ttl, s.ttl) - s.margin); s.aliveLocked() && deadline.After(s.deadline) {
		s.deadline = deadline
	}
}

// renew asks etcd once to renew the lease and returns the TTL it now has.
//
// It does by itself what Lease.KeepAliveOnce does, because that one repeats the request without any pause for as long as
// the server is unavailable: with a dead etcd it would keep a processor busy until the deadline.
func (s *Session) renew(ctx context.Context) (time.Duration, error) {
	if s.client.ActiveConnection() == nil { // a client put together from interfaces; there is no connection to ask
		resp, err := s.client.KeepAliveOnce(ctx, s.lease)
		if err != nil {
			return 0, err
		}
		return time.Duration(resp.TTL) * time.Second, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	stream, err := clientv3.RetryLeaseClient(s.client).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return 0, clientv3.ContextError(ctx, err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(s.lease)}); err != nil {
		return 0, clientv3.ContextError(ctx, err)
	}
	resp, err := stream.Recv()
	if err != nil {
		return 0, clientv3.ContextError(ctx, err)
	}
	if resp.TTL <= 0 {
		return 0, rpctypes.ErrLeaseNotFound
	}
	return time.Duration(resp.TTL) * time.Second, nil
}

// revoke ends the lease, trying once, no longer than the TTL: after that it has ended by itself. A lease that is gone
// already is no error.
func (s *Session) revoke(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.ttl)
	defer cancel()
	_, err := s.client.Revoke(ctx, s.lease)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
