package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

const patience = 20 * time.Second

// within is a context that ends long before the test does, should what it is given to never answer.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// put writes a key as a user does with etcdctl, over a restart of etcd too, and returns its revision.
func put(t *testing.T, client *clientv3.Client, key, value string) int64 {
	t.Helper()
	var revision int64
	etcdtest.Eventually(t, patience, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		response, err := client.Put(ctx, key, value)
		if err == nil {
			revision = response.Header.Revision
		}
		return err
	}, "put %s", key)
	return revision
}

func del(t *testing.T, client *clientv3.Client, key string) int64 {
	t.Helper()
	response, err := client.Delete(within(t), key)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Revision
}

// get reads a key and its ModRevision, "" and 0 while it is absent.
func get(t *testing.T, client *clientv3.Client, key string) (string, int64) {
	t.Helper()
	response, err := client.Get(within(t), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Kvs) == 0 {
		return "", 0
	}
	return string(response.Kvs[0].Value), response.Kvs[0].ModRevision
}

// follower runs a Follower and records what it hands on.
type follower struct {
	stop func()

	mu       sync.Mutex
	batches  []store.Batch
	problems []error
}

// follow starts a follower, which has stopped when the test ends or stop returns.
func follow(t *testing.T, f store.Follower) *follower {
	t.Helper()
	r := &follower{}
	r.start(t, f, func(store.Batch) {})
	return r
}

// start is follow for one that does something with each batch.
func (r *follower) start(t *testing.T, f store.Follower, do func(store.Batch)) {
	t.Helper()
	f.Problem = func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.problems = append(r.problems, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx, func(batch store.Batch) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.batches = append(r.batches, batch)
			do(batch)
		})
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(r.stop)
}

func (r *follower) seen() []store.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]store.Batch(nil), r.batches...)
}

func (r *follower) snapshots() int {
	n := 0
	for _, batch := range r.seen() {
		if batch.Snapshot {
			n++
		}
	}
	return n
}

func (r *follower) revision() int64 {
	if seen := r.seen(); len(seen) > 0 {
		return seen[len(seen)-1].Revision
	}
	return 0
}

func (r *follower) reaches(t *testing.T, revision int64) {
	t.Helper()
	etcdtest.Eventually(t, patience, func() bool { return r.revision() >= revision }, "the follower is at revision %d", revision)
}

// failed counts what went wrong.
func (r *follower) failed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, err := range r.problems {
		if err != nil {
			n++
		}
	}
	return n
}

// copied is the copy that results from all batches so far.
func (r *follower) copied() map[string]string { return copyOf(r.seen()) }

func copyOf(batches []store.Batch) map[string]string {
	values, coming := map[string]string{}, map[string]string{}
	for _, batch := range batches {
		if batch.Snapshot && batch.Page == 0 {
			clear(coming)
		}
		into := values
		if batch.Snapshot {
			into = coming
		}
		for _, event := range batch.Events {
			if event.Deleted {
				delete(into, event.Key)
			} else {
				into[event.Key] = string(event.Value)
			}
		}
		if batch.Snapshot && !batch.More {
			values, coming = coming, map[string]string{}
		}
	}
	return values
}
