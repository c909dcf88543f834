package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestCommitComparisons(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	client := s.Client()
	created := put(t, client, "there", "1")
	changed := put(t, client, "there", "2")
	put(t, client, "below/a", "")
	put(t, client, "p/locks/n/locked/694d", "")
	put(t, client, "p/locks/n/held/zoe", "")
	put(t, client, "p/locks/n/dispatched/shards/694d/rev-5.1", "")
	tests := []struct {
		name    string
		guard   func(*store.Txn)
		refused bool
	}{
		{name: "none", guard: func(*store.Txn) {}},
		{name: "seen as it is", guard: func(txn *store.Txn) { txn.Seen("there", changed) }},
		{name: "seen before it changed", guard: func(txn *store.Txn) { txn.Seen("there", created) }, refused: true},
		{name: "seen absent, and is", guard: func(txn *store.Txn) { txn.Seen("absent", 0) }},
		{name: "seen absent, but is not", guard: func(txn *store.Txn) { txn.Seen("there", 0) }, refused: true},
		{name: "seen, but gone", guard: func(txn *store.Txn) { txn.Seen("absent", changed) }, refused: true},
		{name: "one of two", guard: func(txn *store.Txn) { txn.Seen("there", changed); txn.Seen("below/a", 1) }, refused: true},
		{name: "what was seen first counts", guard: func(txn *store.Txn) { txn.Seen("there", created); txn.Seen("there", changed) }, refused: true},
		{name: "alive", guard: func(txn *store.Txn) { txn.Alive("there", created) }},
		{name: "another life", guard: func(txn *store.Txn) { txn.Alive("there", changed) }, refused: true},
		{name: "dead", guard: func(txn *store.Txn) { txn.Alive("absent", created) }, refused: true},
		{name: "none below, and there is none", guard: func(txn *store.Txn) { txn.NoneBelow("above/") }},
		{name: "no lock", guard: func(txn *store.Txn) { txn.NoLockBesideShards(store.NewKeys("p"), "n/t") }},
		{name: "a lock", guard: func(txn *store.Txn) { txn.NoLockBesideShards(store.NewKeys("p"), "n/locked") }, refused: true},
		{name: "a lock behind those of shards", guard: func(txn *store.Txn) { txn.NoLockBesideShards(store.NewKeys("p"), "n/held") }, refused: true},
		{name: "a lock of a shard", guard: func(txn *store.Txn) { txn.NoLockBesideShards(store.NewKeys("p"), "n/dispatched") }},
		{name: "none below, but there is", guard: func(txn *store.Txn) { txn.NoneBelow("below/") }, refused: true},
		{name: "another comparison", guard: func(txn *store.Txn) { txn.If(clientv3.Compare(clientv3.Value("there"), "=", "1")) }, refused: true},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var txn store.Txn
			test.guard(&txn)
			key := fmt.Sprint("written/", i)
			txn.Put(key, []byte("x"))
			txn.Get("there")
			response, err := s.Commit(within(t), &txn)
			if test.refused != errors.Is(err, nightwatch.ErrRefused) || !test.refused && err != nil {
				t.Fatalf("got %v", err)
			}
			if value, _ := get(t, client, key); (value == "") != test.refused {
				t.Errorf("written: %q", value)
			}
			if !test.refused && string(response.Responses[1].GetResponseRange().Kvs[0].Value) != "2" {
				t.Error("the answer to the read is not at its place")
			}
		})
	}
}

func TestTxnCounts(t *testing.T) {
	var txn store.Txn
	if !txn.Empty() || txn.Operations() != 0 {
		t.Error("a new Txn is not empty")
	}
	txn.Seen("a", 0)
	txn.Seen("a", 0)
	txn.Seen("b", 0)
	if !txn.Empty() || txn.Operations() != 2 {
		t.Errorf("comparisons alone: empty %v, %d operations", txn.Empty(), txn.Operations())
	}
	txn.Put("a", nil)
	txn.Delete("b")
	txn.Get("c")
	if txn.Empty() || txn.Operations() != 3 {
		t.Errorf("empty %v, %d operations", txn.Empty(), txn.Operations())
	}
}

// What the server itself refuses was not done, and is not called unknown.
func TestCommitCertainErrors(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	tests := []struct {
		name string
		fill func(*store.Txn)
		want error
	}{
		{name: "lease gone", fill: func(txn *store.Txn) { txn.PutWithLease("a", nil, 12345) }, want: rpctypes.ErrLeaseNotFound},
		{name: "a key twice", fill: func(txn *store.Txn) { txn.Put("a", nil); txn.Put("a", nil) }, want: rpctypes.ErrDuplicateKey},
		{name: "no key", fill: func(txn *store.Txn) { txn.Put("", nil) }, want: rpctypes.ErrEmptyKey},
		{name: "too many", fill: func(txn *store.Txn) {
			for i := range 129 {
				txn.Put(fmt.Sprint("a", i), nil)
			}
		}, want: rpctypes.ErrTooManyOps},
		{name: "too large", fill: func(txn *store.Txn) { txn.Put("a", make([]byte, 1700<<10)) }, want: rpctypes.ErrRequestTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var txn store.Txn
			test.fill(&txn)
			_, err := s.Commit(within(t), &txn)
			if !errors.Is(err, test.want) || errors.Is(err, nightwatch.ErrOutcomeUnknown) || errors.Is(err, nightwatch.ErrRefused) {
				t.Errorf("got %v, want %v and nothing else", err, test.want)
			}
			if value, revision := get(t, s.Client(), "a"); revision != 0 {
				t.Errorf("written: %q", value)
			}
		})
	}
}

// When the answer is lost the outcome is unknown; the same Txn again is then refused if the first was done.
func TestCommitUnknown(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	s, direct := store.New(etcdtest.NewClient(t, proxy.Endpoint()), ""), server.Client(t)
	seen := put(t, s.Client(), "run", "Pending") // through the proxy: the connection is up

	var txn store.Txn
	txn.Seen("run", seen)
	txn.Put("run", []byte("Running"))

	proxy.DropResponses()
	ctx, cancel := context.WithCancel(within(t))
	unanswered := make(chan error, 1)
	go func() {
		_, err := s.Commit(ctx, &txn)
		unanswered <- err
	}()
	etcdtest.Eventually(t, patience, func() bool {
		value, _ := get(t, direct, "run")
		return value == "Running"
	}, "the transaction is done")
	cancel()
	if err := <-unanswered; !errors.Is(err, nightwatch.ErrOutcomeUnknown) || errors.Is(err, nightwatch.ErrRefused) {
		t.Fatalf("got %v, want ErrOutcomeUnknown", err)
	}
	_, done := get(t, direct, "run")

	proxy.Resume()
	var err error
	etcdtest.Eventually(t, patience, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = s.Commit(ctx, &txn)
		return !errors.Is(err, nightwatch.ErrOutcomeUnknown)
	}, "etcd answers again")
	if !errors.Is(err, nightwatch.ErrRefused) {
		t.Errorf("repeated: %v, want ErrRefused", err)
	}
	if _, now := get(t, direct, "run"); now != done {
		t.Error("the repetition wrote")
	}
}

func TestCommitUnknownWhileEtcdIsAway(t *testing.T) {
	server := etcdtest.Start(t)
	s := store.New(server.Client(t), "")
	put(t, s.Client(), "a", "1")
	server.Stop()
	var txn store.Txn
	txn.Put("a", []byte("2"))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Commit(ctx, &txn); !errors.Is(err, nightwatch.ErrOutcomeUnknown) {
		t.Errorf("got %v, want ErrOutcomeUnknown", err)
	}
}
