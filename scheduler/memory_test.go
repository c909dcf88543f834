package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// memory is an etcd of maps: linearizable, a revision for each transaction that writes, comparisons of revisions, and
// watches that tell of everything in order. It has no leases: whoever's session ends deletes its own keys.
type memory struct {
	t    testing.TB
	keys store.Keys
	// observe is told of the events of each revision, in order; it must not call back.
	observe func([]store.Event)

	mu       sync.Mutex
	revision int64
	entries  map[string]store.Event
	watches  []*memoryWatch
}

// memoryWatch gathers events below a prefix until they are taken.
type memoryWatch struct {
	prefix string
	more   chan struct{}
	events []store.Event
}

func newMemory(t testing.TB) *memory {
	return &memory{t: t, keys: store.NewKeys(""), entries: map[string]store.Event{}, observe: func([]store.Event) {}}
}

// put and del write one key each.
func (m *memory) put(key string, value any, lease ...clientv3.LeaseID) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	e := m.set(key, []byte(text(value)))
	if len(lease) > 0 {
		e.Lease = lease[0]
		m.entries[key] = e
	}
	m.tell([]store.Event{e})
	return m.revision
}

func (m *memory) del(keys ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	var events []store.Event
	for _, key := range keys {
		if _, there := m.entries[key]; there {
			events = append(events, m.unset(key))
		}
	}
	if len(events) == 0 {
		m.revision--
		return
	}
	m.tell(events)
}

// at is the revision.
func (m *memory) at() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision
}

// get is what stands at a key; its ModRevision is 0 when nothing does.
func (m *memory) get(key string) store.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[key]
}

// read decodes what stands at a key. It is false when nothing does.
func (m *memory) read(key string, into any) bool {
	e := m.get(key)
	if e.ModRevision != 0 {
		if err := json.Unmarshal(e.Value, into); err != nil {
			m.t.Errorf("%s: %v", key, err)
		}
	}
	return e.ModRevision != 0
}

// below lists what stands below a prefix, by key.
func (m *memory) below(prefix string) []store.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list(prefix)
}

func (m *memory) list(prefix string) []store.Event {
	var found []store.Event
	for key, e := range m.entries {
		if strings.HasPrefix(key, prefix) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b store.Event) int { return strings.Compare(a.Key, b.Key) })
	return found
}

func (m *memory) set(key string, value []byte) store.Event {
	e := store.Event{Key: key, Value: value, CreateRevision: m.revision, ModRevision: m.revision}
	if before, there := m.entries[key]; there {
		e.CreateRevision = before.CreateRevision
	}
	m.entries[key] = e
	return e
}

func (m *memory) unset(key string) store.Event {
	delete(m.entries, key)
	return store.Event{Key: key, ModRevision: m.revision, Deleted: true}
}

func (m *memory) tell(events []store.Event) {
	m.observe(events)
	for _, w := range m.watches {
		heard := false
		for _, e := range events {
			if strings.HasPrefix(e.Key, w.prefix) {
				w.events = append(w.events, e)
				heard = true
			}
		}
		if heard {
			select {
			case w.more <- struct{}{}:
			default:
			}
		}
	}
}

// commit does a transaction, with the answer that store.Store gives.
func (m *memory) commit(txn *store.Txn) (*clientv3.TxnResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ifs, then := txn.Parts()
	if txn.Operations() > 128 {
		m.t.Errorf("a transaction of %d operations", txn.Operations())
	}
	var got []*pb.ResponseOp
	answer := func(done bool) *clientv3.TxnResponse {
		return &clientv3.TxnResponse{Header: &pb.ResponseHeader{Revision: m.revision}, Succeeded: done, Responses: got}
	}
	for _, cmp := range ifs {
		if !m.holds(cmp.GetCompare()) {
			return answer(false), nightwatch.ErrRefused
		}
	}
	m.revision++
	var events []store.Event
	written, size := map[string]bool{}, 0
	for _, op := range then {
		key := string(op.KeyBytes())
		if !op.IsGet() && written[key] {
			m.t.Errorf("%s is written twice in a transaction", key)
		}
		written[key] = !op.IsGet()
		size += len(op.ValueBytes())
		e, there := m.entries[key]
		found := &pb.RangeResponse{}
		if op.IsGet() && there {
			found.Kvs = []*mvccpb.KeyValue{{Key: []byte(key), Value: e.Value, CreateRevision: e.CreateRevision, ModRevision: e.ModRevision}}
		}
		got = append(got, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: found}}) // of the others nobody asks
		switch {
		case op.IsPut():
			events = append(events, m.set(key, op.ValueBytes()))
		case op.IsDelete() && there:
			events = append(events, m.unset(key))
		}
	}
	if size > 3<<19 { // etcd's default for a request
		m.t.Errorf("a transaction of %d bytes", size)
	}
	if len(events) == 0 {
		m.revision--
		return answer(true), nil
	}
	m.tell(events)
	return answer(true), nil
}

