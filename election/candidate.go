package election

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// Errors of campaigns and terms; the latter four are causes of a term's end.
var (
	// ErrNoLeader: nobody holds the role.
	ErrNoLeader = errors.New("no leader")
	// ErrBusy: the candidate campaigns already, or holds a term that is not over.
	ErrBusy = errors.New("candidate campaigns or leads already")
	// ErrSessionLost: the session ended, and with it the lease of the key.
	ErrSessionLost = errors.New("session of the candidate ended")
	// ErrClientClosed: the etcd client was closed.
	ErrClientClosed = errors.New("etcd client closed")
	// ErrTermLost: the term's key is gone or not under the session's lease any more.
	ErrTermLost = errors.New("key of the term lost")
	// ErrResigned: Resign was called.
	ErrResigned = errors.New("resigned")
)

const (
	// callTimeout bounds one request to etcd that nothing else bounds.
	callTimeout = 5 * time.Second
	// cleanTimeout bounds the removal of a key by a campaign that was called off.
	cleanTimeout = 2 * time.Second
	// retryPause is between tries against an etcd that is away.
	retryPause = 200 * time.Millisecond
	// rereadInterval is how often a term reads its own key, and a waiting candidate the first in line, whatever their
	// watches say.
	rereadInterval = 10 * time.Second
)

// Config configures New.
type Config struct {
	// Session is whose lease the candidate's key is put under. Required.
	Session *concurrency.Session
	// Context is the session's life where that is known better than by the Session's own Done, which is late. Default:
	// the Session's.
	Context context.Context
	// Prefix is where candidates have their keys, without a slash at its end, such as /nightwatch/election/scheduler.
	// Required.
	Prefix string
	// Value is the candidate's name, for others to read. Required.
	Value string
	// Logger hears of won and lost terms. Default none.
	Logger hclog.Logger
}

// Candidate stands for the role for as long as one session lasts. Its methods are safe for concurrent use.
type Candidate struct {
	client *clientv3.Client
	cfg    Config
	log    hclog.Logger
	key    string
	reread time.Duration // rereadInterval

	mu   sync.Mutex
	busy bool
	term *Term // the last one
}

// New checks the configuration. It does no I/O and starts nothing.
func New(client *clientv3.Client, cfg Config) (*Candidate, error) {
	switch {
	case client == nil:
		return nil, errors.New("new candidate: no etcd client")
	case cfg.Session == nil:
		return nil, errors.New("new candidate: no session")
	case cfg.Prefix == "" || strings.HasSuffix(cfg.Prefix, "/"):
		return nil, fmt.Errorf("new candidate: prefix %q: want one that does not end in /", cfg.Prefix)
	case cfg.Value == "":
		return nil, errors.New("new candidate: no value: want the candidate's name")
	}
	if cfg.Context == nil {
		cfg.Context = cfg.Session.Ctx()
	}
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	return &Candidate{
		client: client,
		cfg:    cfg,
		log:    log,
		reread: rereadInterval,
		key:    fmt.Sprintf("%s/%x", cfg.Prefix, cfg.Session.Lease()), // concurrency.Election's form
	}, nil
}

// life returns a context that ends with the given one, with the session (cause ErrSessionLost) or with the client
// (ErrClientClosed).
func (c *Candidate) life(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	lost := func() { cancel(ErrSessionLost) }
	stopLife := context.AfterFunc(c.cfg.Context, lost)
	stopSession := context.AfterFunc(c.cfg.Session.Ctx(), lost)
	// A closed client answers a call only when the call's own time is up.
	stopClient := context.AfterFunc(c.client.Ctx(), func() { cancel(ErrClientClosed) })
	if c.cfg.Context.Err() != nil || c.cfg.Session.Ctx().Err() != nil {
		lost() // now, not when the scheduler gets round to it
	}
	return ctx, func() {
		stopLife()
		stopSession()
		stopClient()
		cancel(nil)
	}
}

