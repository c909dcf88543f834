package store

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// List reads every key below prefix as it stood at one revision, which it returns. It reads by pages, so that no
// answer is too large; should that revision be compacted meanwhile, the error is rpctypes.ErrCompacted.
func List(ctx context.Context, client *clientv3.Client, prefix string) (events []Event, revision int64, err error) {
	r := reader{client: client}
	err = r.span(ctx, prefix, clientv3.GetPrefixRangeEnd(prefix), func(page []Event) { events = append(events, page...) })
	if err != nil {
		return nil, 0, err
	}
	return events, r.revision, nil
}

// revisionNow is etcd's revision, by a linearizable read of a key that may be read, be it there or not.
func revisionNow(ctx context.Context, client *clientv3.Client, key string) (int64, error) {
	response, err := client.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return response.Header.Revision, nil
}

// reader reads keys as they stood at the revision of its first answer.
type reader struct {
	client   *clientv3.Client
	revision int64
}

// page reads the first keys of from <= key < end, and tells where to go on; "": that was all.
func (r *reader) page(ctx context.Context, from, end string) (events []Event, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	response, err := r.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(listPage), clientv3.WithRev(r.revision),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return nil, "", err
	}
	if r.revision == 0 {
		r.revision = response.Header.Revision
	}
	events = make([]Event, len(response.Kvs))
	for i, kv := range response.Kvs {
		events[i] = Event{
			Key: string(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: clientv3.LeaseID(kv.Lease),
		}
	}
	if response.More && len(events) > 0 {
		next = events[len(events)-1].Key + "\x00"
	}
	return events, next, nil
}

// span reads from <= key < end, and hands each page on.
func (r *reader) span(ctx context.Context, from, end string, each func([]Event)) error {
	for from != "" && from < end {
		events, next, err := r.page(ctx, from, end)
		if err != nil {
			return err
		}
		each(events)
		from = next
	}
	return nil
}

// abreast reads all keys below prefix: first those below none of the others, then these side by side, stretch by stretch
// of what follows their prefixes. Etcd counts all keys from where a page begins to the end that it is given, which for pages
// of a million keys would be a thousand times half of them: keys of the first of the others, read by far larger pages,
// say where a stretch ends.
func (r *reader) abreast(ctx context.Context, prefix string, others []string, each func([]Event)) error {
	from := prefix
	for _, other := range others {
		if err := r.span(ctx, from, other, each); err != nil {
			return err
		}
		from = clientv3.GetPrefixRangeEnd(other)
	}
	if err := r.span(ctx, from, clientv3.GetPrefixRangeEnd(prefix), each); err != nil {
		return err
	}
	start := ""
	for more := true; more; {
		ends, err := r.stretches(ctx, others[0], start)
		if err != nil {
			return err
		}
		if more = len(ends) > 0; !more {
			ends = []string{""}
		}
		for _, end := range ends {
			for _, other := range others {
				stop := other + end
				if !more {
					stop = clientv3.GetPrefixRangeEnd(other)
				}
				if err := r.span(ctx, other+start, stop, each); err != nil {
					return err
				}
			}
			start = end
		}
	}
	return nil
}

// stretches are the ends of some stretches of a page of keys each below a prefix, from start on; none when less than a page
// is left.
func (r *reader) stretches(ctx context.Context, prefix, start string) (ends []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	response, err := r.client.Get(ctx, prefix+start, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithKeysOnly(),
		clientv3.WithLimit(stretchesPage), clientv3.WithRev(r.revision))
	if err != nil {
		return nil, err
	}
	for i := listPage - 1; i < len(response.Kvs); i += listPage {
		ends = append(ends, strings.TrimPrefix(string(response.Kvs[i].Key), prefix)+"\x00")
	}
	return ends, nil
}
