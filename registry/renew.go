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
// client was closed, unless the session was.
func (s *Session) renewals() error {
	interval, pause := s.ttl/4, s.ttl/20
	keepCtx := s.concurrent.Ctx() // ends with Close, and with the client
	next := time.NewTimer(interval)
	defer next.Stop()
	lease := renewer{client: s.client, lease: s.lease}
	defer lease.close()
	for {
		deadline := s.Deadline()
		lost := time.NewTimer(time.Until(deadline))
		select {
		case <-next.C:
			lost.Stop()
		case <-lost.C:
		case <-keepCtx.Done():
			lost.Stop()
			return errors.New("the etcd client was closed")
		}
		if !s.Alive() {
			return fmt.Errorf("no renewal answered in %s", s.ttl-s.margin)
		}
		sent := time.Now()
		limit := interval // a request that is lost must not cost the session
		if lease.stream == nil {
			limit = max(limit, deadline.Sub(sent)/2) // the client may have to log in
		}
		callCtx, cancel := context.WithDeadline(keepCtx, earlier(deadline, sent.Add(limit)))
		ttl, err := lease.renew(callCtx)
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

// extend moves the deadline for a renewal that was sent at the given time and answered, unless the deadline has passed
// meanwhile: a session that was seen dead stays dead.
func (s *Session) extend(sent time.Time, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if deadline := sent.Add(min(ttl, s.ttl) - s.margin); s.aliveLocked() && deadline.After(s.deadline) {
		s.deadline = deadline
	}
}

// renewer renews a lease over one stream for as long as that answers.
//
// It does by itself what Lease.KeepAliveOnce does. That one repeats the request without any pause for as long as the
// server is unavailable: with a dead etcd it would keep a processor busy until the deadline. And it opens a stream for
// each renewal: with a password the client logs in for each stream, which costs etcd a comparison by bcrypt and a proposal.
type renewer struct {
	client *clientv3.Client
	lease  clientv3.LeaseID
	stream pb.Lease_LeaseKeepAliveClient // nil: none is open
	end    context.CancelFunc            // of the stream
}

// renew asks etcd once, for as long as the context lasts, and returns the TTL that the lease now has.
func (r *renewer) renew(ctx context.Context) (time.Duration, error) {
	if r.client.ActiveConnection() == nil { // a client put together from interfaces; there is no connection to ask
		resp, err := r.client.KeepAliveOnce(ctx, r.lease)
		if err != nil {
			return 0, err
		}
		return time.Duration(resp.TTL) * time.Second, nil
	}
	resp, err := r.ask(ctx)
	switch {
	case err != nil:
		r.close() // an answer that is late must not be taken for that to the next request
		return 0, clientv3.ContextError(ctx, err)
	case resp.TTL <= 0:
		return 0, rpctypes.ErrLeaseNotFound
	}
	return time.Duration(resp.TTL) * time.Second, nil
}

func (r *renewer) ask(ctx context.Context) (resp *pb.LeaseKeepAliveResponse, err error) {
	streamCtx := context.WithoutCancel(ctx) // the stream outlasts the request that opens it
	if r.stream == nil {
		streamCtx, r.end = context.WithCancel(streamCtx)
	}
	defer context.AfterFunc(ctx, r.end)()
	if r.stream == nil {
		if r.stream, err = clientv3.RetryLeaseClient(r.client).LeaseKeepAlive(streamCtx, grpc.WaitForReady(true)); err != nil {
			return nil, err
		}
	}
	if err := r.stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(r.lease)}); err != nil {
		return nil, err
	}
	return r.stream.Recv()
}

// close ends the stream, if there is one.
func (r *renewer) close() {
	if r.end != nil {
		r.end()
	}
	r.stream, r.end = nil, nil
}

// unrenewed is a client for a concurrency.Session whose keepalive renews nothing. The library's would end the session when
// its own stream is not answered for a TTL, by a member of etcd that hangs, say, while the renewals above are, by another.
func unrenewed(ctx context.Context, client *clientv3.Client) *clientv3.Client {
	c := clientv3.NewCtxClient(ctx)
	c.KV, c.Watcher, c.Lease = client.KV, client.Watcher, idle{client.Lease}
	return c
}

// idle is a lease service whose keepalives last as long as their context.
type idle struct{ clientv3.Lease }

func (idle) KeepAlive(ctx context.Context, _ clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	answers := make(chan *clientv3.LeaseKeepAliveResponse)
	context.AfterFunc(ctx, func() { close(answers) })
	return answers, nil
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
