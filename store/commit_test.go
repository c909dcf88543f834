package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// gate is an etcd whose transactions can be held back, and are counted.
type gate struct {
	clientv3.KV

	mu       sync.Mutex
	opened   *sync.Cond
	shut     bool
	requests int
	held     int
	fills    int // the next one of so many operations is done, and answered with no space
}

// gated is a Store whose transactions go through a gate, which is open.
func gated(t *testing.T) (*store.Store, *gate) {
	t.Helper()
	store.Overdue(t, time.Hour)
	client := etcdtest.Start(t).Client(t)
	g := &gate{KV: client.KV}
	g.opened = sync.NewCond(&g.mu)
	client.KV = g
	t.Cleanup(g.open)
	return store.New(client, ""), g
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.requests = true, 0
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
	g.opened.Broadcast()
}

// counts is how many transactions were sent since close, and how many of them are held.
func (g *gate) counts() (requests, held int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests, g.held
}

func (g *gate) Txn(ctx context.Context) clientv3.Txn { return gatedTxn{g.KV.Txn(ctx), g, 0} }

type gatedTxn struct {
	clientv3.Txn
	g   *gate
	ops int
}

func (t gatedTxn) If(cmps ...clientv3.Cmp) clientv3.Txn {
	return gatedTxn{t.Txn.If(cmps...), t.g, t.ops}
}
func (t gatedTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	return gatedTxn{t.Txn.Then(ops...), t.g, len(ops)}
}

func (t gatedTxn) Commit() (*clientv3.TxnResponse, error) {
	t.g.mu.Lock()
	t.g.requests++
	t.g.held++
	for t.g.shut {
		t.g.opened.Wait()
	}
	t.g.held--
	fills := t.g.fills == t.ops
	if fills {
		t.g.fills = 0
	}
	t.g.mu.Unlock()
	response, err := t.Txn.Commit()
	if err == nil && fills {
		return nil, rpctypes.ErrNoSpace
	}
	return response, err
}

// committed is what a Commit returned.
type committed struct {
	response *clientv3.TxnResponse
	err      error
}

// start commits in the background.
func start(ctx context.Context, s *store.Store, txn *store.Txn) <-chan committed {
	c := make(chan committed, 1)
	go func() {
		response, err := s.Commit(ctx, txn)
		c <- committed{response, err}
	}()
	return c
}

// occupy sends as many requests as may be under way at once, so that what comes next waits. They write keys below
// "busy/".
func occupy(t *testing.T, s *store.Store, g *gate) (answers []<-chan committed) {
	t.Helper()
	g.close()
	for i := range store.MaxFlying {
		txn := new(store.Txn)
		txn.Put(fmt.Sprint("busy/", i), nil)
		answers = append(answers, start(within(t), s, txn))
		etcdtest.Eventually(t, patience, func() bool { _, held := g.counts(); return held == i+1 }, "request %d is under way", i)
	}
	return answers
}

// queued waits until n transactions wait in s.
func queued(t *testing.T, s *store.Store, n int) {
	t.Helper()
	etcdtest.Eventually(t, patience, func() bool { return s.Waiting() == n }, "%d transactions wait", n)
}

func TestCommitGathersWhatWaits(t *testing.T) {
	s, g := gated(t)
	busy := occupy(t, s, g)
	const n = 60
	answers := make([]<-chan committed, n)
	for i := range n {
		txn := new(store.Txn)
		if i%3 == 0 {
			txn.Seen("absent", 1) // to be refused
		}
		txn.Put(fmt.Sprint("k/", i), fmt.Append(nil, i))
		txn.Get(fmt.Sprint("busy/", i%store.MaxFlying+100))
		answers[i] = start(within(t), s, txn)
		queued(t, s, i+1)
	}
	g.open()
	for _, c := range append(busy, answers...) {
		if a := <-c; a.err != nil && !errors.Is(a.err, nightwatch.ErrRefused) {
			t.Fatal(a.err)
		}
	}
	if requests, _ := g.counts(); requests > store.MaxFlying+4 {
		t.Errorf("%d requests for %d transactions that waited", requests-store.MaxFlying, n)
	}
	for i := range n {
		value, revision := get(t, s.Client(), fmt.Sprint("k/", i))
		if refused := i%3 == 0; refused != (value == "") || !refused && value != fmt.Sprint(i) {
			t.Errorf("k/%d is %q at %d", i, value, revision)
		}
	}
}

