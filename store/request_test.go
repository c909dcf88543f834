package store_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// What a client has for KV sees all that is done, and what is done is the same.
func TestCommitByAnotherKV(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	ctx := within(t)
	lease, err := client.Grant(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	bare := client.KV
	for below, kv := range map[string]clientv3.KV{"": bare, "below/": namespace.NewKV(bare, "below/")} {
		client.KV = kv
		s := store.New(client, "")
		there := put(t, client, "there", "1")
		put(t, client, "goes", "")
		var txn store.Txn
		txn.Seen("there", there)
		txn.Alive("there", there)
		txn.NoneBelow("nothing/")
		txn.PutWithLease("leased", []byte("2"), lease.ID)
		txn.Delete("goes")
		txn.Get("there")
		done, err := s.Commit(ctx, &txn)
		if err != nil {
			t.Fatal(err)
		}
		if kvs := done.Responses[2].GetResponseRange().GetKvs(); len(kvs) != 1 || string(kvs[0].Value) != "1" {
			t.Errorf("below %q: read %v", below, kvs)
		}
		client.KV = bare
		all, err := client.Get(ctx, below, clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Kvs) != 2 || string(all.Kvs[0].Key) != below+"leased" || all.Kvs[0].Lease != int64(lease.ID) || string(all.Kvs[1].Key) != below+"there" {
			t.Errorf("below %q: %v", below, all.Kvs)
		}
		if _, err := client.Delete(ctx, "", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
	}
}
