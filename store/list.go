package store

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// List reads every key below prefix as it stood at one revision, which it returns. It reads by pages, so that no
// answer is too large; should that revision be compacted meanwhile, the error is rpctypes.ErrCompacted.
func List(ctx context.Context, client *clientv3.Client, prefix string) (events []Event, revision int64, err error) {
	for s := spanOf(prefix, clientv3.GetPrefixRangeEnd(prefix)); s.from < s.end; {
		p, err := readPage(ctx, client, s, revision)
		if err != nil {
			return nil, 0, err
		}
		events, revision, s = append(events, p.events...), p.revision, p.rest()
	}
	return events, revision, nil
}

// revisionNow is etcd's revision, by a linearizable read of a key that may be read, be it there or not.
func revisionNow(ctx context.Context, client *clientv3.Client, key string) (int64, error) {
	response, err := client.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return response.Header.Revision, nil
}

// span is from <= key < end, of which a page takes so many keys.
type span struct {
	from, end string
	keys      int64
}

func spanOf(from, end string) span { return span{from, end, listPage} }

// stretch is what there was of from <= key < to at a revision.
type stretch struct {
	from, to string
	revision int64
}

// page is the first stretch of a span that goes on to end.
type page struct {
	stretch
	end    string
	events []Event
}

// readPage reads the first keys of a span, at a revision or, for 0, as they are.
func readPage(ctx context.Context, client *clientv3.Client, s span, revision int64) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	response, err := client.Get(ctx, s.from, clientv3.WithRange(s.end), clientv3.WithLimit(s.keys), clientv3.WithRev(revision),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return page{}, err
	}
	if revision == 0 {
		revision = response.Header.Revision
	}
	p := page{stretch: stretch{s.from, s.end, revision}, end: s.end, events: make([]Event, len(response.Kvs))}
	for i, kv := range response.Kvs {
		p.events[i] = eventOf(kv)
	}
	if response.More && len(p.events) > 0 {
		p.to = p.events[len(p.events)-1].Key + "\x00"
	}
	return p, nil
}

// rest is what there is behind a page. Where keys are short its pages take more of them: one page has to come before it is known
// where the next begins, and of a hundred thousand keys a thousand at a time are as many waits as there are pages.
func (p page) rest() span {
	size := 1
	for _, e := range p.events {
		size += len(e.Key) + len(e.Value)
	}
	return span{p.to, p.end, int64(min(max(len(p.events)*pageBytes/size, listPage), maxListPage))}
}

// route is a way through all keys below a prefix: first those below none of the others, then these side by side, stretch by
// stretch of what follows their prefixes. Etcd counts all keys from where a page begins to the end that it is given, which
// for pages of a million keys would be a thousand times half of them: keys of the first of the others, read without their
// values and by far larger pages, say where a stretch ends.
type route struct {
	client *clientv3.Client
	others []string
	known  []span // what comes next
	start  string // of the next stretch
	whole  bool   // known goes to the end
}

func newRoute(client *clientv3.Client, prefix string, others []string) *route {
	r := &route{client: client, others: others}
	from := prefix
	for _, other := range others {
		r.known = append(r.known, spanOf(from, other))
		from = clientv3.GetPrefixRangeEnd(other)
	}
	r.known = append(r.known, spanOf(from, clientv3.GetPrefixRangeEnd(prefix)))
	return r
}

// next is what is to be read next; false: that was all.
func (r *route) next(ctx context.Context) (span, bool, error) {
	if len(r.known) == 0 && !r.whole {
		ends, err := stretches(ctx, r.client, r.others[0], r.start)
		if err != nil {
			return span{}, false, err
		}
		for _, end := range ends {
			for _, other := range r.others {
				r.known = append(r.known, spanOf(other+r.start, other+end))
			}
			r.start = end
		}
		if r.whole = len(ends) == 0; r.whole {
			for _, other := range r.others {
				r.known = append(r.known, spanOf(other+r.start, clientv3.GetPrefixRangeEnd(other)))
			}
		}
	}
	if len(r.known) == 0 {
		return span{}, false, nil
	}
	s := r.known[0]
	r.known = r.known[1:]
	return s, true, nil
}

// first has a span be the next.
func (r *route) first(s span) { r.known = append([]span{s}, r.known...) }

// stretches are the ends of some stretches of a page of keys each below a prefix, from start on; none when less than a page
// is left.
func stretches(ctx context.Context, client *clientv3.Client, prefix, start string) (ends []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	response, err := client.Get(ctx, prefix+start, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithKeysOnly(),
		clientv3.WithLimit(stretchesPage))
	if err != nil {
		return nil, err
	}
	for i := listPage - 1; i < len(response.Kvs); i += listPage {
		ends = append(ends, strings.TrimPrefix(string(response.Kvs[i].Key), prefix)+"\x00")
	}
	return ends, nil
}
