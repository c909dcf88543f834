package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

const (
	// maxFlying is how many requests are under way at once.
	maxFlying = 8
	// fullBatch is how many transactions are sent without waiting for more. etcd counts operations down each path: the
	// transactions of a request, and those of the largest of them, are 128 at most (its --max-txn-ops).
	fullBatch = 32
	maxOps    = 128
	// maxBatchBytes keeps a request of several below etcd's 1.5 MiB.
	maxBatchBytes = 1 << 20
	// Transactions are gathered, while other requests are under way, for as long as etcd takes longer than prompt to answer
	// one, and not longer than maxLinger: the busier it is, the more of them share a request.
	prompt = 2 * time.Millisecond
	// maxScan bounds how many of those that wait are looked at for one request.
	maxScan = 4 * maxOps
)

// These are changed by tests.
var (
	maxLinger = 20 * time.Millisecond
	// overdue is how long a request may be without an answer before it takes up no room among those under way: with their
	// leader members of etcd lose what they had handed on to it, and say nothing for as long as we wait.
	overdue = time.Second
)

// committer sends transactions to etcd, several in one request: see Group commit in the package documentation. It has
// no goroutine while nothing is under way.
type committer struct {
	client *clientv3.Client

	mu      sync.Mutex
	waiting []*pending    // in order of arrival
	hurried int           // how many of them are not lazy
	taken   *table        // footprints under way
	flying  int           // requests under way, but for those that are overdue
	took    time.Duration // an answer, lately
	lazily  time.Time     // when lazy ones were sent last
	alarm   *time.Timer
	rings   time.Time // when the alarm does
}

// pending is a transaction that somebody waits for.
type pending struct {
	txn     *Txn
	ctx     context.Context
	since   time.Time
	lazy    bool
	sent    bool
	done    chan struct{}
	outcome outcome
}

type outcome struct {
	response *clientv3.TxnResponse
	err      error
}

// Commit does the transaction, and may send it in one request with those of other callers. The error is nil when it was
// done, ErrRefused when a comparison failed, ErrOutcomeUnknown when no answer came, or one that leaves it open (etcd may do
// what it then has no space for); with any other error it was not done: among them is the context's, when the time was up
// before it was sent. t must not be changed before Commit has returned; after ErrOutcomeUnknown it may be under way still.
func (s *Store) Commit(ctx context.Context, t *Txn) (*clientv3.TxnResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.group.commit(ctx, t)
}

func (c *committer) commit(ctx context.Context, t *Txn) (*clientv3.TxnResponse, error) {
	p := &pending{txn: t, ctx: ctx, since: time.Now(), lazy: t.hurry != nil, done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, p)
	if !p.lazy {
		c.hurried++
	}
	// While some gather their time is set already. Who waits for one that is under way gathers nothing, and keeps nobody else.
	if c.alarm == nil || !p.lazy && c.hurried == 1 || len(c.waiting) >= fullBatch {
		c.send()
	}
	c.mu.Unlock()
	select {
	case <-p.done:
		return p.outcome.response, p.outcome.err
	case <-t.hurry:
		c.hurry(p)
	case <-ctx.Done():
	}
	select {
	case <-p.done:
		return p.outcome.response, p.outcome.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !p.sent {
		c.waiting = slices.DeleteFunc(c.waiting, func(other *pending) bool { return other == p })
		if !p.lazy {
			c.hurried--
		}
		c.send() // others may have waited for it
		return nil, context.Cause(ctx)
	}
	return nil, errUnknown(context.Cause(ctx))
}

// hurry has a lazy transaction wait no longer than others do.
func (c *committer) hurry(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.sent {
		return
	}
	p.lazy = false
	c.hurried++
	c.send()
}

// send sends requests as long as there is something to send, room for them, and no reason to gather more. It is called
// with c.mu held.
func (c *committer) send() {
	for c.flying < maxFlying && len(c.waiting) > 0 {
		batch := c.next()
		if len(batch) == 0 {
			return // an answer that is under way makes room
		}
		if early := c.early(batch); early > 0 {
			c.wakeIn(early)
			return
		}
		for _, p := range batch {
			p.sent = true
			c.taken.add(&p.txn.marks)
			if p.lazy {
				c.lazily = time.Now()
			} else {
				c.hurried--
			}
		}
		c.waiting = slices.DeleteFunc(c.waiting, func(p *pending) bool { return p.sent })
		c.flying++
		go c.carry(batch)
	}
}

// early is for how long a batch is to wait for company.
func (c *committer) early(batch []*pending) time.Duration {
	if len(batch) >= fullBatch {
		return 0
	}
	for _, p := range batch {
		switch {
		case p.lazy:
		case c.flying == 0:
			return 0
		default: // the first that is not lazy
			return min(c.took-prompt, maxLinger) - time.Since(p.since)
		}
	}
	return maxLinger - time.Since(c.lazily)
}

func (c *committer) wakeIn(d time.Duration) {
	at := time.Now().Add(d)
	if c.alarm != nil {
		if at.Before(c.rings) && c.alarm.Stop() {
			c.alarm = nil
		} else {
			return
		}
	}
	c.rings = at
	c.alarm = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alarm = nil
		c.send()
	})
}

