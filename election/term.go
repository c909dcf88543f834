package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Term is one holding of the role. All methods are safe for concurrent use.
type Term struct {
	candidate *Candidate
	key       held
	ctx       context.Context
	end       context.CancelCauseFunc
	watched   chan struct{} // closed when the watching goroutine has ended

	mu   sync.Mutex // held over a whole Resign
	gone bool       // the key is known not to be there
}

// begin makes the term of a key that was confirmed. The term lasts beyond the campaign's context, of which it keeps the
// values.
func (c *Candidate) begin(ctx context.Context, key held) *Term {
	life, stop := c.life(ctx)
	termCtx, end := context.WithCancelCause(life)
	t := &Term{candidate: c, key: key, ctx: termCtx, end: end, watched: make(chan struct{})}
	go func() {
		defer close(t.watched)
		defer stop()
		err := t.watch(termCtx, key.confirmedAt+1)
		t.end(err) // of no effect if the context's end was what ended the watch
		c.log.Info("term is over", "term", key.created, "reason", context.Cause(termCtx))
	}()
	return t
}

// Revision is the number of the term: the CreateRevision of its key.
func (t *Term) Revision() int64 { return t.key.created }

// ConfirmedAt is a revision of etcd's at which the term was in force: what was written under the Guard of any term before is
// older, so whoever sees all up to here has seen it.
func (t *Term) ConfirmedAt() int64 { return t.key.confirmedAt }

// Key is the term's key in etcd.
func (t *Term) Key() string { return t.candidate.key }

// Guard is the comparison that every write of the leader's carries: the term's key is there still.
func (t *Term) Guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(t.candidate.key), "=", t.key.created)
}

// Context lasts until the session is lost, the key is gone or not under the session's lease any more, or Resign was
// called; context.Cause then is ErrSessionLost, ErrTermLost or
// ErrResigned (or ErrClientClosed). It is late by what a watch takes: see Guard.
func (t *Term) Context() context.Context { return t.ctx }

// Resign ends the term and deletes its key under its guard, so that the next candidate leads at once. Stop the leader's
// work and wait for it first. It is for terms that are over too: a key that is left is removed. It is idempotent, and
// repeats an attempt whose outcome is unknown until the context or the session ends; then the error says that the key
// may be there, until the lease ends.
func (t *Term) Resign(ctx context.Context) error {
	t.end(ErrResigned)
	<-t.watched
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return nil
	}
	life, stop := t.candidate.life(ctx)
	defer stop()
	for {
		// Not under the session's life: even with the session lost, one try may free the role before the lease ends.
		callCtx, cancel := context.WithTimeout(ctx, cleanTimeout)
		_, err := t.candidate.client.Txn(callCtx).If(t.Guard()).Then(clientv3.OpDelete(t.candidate.key)).Commit()
		cancel()
		if err == nil {
			t.gone = true // deleted now, or no more there, or a later term's
			return nil
		}
		if !curable(err) || wait(life, retryPause) != nil {
			return fmt.Errorf("resign from term %d: %w", t.key.created, err)
		}
	}
}

// watch returns why the term is over: ErrTermLost, or the end of the context.
func (t *Term) watch(ctx context.Context, revision int64) error {
	for {
		err := t.follow(ctx, revision)
		if errors.Is(err, ErrTermLost) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			t.candidate.log.Debug("the watch of the term's key ended", "term", t.key.created, "error", err)
		}
		// Time to read again, or the watch was closed, compacted, or without a leader: what the key is now decides.
		for {
			ours, at, err := t.candidate.confirm(ctx, t.key.created)
			if err == nil && !ours {
				return ErrTermLost
			}
			if err == nil {
				revision = at + 1
				break
			}
			if err := wait(ctx, retryPause); err != nil {
				return err
			}
		}
	}
}

// follow watches the key from a revision on. It returns ErrTermLost if the key went, nil when it is time to read it
// again, and any other error if the watch ended.
func (t *Term) follow(ctx context.Context, revision int64) error {
	watchCtx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	reread := time.NewTimer(t.candidate.reread)
	defer reread.Stop()
	events := t.candidate.client.Watch(watchCtx, t.candidate.key, clientv3.WithRev(revision))
	for {
		select {
		case resp, ok := <-events:
			if !ok {
				return errors.New("closed")
			}
			if err := resp.Err(); err != nil {
				return err
			}
			for _, event := range resp.Events {
				gone := event.Type == mvccpb.Event_DELETE || event.Kv.CreateRevision != t.key.created
				// Put by hand, the key loses its lease and would hold the role for ever; Resign or the next Campaign
				// removes it.
				if gone || clientv3.LeaseID(event.Kv.Lease) != t.candidate.cfg.Session.Lease() {
					return ErrTermLost
				}
			}
		case <-reread.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
