package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// BenchmarkCommit is with an etcd in this process: what a guarded transaction costs its caller, alone and beside many
// others, with whom it shares requests.
func BenchmarkCommit(b *testing.B) {
	server := etcdtest.Start(b)
	s := store.New(server.Client(b), "")
	value := make([]byte, 400)
	var keys atomic.Int64
	commit := func(b *testing.B) {
		var txn store.Txn
		key := fmt.Sprint("bench/", keys.Add(1))
		txn.Seen(key, 0)
		txn.Put(key, value)
		if _, err := s.Commit(b.Context(), &txn); err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			commit(b)
		}
	})
	b.Run("beside others", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(256)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				commit(b)
			}
		})
	})
}
