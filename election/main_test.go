package election_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

const prefix = "/nightwatch/election/scheduler"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

// newSession returns a session that ends with the test.
func newSession(t *testing.T, client *clientv3.Client, ttl int) *concurrency.Session {
	t.Helper()
	s, err := concurrency.NewSession(client, concurrency.WithTTL(ttl))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Orphan)
	return s
}

func newCandidate(t *testing.T, client *clientv3.Client, s *concurrency.Session, name string) *election.Candidate {
	t.Helper()
	c, err := election.New(client, election.Config{Session: s, Prefix: prefix, Value: name})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// campaign wins a term, which is resigned when the test ends.
func campaign(t *testing.T, c *election.Candidate) *election.Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	term, err := c.Campaign(ctx)
	if err != nil {
		t.Fatal(err)
	}
	resignAtEnd(t, term)
	return term
}

func resignAtEnd(t *testing.T, term *election.Term) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = term.Resign(ctx) // some tests have no etcd by now
	})
}

type outcome struct {
	term *election.Term
	err  error
	at   time.Time
}

// campaignInBackground returns once the candidate's key is there.
func campaignInBackground(t *testing.T, ctx context.Context, client *clientv3.Client, c *election.Candidate, key string) <-chan outcome {
	t.Helper()
	outcomes := make(chan outcome, 1)
	go func() {
		term, err := c.Campaign(ctx)
		outcomes <- outcome{term, err, time.Now()}
	}()
	etcdtest.Eventually(t, 5*time.Second, func() bool { return exists(t, client, key) }, "the candidate's key %s is there", key)
	return outcomes
}

// succeed has the leader resign, and returns the term of the campaign that waits, which has its key.
func succeed(t *testing.T, client *clientv3.Client, leader *election.Term, outcomes <-chan outcome) *election.Term {
	t.Helper()
	if err := leader.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := receive(t, outcomes, 5*time.Second)
	if got.err != nil {
		t.Fatal(got.err)
	}
	if !passes(t, client, got.term) {
		t.Error("a term without a key")
	}
	return got.term
}

func exists(t *testing.T, client *clientv3.Client, key string) bool {
	t.Helper()
	got, err := client.Get(t.Context(), key, clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return got.Count == 1
}

func receive(t *testing.T, outcomes <-chan outcome, timeout time.Duration) outcome {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case got := <-outcomes:
		if got.term != nil {
			resignAtEnd(t, got.term)
		}
		return got
	case <-timer.C:
		t.Fatalf("the campaign did not end within %s", timeout)
		return outcome{}
	}
}

func within(t *testing.T, timeout time.Duration, done <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("not within %s: %s", timeout, what)
	}
}

// passes says whether a transaction with the term's guard is done.
func passes(t *testing.T, client *clientv3.Client, term *election.Term) bool {
	t.Helper()
	resp, err := client.Txn(t.Context()).If(term.Guard()).Then(clientv3.OpPut("written-by", term.Key())).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return resp.Succeeded
}
