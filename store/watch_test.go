package store_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// matches says whether the copy is what etcd holds below the prefix.
func (r *follower) matches(t *testing.T, client *clientv3.Client, prefix string) {
	t.Helper()
	events, revision, err := store.List(within(t), client, prefix)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, event := range events {
		want[event.Key] = string(event.Value)
	}
	etcdtest.Eventually(t, patience, func() bool { return maps.Equal(r.copied(), want) }, "the copy has the %d keys of revision %d", len(want), revision)
}

// inOrder says whether batches and their events came in the order of revisions, none twice.
func (r *follower) inOrder(t *testing.T) {
	t.Helper()
	var last int64
	for i, batch := range r.seen() {
		if batch.Revision < last {
			t.Errorf("batch %d is of revision %d, the one before of %d", i, batch.Revision, last)
		}
		for _, event := range batch.Events {
			if batch.Snapshot && (event.Deleted || event.ModRevision > batch.Revision) {
				t.Errorf("in a snapshot of revision %d: %+v", batch.Revision, event)
			}
			if !batch.Snapshot && (event.ModRevision <= last || event.ModRevision > batch.Revision) {
				t.Errorf("after revision %d, in a batch to %d: %+v", last, batch.Revision, event)
			}
		}
		last = batch.Revision
	}
}

func TestFollowerListsThenWatches(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	created := put(t, client, "p/a", "1")
	listed := put(t, client, "p-1/a", "not ours")
	r := follow(t, store.Follower{Client: client, Prefix: "p/"})
	r.reaches(t, listed)
	first := r.seen()[0]
	if !first.Snapshot || len(first.Events) != 1 || first.Events[0].Key != "p/a" || first.Events[0].CreateRevision != created || first.Events[0].ModRevision != created {
		t.Fatalf("snapshot %+v", first)
	}

	changed := put(t, client, "p/a", "2")
	put(t, client, "p-1/a", "not ours either")
	deleted := del(t, client, "p/a")
	r.reaches(t, deleted)
	var events []store.Event
	for _, batch := range r.seen()[1:] {
		if batch.Snapshot {
			t.Errorf("a second snapshot: %+v", batch)
		}
		events = append(events, batch.Events...)
	}
	if len(events) != 2 {
		t.Fatalf("events %+v", events)
	}
	if e := events[0]; e.Key != "p/a" || string(e.Value) != "2" || e.CreateRevision != created || e.ModRevision != changed || e.Deleted {
		t.Errorf("the change: %+v", e)
	}
	if e := events[1]; e.Key != "p/a" || e.ModRevision != deleted || !e.Deleted {
		t.Errorf("the deletion: %+v, want it at revision %d", e, deleted)
	}
}

func TestFollowerStartsEmpty(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	r := follow(t, store.Follower{Client: client, Prefix: "p/"})
	etcdtest.Eventually(t, patience, func() bool { return len(r.seen()) > 0 }, "a first batch")
	if first := r.seen()[0]; !first.Snapshot || len(first.Events) != 0 || first.Revision == 0 {
		t.Errorf("got %+v, want an empty snapshot", first)
	}
}

func TestFollowerIsCompleteAndInOrder(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	const writers, writes = 4, 100
	put(t, client, "p/first", "")
	r := follow(t, store.Follower{Client: client, Prefix: "p/", Resync: 50 * time.Millisecond})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range writes {
				key := fmt.Sprintf("p/%d/%d", w, i%7)
				var err error
				if i%5 == 4 {
					_, err = client.Delete(t.Context(), key)
				} else {
					// Two keys of one revision.
					_, err = client.Txn(t.Context()).Then(clientv3.OpPut(key, fmt.Sprint(i)), clientv3.OpPut("q/"+key, "")).Commit()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	r.reaches(t, put(t, client, "p/last", ""))
	r.inOrder(t)
	r.matches(t, client, "p/")
	if r.failed() > 0 {
		t.Errorf("%d problems", r.failed())
	}
}

func TestFollowerReadsPages(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	const keys = 6500
	for i := 0; i < keys; i += 100 {
		var ops []clientv3.Op
		for j := i; j < i+100; j++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("p/%05d", j), fmt.Sprint(j)))
		}
		if _, err := client.Txn(within(t)).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, client, "p", "before")
	put(t, client, "p0", "behind")
	r := follow(t, store.Follower{Client: client, Prefix: "p/"})
	etcdtest.Eventually(t, patience, func() bool { return len(r.seen()) > 0 }, "a snapshot")
	first := r.seen()[0]
	if !first.Snapshot || len(first.Events) != keys {
		t.Fatalf("%d keys in the first batch", len(first.Events))
	}
	for i, event := range first.Events {
		if event.Key != fmt.Sprintf("p/%05d", i) || string(event.Value) != fmt.Sprint(i) {
			t.Fatalf("at %d: %+v", i, event)
		}
	}
}