// next is the transactions for one request, the oldest first: none meets another, one that is under way, or one before
// it that has to wait. So none is overtaken for ever.
func (c *committer) next() (batch []*pending) {
	ops, bytes := 0, 0
	var held []*pending
	for _, p := range c.waiting[:min(len(c.waiting), maxScan)] {
		most := max(ops, p.txn.Operations())
		if len(batch) > 0 && (len(batch)+1+most > maxOps || bytes+p.txn.bytes > maxBatchBytes) {
			break
		}
		held = append(held, p)
		if !c.taken.meets(&p.txn.marks) {
			batch = append(batch, p)
			ops, bytes = most, bytes+p.txn.bytes
		}
		c.taken.add(&p.txn.marks)
	}
	for _, p := range held {
		c.taken.remove(&p.txn.marks)
	}
	return batch
}

// carry sends one request and gives everybody his own answer.
func (c *committer) carry(batch []*pending) {
	began := time.Now()
	late := time.AfterFunc(overdue, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flying--
		c.send()
	})
	outcomes := c.together(batch)
	took := time.Since(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = (3*c.took + took) / 4
	for i, p := range batch {
		c.taken.remove(&p.txn.marks)
		p.outcome = outcomes[i]
		close(p.done)
	}
	if late.Stop() {
		c.flying--
	}
	c.send()
}

// together sends a request. It outlives the callers, whose transactions are in one boat.
func (c *committer) together(batch []*pending) []outcome {
	outcomes := make([]outcome, len(batch))
	if len(batch) == 1 {
		outcomes[0] = c.alone(batch[0])
		return outcomes
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), callTimeout)
	defer cancel()
	request := &pb.TxnRequest{Success: make([]*pb.RequestOp, len(batch))}
	for i, p := range batch {
		request.Success[i] = &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: p.txn.request()}}
	}
	response, err := ask(ctx, c.client, request)
	switch {
	case err == nil:
		for i, r := range response.Responses {
			own := r.GetResponseTxn()
			own.Header = response.Header // that of a nested answer has no revision
			outcomes[i] = answered(own)
		}
	case certain(err), errors.Is(err, rpctypes.ErrNoSpace):
		// Nothing of it was done because of one of them, and each is to hear of its own fault. For no space that is not sure.
		var group sync.WaitGroup
		for i, p := range batch {
			group.Go(func() {
				outcomes[i] = c.alone(p)
				if !certain(err) && errors.Is(outcomes[i].err, nightwatch.ErrRefused) {
					outcomes[i] = outcome{err: errUnknown(err)} // it may be its own doing
				}
			})
		}
		group.Wait()
	default:
		for i := range batch {
			outcomes[i].err = errUnknown(err)
		}
	}
	return outcomes
}

// alone sends one transaction as it is, for as long as its caller waits.
func (c *committer) alone(p *pending) outcome {
	response, err := ask(p.ctx, c.client, p.txn.request())
	switch {
	case err == nil:
		return answered(response)
	case certain(err):
		return outcome{err: err}
	default:
		return outcome{err: errUnknown(err)}
	}
}

func answered(response *pb.TxnResponse) outcome {
	o := outcome{response: (*clientv3.TxnResponse)(response)}
	if !response.Succeeded {
		o.err = nightwatch.ErrRefused
	}
	return o
}