// holds tells whether a comparison does; of a range it must for every key.
func (m *memory) holds(cmp *pb.Compare) bool {
	key, end := string(cmp.GetKey()), string(cmp.GetRangeEnd())
	if end == "" {
		return compares(m.t, m.entries[key], cmp)
	}
	for other, e := range m.entries {
		if other >= key && other < end && !compares(m.t, e, cmp) {
			return false
		}
	}
	return true
}

// compares tells whether a comparison holds of what stands at a key.
func compares(t testing.TB, e store.Event, cmp *pb.Compare) bool {
	t.Helper()
	if cmp.GetResult() == pb.Compare_EQUAL {
		switch target := cmp.GetTargetUnion().(type) {
		case *pb.Compare_ModRevision:
			return e.ModRevision == target.ModRevision
		case *pb.Compare_CreateRevision:
			return e.CreateRevision == target.CreateRevision
		}
	}
	t.Errorf("a comparison of %s that is not known here", cmp.GetKey())
	return false
}

// watch lists what stands below a prefix, and gathers all that happens from then on.
func (m *memory) watch(prefix string) (*memoryWatch, store.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &memoryWatch{prefix: prefix, more: make(chan struct{}, 1)}
	m.watches = append(m.watches, w)
	return w, store.Batch{Snapshot: true, Revision: m.revision, Events: m.list(prefix)}
}

func (m *memory) unwatch(w *memoryWatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches = slices.DeleteFunc(m.watches, func(other *memoryWatch) bool { return other == w })
}

// take empties a watch, into one batch as etcd may gather them.
func (m *memory) take(w *memoryWatch) store.Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := store.Batch{Revision: m.revision, Events: w.events}
	w.events = nil
	return b
}

// loss is what becomes of a transaction on its way.
type loss int

const (
	arrives loss = iota
	requestLost
	requestLate // it arrives after its sender has given it up
	answerLost
)

// link is one party's way to the memory: the cluster of a Scheduler, and what a simulated node writes by. The zero
// functions are an ideal network.
type link struct {
	*memory
	// delay is how long the next message takes: a request, an answer, what a watch tells.
	delay func() time.Duration
	// lose decides about the next transaction.
	lose func(*store.Txn) loss
	// later is how long after that a request arrives that is late.
	later time.Duration
	// relist has a watch break off, to begin with a list again.
	relist func() bool
	// listing is how long it takes until a list is of now.
	listing time.Duration
}

// Commit is store.Store's.
func (l *link) Commit(ctx context.Context, txn *store.Txn) (*clientv3.TxnResponse, error) {
	fate := arrives
	if l.lose != nil {
		fate = l.lose(txn)
	}
	unknown := fmt.Errorf("%w: %w", nightwatch.ErrOutcomeUnknown, context.DeadlineExceeded)
	switch l.late(ctx); fate {
	case requestLost:
		return nil, unknown
	case requestLate:
		time.AfterFunc(l.later, func() { _, _ = l.commit(txn) })
		return nil, unknown
	}
	response, err := l.commit(txn)
	if l.late(ctx); fate == answerLost {
		return nil, unknown
	}
	return response, err
}

func (l *link) follow(ctx context.Context, prefix string, problem func(error), apply func(store.Batch)) {
	for ctx.Err() == nil {
		wait(ctx, l.listing)
		w, all := l.watch(prefix)
		l.late(ctx)
		apply(all)
		problem(nil)
		for broken := false; ctx.Err() == nil && !broken; {
			select {
			case <-w.more:
				l.late(ctx)
				apply(l.take(w))
				broken = l.relist != nil && l.relist()
			case <-ctx.Done():
			}
		}
		l.unwatch(w)
	}
}

func (l *link) late(ctx context.Context) {
	if l.delay != nil {
		wait(ctx, l.delay())
	}
}

// wait lets simulated time pass.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// seat is one holding of the scheduler role: it lasts as long as its key stands.
type seat struct {
	ctx      context.Context
	key      string
	revision int64
}

func (s seat) Revision() int64          { return s.revision }
func (s seat) ConfirmedAt() int64       { return s.revision }
func (s seat) Context() context.Context { return s.ctx }
func (s seat) Guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(s.key), "=", s.revision)
}

// elect gives the role to a candidate; leave ends its term, as the candidate is told at once.
func (m *memory) elect(ctx context.Context, candidate string) (term seat, leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	key := m.keys.Election() + "/" + candidate
	s := seat{ctx, key, m.put(key, candidate)}
	return s, func() {
		m.del(key)
		cancel()
	}
}