func TestListAtAPageBoundary(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	for _, n := range []int{1000, 1001} {
		prefix := fmt.Sprintf("p%d/", n)
		for i := 0; i < n; i += 100 {
			var ops []clientv3.Op
			for j := i; j < min(n, i+100); j++ {
				ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%05d", prefix, j), ""))
			}
			if _, err := client.Txn(within(t)).Then(ops...).Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if events, _, err := store.List(within(t), client, prefix); err != nil || len(events) != n {
			t.Errorf("%d keys: got %d, %v", n, len(events), err)
		}
	}
}

// What happened while the follower was cut off is compacted: it must list again, and see what was deleted meanwhile.
func TestFollowerAfterCompaction(t *testing.T) {
	server := etcdtest.Start(t)
	proxy, direct := server.Proxy(t), server.Client(t)
	put(t, direct, "p/stays", "1")
	before := put(t, direct, "p/goes", "1")
	r := follow(t, store.Follower{Client: etcdtest.NewClient(t, proxy.Endpoint()), Prefix: "p/"})
	r.reaches(t, before)
	r.reaches(t, put(t, direct, "p/stays", "2"))

	proxy.Refuse()
	del(t, direct, "p/goes")
	put(t, direct, "p/stays", "3")
	last := put(t, direct, "p/comes", "1")
	server.Compact(t)
	proxy.Resume()

	r.reaches(t, last)
	if r.snapshots() < 2 {
		t.Errorf("%d snapshots: want another after the compaction", r.snapshots())
	}
	r.inOrder(t)
	r.matches(t, direct, "p/")
	r.reaches(t, put(t, direct, "p/after", ""))
	r.matches(t, direct, "p/")
}

func TestFollowerOverEtcdRestart(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	r := follow(t, store.Follower{Client: client, Prefix: "p/"})
	r.reaches(t, put(t, client, "p/a", "1"))
	for i := range 2 {
		server.Restart(t)
		r.reaches(t, put(t, client, "p/a", fmt.Sprint("after restart ", i)))
	}
	r.inOrder(t)
	r.matches(t, client, "p/")
}

// An etcd that was restored from a backup has not what the copy has, and says nothing of it on a watch from a later revision.
func TestFollowerAfterABackup(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	put(t, client, "p/kept", "1")
	backup := server.Backup(t)
	r := follow(t, store.Follower{Client: client, Prefix: "p/", Silence: time.Second})
	for i := range 50 {
		r.reaches(t, put(t, client, "p/lost", fmt.Sprint(i)))
	}
	server.Restore(t, backup)
	etcdtest.Eventually(t, patience, func() bool {
		batches := r.seen()
		last := batches[len(batches)-1]
		return last.Snapshot && len(last.Events) == 1 && last.Events[0].Key == "p/kept"
	}, "a list of what the backup had")
	put(t, client, "p/new", "1")
	etcdtest.Eventually(t, patience, func() bool {
		batches := r.seen()
		last := batches[len(batches)-1]
		return len(last.Events) == 1 && last.Events[0].Key == "p/new"
	}, "what came after it")
}

// Starting while etcd is away is trouble, not failure.
func TestFollowerWaitsForEtcd(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	revision := put(t, client, "p/a", "1")
	server.Stop()
	r := follow(t, store.Follower{Client: client, Prefix: "p/"})
	server.Restart(t)
	r.reaches(t, revision)
	r.matches(t, client, "p/")
	etcdtest.Eventually(t, patience, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.problems) > 0 && r.problems[len(r.problems)-1] == nil
	}, "the follower says that things go well")
}

// A watch from which nothing comes, though the connection stands, is replaced; one without a connection is noticed too.
func TestFollowerReplacesASilentWatch(t *testing.T) {
	for name, breakOff := range map[string]func(*etcdtest.Proxy){"answers lost": (*etcdtest.Proxy).DropResponses, "no connection": (*etcdtest.Proxy).Refuse} {
		t.Run(name, func(t *testing.T) { silentWatch(t, breakOff) })
	}
}

func silentWatch(t *testing.T, breakOff func(*etcdtest.Proxy)) {
	server := etcdtest.Start(t)
	proxy, direct := server.Proxy(t), server.Client(t)
	r := follow(t, store.Follower{Client: etcdtest.NewClient(t, proxy.Endpoint()), Prefix: "p/", Silence: 300 * time.Millisecond})
	r.reaches(t, put(t, direct, "p/a", "1"))
	breakOff(proxy)
	revision := put(t, direct, "p/a", "2")
	// Once of the watch that stood, and again of the one that was to replace it.
	etcdtest.Eventually(t, patience, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		silences := 0
		for _, err := range r.problems {
			if err != nil && strings.Contains(err.Error(), "silent for 300ms") {
				silences++
			}
		}
		return silences > 2
	}, "the silence is noticed")
	proxy.Resume()
	r.reaches(t, revision)
	r.inOrder(t)
	r.matches(t, direct, "p/")
}

