package store_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// Where there is nothing to read beside them, many short keys come in few pages, each of which waits for the one before. Pages
// of long values stay small.
func TestFollowerReadsShortKeysByLargePages(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	var keys []string
	for i := range 9500 {
		keys = append(keys, fmt.Sprintf("p/e/%05d", i))
	}
	fill(t, client, keys)
	long := strings.Repeat("x", 2<<10)
	for i := range 2100 {
		put(t, client, fmt.Sprintf("q/e/%05d", i), long)
	}
	for prefix, want := range map[string][]int{"p/": {1000, 4000, 4000, 500}, "q/": {1000, 1000, 100}} {
		r := follow(t, store.Follower{Client: client, Prefix: prefix, Abreast: []string{prefix + "b/"}})
		etcdtest.Eventually(t, patience, func() bool { n := len(r.seen()); return n > 0 && !r.seen()[n-1].More }, "a list")
		var pages []int
		for _, page := range r.seen() {
			if n := len(page.Events); n > 0 {
				pages = append(pages, n)
			}
		}
		if !slices.Equal(pages, want) {
			t.Errorf("%s: pages of %v, want %v", prefix, pages, want)
		}
	}
}

// lateWatcher tells everything a little later than etcd does.
type lateWatcher struct{ clientv3.Watcher }

func (w lateWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	from, to := w.Watcher.Watch(ctx, key, opts...), make(chan clientv3.WatchResponse)
	go func() {
		defer close(to)
		for response := range from {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				continue
			}
			select {
			case to <- response:
			case <-ctx.Done():
			}
		}
	}()
	return to
}

// A list by parts outlasts the compaction of every revision that its pages are of, and leads to what there is at its last,
// whatever happens to keys that have come and keys that are still to come, and however late the watch tells of it. Who has a
// copy hears of all that meanwhile.
func TestFollowerListsWhileKeysChange(t *testing.T) {
	for _, when := range []string{"promptly", "late"} {
		t.Run(when, func(t *testing.T) { listWhileKeysChange(t, when == "late") })
	}
}

func listWhileKeysChange(t *testing.T, late bool) {
	store.ListOften(t)
	server := etcdtest.Start(t)
	client := server.Client(t)
	following := server.Client(t)
	if late {
		following.Watcher = lateWatcher{following.Watcher}
	}
	const n = 1300
	keyOf := func(i int) string { return fmt.Sprintf("p/%c/%05d", 'a'+i%4, i/4) }
	var keys []string
	for i := range 4 * n {
		if i%5 > 0 {
			keys = append(keys, keyOf(i))
		}
	}
	fill(t, client, keys)
	type state struct {
		revision int64
		values   map[string]string
	}
	there := map[string]string{}
	for _, key := range keys {
		there[key] = ""
	}
	states := []state{{0, maps.Clone(there)}} // what there is from each revision on
	random := rand.New(rand.NewPCG(1, 2))
	change := func() int64 {
		var ops []clientv3.Op
		for range 20 {
			key := keyOf(random.IntN(4 * n))
			if random.IntN(2) == 0 {
				ops = append(ops, clientv3.OpDelete(key))
			} else {
				ops = append(ops, clientv3.OpPut(key, fmt.Sprint(random.Int())))
			}
		}
		for i := len(ops) - 1; i >= 0; i-- {
			if slices.ContainsFunc(ops[:i], func(op clientv3.Op) bool { return string(op.KeyBytes()) == string(ops[i].KeyBytes()) }) {
				ops = slices.Delete(ops, i, i+1) // a transaction writes a key once
			}
		}
		response, err := client.Txn(within(t)).Then(ops...).Commit()
		if err != nil {
			t.Error(err)
			return 0
		}
		for _, op := range ops {
			if delete(there, string(op.KeyBytes())); op.IsPut() {
				there[string(op.KeyBytes())] = string(op.ValueBytes())
			}
		}
		states = append(states, state{response.Header.Revision, maps.Clone(there)})
		return response.Header.Revision
	}
	r := &follower{}
	lists, begun, changes, last := 0, 0, 0, int64(0)
	r.start(t, store.Follower{Client: following, Prefix: "p/", Abreast: []string{"p/b/", "p/c/"}, Resync: time.Millisecond}, func(b store.Batch) {
		switch {
		case !b.Snapshot:
			return
		case b.Page == 0:
			begun++
		case !b.More:
			lists++
		case slices.ContainsFunc(b.Events, func(e store.Event) bool { return e.Deleted }):
			changes++
		}
		if lists < 3 && random.IntN(2) == 0 {
			last = change()
			if random.IntN(3) == 0 {
				server.Compact(t)
			}
		}
		if b.More {
			return
		}
		var want map[string]string
		for _, s := range states {
			if s.revision <= b.Revision {
				want = s.values
			}
		}
		if got := copyOf(r.batches); !maps.Equal(got, want) {
			t.Errorf("list %d: %d keys, and not the %d of revision %d", lists, len(got), len(want), b.Revision)
		}
	})
	etcdtest.Eventually(t, patience, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return lists >= 3 }, "three lists")
	r.reaches(t, last)
	r.matches(t, client, "p/")
	r.stop()
	if begun > lists+1 || changes == 0 || r.failed() > 0 {
		t.Errorf("%d lists have begun, %d come to their end, with %d deletions in them, and %d problems", begun, lists, changes, r.failed())
	}
	// Without the lists, the copy of the first and what came after it is the same.
	var heard []store.Batch
	for _, b := range r.seen() {
		if first := len(heard) == 0 || heard[len(heard)-1].More; !b.Snapshot || first {
			heard = append(heard, b)
		}
	}
	if got, want := copyOf(heard), r.copied(); !maps.Equal(got, want) {
		t.Errorf("%d keys by the watch, %d with lists", len(got), len(want))
	}
}

// After a list whose watch has missed something, or during it, there is another, from page 0 on and of a later revision.
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
			proxy.Refuse()
			del(t, direct, keys[0])
			put(t, direct, "p/b/last", "")
			server.Compact(t)
			proxy.Resume()
		}
	})
	var begins []int
	etcdtest.Eventually(t, patience, func() bool {
		begins = nil
		for i, b := range r.seen() {
			if b.Page == 0 {
				begins = append(begins, i)
			}
		}
		return len(begins) > 1 && !r.seen()[len(r.seen())-1].More
	}, "another list")
	if len(begins) != 2 {
		t.Fatalf("lists begin at %v", begins)
	}
	n := 0
	for _, b := range r.seen()[begins[1]:] {
		n += len(b.Events)
	}
	if first, last := r.seen()[0], r.seen()[begins[1]]; n != 1500 || last.Revision <= first.Revision {
		t.Errorf("%d keys of revision %d, after a list of %d that broke off", n, last.Revision, first.Revision)
	}
	r.matches(t, direct, "p/")
}