// Campaign stands for the role and blocks until it is won, the context ends or the session does (ErrSessionLost). The
// context governs the campaign only, not the term. One campaign at a time, and none while a term is not over: ErrBusy.
//
// It waits for etcd, and returns an error of etcd's only if waiting cannot cure it.
func (c *Candidate) Campaign(ctx context.Context) (*Term, error) {
	release, err := c.occupy()
	if err != nil {
		return nil, fmt.Errorf("campaign: %w", err)
	}
	defer release()
	campaignCtx, cancel := c.life(ctx)
	defer cancel()
	// A key of an earlier term or campaign must not be taken over: a term never has the number of one before it.
	key, err := c.stand(campaignCtx)
	if err != nil {
		if cause := context.Cause(campaignCtx); cause != nil {
			err = cause
		}
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			err = fmt.Errorf("%w: %w", ErrSessionLost, err)
		}
		if errors.Is(err, ErrSessionLost) || errors.Is(err, ErrClientClosed) {
			return nil, fmt.Errorf("campaign for %s: %w", c.cfg.Prefix, err) // the key goes with the lease
		}
		// If we die here, the key goes with the lease as well.
		if cleanErr := c.clean(context.WithoutCancel(ctx)); cleanErr != nil {
			c.log.Warn("the key of a campaign that ended is left behind", "key", c.key, "error", cleanErr)
		}
		return nil, fmt.Errorf("campaign for %s: %w", c.cfg.Prefix, err)
	}
	term := c.begin(context.WithoutCancel(ctx), key)
	c.mu.Lock()
	c.term = term
	c.mu.Unlock()
	c.log.Info("term began", "term", key.created, "key", c.key)
	return term, nil
}

// occupy is ErrBusy while a campaign is under way or a term is not over. Nobody else begins one until release is called.
func (c *Candidate) occupy() (release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.term != nil && c.term.Context().Err() == nil {
		return nil, ErrBusy
	}
	c.busy = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy = false
	}, nil
}

// Withdraw removes the key that a campaign or a term left behind because etcd did not answer when it ended: for as long as the
// session lives, a key that nobody stands behind keeps the role from all others. It tries until the context or the session
// ends, or etcd gives an error that waiting cannot cure. While a campaign is under way or a term is not over: ErrBusy.
func (c *Candidate) Withdraw(ctx context.Context) error {
	release, err := c.occupy()
	if err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	defer release()
	life, cancel := c.life(ctx)
	defer cancel()
	for {
		err := c.clean(life)
		if err == nil {
			return nil
		}
		if !curable(err) || wait(life, retryPause) != nil {
			return fmt.Errorf("withdraw from %s: %w", c.cfg.Prefix, err)
		}
	}
}

// held is a key that has won, as confirmed at a revision of etcd.
type held struct {
	created     int64 // CreateRevision: the term
	confirmedAt int64
}

// stand campaigns until a confirmed win, or until the context ends or etcd gives an error that waiting cannot cure.
func (c *Candidate) stand(ctx context.Context) (held, error) {
	fresh, quiet := false, false
	for {
		var err error
		if !fresh {
			err = c.clean(ctx)
			fresh = err == nil
		}
		if err == nil {
			var created int64
			if created, err = c.campaign(ctx); err == nil {
				var at int64
				var ours bool
				if ours, at, err = c.confirm(ctx, created); err == nil && ours && ctx.Err() == nil {
					return held{created: created, confirmedAt: at}, nil
				}
				fresh = ours || err != nil // else somebody put the key anew, without our lease: it has to go first
			}
		}
		if ctx.Err() != nil {
			return held{}, ctx.Err()
		}
		if err != nil {
			if !curable(err) {
				return held{}, err
			}
			level := hclog.Warn
			if quiet {
				level = hclog.Debug
			}
			c.log.Log(level, "campaign goes on after an error", "key", c.key, "error", err)
			quiet = true
		}
		if err := wait(ctx, retryPause); err != nil {
			return held{}, err
		}
	}
}

// confirm reads whether the key is there, created at the given revision and under our lease, and the revision at which
// that was so.
func (c *Candidate) confirm(ctx context.Context, created int64) (ours bool, at int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(c.key), "=", created),
			clientv3.Compare(clientv3.LeaseValue(c.key), "=", c.cfg.Session.Lease())).
		Commit()
	if err != nil {
		return false, 0, err
	}
	return resp.Succeeded, resp.Header.Revision, nil
}

// clean deletes this session's key, if there is one, under the CreateRevision it has.
func (c *Candidate) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	resp, err := c.client.Get(ctx, c.key)
	if err != nil || len(resp.Kvs) == 0 {
		return err
	}
	_, err = c.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(c.key), "=", resp.Kvs[0].CreateRevision)).
		Then(clientv3.OpDelete(c.key)).
		Commit()
	return err
}

// Leader reads who holds the role: the name it campaigned with, and the number of its term. It may have changed by the
// time it returns. With no candidate at all the error is ErrNoLeader. Without a deadline in the context it takes at most
// 5 s.
func Leader(ctx context.Context, client *clientv3.Client, prefix string) (name string, revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := client.Get(ctx, prefix+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return "", 0, fmt.Errorf("read the leader of %s: %w", prefix, err)
	}
	if len(resp.Kvs) == 0 {
		return "", 0, fmt.Errorf("read the leader of %s: %w", prefix, ErrNoLeader)
	}
	return string(resp.Kvs[0].Value), resp.Kvs[0].CreateRevision, nil
}
