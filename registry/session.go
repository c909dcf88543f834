package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// DefaultTTL is how long a session's lease lasts without renewal unless configured.
const DefaultTTL = 5 * time.Second

// Errors of a session, also the causes of its context's end.
var (
	// ErrSessionLost: the deadline passed without an answered renewal, or the lease is gone.
	ErrSessionLost = errors.New("session lost")
	// ErrSessionClosed: Close was called.
	ErrSessionClosed = errors.New("session closed")
)

// SessionConfig configures NewSession.
type SessionConfig struct {
	// TTL is how long the lease lasts without renewal, rounded up to whole seconds; etcd raises it to at least 1.5
	// times its election timeout. Default 5 s.
	TTL time.Duration
	// Logger hears when the session is lost and of renewals that failed. Default none.
	Logger hclog.Logger
}

// Session is one life of a node: a lease, kept alive, and the time until when this process may count on it. All methods
// are safe for concurrent use.
type Session struct {
	client     *clientv3.Client
	log        hclog.Logger
	lease      clientv3.LeaseID
	ttl        time.Duration
	margin     time.Duration
	concurrent *concurrency.Session

	ctx      context.Context // the life, as others see it
	end      context.CancelCauseFunc
	stop     context.CancelFunc // ends the renewals
	closing  chan struct{}      // closed by the first Close
	finished chan struct{}      // closed when the renewing goroutine has ended

	mu       sync.Mutex
	deadline time.Time
	over     bool
}

// NewSession grants a lease, reads back the TTL that was granted and starts to keep the lease alive. The context bounds
// the start only, which takes no longer than the TTL. The session goes on until it is lost or
// closed. The caller closes it, a lost one too.
//
// When the grant's outcome is unknown the error says so and a lease may be left behind, with no key under it, until it
// expires.
func NewSession(ctx context.Context, client *clientv3.Client, cfg SessionConfig) (*Session, error) {
	if client == nil {
		return nil, errors.New("new session: no etcd client")
	}
	ttl := cfg.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < 0 {
		return nil, fmt.Errorf("new session: TTL %s: want more than 0", ttl)
	}
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	startCtx, cancelStart := context.WithTimeout(ctx, ttl)
	defer cancelStart()
	sent := time.Now()
	grant, err := client.Grant(startCtx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return nil, fmt.Errorf("new session: grant a lease of %s: %w", ttl, err)
	}
	s := &Session{
		client:   client,
		log:      log,
		lease:    grant.ID,
		ttl:      time.Duration(grant.TTL) * time.Second,
		closing:  make(chan struct{}),
		finished: make(chan struct{}),
	}
	s.margin = s.ttl / 5
	s.deadline = sent.Add(s.ttl - s.margin)

	lifeCtx := context.WithoutCancel(ctx) // the life outlasts the call that began it
	s.ctx, s.end = context.WithCancelCause(lifeCtx)
	keepCtx, stop := context.WithCancel(lifeCtx)
	unregister := context.AfterFunc(client.Ctx(), stop)
	s.stop = func() {
		unregister()
		stop()
	}
	s.concurrent, err = concurrency.NewSession(unrenewed(keepCtx, client), concurrency.WithLease(s.lease), concurrency.WithContext(keepCtx))
	if err == nil && !s.Alive() {
		err = fmt.Errorf("the grant took %s of a TTL of %s: %w", time.Since(sent).Round(time.Millisecond), s.ttl, ErrSessionLost)
	}
	if err != nil {
		s.stop()
		s.end(err)
		revokeCtx, cancel := context.WithTimeout(lifeCtx, time.Second) // a courtesy: nothing renews the lease
		defer cancel()
		_ = s.revoke(revokeCtx)
		return nil, fmt.Errorf("new session: lease %s: %w", s.ID(), err)
	}
	go s.run(lifeCtx)
	return s, nil
}

// ID is the lease in lower-case hexadecimal, as in the session field of a node's key.
func (s *Session) ID() string { return formatLease(s.lease) }

func formatLease(lease clientv3.LeaseID) string { return strconv.FormatInt(int64(lease), 16) }

// Lease is the lease that the keys of this life are put under.
func (s *Session) Lease() clientv3.LeaseID { return s.lease }

// Concurrency is the session for elections and mutexes on the same lease. Do not close it; its Done is later than this
// session's.
func (s *Session) Concurrency() *concurrency.Session { return s.concurrent }

// TTL is what etcd granted.
func (s *Session) TTL() time.Duration { return s.ttl }

// Deadline is until when this life may act, as known now: it moves on with each answered renewal while the session is
// alive and stays where it was after. Compare it with time.Now, whose monotonic reading it carries.
func (s *Session) Deadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline
}

// Alive says whether this life may act at this moment. Once false it stays false.
func (s *Session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aliveLocked()
}

func (s *Session) aliveLocked() bool {
	// The time is read under the lock: had an earlier call seen the deadline pass, no later one can see it moved.
	return !s.over && time.Now().Before(s.deadline)
}

// Context lasts as long as the session; its cause is then ErrSessionLost or ErrSessionClosed. It carries the values of
// the context that NewSession was given.
func (s *Session) Context() context.Context { return s.ctx }

// Done is closed when the session is lost or closed.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Close ends the session, stops renewing and revokes the lease at once, by which etcd removes every key under it. It
// waits for that no longer than the context, or the TTL, lasts; after an error the lease ends by itself within its TTL.
// Closing again, or closing a lost session, waits for the end of the first effort and returns nil.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.over
	s.over = true
	select {
	case <-s.closing:
	default:
		close(s.closing)
	}
	s.mu.Unlock()
	s.end(ErrSessionClosed) // keeps ErrSessionLost if that came first
	s.stop()
	select {
	case <-s.finished:
	case <-ctx.Done():
		return fmt.Errorf("close session %s: %w", s.ID(), ctx.Err())
	}
	if !first {
		return nil
	}
	if err := s.revoke(ctx); err != nil {
		return fmt.Errorf("close session %s: revoke its lease: %w", s.ID(), err)
	}
	return nil
}
