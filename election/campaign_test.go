package election_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

func keyOf(s *concurrency.Session) string { return fmt.Sprintf("%s/%x", prefix, s.Lease()) }

func TestNewValidates(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := newSession(t, client, 5)
	for name, cfg := range map[string]election.Config{
		"no session":   {Prefix: prefix, Value: "n1"},
		"no prefix":    {Session: s, Value: "n1"},
		"prefix ends/": {Session: s, Prefix: prefix + "/", Value: "n1"},
		"no value":     {Session: s, Prefix: prefix},
	} {
		if _, err := election.New(client, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := election.New(nil, election.Config{Session: s, Prefix: prefix, Value: "n1"}); err == nil {
		t.Error("no client: no error")
	}
}

func TestCampaignWins(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	if _, _, err := election.Leader(t.Context(), client, prefix); !errors.Is(err, election.ErrNoLeader) {
		t.Errorf("Leader: %v, want ErrNoLeader", err)
	}
	s := newSession(t, client, 5)
	c := newCandidate(t, client, s, "n1")
	term := campaign(t, c)
	if term.Context().Err() != nil || !passes(t, client, term) || term.Key() != keyOf(s) {
		t.Errorf("term %d of %s: %v", term.Revision(), term.Key(), context.Cause(term.Context()))
	}
	name, revision, err := election.Leader(t.Context(), client, prefix)
	if name != "n1" || revision != term.Revision() || err != nil {
		t.Errorf("Leader: %q, %d, %v; want n1, %d", name, revision, err, term.Revision())
	}
	if _, err := c.Campaign(t.Context()); !errors.Is(err, election.ErrBusy) {
		t.Errorf("a second campaign: %v, want ErrBusy", err)
	}
	for range 2 {
		if err := term.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := context.Cause(term.Context()); !errors.Is(err, election.ErrResigned) {
		t.Errorf("cause %v, want ErrResigned", err)
	}
	if exists(t, client, term.Key()) || passes(t, client, term) {
		t.Error("the key is there after Resign")
	}
	if next := campaign(t, c); next.Revision() <= term.Revision() {
		t.Errorf("term %d after term %d", next.Revision(), term.Revision())
	}
	if err := term.Resign(t.Context()); err != nil { // of no concern to the next term
		t.Fatal(err)
	}
	if !exists(t, client, keyOf(s)) {
		t.Error("an old term's Resign ended the new term")
	}
}

func TestCampaignEndsWithTheSession(t *testing.T) {
	for name, lose := range map[string]func(*concurrency.Session, context.CancelFunc, *clientv3.Client){
		"orphaned": func(s *concurrency.Session, _ context.CancelFunc, _ *clientv3.Client) { s.Orphan() },
		"context":  func(_ *concurrency.Session, cancel context.CancelFunc, _ *clientv3.Client) { cancel() },
		"lease revoked": func(s *concurrency.Session, _ context.CancelFunc, c *clientv3.Client) {
			_, _ = c.Revoke(c.Ctx(), s.Lease())
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := etcdtest.Start(t).Client(t)
			campaign(t, newCandidate(t, client, newSession(t, client, 5), "leader"))
			s := newSession(t, client, 2)
			life, cancel := context.WithCancel(s.Ctx())
			defer cancel()
			c, err := election.New(client, election.Config{Session: s, Context: life, Prefix: prefix, Value: "n2"})
			if err != nil {
				t.Fatal(err)
			}
			outcomes := campaignInBackground(t, t.Context(), client, c, keyOf(s))
			lose(s, cancel, client)
			if got := receive(t, outcomes, 3*time.Second); !errors.Is(got.err, election.ErrSessionLost) {
				t.Errorf("%v, want ErrSessionLost", got.err)
			}
			if _, err := c.Campaign(t.Context()); !errors.Is(err, election.ErrSessionLost) {
				t.Errorf("campaigning with a lost session: %v, want ErrSessionLost", err)
			}
		})
	}
}

// etcd's own Campaign returns without a key when its key vanished while it waited; ours stands anew.
func TestCampaignIsConfirmed(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	leader := campaign(t, newCandidate(t, client, newSession(t, client, 5), "leader"))
	s := newSession(t, client, 5)
	outcomes := campaignInBackground(t, t.Context(), client, newCandidate(t, client, s, "n2"), keyOf(s))
	if _, err := client.Delete(t.Context(), keyOf(s)); err != nil {
		t.Fatal(err)
	}
	// What the term before wrote last is not later than what the next one is confirmed at.
	last, err := client.Txn(t.Context()).If(leader.Guard()).Then(clientv3.OpPut("written", "by the leader")).Commit()
	if err != nil || !last.Succeeded {
		t.Fatal(last, err)
	}
	term := succeed(t, client, leader, outcomes)
	if at := term.ConfirmedAt(); at <= last.Header.Revision {
		t.Errorf("confirmed at %d, when the term before could write until %d", at, last.Header.Revision)
	}
}

// A key that somebody puts anew while it waits has no lease any more. It does not leave the role vacant.
func TestCampaignWithAKeyPutByHand(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	leader := campaign(t, newCandidate(t, client, newSession(t, client, 5), "leader"))
	s := newSession(t, client, 5)
	outcomes := campaignInBackground(t, t.Context(), client, newCandidate(t, client, s, "n2"), keyOf(s))
	if _, err := client.Put(t.Context(), keyOf(s), "n2"); err != nil {
		t.Fatal(err)
	}
	succeed(t, client, leader, outcomes)
}

func TestCampaignCalledOffRemovesItsKey(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	campaign(t, newCandidate(t, client, newSession(t, client, 5), "leader"))
	s := newSession(t, client, 5)
	c := newCandidate(t, client, s, "n2")
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := campaignInBackground(t, ctx, client, c, keyOf(s))
	if _, err := c.Campaign(t.Context()); !errors.Is(err, election.ErrBusy) {
		t.Errorf("a second campaign: %v, want ErrBusy", err)
	}
	cancel()
	if got := receive(t, outcomes, 2*time.Second); !errors.Is(got.err, context.Canceled) {
		t.Errorf("%v, want Canceled", got.err)
	}
	if exists(t, client, keyOf(s)) {
		t.Error("the key is left behind")
	}
}

func TestCampaignCalledOffWithASilentEtcd(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	campaign(t, newCandidate(t, direct, newSession(t, direct, 30), "leader"))
	proxy := server.Proxy(t)
	client := etcdtest.NewClient(t, proxy.Endpoint())
	s := newSession(t, client, 30)
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := campaignInBackground(t, ctx, direct, newCandidate(t, client, s, "n2"), keyOf(s))
	proxy.Pause()
	began := time.Now()
	cancel()
	got := receive(t, outcomes, 8*time.Second)
	if !errors.Is(got.err, context.Canceled) {
		t.Errorf("%v, want Canceled", got.err)
	}
	t.Logf("called off in %s", got.at.Sub(began))
}

func TestCampaignOutlastsEtcdAndCompaction(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	leader := campaign(t, newCandidate(t, direct, newSession(t, direct, 60), "leader"))
	proxy := server.Proxy(t)
	client := etcdtest.NewClient(t, proxy.Endpoint())
	s := newSession(t, client, 60)
	outcomes := campaignInBackground(t, t.Context(), direct, newCandidate(t, client, s, "n2"), keyOf(s))
	// The waiting candidate is cut off; what it waits for happens, and is compacted away.
	proxy.Refuse()
	if err := leader.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Put(t.Context(), "elsewhere", "x"); err != nil {
		t.Fatal(err)
	}
	server.Compact(t)
	server.Restart(t)
	proxy.Resume()
	got := receive(t, outcomes, 30*time.Second)
	if got.err != nil {
		t.Fatal(got.err)
	}
	etcdtest.Eventually(t, 10*time.Second, func() bool { return passes(t, client, got.term) }, "the guard holds")
}

// A watch that misses the deletion of the key before must not leave the role vacant.
func TestCampaignHealsADeafWatch(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	leader := campaign(t, newCandidate(t, client, newSession(t, client, 60), "leader"))
	s := newSession(t, client, 60)
	deaf := clientv3.NewCtxClient(t.Context())
	deaf.KV, deaf.Lease, deaf.Watcher = client.KV, client.Lease, deafWatcher{client.Watcher}
	c := newCandidate(t, deaf, s, "n2")
	c.SetReread(100 * time.Millisecond)
	outcomes := campaignInBackground(t, t.Context(), client, c, keyOf(s))
	if err := leader.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := receive(t, outcomes, 5*time.Second)
	if got.err != nil {
		t.Fatal(got.err)
	}
	// The term's own watch is deaf as well.
	if _, err := client.Delete(t.Context(), got.term.Key()); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, got.term.Context().Done(), "the term is over")
}

// deafWatcher is a watch that never tells anything, but ends with its context.
type deafWatcher struct{ clientv3.Watcher }

func (deafWatcher) Watch(ctx context.Context, _ string, _ ...clientv3.OpOption) clientv3.WatchChan {
	events := make(chan clientv3.WatchResponse)
	context.AfterFunc(ctx, func() { close(events) })
	return events
}

func TestCampaignReturnsWhatWaitingCannotCure(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	s := newSession(t, client, 5)
	c := newCandidate(t, client, s, "n1")
	closed := server.Client(t)
	_ = closed.Close()
	other, err := election.New(closed, election.Config{Session: s, Prefix: prefix, Value: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Campaign(t.Context()); !errors.Is(err, election.ErrClientClosed) {
		t.Errorf("%v, want ErrClientClosed", err)
	}
	campaign(t, c)
}
