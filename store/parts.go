package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// parts are those of a list that comes along with a watch.
type parts struct {
	apply  func(Batch)
	number int
	read   []stretch // in the order of keys
	newest int64     // revision of them
}

// stretch is what a page told of: from <= key < to, at a revision.
type stretch struct {
	from, to string
	revision int64
}

// catchUpEach is how often a watch is asked whether it has come as far as a list.
const catchUpEach = 100 * time.Millisecond

// listAlong hands on everything by parts, and what the watch tells meanwhile.
func (c *copier) listAlong(ctx context.Context) error {
	began := time.Now()
	c.parts = &parts{apply: c.apply}
	defer func() { c.parts = nil }()
	err := readAbreast(ctx, c.Client, c.Prefix, c.Abreast, func(p page) error {
		if p.revision < c.next-1 {
			return errors.New("etcd was restored from a backup")
		}
		c.parts.page(p)
		return c.hearSome()
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", c.Prefix, err)
	}
	c.heard = time.Now() // it was not asked meanwhile
	ticker := time.NewTicker(catchUpEach)
	defer ticker.Stop()
	for c.next <= c.parts.newest {
		if err := c.ask(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case response, open := <-c.watch:
			if err := c.hear(response, open); err != nil {
				return err
			}
		}
	}
	c.listed(Batch{Snapshot: true, Revision: c.next - 1, Page: c.parts.number}, began)
	c.well()
	return nil
}

// hearSome hands on what the watch has said already, a page of it at most: there is no end to it while much happens.
func (c *copier) hearSome() error {
	for n := 0; n < listPage; {
		select {
		case response, open := <-c.watch:
			n += len(response.Events)
			if err := c.hear(response, open); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (l *parts) next(revision int64, events []Event) {
	l.apply(Batch{Snapshot: true, More: true, Page: l.number, Revision: revision, Events: events})
	l.number++
}

// page hands on a page that was read after all that the watch has told so far: it has what that was, of its keys.
func (l *parts) page(p page) {
	i, _ := slices.BinarySearchFunc(l.read, p.from, func(s stretch, key string) int { return strings.Compare(s.from, key) })
	l.read = slices.Insert(l.read, i, stretch{p.from, p.to, p.revision})
	l.newest = max(l.newest, p.revision)
	l.next(p.revision, p.events)
}

// changes hands on those of events that pages do not tell of, neither one that has come nor one that is to come.
func (l *parts) changes(events []Event, revision int64) {
	var later []Event
	for _, e := range events {
		i, there := slices.BinarySearchFunc(l.read, e.Key, func(s stretch, key string) int { return strings.Compare(s.from, key) })
		if !there {
			i--
		}
		if i >= 0 && e.Key < l.read[i].to && e.ModRevision > l.read[i].revision {
			later = append(later, e)
		}
	}
	if len(later) > 0 {
		l.next(revision, later)
	}
}
