package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// Errors of a registration.
var (
	// ErrNameHeld: another session holds the node's name. It is what a NameHeldError unwraps to.
	ErrNameHeld = errors.New("node name held")
	// ErrNotRegistered: the key is not there any more, or is another life's.
	ErrNotRegistered = errors.New("node not registered")
)

// NameHeldError says who holds the name that a node wanted.
type NameHeldError struct {
	Name string
	// Key is the etcd key in question.
	Key string
	// Holder is what the key says of its holder; only the name and the session if the value is unreadable, no session
	// if the key has no lease and so was put by hand.
	Holder nightwatch.Node
}

func (e *NameHeldError) Error() string {
	if e.Holder.Session == "" {
		return fmt.Sprintf("node name %q is held by a key that was put by hand, without a lease, and will not go away by "+
			"itself: remove it with `etcdctl del %s`, or choose another name", e.Name, e.Key)
	}
	who := "session " + e.Holder.Session
	if e.Holder.Address != "" {
		who += " at " + e.Holder.Address
	}
	if !e.Holder.StartTime.IsZero() {
		who += " since " + e.Holder.StartTime.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("node name %q is held by %s: stop that node, or give this one another name; the name of a node "+
		"that died is free once its lease has ended", e.Name, who)
}

// Unwrap makes errors.Is(err, ErrNameHeld) true.
func (e *NameHeldError) Unwrap() error { return ErrNameHeld }

// Registration is a node's key under its session's lease. All methods are safe for concurrent use.
type Registration struct {
	client   *clientv3.Client
	session  *Session
	key      string
	revision int64

	mu    sync.Mutex // held over a whole Update
	node  nightwatch.Node
	value string // what the key holds; empty when that is not known
	seen  int64  // ModRevision of the key as we know it
}

// Register puts the node's key nodesPrefix+name under the session's lease unless the name is held: then the error is a
// NameHeldError. The prefix ends in "/". The node's Session is set to the session's ID and, if it has none, its StartTime
// to now.
//
// It waits for etcd, repeating a transaction whose outcome is unknown, until the context ends or the session does. If
// that happens with the outcome still unknown the key may be there; it goes with the session. Registering again under
// the same session finds the key and takes it over with the new value.
func Register(ctx context.Context, client *clientv3.Client, s *Session, nodesPrefix string, node nightwatch.Node) (*Registration, error) {
	r, held, _, err := register(ctx, client, s, nodesPrefix, node)
	if err == nil && held != nil {
		err = held
	}
	if err != nil {
		return nil, fmt.Errorf("register node %q: %w", node.Name, err)
	}
	return r, nil
}

// register does one create-only transaction, repeated while its outcome is unknown. It returns the registration or who
// holds the name, and the revision at which that was so.
func register(ctx context.Context, client *clientv3.Client, s *Session, nodesPrefix string, node nightwatch.Node) (*Registration, *NameHeldError, int64, error) {
	if err := nightwatch.CheckNodeName(node.Name); err != nil {
		return nil, nil, 0, err
	}
	if !strings.HasSuffix(nodesPrefix, "/") {
		return nil, nil, 0, fmt.Errorf("prefix %q: want one that ends in /", nodesPrefix)
	}
	node = clone(node)
	node.Session = s.ID()
	if node.StartTime.IsZero() {
		node.StartTime = time.Now().UTC().Truncate(time.Second)
	}
	value, err := json.Marshal(node)
	if err != nil {
		return nil, nil, 0, err
	}
	r := &Registration{client: client, session: s, key: nodesPrefix + node.Name, node: node, value: string(value)}
	resp, err := commit(ctx, s, client,
		[]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0)},
		[]clientv3.Op{clientv3.OpPut(r.key, r.value, clientv3.WithLease(s.Lease()))},
		[]clientv3.Op{clientv3.OpGet(r.key)})
	if err != nil {
		return nil, nil, 0, err
	}
	if resp.Succeeded {
		r.revision, r.seen = resp.Header.Revision, resp.Header.Revision
		return r, nil, resp.Header.Revision, nil
	}
	kv := resp.Responses[0].GetResponseRange().Kvs[0]
	if clientv3.LeaseID(kv.Lease) != s.Lease() {
		return nil, &NameHeldError{Name: node.Name, Key: r.key, Holder: holder(node.Name, kv)}, resp.Header.Revision, nil
	}
	// Ours: an earlier transaction was applied though its answer never came. The value may be an older one.
	r.revision, r.seen, r.value = kv.CreateRevision, kv.ModRevision, string(kv.Value)
	if err := r.write(ctx, node); err != nil {
		return nil, nil, 0, err
	}
	return r, nil, resp.Header.Revision, nil
}

// holder reads who has the key. The lease is etcd's word; the rest is the value's.
func holder(name string, kv *mvccpb.KeyValue) nightwatch.Node {
	var node nightwatch.Node
	if err := json.Unmarshal(kv.Value, &node); err != nil {
		node = nightwatch.Node{}
	}
	node.Name, node.Session = name, ""
	if kv.Lease != 0 {
		node.Session = formatLease(clientv3.LeaseID(kv.Lease))
	}
	return node
}

