package store

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// List reads every key below prefix as it stood at one revision, which it returns. It reads by pages, so that no
// answer is too large; should that revision be compacted meanwhile, the error is rpctypes.ErrCompacted.
func List(ctx context.Context, client *clientv3.Client, prefix string) (events []Event, revision int64, err error) {
	for from, end := prefix, clientv3.GetPrefixRangeEnd(prefix); from < end; {
		p, err := readPage(ctx, client, from, end, revision)
		if err != nil {
			return nil, 0, err
		}
		events, revision, from = append(events, p.events...), p.revision, p.to
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

// page is what there is of from <= key < to at a revision.
type page struct {
	from, to string
	revision int64
	events   []Event
}

// readPage reads the first keys of from <= key < end, at a revision or, for 0, as they are.
func readPage(ctx context.Context, client *clientv3.Client, from, end string, revision int64) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	response, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(listPage), clientv3.WithRev(revision),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return page{}, err
	}
	if revision == 0 {
		revision = response.Header.Revision
	}
	p := page{from: from, to: end, revision: revision, events: make([]Event, len(response.Kvs))}
	for i, kv := range response.Kvs {
		p.events[i] = Event{
			Key: string(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: clientv3.LeaseID(kv.Lease),
		}
	}
	if response.More && len(p.events) > 0 {
		p.to = p.events[len(p.events)-1].Key + "\x00"
	}
	return p, nil
}

// span reads from <= key < end by pages, each as it is by then.
func span(ctx context.Context, client *clientv3.Client, from, end string, each func(page) error) error {
	for from < end {
		p, err := readPage(ctx, client, from, end, 0)
		if err != nil {
			return err
		}
		if err := each(p); err != nil {
			return err
		}
		from = p.to
	}
	return nil
}

// readAbreast reads all keys below prefix, each page as it is by then: first those below none of the others, then these
// side by side, stretch by stretch of what follows their prefixes. Etcd counts all keys from where a page begins to the end
// that it is given, which for pages of a million keys would be a thousand times half of them: keys of the first of the
// others, read by far larger pages, say where a stretch ends.
func readAbreast(ctx context.Context, client *clientv3.Client, prefix string, others []string, each func(page) error) error {
	from := prefix
	for _, other := range others {
		if err := span(ctx, client, from, other, each); err != nil {
			return err
		}
		from = clientv3.GetPrefixRangeEnd(other)
	}
	if err := span(ctx, client, from, clientv3.GetPrefixRangeEnd(prefix), each); err != nil {
		return err
	}
	start := ""
	for more := true; more; {
		ends, err := stretches(ctx, client, others[0], start)
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
				if err := span(ctx, client, other+start, stop, each); err != nil {
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
