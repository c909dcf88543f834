package election_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

func TestHandoverAtOnceOnResign(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	first := campaign(t, newCandidate(t, client, newSession(t, client, 60), "n1"))
	s := newSession(t, client, 60)
	outcomes := campaignInBackground(t, t.Context(), client, newCandidate(t, client, s, "n2"), keyOf(s))
	began := time.Now()
	if err := first.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := receive(t, outcomes, 5*time.Second)
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Logf("handed over in %s", got.at.Sub(began))
	if took := got.at.Sub(began); took > 700*time.Millisecond {
		t.Errorf("handed over in %s", took)
	}
	if passes(t, client, first) || !passes(t, client, got.term) {
		t.Error("the guards do not say who leads")
	}
}

func TestTermEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(context.Context, *clientv3.Client, *concurrency.Session, *election.Term) error
		cause error
	}{
		"key deleted": {func(ctx context.Context, client *clientv3.Client, _ *concurrency.Session, term *election.Term) error {
			_, err := client.Delete(ctx, term.Key())
			return err
		}, election.ErrTermLost},
		"key put by hand, without the lease": {func(ctx context.Context, client *clientv3.Client, _ *concurrency.Session, term *election.Term) error {
			_, err := client.Put(ctx, term.Key(), "n1")
			return err
		}, election.ErrTermLost},
		"session orphaned": {func(_ context.Context, _ *clientv3.Client, s *concurrency.Session, _ *election.Term) error {
			s.Orphan()
			return nil
		}, election.ErrSessionLost},
	} {
		t.Run(name, func(t *testing.T) {
			client := etcdtest.Start(t).Client(t)
			s := newSession(t, client, 5)
			c := newCandidate(t, client, s, "n1")
			term := campaign(t, c)
			if err := test.end(t.Context(), client, s, term); err != nil {
				t.Fatal(err)
			}
			within(t, 2*time.Second, term.Context().Done(), "the term is over")
			if err := context.Cause(term.Context()); !errors.Is(err, test.cause) {
				t.Errorf("cause %v, want %v", err, test.cause)
			}
			if errors.Is(test.cause, election.ErrSessionLost) {
				return
			}
			next := campaign(t, c)
			if next.Revision() <= term.Revision() {
				t.Errorf("term %d after term %d", next.Revision(), term.Revision())
			}
			if passes(t, client, term) || !passes(t, client, next) {
				t.Error("the guards do not say who leads")
			}
		})
	}
}

func TestTermOutlastsItsCampaignAndEtcd(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	c := newCandidate(t, client, newSession(t, client, 60), "n1")
	ctx, cancel := context.WithCancel(t.Context())
	term, err := c.Campaign(ctx)
	if err != nil {
		t.Fatal(err)
	}
	resignAtEnd(t, term)
	cancel() // governs the campaign only
	server.Restart(t)
	server.Compact(t)
	etcdtest.Eventually(t, 10*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		resp, err := client.Txn(ctx).If(term.Guard()).Commit()
		return err == nil && resp.Succeeded
	}, "the guard holds after a restart")
	if term.Context().Err() != nil {
		t.Fatalf("over: %v", context.Cause(term.Context()))
	}
	if _, err := client.Delete(t.Context(), term.Key()); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, term.Context().Done(), "the watch goes on after a restart")
}

