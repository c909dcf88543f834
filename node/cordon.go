package node

import (
	"context"
	"errors"
	"sync"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// cordoned is what users say of this node under cordons/<name>. The scheduler obeys the key by itself; what the node does
// about it is to drain, for as long as the key says so.
type cordoned struct {
	mu      sync.Mutex
	known   bool // the key has been read
	there   bool
	cordon  nightwatch.Cordon
	changed chan struct{} // closed and replaced with every change
}

// set takes in what the key says. It tells whether that is news, and whether the key was there before and is not now.
func (c *cordoned) set(there bool, cordon nightwatch.Cordon) (gone, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known && c.there == there && c.cordon == cordon {
		return false, false
	}
	gone = c.there && !there
	c.known, c.there, c.cordon = true, there, cordon
	close(c.changed)
	c.changed = make(chan struct{})
	return gone, true
}

// drained tells whether the node is to have no runs, and is closed when that may have changed.
func (c *cordoned) drained() (drained bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.there && c.cordon.Drain, c.changed
}

// read waits until the key has been read, or ctx ends.
func (c *cordoned) read(ctx context.Context) {
	for {
		c.mu.Lock()
		known, changed := c.known, c.changed
		c.mu.Unlock()
		if known {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// check says that the node is drained. One that is cordoned only does what it did.
func (c *cordoned) check(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.there || !c.cordon.Drain {
		return nil
	}
	text := "the node is drained: cordons/" + name
	if who := c.cordon.String(); who != "" {
		text += ", " + who
	}
	return errors.New(text)
}

// followCordon keeps n.cordon true until ctx ends.
func (n *Node) followCordon(ctx context.Context) {
	keys := n.store.Keys()
	own := keys.Cordon(n.cfg.Name)
	trouble := "" // as it was logged last
	follow := store.Follower{
		Client: n.client, Prefix: keys.Of(store.Cordons), // one key for each node at most
		Problem: func(err error) {
			switch {
			case err == nil:
				trouble = ""
			case err.Error() != trouble:
				trouble = err.Error()
				n.log.Warn("follow the cordons", "error", err)
			}
		},
	}
	follow.Run(ctx, func(b store.Batch) {
		told, there, value := b.Snapshot, false, []byte(nil)
		for _, e := range b.Events {
			if e.Key == own {
				told, there, value = true, !e.Deleted, e.Value
			}
		}
		if !told {
			return
		}
		var cordon nightwatch.Cordon
		if there {
			var err error
			if cordon, err = nightwatch.ParseCordon(value); err != nil {
				n.log.Warn("cordoned by a value that cannot be read, which drains nothing", "key", own, "error", err)
			}
		}
		switch gone, news := n.cordon.set(there, cordon); {
		case news && there:
			n.log.Info("cordoned", "drain", cordon.Drain, "by", cordon.By, "note", cordon.Note)
		case gone:
			n.log.Info("uncordoned")
		}
	})
}