func TestCommitGivesEachItsOwnAnswer(t *testing.T) {
	s, g := gated(t)
	put(t, s.Client(), "one", "1")
	put(t, s.Client(), "two", "2")
	occupy(t, s, g)
	answers := map[string]<-chan committed{}
	for _, key := range []string{"one", "two"} {
		txn := new(store.Txn)
		txn.Put("of "+key, nil)
		txn.Get(key)
		answers[key] = start(within(t), s, txn)
	}
	refused := new(store.Txn)
	refused.Seen("one", 0)
	refused.Put("never", nil)
	no := start(within(t), s, refused)
	queued(t, s, 3)
	g.open()
	for key, value := range map[string]string{"one": "1", "two": "2"} {
		a := <-answers[key]
		if a.err != nil {
			t.Fatal(a.err)
		}
		_, revision := get(t, s.Client(), "of "+key)
		if kvs := a.response.Responses[1].GetResponseRange().Kvs; string(kvs[0].Value) != value || a.response.Header.Revision != revision {
			t.Errorf("%s: read %q at revision %d, want %q at %d", key, kvs[0].Value, a.response.Header.Revision, value, revision)
		}
	}
	if a := <-no; !errors.Is(a.err, nightwatch.ErrRefused) {
		t.Errorf("refused one: %v", a.err)
	}
}

// All comparisons of a request see what was there before it: side by side both would be done.
func TestCommitKeepsApartWhatMeets(t *testing.T) {
	type half func(*store.Txn)
	seen := func(key string) half { return func(t *store.Txn) { t.Seen(key, 0) } }
	below := func(prefix string) half { return func(t *store.Txn) { t.NoneBelow(prefix) } }
	tests := []struct {
		name         string
		ifOne, ifTwo half
		one, two     string // what they put
	}{
		{"each writes what the other compares", seen("x/2"), seen("x/1"), "x/1", "x/2"},
		{"both write one key", seen("y/1"), seen("y/1"), "y/1", "y/1"},
		{"each writes below what the other compares", below("z/b/"), below("z/a/"), "z/a/1", "z/b/1"},
		{"both write below one prefix", below("l/t/"), below("l/t/"), "l/t/1", "l/t/2"},
		{"a lock, and a shard's", func(t *store.Txn) { t.NoLockBesideShards(store.NewKeys("p"), "n/t") }, below("p/locks/n/t/"), "p/locks/n/t/shards/s/r.1", "p/locks/n/t/s"},
		{"some other range", func(t *store.Txn) {
			t.If(clientv3.Compare(clientv3.CreateRevision("r/a"), "=", 0).WithRange("r/z"))
		}, seen("r/c"), "r/c", "r/b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, g := gated(t)
			busy := occupy(t, s, g)
			one, two := new(store.Txn), new(store.Txn)
			test.ifOne(one)
			one.Put(test.one, nil)
			test.ifTwo(two)
			two.Put(test.two, nil)
			first := start(within(t), s, one)
			queued(t, s, 1)
			second := start(within(t), s, two)
			queued(t, s, 2)
			g.open()
			for _, c := range busy {
				<-c
			}
			if a := <-first; a.err != nil {
				t.Errorf("the first: %v", a.err)
			}
			if a := <-second; !errors.Is(a.err, nightwatch.ErrRefused) {
				t.Errorf("the second: %v", a.err)
			}
		})
	}
}

func TestCommitOfOneBadTransactionHarmsNoOther(t *testing.T) {
	s, g := gated(t)
	occupy(t, s, g)
	bad := new(store.Txn)
	bad.PutWithLease("leased", nil, 12345)
	good := new(store.Txn)
	good.Put("good", []byte("1"))
	first := start(within(t), s, bad)
	queued(t, s, 1)
	second := start(within(t), s, good)
	queued(t, s, 2)
	g.open()
	if a := <-first; !errors.Is(a.err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("a put under a lease that is gone: %v", a.err)
	}
	if a := <-second; a.err != nil {
		t.Errorf("the other: %v", a.err)
	}
	if value, _ := get(t, s.Client(), "good"); value != "1" {
		t.Errorf("good is %q", value)
	}
}

