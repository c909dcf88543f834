package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// pagesAhead is how many pages are asked for at a time, while another is taken in.
	pagesAhead = 2
	// catchUpEach is how often a watch is asked whether it has come as far as a list.
	catchUpEach = 100 * time.Millisecond
)

// listAlong hands on everything by parts, and what the watch tells meanwhile.
func (c *copier) listAlong(ctx context.Context) error {
	began := time.Now()
	c.parts = &parts{apply: c.apply}
	defer func() { c.parts = nil }()
	if err := c.readPages(ctx); err != nil {
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

// flight is a page that was asked for.
type flight struct {
	asked int64 // how far the watch had told then: the page is not older
	done  chan struct{}
	page  page
	err   error
}

// readPages reads all keys, and hears the watch between pages.
func (c *copier) readPages(ctx context.Context) error {
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	way := newRoute(c.Client, c.Prefix, c.Abreast)
	var flying []*flight
	ask := func() error {
		for len(flying) < pagesAhead {
			s, more, err := way.next(ctx)
			if err != nil || !more {
				return err
			}
			f := &flight{asked: c.next - 1, done: make(chan struct{})}
			flying = append(flying, f)
			reading.Go(func() {
				defer close(f.done)
				f.page, f.err = readPage(ctx, c.Client, s, 0)
			})
		}
		return nil
	}
	if err := ask(); err != nil {
		return err
	}
	for len(flying) > 0 {
		f := flying[0]
		flying = flying[1:]
		if <-f.done; f.err != nil {
			return f.err
		}
		if f.page.revision < f.asked {
			return errors.New("etcd was restored from a backup")
		}
		if f.page.to < f.page.end {
			way.first(span{f.page.to, f.page.end})
		}
		if err := ask(); err != nil { // before the page is handed on, which may take as long
			return err
		}
		c.parts.page(f.page, f.asked)
		if err := c.hearSome(); err != nil {
			return err
		}
	}
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

// parts are those of a list that comes along with a watch.
type parts struct {
	apply  func(Batch)
	number int
	read   []stretch // in the order of keys
	newest int64     // revision of them
	recent []Event   // what the watch has told since the page that comes next was asked for
}

// stretch is what a page told of: from <= key < to, at a revision.
type stretch struct {
	from, to string
	revision int64
}

func (l *parts) hand(events []Event, revision int64) {
	l.apply(Batch{Snapshot: true, More: true, Page: l.number, Revision: revision, Events: events})
	l.number++
}

// page hands on a page, which knows of all that the watch had told when it was asked for, and what was told of its keys since.
func (l *parts) page(p page, asked int64) {
	i, _ := slices.BinarySearchFunc(l.read, p.from, func(s stretch, key string) int { return strings.Compare(s.from, key) })
	l.read = slices.Insert(l.read, i, stretch{p.from, p.to, p.revision})
	l.newest = max(l.newest, p.revision)
	l.hand(p.events, p.revision)
	l.recent = slices.DeleteFunc(l.recent, func(e Event) bool { return e.ModRevision <= asked })
	var since []Event
	for _, e := range l.recent {
		if e.Key >= p.from && e.Key < p.to && e.ModRevision > p.revision {
			since = append(since, e)
		}
	}
	if len(since) > 0 {
		l.hand(since, since[len(since)-1].ModRevision)
	}
}

// changes hands on those of events that are later than the page which has their key. Of keys that no page has had a later one
// tells, or what is remembered of them when it comes.
func (l *parts) changes(events []Event) {
	l.recent = append(l.recent, events...)
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
		l.hand(later, later[len(later)-1].ModRevision)
	}
}
