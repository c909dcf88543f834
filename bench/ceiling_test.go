package bench

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// BenchmarkLife is what bare lives of runs would cost etcd if one of their keys, or a request, could be saved.
func BenchmarkLife(b *testing.B) {
	server := etcdtest.Start(b)
	client := server.Client(b)
	lease, err := client.Grant(b.Context(), 3600)
	if err != nil {
		b.Fatal(err)
	}
	// without leaves out what is done and compared below a part of the keys.
	without := func(part string) func([]step) []step {
		return func(steps []step) []step {
			for i := range steps {
				steps[i].guards = slices.DeleteFunc(steps[i].guards, func(c clientv3.Cmp) bool { return strings.Contains(string(c.KeyBytes()), part) })
				steps[i].ops = slices.DeleteFunc(steps[i].ops, func(op clientv3.Op) bool { return strings.Contains(string(op.KeyBytes()), part) })
			}
			return steps
		}
	}
	for i, variant := range []struct {
		name   string
		change func([]step) []step
	}{
		{"whole", func(steps []step) []step { return steps }},
		{"without status", without("/status/")},
		{"without queue key", without("/queue/")},
		{"without lock", without("/locks/")},
		{"without claim", func(steps []step) []step { return []step{steps[0], {steps[2].guards[:1], steps[2].ops}} }},
	} {
		b.Run(variant.name, func(b *testing.B) {
			var rounds atomic.Int64
			rounds.Store(int64(b.N+ceilingBatch-1) / ceilingBatch)
			var group sync.WaitGroup
			began := time.Now()
			for range ceilingFlying {
				group.Go(func() {
					for round := rounds.Add(-1); round >= 0; round = rounds.Add(-1) {
						batch := make([][]step, ceilingBatch)
						for k := range batch {
							batch[k] = variant.change(life(store.NewKeys(""), lease.ID, fmt.Sprintf("bench/t%d-%d-%d-%d", i, b.N, round, k)))
						}
						if err := together(b.Context(), client, batch); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "lives/s")
		})
	}
}
