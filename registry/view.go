package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// ViewConfig configures NewView.
type ViewConfig struct {
	// Prefix is where nodes have their keys; it ends in "/".
	Prefix string
	// Resync is how often the view lists anew and starts a new watch, whatever its watch says: a watch that went deaf
	// is wrong for no longer than this. Default 10 s.
	Resync time.Duration
	// Timeout bounds one listing. Default 5 s.
	Timeout time.Duration
	// Logger hears of keys that are left out and of watches that ended. Default none.
	Logger hclog.Logger
}

// NodeEntry is one node as its key says.
type NodeEntry struct {
	nightwatch.Node
	// CreateRevision is what a transaction compares that gives something to this life of the node.
	CreateRevision int64
	// ModRevision is that of what the node last said of itself.
	ModRevision int64
}

// View is the live view of who is there: a list, then a watch from the revision of the list, then a list again when the
// watch ends, is compacted, or at the next resync. All methods are safe for concurrent use.
//
// A view is behind etcd by what the network takes, and more when etcd is away: Age says how much. Decide on it, then
// compare the CreateRevision in the transaction that acts.
type View struct {
	client  *clientv3.Client
	cfg     ViewConfig
	log     hclog.Logger
	changed chan struct{}
	started atomic.Bool
	relist  chan struct{} // capacity 1: somebody waits for a newer revision

	mu       sync.Mutex
	entries  map[string]NodeEntry // by name
	refused  map[string]int64     // ModRevision by key, of values that were left out; each is logged once
	revision int64
	fresh    time.Time     // as of when the view was last known to be complete
	advanced chan struct{} // closed and replaced whenever the revision moves
}

// NewView checks the configuration. It does no I/O.
func NewView(client *clientv3.Client, cfg ViewConfig) (*View, error) {
	if client == nil {
		return nil, errors.New("new view: no etcd client")
	}
	if !strings.HasSuffix(cfg.Prefix, "/") {
		return nil, fmt.Errorf("new view: prefix %q: want one that ends in /", cfg.Prefix)
	}
	cfg.Resync = cmp.Or(cfg.Resync, 10*time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, 5*time.Second)
	if cfg.Resync < 0 || cfg.Timeout < 0 {
		return nil, fmt.Errorf("new view: resync %s, timeout %s: want more than 0", cfg.Resync, cfg.Timeout)
	}
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	return &View{
		client:   client,
		cfg:      cfg,
		log:      log,
		changed:  make(chan struct{}, 1),
		relist:   make(chan struct{}, 1),
		entries:  map[string]NodeEntry{},
		refused:  map[string]int64{},
		advanced: make(chan struct{}),
	}, nil
}

// Nodes returns who is there, sorted by name. The entries are the caller's own.
func (v *View) Nodes() []NodeEntry {
	v.mu.Lock()
	defer v.mu.Unlock()
	nodes := make([]NodeEntry, 0, len(v.entries))
	for _, entry := range v.entries {
		entry.Node = clone(entry.Node)
		nodes = append(nodes, entry)
	}
	slices.SortFunc(nodes, func(a, b NodeEntry) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// Changed receives after Nodes has changed; several changes may be one signal. There is one channel, for one reader.
func (v *View) Changed() <-chan struct{} { return v.changed }

// Age is how long ago the view was last known to be complete. With a healthy etcd it stays below the resync interval and
// a little. Before the first listing it is the longest duration there is.
func (v *View) Age() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fresh.IsZero() {
		return math.MaxInt64
	}
	return time.Since(v.fresh)
}

// Revision is the etcd revision the view has reached: every change up to it is in Nodes. 0 before the first listing.
func (v *View) Revision() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.revision
}

// WaitRevision returns when the view has reached the revision, which may need a listing, or with the context's error.
// It needs Run to be running.
func (v *View) WaitRevision(ctx context.Context, revision int64) error {
	for {
		v.mu.Lock()
		reached, advanced := v.revision >= revision, v.advanced
		v.mu.Unlock()
		if reached {
			return nil
		}
		signal(v.relist)
		select {
		case <-advanced:
		case <-ctx.Done():
			return fmt.Errorf("wait for revision %d of %s: %w", revision, v.cfg.Prefix, ctx.Err())
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// replace makes the view what a listing found. A key that the view has in a newer version cannot be: a listing is
// linearizable and made after the watch before it was ended.
func (v *View) replace(kvs []*mvccpb.KeyValue, revision int64, asOf time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	entries, refused := make(map[string]NodeEntry, len(kvs)), map[string]int64{}
	changed := v.revision == 0
	for _, kv := range kvs {
		name := strings.TrimPrefix(string(kv.Key), v.cfg.Prefix)
		entry, err := parse(name, kv)
		if err != nil {
			v.refuse(kv, err)
			refused[string(kv.Key)] = kv.ModRevision
			continue
		}
		entries[name] = entry
		changed = changed || v.entries[name].ModRevision != entry.ModRevision
	}
	changed = changed || len(entries) != len(v.entries)
	v.entries, v.refused = entries, refused
	if revision < v.revision { // etcd was restored from a backup
		v.revision = 0
	}
	v.advance(revision, asOf)
	if changed {
		signal(v.changed)
	}
}

// apply makes the changes that a watch tells of.
func (v *View) apply(events []*clientv3.Event, revision int64, asOf time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, event := range events {
		name := strings.TrimPrefix(string(event.Kv.Key), v.cfg.Prefix)
		// Whatever was there is not any more: gone, or replaced by something that may be unreadable.
		delete(v.entries, name)
		delete(v.refused, string(event.Kv.Key))
		if event.Type == mvccpb.Event_PUT {
			entry, err := parse(name, event.Kv)
			if err != nil {
				v.refuse(event.Kv, err)
			} else {
				v.entries[name] = entry
			}
		}
	}
	v.advance(revision, asOf)
	if len(events) > 0 {
		signal(v.changed)
	}
}

// advance is called with mu held.
func (v *View) advance(revision int64, asOf time.Time) {
	v.fresh = asOf
	if revision > v.revision {
		v.revision = revision
		close(v.advanced)
		v.advanced = make(chan struct{})
	}
}

// refuse logs a key that is left out, once for each of its versions. It is called with mu held.
func (v *View) refuse(kv *mvccpb.KeyValue, err error) {
	if v.refused[string(kv.Key)] == kv.ModRevision {
		return
	}
	v.refused[string(kv.Key)] = kv.ModRevision
	v.log.Warn("a key that is no node is left out", "key", string(kv.Key), "reason", err)
}

// parse reads a node's key. What it does not let pass would be given work that nobody does: a name or a session that is
// not the key's own, a key that outlives every node because it has no lease.
func parse(name string, kv *mvccpb.KeyValue) (NodeEntry, error) {
	if err := nightwatch.CheckNodeName(name); err != nil {
		return NodeEntry{}, err
	}
	var node nightwatch.Node
	if err := json.Unmarshal(kv.Value, &node); err != nil {
		return NodeEntry{}, err
	}
	if node.Name != name {
		return NodeEntry{}, fmt.Errorf("name: %q: want the key's, %q", node.Name, name)
	}
	if kv.Lease == 0 {
		return NodeEntry{}, errors.New("the key has no lease, so no node put it")
	}
	if want := formatLease(clientv3.LeaseID(kv.Lease)); node.Session != want {
		return NodeEntry{}, fmt.Errorf("session: %q: want the key's lease, %q", node.Session, want)
	}
	return NodeEntry{Node: node, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision}, nil
}