// WaitRegister is Register that waits for the name's holder to go, watching its key, for up to the given time (0: twice
// the session's TTL, by when the lease of a holder with the same TTL that died has ended). It then returns the
// NameHeldError.
func WaitRegister(ctx context.Context, client *clientv3.Client, s *Session, nodesPrefix string, node nightwatch.Node, wait time.Duration) (*Registration, error) {
	if wait <= 0 {
		wait = 2 * s.TTL()
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		r, held, revision, err := register(ctx, client, s, nodesPrefix, node)
		if err != nil {
			return nil, fmt.Errorf("register node %q: %w", node.Name, err)
		}
		if held == nil {
			return r, nil
		}
		s.log.Info("waiting for the node's name", "node", node.Name, "holder", held.Holder.Session, "address", held.Holder.Address, "wait", wait)
		expired, err := waitGone(ctx, client, s, held.Key, revision+1, over.C)
		if err != nil {
			return nil, fmt.Errorf("register node %q: wait for its name: %w", node.Name, err)
		}
		if expired {
			return nil, fmt.Errorf("register node %q: waited %s: %w", node.Name, wait, held)
		}
	}
}

// waitGone returns once the key was deleted after the revision, or the watch ended (then the caller looks again), or,
// with true, time is up.
func waitGone(ctx context.Context, client *clientv3.Client, s *Session, key string, revision int64, over <-chan time.Time) (expired bool, err error) {
	watchCtx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	watch := makeWatch(watchCtx, cancel, client, key, clientv3.WithRev(revision), clientv3.WithFilterPut())
	for {
		select {
		case resp, ok := <-watch:
			if ok && resp.Err() == nil && len(resp.Events) == 0 {
				continue
			}
			if ok && resp.Err() == nil {
				return false, nil
			}
			// Ended, compacted, no leader: look again, but not in a tight loop.
			select {
			case <-time.After(retryPause):
				return false, nil
			case <-over:
				return true, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		case <-over:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		case <-s.Done():
			return false, context.Cause(s.Context())
		}
	}
}

// Revision is the CreateRevision of the key: what a transaction that counts on this registration compares.
func (r *Registration) Revision() int64 { return r.revision }

// Key is the node's key in etcd.
func (r *Registration) Key() string { return r.key }

// Node is what was last written.
func (r *Registration) Node() nightwatch.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return clone(r.node)
}

// Update changes what the node says of itself; its Name and Session stay. Nothing is written if nothing changed. It waits
// for etcd until the context or the session ends; after such an error the change may or may not be there, and a next
// Update starts from the node without it. ErrNotRegistered means that the key is gone or another life's.
func (r *Registration) Update(ctx context.Context, change func(*nightwatch.Node)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	node := clone(r.node)
	change(&node)
	node.Name, node.Session = r.node.Name, r.node.Session
	if err := r.write(ctx, node); err != nil {
		return fmt.Errorf("update node %q: %w", node.Name, err)
	}
	return nil
}

// write puts the node's value over the one we know. Guarding by ModRevision as well as by CreateRevision keeps a
// transaction that was given up on from being applied late, over a newer value.
func (r *Registration) write(ctx context.Context, node nightwatch.Node) error {
	value, err := json.Marshal(node)
	if err != nil {
		return err
	}
	if string(value) == r.value {
		return nil
	}
	for {
		resp, err := commit(ctx, r.session, r.client,
			[]clientv3.Cmp{
				clientv3.Compare(clientv3.CreateRevision(r.key), "=", r.revision),
				clientv3.Compare(clientv3.ModRevision(r.key), "=", r.seen),
			},
			[]clientv3.Op{clientv3.OpPut(r.key, string(value), clientv3.WithLease(r.session.Lease()))},
			[]clientv3.Op{clientv3.OpGet(r.key)})
		if err != nil {
			r.value = "" // unknown now
			return err
		}
		if resp.Succeeded {
			r.seen = resp.Header.Revision
			break
		}
		kvs := resp.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 || kvs[0].CreateRevision != r.revision {
			return ErrNotRegistered
		}
		r.seen = kvs[0].ModRevision
		if string(kvs[0].Value) == string(value) && clientv3.LeaseID(kvs[0].Lease) == r.session.Lease() {
			break // our own transaction, whose answer was lost
		}
		// Somebody put over our key, or an earlier update that we gave up on was applied: ours is newer.
	}
	r.node, r.value = node, string(value)
	return nil
}

// Deregister deletes the key if it is still this registration's, so that no new run is given to the node. It is
// idempotent. It waits for etcd until the context or the session ends; the key then goes with the session.
func (r *Registration) Deregister(ctx context.Context) error {
	_, err := commit(ctx, r.session, r.client,
		[]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(r.key), "=", r.revision)},
		[]clientv3.Op{clientv3.OpDelete(r.key)}, nil)
	if err != nil {
		return fmt.Errorf("deregister %s: %w", r.key, err)
	}
	return nil
}

func clone(node nightwatch.Node) nightwatch.Node {
	node.Labels = maps.Clone(node.Labels)
	node.Clusters, node.ClusterLabels = maps.Clone(node.Clusters), maps.Clone(node.ClusterLabels)
	node.Capacities = maps.Clone(node.Capacities)
	node.Runners = slices.Clone(node.Runners)
	node.Handlers = slices.Clone(node.Handlers)
	return node
}
