package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Batch is what a Follower hands on: all that happened up to a revision.
type Batch struct {
	// Revision is what the copy is current to once the batch is applied.
	Revision int64
	// Snapshot says that Events is everything there is; what is not in it is gone. More says that it is only a part of
	// that, and that others follow, numbered by Page from 0; the last one has no events. After a list that broke off comes
	// another page 0.
	Snapshot bool
	Page     int
	More     bool
	// Events are in order. Those of a Snapshot are puts; of a part of one they may also be changes, deletions among them, of
	// what parts before told of.
	Events []Event
}

// Event is one change of one key.
type Event struct {
	Key            string
	Value          []byte
	CreateRevision int64
	// ModRevision of a deletion is the revision of the deletion.
	ModRevision int64
	// Lease is what the key is bound to; 0: nothing.
	Lease   clientv3.LeaseID
	Deleted bool
}

// Follower keeps somebody's copy of a prefix current: a list, then a watch from the next revision. A watch is a
// hint: a closed channel, an error, a compaction or silence lead to a new list, and so do a timer and an etcd that was restored
// from a backup, whose watches are silent until its revision is what it was. (One that gets there before the silence is noticed
// is left to the timer.)
//
// # Lists by parts
//
// A list of Abreast takes as long as etcd takes to read all of it, and no revision need last for that long. So the watch is
// made first, and each page is read as it is by then. Between pages what the watch tells is handed on: to the copy there is,
// if nothing is missing between it and the watch, and as a part of the list what came after the page that has its key; a page
// that has not been asked for yet will have the rest, and one that has been is followed by what was told since. When all
// are read, and the watch has come as far as the newest of them, what the parts make is what there is at the watch's
// revision, and the last, empty part says so.
type Follower struct {
	Client *clientv3.Client
	// Prefix ends in "/".
	Prefix string
	// Abreast are prefixes below Prefix, in their order, whose keys a list reads side by side: those that go on alike come
	// close to each other. The list is handed on by parts, so that nobody holds all of it at once. Nil: it is handed on as
	// a whole, of one revision, in the order of keys.
	Abreast []string
	// DeletesOnly leaves out puts, and the list with them: for those who only want to hear of what went away.
	DeletesOnly bool
	// Silence is how long the watch may say nothing, progress included, before it is replaced. Default 15 s.
	Silence time.Duration
	// Resync is how often everything is listed again; where that takes long, a hundred times as long as it took, should that be
	// more. Default 10 min. With DeletesOnly nothing is listed.
	Resync time.Duration
	// Problem is told what went wrong, nil once things go well again. Called from Run's goroutine; may be nil.
	Problem func(error)
}

const (
	// listPage is how many keys a page has at least, if there are as many. One of short keys has as many as are pageBytes, and
	// maxListPage at most, as whoever takes it in does nothing else meanwhile.
	listPage    = 1000
	maxListPage = 4 * listPage
	pageBytes   = 1 << 20
	// stretchesPage is how many keys are read alone, without their values, to find stretches of a page.
	stretchesPage = 20 * listPage
	listTimeout   = 10 * time.Second
	askTimeout    = 500 * time.Millisecond
	retryDelay    = 250 * time.Millisecond
	progressEach  = 3
)

// relistShare is how many times as long as it has listed a follower watches at least. A test changes it.
var relistShare = 100

// Run hands batches to apply, one at a time and in order, until ctx ends. A batch without events says that the copy
// is current.
func (f Follower) Run(ctx context.Context, apply func(Batch)) {
	if f.Silence == 0 {
		f.Silence = 15 * time.Second
	}
	if f.Resync == 0 {
		f.Resync = 10 * time.Minute
	}
	c := copier{Follower: f, apply: apply}
	for {
		err := c.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, errGap) {
			if f.Problem != nil {
				f.Problem(err)
			}
			select {
			case <-time.After(retryDelay):
			case <-ctx.Done():
				return
			}
		}
	}
}

// copier is a Follower that runs.
type copier struct {
	Follower
	apply func(Batch)
	whole bool      // somebody has a copy, of the revision before next
	next  int64     // what the watch goes on from
	list  time.Time // when the next is due

	watch clientv3.WatchChan
	heard time.Time // when it said something last
	parts *parts    // of the list that comes; nil: none does
}