// A watch with nothing to say answers when asked, which brings the copy up to date with what else happens in etcd.
func TestFollowerKeepsAQuietWatch(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	r := follow(t, store.Follower{Client: client, Prefix: "p/", Silence: time.Second})
	r.reaches(t, put(t, client, "p/a", "1"))
	for i := range 5 {
		r.reaches(t, put(t, client, "elsewhere", fmt.Sprint(i)))
	}
	if r.failed() > 0 || r.snapshots() != 1 {
		t.Errorf("%d problems, %d snapshots: want the first watch to last", r.failed(), r.snapshots())
	}
	r.inOrder(t)
}

func TestFollowerResyncs(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	put(t, client, "p/a", "1")
	r := follow(t, store.Follower{Client: client, Prefix: "p/", Resync: 20 * time.Millisecond})
	etcdtest.Eventually(t, patience, func() bool { return r.snapshots() >= 3 }, "snapshots on a timer")
	if r.failed() > 0 {
		t.Errorf("%d problems", r.failed())
	}
}

// Who only hears of what went away has nothing to list, and misses nothing while others would.
func TestFollowerDeletesOnlyListsNothing(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	began := put(t, client, "p/begin", "1")
	r := follow(t, store.Follower{Client: client, Prefix: "p/", DeletesOnly: true, Resync: time.Millisecond})
	r.reaches(t, began)
	const keys = 300
	var last int64
	for i := range keys {
		put(t, client, fmt.Sprint("p/", i), "1")
		last = del(t, client, fmt.Sprint("p/", i))
	}
	r.reaches(t, last)
	heard := 0
	for _, batch := range r.seen() {
		heard += len(batch.Events)
	}
	if heard != keys {
		t.Errorf("heard of %d of %d", heard, keys)
	}
}

func TestFollowerDeletesOnly(t *testing.T) {
	server := etcdtest.Start(t)
	proxy, direct := server.Proxy(t), server.Client(t)
	put(t, direct, "p/a", "1")
	before := put(t, direct, "p/b", "1")
	r := follow(t, store.Follower{Client: etcdtest.NewClient(t, proxy.Endpoint()), Prefix: "p/", DeletesOnly: true})
	r.reaches(t, before)
	put(t, direct, "p/a", "2")
	deleted := del(t, direct, "p/a")
	r.reaches(t, deleted)
	check := func(want int64) {
		t.Helper()
		var events []store.Event
		for _, batch := range r.seen() {
			if batch.Snapshot {
				t.Errorf("a snapshot: %+v", batch)
			}
			events = append(events, batch.Events...)
		}
		if len(events) == 0 {
			t.Fatal("no events")
		}
		for _, event := range events {
			if !event.Deleted {
				t.Errorf("a put: %+v", event)
			}
		}
		if last := events[len(events)-1]; last.ModRevision != want {
			t.Errorf("the last deletion: %+v, want that of revision %d", last, want)
		}
	}
	check(deleted)

	// Past a compaction there is nothing to list: it goes on from the present.
	proxy.Refuse()
	del(t, direct, "p/b")
	last := put(t, direct, "p/c", "1")
	server.Compact(t)
	proxy.Resume()
	r.reaches(t, last)
	deleted = del(t, direct, "p/c")
	r.reaches(t, deleted)
	check(deleted)
}

// However a follower stands when it is stopped, Run returns; TestMain finds what it leaves behind.
func TestFollowerStops(t *testing.T) {
	server := etcdtest.Start(t)
	for i := range 20 {
		r := follow(t, store.Follower{Client: server.Client(t), Prefix: "p/"})
		if i%2 == 0 {
			etcdtest.Eventually(t, patience, func() bool { return len(r.seen()) > 0 }, "a snapshot")
		}
		r.stop()
	}

	closed := server.Client(t)
	r := follow(t, store.Follower{Client: closed, Prefix: "p/"})
	etcdtest.Eventually(t, patience, func() bool { return len(r.seen()) > 0 }, "a snapshot")
	_ = closed.Close()
	etcdtest.Eventually(t, patience, func() bool { return r.failed() > 0 }, "the closed client is noticed")
	r.stop()

	away := server.Client(t)
	r = follow(t, store.Follower{Client: away, Prefix: "p/"})
	etcdtest.Eventually(t, patience, func() bool { return len(r.seen()) > 0 }, "a snapshot")
	server.Stop()
	r.stop()
}
