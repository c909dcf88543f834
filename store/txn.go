package store

import (
	"errors"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Txn is a guarded write in the making: what it was decided on, and what it does if that still holds.
//
// It is made of what goes over the wire, and not of clientv3.Cmp and clientv3.Op, which are copied by reflection on their
// way there: a run takes some 25 comparisons and ten operations.
type Txn struct {
	seen  []string
	ifs   []*pb.Compare
	then  []*pb.RequestOp
	marks footprint
	bytes int // of keys and values, roughly
	hurry <-chan struct{}
}

// Lazy says that nobody waits for it: where others like it have just been sent, it waits up to 20 ms for company, or until
// hurry is closed.
func (t *Txn) Lazy(hurry <-chan struct{}) { t.hurry = hurry }

// Seen adds that key must still have this ModRevision; 0 means absent.
func (t *Txn) Seen(key string, modRevision int64) {
	if slices.Contains(t.seen, key) {
		return
	}
	t.seen = append(t.seen, key)
	c := &struct {
		compare pb.Compare
		target  pb.Compare_ModRevision
	}{}
	c.target.ModRevision = modRevision
	c.compare.Key, c.compare.Target, c.compare.TargetUnion = []byte(key), pb.Compare_MOD, &c.target
	t.compare(&c.compare)
}

// Alive adds that key must still be the one created at this revision, whatever was put there since.
func (t *Txn) Alive(key string, createRevision int64) { t.compare(created(key, createRevision)) }

// NoneBelow adds that no key starts with prefix.
func (t *Txn) NoneBelow(prefix string) { t.compare(none(prefix, clientv3.GetPrefixRangeEnd(prefix))) }

// none is that there are no keys from one up to another, without that.
func none(from, end string) *pb.Compare {
	c := created(from, 0)
	c.RangeEnd = []byte(end)
	return c
}

func created(key string, revision int64) *pb.Compare {
	return &pb.Compare{Key: []byte(key), Target: pb.Compare_CREATE, TargetUnion: &pb.Compare_CreateRevision{CreateRevision: revision}}
}

// NoLockBesideShards adds that nobody holds or waits for a task's mutex but the dispatch of shards. It goes with a put of a
// shard's own lock.
//
// Its ranges are not in the footprint, where they would keep it apart from every write. Whoever puts a lock in them compares
// that the task has none, shards' included, and so shares no request with it; whoever deletes one beside it has it refused,
// as if that came after, and tried again.
func (t *Txn) NoLockBesideShards(keys Keys, task string) {
	all, shards := keys.LocksOf(task), keys.LocksOf(task)+shardLocks
	for _, span := range [][2]string{{all, shards}, {clientv3.GetPrefixRangeEnd(shards), clientv3.GetPrefixRangeEnd(all)}} {
		t.ifs = append(t.ifs, none(span[0], span[1]))
		t.bytes += opBytes + len(span[0])
	}
}

// If adds any other comparison.
func (t *Txn) If(cmp clientv3.Cmp) { t.compare(cmp.GetCompare()) }

func (t *Txn) compare(c *pb.Compare) {
	t.ifs = append(t.ifs, c)
	t.marks.compares(c)
	t.bytes += opBytes + len(c.Key)
}

// Put writes value, which must not be changed any more.
func (t *Txn) Put(key string, value []byte) { t.PutWithLease(key, value, 0) }

// PutWithLease is Put for a key that goes with a lease; 0 is none.
func (t *Txn) PutWithLease(key string, value []byte, lease clientv3.LeaseID) {
	o := &struct {
		op      pb.RequestOp
		request pb.RequestOp_RequestPut
		put     pb.PutRequest
	}{}
	o.put.Key, o.put.Value, o.put.Lease = []byte(key), value, int64(lease)
	o.op.Request, o.request.RequestPut = &o.request, &o.put
	t.then = append(t.then, &o.op)
	t.marks.write(key)
	t.bytes += opBytes + len(key) + len(value)
}

// Delete removes key.
func (t *Txn) Delete(key string) {
	t.then = append(t.then, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)}}})
	t.marks.write(key)
	t.bytes += opBytes + len(key)
}

// Get reads key in the same transaction; answers are in the order of all operations.
func (t *Txn) Get(key string) {
	t.then = append(t.then, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}})
	t.marks.read(key)
	t.bytes += opBytes + len(key)
}

// opBytes is what an operation or a comparison takes in a request beside key and value.
const opBytes = 32

// Empty tells that there is nothing to do.
func (t *Txn) Empty() bool { return len(t.then) == 0 }

// Parts are the comparisons and the operations, in order.
func (t *Txn) Parts() (ifs []clientv3.Cmp, then []clientv3.Op) { return inClientWords(t.request()) }

// request is the transaction as etcd is asked for it.
func (t *Txn) request() *pb.TxnRequest { return &pb.TxnRequest{Compare: t.ifs, Success: t.then} }

// Operations is how many comparisons or operations there are, whichever is more: etcd takes at most 128 of each.
func (t *Txn) Operations() int { return max(len(t.ifs), len(t.then)) }

// certain tells whether the server itself said no, before anything was written. ErrNoSpace is not among these: the transaction
// that takes the database over its quota is done, and answered so.
func certain(err error) bool {
	for _, refusal := range []error{
		rpctypes.ErrLeaseNotFound, rpctypes.ErrPermissionDenied, rpctypes.ErrTooManyOps,
		rpctypes.ErrDuplicateKey, rpctypes.ErrRequestTooLarge, rpctypes.ErrUserEmpty, rpctypes.ErrInvalidAuthToken,
		rpctypes.ErrEmptyKey, rpctypes.ErrCompacted,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
