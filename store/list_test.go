package store_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// fill writes keys whose value is empty.
func fill(t *testing.T, client *clientv3.Client, keys []string) {
	t.Helper()
	for some := range slices.Chunk(keys, 100) {
		var ops []clientv3.Op
		for _, key := range some {
			ops = append(ops, clientv3.OpPut(key, ""))
		}
		if _, err := client.Txn(within(t)).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// A list that reads some prefixes side by side tells of every key once, by pages of one revision, and of what goes on alike
// at about the same time.
func TestFollowerReadsAbreast(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	const tasks = 2500
	var keys []string
	for i := range tasks {
		keys = append(keys, fmt.Sprintf("p/b/n/%05d", i), fmt.Sprintf("p/d/n/%05d", i), fmt.Sprintf("p/c/n/%05d/r1", i), fmt.Sprintf("p/c/n/%05d/r2", i))
	}
	keys = append(keys, "p/", "p/a", "p/a/1", "p/bb/1", "p/c/a", "p/c/z/1/2", "p/d/", "p/d/~", "p/e/1", "p/~")
	fill(t, client, keys)
	fill(t, client, []string{"p", "p0", "o/1"})
	slices.Sort(keys)
	for _, lead := range []string{"with", "without"} {
		abreast := []string{"p/b/", "p/c/", "p/d/"}
		if lead == "without" { // the first has no key
			abreast = []string{"p/aa/", "p/c/", "p/d/"}
		}
		r := follow(t, store.Follower{Client: client, Prefix: "p/", Abreast: abreast})
		etcdtest.Eventually(t, patience, func() bool { n := len(r.seen()); return n > 0 && !r.seen()[n-1].More }, "a list")
		var got []string
		came := map[string][]int{}
		for i, page := range r.seen() {
			if !page.Snapshot || page.Page != i || page.More != (i < len(r.seen())-1) || page.Revision != r.seen()[0].Revision {
				t.Errorf("page %d: %+v", i, page)
			}
			for _, e := range page.Events {
				got = append(got, e.Key)
				if len(e.Key) >= 11 && e.Key[4:6] == "n/" {
					came[e.Key[6:11]] = append(came[e.Key[6:11]], i)
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, keys) {
			t.Errorf("%s: %d keys, want each of %d once", lead, len(got), len(keys))
		}
		for task, pages := range came {
			if far := slices.Max(pages) - slices.Min(pages); len(pages) != 4 || lead == "with" && far > 6 {
				t.Errorf("task %s came in pages %v", task, pages)
			}
		}
	}
}

// A list that breaks off begins again with page 0, at a later revision.
func TestFollowerBeginsAListAnew(t *testing.T) {
	server := etcdtest.Start(t)
	direct := server.Client(t)
	proxy := server.Proxy(t)
	var keys []string
	for i := range 1500 {
		keys = append(keys, fmt.Sprintf("p/b/%05d", i))
	}
	fill(t, direct, keys)
	var broken atomic.Bool
	r := &follower{}
	f := store.Follower{Client: etcdtest.NewClient(t, proxy.Endpoint()), Prefix: "p/", Abreast: []string{"p/b/"}}
	r.start(t, f, func(b store.Batch) {
		if len(b.Events) == 1000 && !broken.Swap(true) {
			put(t, direct, "p/b/last", "")
			server.Compact(t) // the rest of this revision is gone
		}
	})
	etcdtest.Eventually(t, patience, func() bool { return r.snapshots() > 0 && !r.seen()[len(r.seen())-1].More }, "a list")
	var begins []int
	for i, b := range r.seen() {
		if b.Page == 0 {
			begins = append(begins, i)
		}
	}
	if len(begins) != 2 {
		t.Fatalf("lists begin at %v", begins)
	}
	n := 0
	for _, b := range r.seen()[begins[1]:] {
		n += len(b.Events)
	}
	if first, last := r.seen()[0], r.seen()[begins[1]]; n != 1501 || last.Revision <= first.Revision {
		t.Errorf("%d keys of revision %d, after a list of %d that broke off", n, last.Revision, first.Revision)
	}
}
