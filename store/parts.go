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
	askAhead := func() error {
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
	if err := askAhead(); err != nil {
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
			way.first(f.page.rest())
		}
		if err := askAhead(); err != nil { // before the page is handed on, which may take as long
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

func (l *parts) hand(events []Event, revision int64) {
	l.apply(Batch{Snapshot: true, More: true, Page: l.number, Revision: revision, Events: events})
	l.number++
}

// page hands on a page, which knows of all that the watch had told when it was asked for, and what was told of its keys since.
func (l *parts) page(p page, asked int64) {
	i, _ := l.find(p.from)
	l.read = slices.Insert(l.read, i, p.stretch)
	l.newest = max(l.newest, p.revision)
	l.hand(p.events, p.revision)
	l.recent = slices.DeleteFunc(l.recent, func(e Event) bool { return e.ModRevision <= asked })
	l.handThose(l.recent, p.before)
}

// changes hands on those of events that are later than the page which has their key. Of keys that no page has had a later one
// tells, or what is remembered of them when it comes.
func (l *parts) changes(events []Event) {
	l.recent = append(l.recent, events...)
	l.handThose(events, func(e Event) bool {
		i, begins := l.find(e.Key)
		if !begins {
			i--
		}
		return i >= 0 && l.read[i].before(e)
	})
}

// find is where in what has been read a stretch from a key on is, or would be.
func (l *parts) find(from string) (at int, there bool) {
	return slices.BinarySearchFunc(l.read, from, func(s stretch, from string) int { return strings.Compare(s.from, from) })
}

// before tells that an event is of one of the keys, and later.
func (s stretch) before(e Event) bool {
	return e.Key >= s.from && e.Key < s.to && e.ModRevision > s.revision
}

func (l *parts) handThose(events []Event, which func(Event) bool) {
	var some []Event
	for _, e := range events {
		if which(e) {
			some = append(some, e)
		}
	}
	if len(some) > 0 {
		l.hand(some, some[len(some)-1].ModRevision)
	}
}
