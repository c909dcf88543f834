package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/registry"
)

func TestSessionIsRenewed(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 2*time.Second)
	first := s.Deadline()
	if want := strconv.FormatInt(int64(s.Lease()), 16); s.ID() != want {
		t.Errorf("ID %q, want %q", s.ID(), want)
	}
	etcdtest.Eventually(t, 10*time.Second, func() bool { return s.Deadline().After(first.Add(3 * time.Second)) }, "renewals past the first TTL")
	if !s.Alive() || s.Context().Err() != nil {
		t.Error("not alive")
	}
}

// deafLeases are those of a client whose keepalives go to a member of etcd that does not answer: they end at once. All else is
// done as ever.
type deafLeases struct{ clientv3.Lease }

func (deafLeases) KeepAlive(context.Context, clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	answers := make(chan *clientv3.LeaseKeepAliveResponse)
	close(answers)
	return answers, nil
}

// That the library's keepalive is not answered is no reason to give up a session that is renewed.
func TestSessionOutlivesTheLibrarysKeepalive(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	client.Lease = deafLeases{client.Lease}
	s := newSession(t, client, 2*time.Second)
	first := s.Deadline()
	etcdtest.Eventually(t, 10*time.Second, func() error {
		if cause := context.Cause(s.Context()); cause != nil {
			t.Fatal(cause)
		}
		if got := s.Deadline().Sub(first); got < 3*time.Second {
			return fmt.Errorf("its deadline has moved by %s", got)
		}
		return nil
	}, "renewals past the first TTL")
	select {
	case <-s.Concurrency().Done():
		t.Error("the library's session is over")
	default:
	}
}

// logins counts how often a client tells etcd its password.
type logins struct {
	clientv3.Auth
	n atomic.Int64
}

func (l *logins) Authenticate(ctx context.Context, name, password string) (*clientv3.AuthenticateResponse, error) {
	l.n.Add(1)
	return l.Auth.Authenticate(ctx, name, password)
}

// A login is dear to etcd: there is none for each renewal.
func TestRenewalsDoNotLogIn(t *testing.T) {
	server := etcdtest.Start(t)
	server.EnableAuth(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Username: "root", Password: "root"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	logins := &logins{Auth: client.Auth}
	client.Auth = logins
	s := newSession(t, client, 2*time.Second)
	first := s.Deadline()
	etcdtest.Eventually(t, 10*time.Second, func() bool { return s.Deadline().After(first.Add(time.Second)) }, "renewals")
	before := logins.n.Load()
	if before == 0 {
		t.Error("no login at all")
	}
	etcdtest.Eventually(t, 10*time.Second, func() bool { return s.Deadline().After(first.Add(4 * time.Second)) }, "further renewals")
	if n := logins.n.Load() - before; n > 0 {
		t.Errorf("%d logins while it was renewed", n)
	}
}

func TestTTLRaisedByTheServer(t *testing.T) {
	client := etcdtest.Start(t, etcdtest.WithElectionTimeout(2*time.Second)).Client(t)
	before := time.Now()
	s := newSession(t, client, 500*time.Millisecond)
	if s.TTL() != 3*time.Second {
		t.Errorf("TTL %s, want the 3 s that this etcd grants at least", s.TTL())
	}
	if until := s.Deadline().Sub(before); until < 2*time.Second {
		t.Errorf("the deadline is only %s away: it goes by the TTL asked for", until)
	}
}

// Answers that are late or lost must not move the deadline beyond what the last answered renewal's sending gives.
func TestDeadlineCountsFromTheSending(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	s := newSession(t, etcdtest.NewClient(t, proxy.Endpoint()), 3*time.Second)
	started := time.Now()
	const ttlLessMargin = 3 * time.Second * 4 / 5

	proxy.HoldResponses() // renewals arrive and are done, their answers do not come
	deadline := s.Deadline()
	if latest := started.Add(ttlLessMargin); deadline.After(latest) {
		t.Errorf("deadline %s after the latest possible sending + TTL - margin", deadline.Sub(latest))
	}
	within(t, time.Until(deadline)+time.Second, s.Done(), "lost without answers")
	if late := time.Since(deadline); late < 0 || late > 500*time.Millisecond {
		t.Errorf("lost %s after the deadline", late)
	}
	if s.Alive() {
		t.Error("alive after its deadline")
	}
	if got := s.Deadline(); !got.Equal(deadline) {
		t.Errorf("the deadline moved by %s with no answer", got.Sub(deadline))
	}
	proxy.Resume() // the held answers come in now: too late
	if err := context.Cause(s.Context()); !errors.Is(err, registry.ErrSessionLost) {
		t.Errorf("cause %v, want ErrSessionLost", err)
	}
	etcdtest.Eventually(t, 10*time.Second, func() bool {
		got, err := server.Client(t).TimeToLive(t.Context(), s.Lease())
		return err == nil && got.TTL == -1
	}, "the lost session's lease ends")
	if s.Alive() {
		t.Error("alive again")
	}
}

func TestOneSlowAnswerDoesNotCostTheSession(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	s := newSession(t, etcdtest.NewClient(t, proxy.Endpoint()), 4*time.Second)
	first := s.Deadline()
	proxy.HoldResponses()
	// As long as it takes for one renewal, due at a quarter of the TTL, to be given up at the half.
	timer := time.NewTimer(2200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Done():
		t.Fatal("lost")
	}
	proxy.Resume()
	etcdtest.Eventually(t, 5*time.Second, func() bool { return s.Deadline().After(first) }, "the next renewal is answered")
	if !s.Alive() {
		t.Error("not alive")
	}
}

func TestSessionLostWhenEtcdStops(t *testing.T) {
	server := etcdtest.Start(t)
	s := newSession(t, server.Client(t), 2*time.Second)
	server.Stop()
	stopped := time.Now()
	within(t, 2*time.Second, s.Done(), "lost before the TTL ends")
	t.Logf("lost %s after etcd stopped", time.Since(stopped))
	if s.Alive() {
		t.Error("alive")
	}
	within(t, time.Second, s.Concurrency().Done(), "the library's session ends too")
}

func TestSessionLivesThroughARestart(t *testing.T) {
	server := etcdtest.Start(t)
	s := newSession(t, server.Client(t), 10*time.Second)
	first := s.Deadline()
	server.Restart(t)
	etcdtest.Eventually(t, 10*time.Second, func() bool { return s.Deadline().After(first) }, "renewed after the restart")
}

func TestSessionLostWhenItsLeaseIsRevoked(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 2*time.Second)
	if _, err := client.Revoke(t.Context(), s.Lease()); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, s.Done(), "lost")
	if err := context.Cause(s.Context()); !errors.Is(err, registry.ErrSessionLost) {
		t.Errorf("cause %v, want ErrSessionLost", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("closing a lost session: %v", err)
	}
}