// follow watches, after a list if need be, until something is wrong. It is to be called again then.
func (c *copier) follow(ctx context.Context) error {
	if c.whole && c.setBack(ctx) {
		c.whole = false
	}
	if !c.whole {
		if err := c.begin(ctx); err != nil {
			return fmt.Errorf("list %s: %w", c.Prefix, err)
		}
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(c.next), clientv3.WithProgressNotify()}
	if c.DeletesOnly {
		opts = append(opts, clientv3.WithFilterPut())
	}
	// It returns when the watch has been made, for which it would wait for a connection.
	making := time.AfterFunc(c.Silence, cancel)
	c.watch = c.Client.Watch(ctx, c.Prefix, opts...)
	if !making.Stop() {
		return c.silent()
	}
	if c.whole {
		c.well()
	}
	c.heard = time.Now()
	ask := time.NewTicker(c.Silence / progressEach)
	defer ask.Stop()
	list := time.NewTimer(time.Until(c.list))
	defer list.Stop()
	if c.DeletesOnly {
		list.Stop() // there is nothing to list, and a watch made anew would not tell what went away in between
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-list.C:
			if c.Abreast == nil {
				c.whole = false
				return nil
			}
			if err := c.listAlong(ctx); err != nil {
				return err
			}
			list.Reset(time.Until(c.list))
		case <-ask.C:
			if err := c.ask(ctx); err != nil {
				return err
			}
		case response, open := <-c.watch:
			if err := c.hear(response, open); err != nil {
				return err
			}
		}
	}
}

// begin finds what the watch is to begin with, with the list where that is one of a whole.
func (c *copier) begin(ctx context.Context) error {
	began := time.Now()
	if c.Abreast != nil || c.DeletesOnly {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		revision, err := revisionNow(ctx, c.Client, c.Prefix)
		if err != nil {
			return err
		}
		if c.next, c.list = revision+1, began; c.DeletesOnly {
			c.listed(Batch{Revision: revision}, began)
		}
		return nil
	}
	events, revision, err := List(ctx, c.Client, c.Prefix)
	if err != nil {
		return err
	}
	c.next = revision + 1
	c.listed(Batch{Snapshot: true, Revision: revision, Events: events}, began)
	return nil
}

// errGap: what a watch was to go on with is compacted. There is no trouble, but a list is due.
var errGap = errors.New("compacted")

// well says that things go well.
func (c *copier) well() {
	if c.Problem != nil {
		c.Problem(nil)
	}
}

// listed hands on the last of a list.
func (c *copier) listed(b Batch, began time.Time) {
	c.apply(b)
	c.whole, c.list = true, time.Now().Add(max(c.Resync, time.Duration(relistShare)*time.Since(began)))
}

func (c *copier) silent() error { return fmt.Errorf("watch %s: silent for %s", c.Prefix, c.Silence) }

// ask has the watch tell how far it is. The answer comes on its own channel; a failure to ask shows as silence.
func (c *copier) ask(ctx context.Context) error {
	if time.Since(c.heard) > c.Silence {
		return c.silent()
	}
	// While there is no connection it would wait for one, and the silence go unnoticed.
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_ = c.Client.RequestProgress(ctx)
	return nil
}

// hear hands on what the watch says.
func (c *copier) hear(response clientv3.WatchResponse, open bool) error {
	if !open {
		return fmt.Errorf("watch %s: closed", c.Prefix)
	}
	if err := response.Err(); err != nil {
		if errors.Is(err, rpctypes.ErrCompacted) || response.CompactRevision > 0 {
			c.whole = false
			return errGap
		}
		return fmt.Errorf("watch %s: %w", c.Prefix, err)
	}
	c.heard = time.Now()
	revision := response.Header.Revision
	if len(response.Events) > 0 {
		// The header may be ahead of the events that the response holds.
		revision = response.Events[len(response.Events)-1].Kv.ModRevision
	} else if !response.IsProgressNotify() {
		return nil
	}
	if revision < c.next-1 {
		return nil
	}
	c.next = revision + 1
	events := eventsOf(response.Events)
	if c.parts != nil {
		c.parts.changes(events)
	}
	if c.whole {
		c.apply(Batch{Revision: revision, Events: events})
	}
	return nil
}

// setBack tells whether etcd has not come as far as it had: it was restored from a backup. A watch that begins in the future
// would stay silent, and not be told of progress either.
func (c *copier) setBack(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	now, err := revisionNow(ctx, c.Client, c.Prefix)
	return err == nil && now < c.next-1
}

func eventsOf(raw []*clientv3.Event) []Event {
	events := make([]Event, len(raw))
	for i, e := range raw {
		events[i] = eventOf(e.Kv)
		events[i].Deleted = e.Type == clientv3.EventTypeDelete
	}
	return events
}

func eventOf(kv *mvccpb.KeyValue) Event {
	return Event{
		Key: string(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: clientv3.LeaseID(kv.Lease),
	}
}