func TestCommitStaysBelowEtcdsBounds(t *testing.T) {
	s, g := gated(t)
	for _, test := range []struct {
		name       string
		txns, size int
		value      int
	}{
		{"many", 300, 2, 10},
		{"long", 20, 100, 10},
		{"heavy", 20, 1, 200 << 10},
		{"as long as may be", 3, 128, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			busy := occupy(t, s, g)
			for i := range test.txns {
				txn := new(store.Txn)
				for k := range test.size {
					txn.Put(fmt.Sprintf("%s/%d/%d", test.name, i, k), bytes.Repeat([]byte("x"), test.value))
				}
				busy = append(busy, start(within(t), s, txn))
			}
			queued(t, s, test.txns)
			g.open()
			for _, c := range busy {
				if a := <-c; a.err != nil {
					t.Fatal(a.err)
				}
			}
			if requests, _ := g.counts(); test.name == "many" && requests > store.MaxFlying+5 {
				t.Errorf("%d requests for %d transactions", requests-store.MaxFlying, test.txns)
			}
		})
	}
}

func TestCommitThatIsNotWaitedFor(t *testing.T) {
	s, g := gated(t)
	occupy(t, s, g)
	ctx, cancel := context.WithCancel(t.Context())
	txn := new(store.Txn)
	txn.Put("never", nil)
	c := start(ctx, s, txn)
	queued(t, s, 1)
	cancel()
	if a := <-c; !errors.Is(a.err, context.Canceled) || errors.Is(a.err, nightwatch.ErrOutcomeUnknown) {
		t.Errorf("one that was not sent: %v", a.err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	first, second := new(store.Txn), new(store.Txn)
	first.Put("first", nil)
	second.Put("second", nil)
	given := start(ctx, s, first)
	queued(t, s, 1)
	kept := start(within(t), s, second)
	queued(t, s, 2)
	g.open()
	g.close() // what waited may be under way together by now, or still wait
	cancel()
	<-given
	g.open()
	if a := <-kept; a.err != nil {
		t.Errorf("one that shares a request with one that is not waited for: %v", a.err)
	}
	if value, _ := get(t, s.Client(), "never"); value != "" {
		t.Error("it was sent all the same")
	}
}

// One after the other means that nobody waits for company.
func TestCommitOfAnIdleStoreIsSentAtOnce(t *testing.T) {
	s, g := gated(t)
	for i := range 20 {
		txn := new(store.Txn)
		txn.Put("k", []byte(strings.Repeat("x", i)))
		if _, err := s.Commit(within(t), txn); err != nil {
			t.Fatal(err)
		}
	}
	if requests, _ := g.counts(); requests != 20 {
		t.Errorf("%d requests for 20 transactions one after the other", requests)
	}
}

// Those that nobody waits for go along with others, when they are as many as a request takes, or when they are told to hurry.
func TestLazyCommits(t *testing.T) {
	store.Linger(t, time.Hour)
	s, g := gated(t)
	n := 0
	commit := func(hurry <-chan struct{}) <-chan committed {
		n++
		txn := new(store.Txn)
		txn.Put(fmt.Sprint("k/", n), nil)
		if hurry != nil {
			txn.Lazy(hurry)
		}
		return start(within(t), s, txn)
	}
	done := func(requests int, what string, all ...<-chan committed) {
		t.Helper()
		for _, c := range all {
			if a := <-c; a.err != nil {
				t.Fatalf("%s: %v", what, a.err)
			}
		}
		if got, _ := g.counts(); got != requests {
			t.Errorf("%s: %d requests, want %d", what, got, requests)
		}
	}
	hurry, never := make(chan struct{}), make(chan struct{})
	done(1, "the first", commit(hurry))
	second := commit(hurry)
	queued(t, s, 1)
	third := commit(hurry)
	queued(t, s, 2)
	done(2, "one that is in a hurry", commit(nil), second, third)
	last := commit(hurry)
	queued(t, s, 1)
	close(hurry)
	done(3, "one that is told to hurry", last)
	var many []<-chan committed
	for range store.FullBatch {
		many = append(many, commit(never))
	}
	done(4, "as many as a request takes", many...)
}

// A transaction that waits for one that is under way keeps no other from being sent, nor does it once it has given up.
func TestCommitThatWaitsKeepsNobody(t *testing.T) {
	s, g := gated(t)
	put := func(key string) *store.Txn {
		txn := new(store.Txn)
		txn.Put(key, nil)
		return txn
	}
	g.close()
	held := func(n int) {
		t.Helper()
		etcdtest.Eventually(t, patience, func() bool { _, held := g.counts(); return held == n }, "%d are under way", n)
	}
	answers := []<-chan committed{start(within(t), s, put("k"))}
	held(1)
	impatient, giveUp := context.WithCancel(within(t))
	gone := start(impatient, s, func() *store.Txn {
		txn := put("k")
		txn.Put("l", nil)
		return txn
	}())
	queued(t, s, 1)
	answers = append(answers, start(within(t), s, put("other")))
	held(2)
	answers = append(answers, start(within(t), s, put("l"))) // behind the second
	queued(t, s, 2)
	giveUp()
	if a := <-gone; !errors.Is(a.err, context.Canceled) {
		t.Errorf("given up: %v", a.err)
	}
	held(3)
	g.open()
	for _, c := range answers {
		if a := <-c; a.err != nil {
			t.Error(a.err)
		}
	}
}

// Requests whose answers are lost leave room for others.
func TestCommitBesideThoseThatAreOverdue(t *testing.T) {
	s, g := gated(t)
	answers := occupy(t, s, g)
	store.Overdue(t, 10*time.Millisecond)
	txn := new(store.Txn)
	txn.Put("busy/0", nil) // waits, as ever, for the one that it meets
	answers = append(answers, start(within(t), s, txn))
	queued(t, s, 1)
	if _, held := g.counts(); held != store.MaxFlying {
		t.Errorf("%d are under way", held)
	}
	g.open()
	for _, c := range answers {
		if a := <-c; a.err != nil {
			t.Error(a.err)
		}
	}
	answers = occupy(t, s, g)
	for i := range store.MaxFlying {
		txn := new(store.Txn)
		txn.Put(fmt.Sprint("k/", i), nil)
		answers = append(answers, start(within(t), s, txn))
	}
	etcdtest.Eventually(t, patience, func() bool {
		_, held := g.counts()
		return held > store.MaxFlying && s.Waiting() == 0
	}, "all others are sent")
	g.open()
	for _, c := range answers {
		if a := <-c; a.err != nil {
			t.Error(a.err)
		}
	}
	etcdtest.Eventually(t, patience, func() bool { return s.Flying() == 0 }, "none counts any more")
}

// The transaction that takes the database over its quota is done, though etcd answers that there is no space.
func TestCommitThatTakesTheLastSpace(t *testing.T) {
	s, g := gated(t)
	create := func(key string) *store.Txn {
		txn := new(store.Txn)
		txn.Seen(key, 0)
		txn.Put(key, nil)
		return txn
	}
	full := func(ops int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.fills = ops
	}
	done := func(key string, c <-chan committed) {
		t.Helper()
		if a := <-c; !errors.Is(a.err, nightwatch.ErrOutcomeUnknown) || !errors.Is(a.err, rpctypes.ErrNoSpace) {
			t.Errorf("%s: %v", key, a.err)
		}
		if _, revision := get(t, s.Client(), key); revision == 0 {
			t.Errorf("%s is not there", key)
		}
	}
	full(1)
	done("alone", start(within(t), s, create("alone")))
	busy := occupy(t, s, g)
	full(2)
	a, b := start(within(t), s, create("a")), start(within(t), s, create("b"))
	queued(t, s, 2)
	g.open()
	for _, c := range busy {
		if a := <-c; a.err != nil {
			t.Error(a.err)
		}
	}
	done("a", a)
	done("b", b)
}