func TestSessionLostWhenTheClientIsClosed(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 5*time.Second)
	_ = client.Close()
	within(t, time.Second, s.Done(), "lost")
	if err := context.Cause(s.Context()); !errors.Is(err, registry.ErrSessionLost) {
		t.Errorf("cause %v, want ErrSessionLost", err)
	}
}

func TestCloseRevokesAtOnce(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 60*time.Second)
	if _, err := client.Put(t.Context(), "k", "v", clientv3.WithLease(s.Lease())); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(readKey(t, client, "k").Kvs); n != 0 {
		t.Error("the key is still there")
	}
	if err := context.Cause(s.Context()); !errors.Is(err, registry.ErrSessionClosed) {
		t.Errorf("cause %v, want ErrSessionClosed", err)
	}
	if s.Alive() {
		t.Error("alive")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	s := newSession(t, etcdtest.NewClient(t, proxy.Endpoint()), 30*time.Second)
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Close(ctx); err == nil {
		t.Error("no error though nothing was answered")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestNewSessionErrors(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	if _, err := registry.NewSession(t.Context(), nil, registry.SessionConfig{}); err == nil {
		t.Error("no error without a client")
	}
	if _, err := registry.NewSession(t.Context(), client, registry.SessionConfig{TTL: -time.Second}); err == nil {
		t.Error("no error with a negative TTL")
	}
	server.Stop()
	began := time.Now()
	if _, err := registry.NewSession(t.Context(), client, registry.SessionConfig{TTL: time.Second}); err == nil {
		t.Error("no error without etcd")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %s of a TTL of 1 s", took)
	}
}

func TestSessionStress(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	for range 50 {
		s, err := registry.NewSession(t.Context(), client, registry.SessionConfig{TTL: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r, err := registry.Register(t.Context(), client, s, prefix, testNode("n1"))
		if err != nil {
			t.Fatal(err)
		}
		if r.Revision() == 0 {
			t.Fatal("no revision")
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	leases, err := client.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(leases.Leases); n != 0 {
		t.Errorf("%d leases left", n)
	}
}