func TestResignWithoutAnswer(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	proxy := server.Proxy(t)
	client := etcdtest.NewClient(t, proxy.Endpoint())
	term := campaign(t, newCandidate(t, client, newSession(t, client, 60), "n1"))
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := term.Resign(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want DeadlineExceeded", err)
	}
	if !errors.Is(context.Cause(term.Context()), election.ErrResigned) {
		t.Error("the term goes on")
	}
	proxy.Resume()
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists(t, direct, term.Key()) {
		t.Error("the key is there")
	}
	// An answer that is lost: the repeated deletion finds nothing, which is well.
	next := campaign(t, newCandidate(t, client, newSession(t, client, 60), "n1"))
	proxy.DropResponses()
	done := make(chan error, 1)
	go func() { done <- next.Resign(t.Context()) }()
	etcdtest.Eventually(t, 5*time.Second, func() bool { return !exists(t, direct, next.Key()) }, "deleted")
	proxy.Resume()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Several candidates win, write under their guards, and are robbed of the role in every way there is. Whatever two of
// them believe at one time, etcd takes writes of one only, and terms never go back.
func TestGuardsNeverHoldForTwo(t *testing.T) {
	const candidates, writes = 4, 40
	server := etcdtest.Start(t)
	client := server.Client(t)
	if _, err := client.Put(t.Context(), "log", "start"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var (
		wg       sync.WaitGroup
		written  atomic.Int64
		mu       sync.Mutex
		terms    []*election.Term
		finished = make(chan struct{})
		once     sync.Once
	)
	for i := range candidates {
		s := newSession(t, client, 60)
		c := newCandidate(t, client, s, fmt.Sprint("n", i))
		wg.Go(func() {
			for ctx.Err() == nil && written.Load() < writes {
				campaignCtx, stop := context.WithCancel(ctx)
				go func() {
					select {
					case <-finished:
						stop()
					case <-campaignCtx.Done():
					}
				}()
				term, err := c.Campaign(campaignCtx)
				stop()
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				terms = append(terms, term)
				mu.Unlock()
				for n := 0; n < 3 && term.Context().Err() == nil; n++ {
					resp, err := client.Txn(ctx).If(term.Guard()).Then(clientv3.OpPut("log", fmt.Sprint(term.Revision()))).Commit()
					if err != nil {
						t.Error(err)
						return
					}
					if resp.Succeeded && written.Add(1) == writes {
						once.Do(func() { close(finished) })
					}
				}
				if term.Revision()%2 == 0 { // half of them do not go by themselves
					_, err = client.Delete(ctx, term.Key())
				} else {
					err = term.Resign(ctx)
				}
				if err != nil {
					t.Error(err)
				}
				// Every term that ever was is asked at one revision: at most one guard holds.
				mu.Lock()
				ops := make([]clientv3.Op, 0, len(terms))
				for _, term := range terms[max(0, len(terms)-20):] {
					ops = append(ops, clientv3.OpTxn([]clientv3.Cmp{term.Guard()}, nil, nil))
				}
				mu.Unlock()
				resp, err := client.Txn(ctx).Then(ops...).Commit()
				if err != nil {
					t.Error(err)
					return
				}
				holding := 0
				for _, r := range resp.Responses {
					if r.GetResponseTxn().Succeeded {
						holding++
					}
				}
				if holding > 1 {
					t.Errorf("%d guards hold at revision %d", holding, resp.Header.Revision)
				}
				if err := term.Resign(ctx); err != nil {
					t.Error(err)
				}
			}
			once.Do(func() { close(finished) })
		})
	}
	wg.Wait()
	if got := written.Load(); got < writes {
		t.Fatalf("%d writes of %d", got, writes)
	}
	// The history of the log: the terms in it never go back.
	var last int64
	watch := client.Watch(t.Context(), "log", clientv3.WithRev(1))
	for seen := 0; seen < int(written.Load())+1; {
		for _, event := range (<-watch).Events {
			seen++
			var term int64
			if _, err := fmt.Sscan(string(event.Kv.Value), &term); err == nil && term < last {
				t.Errorf("term %d wrote after term %d", term, last)
			} else if err == nil {
				last = term
			}
		}
	}
	t.Logf("%d terms, %d writes", len(terms), written.Load())
}

func TestElectionStress(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	for range 50 {
		s, err := concurrency.NewSession(client, concurrency.WithTTL(5))
		if err != nil {
			t.Fatal(err)
		}
		term, err := newCandidate(t, client, s, "n1").Campaign(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if term.Revision()%3 != 0 { // the rest go with their session
			if err := term.Resign(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, term.Context().Done(), "over")
	}
}

// A key that could not be removed in a moment is removed later, and whoever waits has the role.
func TestWithdraw(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	proxy := server.Proxy(t)
	client := etcdtest.NewClient(t, proxy.Endpoint())
	c := newCandidate(t, client, newSession(t, client, 60), "n1")
	term := campaign(t, c)
	if err := c.Withdraw(t.Context()); !errors.Is(err, election.ErrBusy) {
		t.Errorf("while the term goes on: %v", err)
	}
	s := newSession(t, direct, 60)
	next := campaignInBackground(t, t.Context(), direct, newCandidate(t, direct, s, "n2"), keyOf(s))
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := term.Resign(ctx); err == nil {
		t.Error("resigned without an etcd")
	}
	if err := c.Withdraw(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want DeadlineExceeded", err)
	}
	withdrawn := make(chan error, 1)
	go func() { withdrawn <- c.Withdraw(t.Context()) }()
	proxy.Resume()
	if err := <-withdrawn; err != nil {
		t.Error(err)
	}
	got := receive(t, next, 10*time.Second)
	if got.err != nil {
		t.Fatal(got.err)
	}
	resignAtEnd(t, got.term)
	if err := c.Withdraw(t.Context()); err != nil {
		t.Errorf("with nothing to remove: %v", err)
	}
}
