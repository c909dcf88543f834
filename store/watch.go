package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Batch is what a Follower hands on: all that happened up to a revision.
type Batch struct {
	// Revision is what the copy is current to once the batch is applied.
	Revision int64
	// Snapshot says that Events is everything there is; what is not in it is gone. More says that it is only a page of
	// that, and that others of the same revision follow, numbered by Page from 0. After a list that broke off comes another
	// page 0.
	Snapshot bool
	Page     int
	More     bool
	// Events are in order; for a snapshot every one is a put.
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
type Follower struct {
	Client *clientv3.Client
	// Prefix ends in "/".
	Prefix string
	// Abreast are prefixes below Prefix, in their order, whose keys a list reads side by side: those that go on alike come
	// close to each other. The list is handed on by pages, so that nobody holds all of it at once. Nil: it is handed on as
	// a whole, in the order of keys.
	Abreast []string
	// DeletesOnly leaves out puts, and the list with them: for those who only want to hear of what went away.
	DeletesOnly bool
	// Silence is how long the watch may say nothing, progress included, before it is replaced. Default 15 s.
	Silence time.Duration
	// Resync is how often everything is listed again; where that takes long, a hundred times as long as it took, should that be
	// more. Default 10 min.
	Resync time.Duration
	// Problem is told what went wrong, nil once things go well again. Called from Run's goroutine; may be nil.
	Problem func(error)
}

const (
	listPage = 1000
	// stretchesPage is how many keys are read alone, without their values, to find stretches of a page.
	stretchesPage = 20 * listPage
	listTimeout   = 10 * time.Second
	askTimeout    = 500 * time.Millisecond
	retryDelay    = 250 * time.Millisecond
	progressEach  = 3
	// relistShare is how many times as long as it has listed a follower watches at least.
	relistShare = 100
)

// Run hands batches to apply, one at a time and in order, until ctx ends. A batch without events says that the copy
// is current.
func (f Follower) Run(ctx context.Context, apply func(Batch)) {
	if f.Silence == 0 {
		f.Silence = 15 * time.Second
	}
	if f.Resync == 0 {
		f.Resync = 10 * time.Minute
	}
	var from int64
	for ctx.Err() == nil {
		next, err := f.follow(ctx, from, apply)
		from = next
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if f.Problem != nil {
				f.Problem(err)
			}
			select {
			case <-time.After(retryDelay):
			case <-ctx.Done():
			}
		}
	}
}

// follow lists when from is 0, then watches. It returns the revision to go on from, 0 for a new list.
func (f Follower) follow(ctx context.Context, from int64, apply func(Batch)) (int64, error) {
	every := f.Resync
	if from != 0 && f.setBack(ctx, from-1) {
		from = 0
	}
	if from == 0 {
		began := time.Now()
		revision, err := f.list(ctx, apply)
		if err != nil {
			return 0, fmt.Errorf("list %s: %w", f.Prefix, err)
		}
		from = revision + 1
		every = max(every, relistShare*time.Since(began))
	}
	watchCtx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithProgressNotify()}
	if f.DeletesOnly {
		opts = append(opts, clientv3.WithFilterPut())
	}
	// It returns when the watch has been made, for which it would wait for a connection.
	making := time.AfterFunc(f.Silence, cancel)
	watch := f.Client.Watch(watchCtx, f.Prefix, opts...)
	if !making.Stop() {
		return from, fmt.Errorf("watch %s: silent for %s", f.Prefix, f.Silence)
	}
	if f.Problem != nil {
		f.Problem(nil)
	}
	ask := time.NewTicker(f.Silence / progressEach)
	defer ask.Stop()
	resync := time.NewTimer(every)
	defer resync.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return from, ctx.Err()
		case <-resync.C:
			return 0, nil
		case <-ask.C:
			if time.Since(heard) > f.Silence {
				return from, fmt.Errorf("watch %s: silent for %s", f.Prefix, f.Silence)
			}
			// An answer comes on the watch's own channel; a failure to ask shows as silence.
			// While there is no connection it would wait for one, and the silence go unnoticed.
			asking, done := context.WithTimeout(watchCtx, askTimeout)
			_ = f.Client.RequestProgress(asking)
			done()
		case response, open := <-watch:
			if !open {
				return from, fmt.Errorf("watch %s: closed", f.Prefix)
			}
			if err := response.Err(); err != nil {
				if errors.Is(err, rpctypes.ErrCompacted) || response.CompactRevision > 0 {
					return 0, nil
				}
				return from, fmt.Errorf("watch %s: %w", f.Prefix, err)
			}
			heard = time.Now()
			revision := response.Header.Revision
			if len(response.Events) > 0 {
				// The header may be ahead of the events that the response holds.
				revision = response.Events[len(response.Events)-1].Kv.ModRevision
			} else if !response.IsProgressNotify() {
				continue
			}
			if revision < from-1 {
				continue
			}
			apply(Batch{Revision: revision, Events: eventsOf(response.Events)})
			from = revision + 1
		}
	}
}

// setBack tells whether etcd has not come as far as it had: it was restored from a backup. A watch that begins in the future
// would stay silent, and not be told of progress either.
func (f Follower) setBack(ctx context.Context, revision int64) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	now, err := revisionNow(ctx, f.Client, f.Prefix)
	return err == nil && now < revision
}

func eventsOf(raw []*clientv3.Event) []Event {
	events := make([]Event, len(raw))
	for i, e := range raw {
		events[i] = Event{
			Key: string(e.Kv.Key), Value: e.Kv.Value, CreateRevision: e.Kv.CreateRevision,
			ModRevision: e.Kv.ModRevision, Lease: clientv3.LeaseID(e.Kv.Lease), Deleted: e.Type == clientv3.EventTypeDelete,
		}
	}
	return events
}

// list hands on everything below the prefix as it stood at one revision.
func (f Follower) list(ctx context.Context, apply func(Batch)) (int64, error) {
	if f.DeletesOnly {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		response, err := f.Client.Get(ctx, f.Prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return 0, err
		}
		apply(Batch{Revision: response.Header.Revision})
		return response.Header.Revision, nil
	}
	if f.Abreast == nil {
		events, revision, err := List(ctx, f.Client, f.Prefix)
		if err != nil {
			return 0, err
		}
		apply(Batch{Snapshot: true, Revision: revision, Events: events})
		return revision, nil
	}
	r, pages := reader{client: f.Client}, 0
	err := r.abreast(ctx, f.Prefix, f.Abreast, func(page []Event) {
		apply(Batch{Snapshot: true, Revision: r.revision, Events: page, Page: pages, More: true})
		pages++
	})
	if err != nil {
		return 0, err
	}
	apply(Batch{Snapshot: true, Revision: r.revision, Page: pages})
	return r.revision, nil
}
