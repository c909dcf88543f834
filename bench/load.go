package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// load offers runs and watches what becomes of them.
func (b *bench) load(ctx context.Context) (*Report, error) {
	if !b.ownHandler() {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if err := b.watchStarts(ctx); err != nil {
			return nil, err
		}
	}
	putting := time.Now()
	from, to, expected, err := b.put(ctx)
	if err != nil {
		return nil, err
	}
	put := time.Since(putting)
	if b.Rate == 0 && time.Until(from) <= 0 {
		return nil, fmt.Errorf("the cluster took more than %s to accept %d tasks: put fewer", put, b.Tasks)
	}
	before, err := b.measure(ctx)
	if err != nil {
		return nil, err
	}
	b.effects.between(from, to)
	b.jobs.between(from, to)
	b.await(ctx, expected, from)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if b.Rate > 0 {
		if err := b.suspend(ctx); err != nil {
			return nil, err
		}
	}
	recorded, err := b.drained(ctx)
	if err != nil {
		return nil, err
	}
	after, err := b.measure(ctx)
	if err != nil {
		return nil, err
	}
	return b.report(ctx, from, to, recorded, expected, before, after)
}

// put writes the tasks and waits until they are accepted. It returns the moments between which runs are due, and how
// many.
func (b *bench) put(ctx context.Context) (from, to time.Time, expected int, err error) {
	if b.Rate == 0 {
		// Put twice, the first time to find out how long that takes: all are to be accepted before they are due.
		lead := time.Hour
		for range 2 {
			began := time.Now()
			from = began.Add(lead).Truncate(time.Second)
			at := from.UTC().Format(time.RFC3339)
			if err = b.putAll(ctx, func(_ int, t *nightwatch.Task) { t.At = nightwatch.Strings{at} }); err != nil {
				return from, to, 0, err
			}
			lead = 3*time.Since(began) + 3*time.Second
		}
		return from, from.Add(time.Second), b.Tasks, nil
	}
	period := time.Duration(float64(b.Tasks) / b.Rate * float64(time.Second)).Truncate(time.Millisecond)
	if err = b.putAll(ctx, func(i int, t *nightwatch.Task) {
		t.Every = nightwatch.Duration(period)
		t.Offset = nightwatch.Duration((period * time.Duration(i) / time.Duration(b.Tasks)).Truncate(time.Millisecond))
	}); err != nil {
		return from, to, 0, err
	}
	// From the beginning of a period to the end of one, each task is due once in each.
	now := time.Now().Add(time.Second)
	periods := int(math.Ceil(float64(b.Duration) / float64(period)))
	from = time.UnixMilli((now.UnixMilli()/period.Milliseconds() + 1) * period.Milliseconds())
	return from, from.Add(period * time.Duration(periods)), b.Tasks * periods, nil
}

// putAll puts the tasks, many in a request, and waits until all have been accepted.
func (b *bench) putAll(ctx context.Context, times func(int, *nightwatch.Task)) error {
	first := int64(0)
	for i := 0; i < b.Tasks; i += maxOps {
		var ops []clientv3.Op
		for k := i; k < min(i+maxOps, b.Tasks); k++ {
			value, err := b.value(func(t *nightwatch.Task) { times(k, t) })
			if err != nil {
				return err
			}
			if _, err := nightwatch.ParseTask(b.task(k), value); err != nil {
				return err
			}
			ops = append(ops, clientv3.OpPut(b.keys.Task(b.task(k)), string(value)))
		}
		response, err := b.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return fmt.Errorf("put tasks: %w", err)
		}
		if first == 0 {
			first = response.Header.Revision
		}
	}
	prefix := b.keys.Of(store.Accepted) + b.namespace() + "/"
	return until(ctx, slowPoll, func() (bool, error) {
		response, err := b.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithMinModRev(first))
		if err != nil {
			return false, fmt.Errorf("read %s: %w", prefix, err)
		}
		b.Progress(Progress{"put tasks", len(response.Kvs), b.Tasks})
		return len(response.Kvs) == b.Tasks, nil
	})
}

// suspend ends an even load: nothing of it is due any more.
func (b *bench) suspend(ctx context.Context) error {
	return b.store.Freeze(ctx, b.namespace(), nightwatch.Freeze{By: "nightwatch bench"})
}

// await waits until all that is expected has been seen, or nothing has been for a long time.
func (b *bench) await(ctx context.Context, expected int, from time.Time) {
	quiet := time.NewTimer(time.Until(from) + silence)
	defer quiet.Stop()
	for {
		seen, _ := b.effects.count()
		b.Progress(Progress{"run", min(seen, expected), expected})
		if seen >= expected {
			return
		}
		select {
		case <-b.effects.changed:
			quiet.Reset(max(time.Until(from), 0) + silence)
		case <-quiet.C:
			return
		case <-ctx.Done():
			return
		}
		// Whoever waits for each effect takes time from those that make them.
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return
		}
	}
}

// drained waits until every run that was given to a node has been recorded to its end, and returns that moment.
func (b *bench) drained(ctx context.Context) (time.Time, error) {
	err := until(ctx, poll, func() (bool, error) {
		for _, node := range b.nodes {
			if left, err := b.count(ctx, b.keys.QueueOf(node)); left > 0 || err != nil {
				return false, err
			}
		}
		return true, nil
	})
	return time.Now(), err
}

// watchStarts notes when runs start, by their records, and when these have their Jobs.
func (b *bench) watchStarts(ctx context.Context) error {
	prefix := b.keys.Of(store.Runs) + b.namespace() + "/"
	response, err := b.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("watch %s: %w", prefix, err)
	}
	watch := b.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(response.Header.Revision+1))
	go func() {
		type attempt struct {
			key    string
			number int
		}
		started, made := map[attempt]bool{}, map[attempt]bool{}
		for response := range watch {
			for _, event := range response.Events {
				var run nightwatch.Run
				if json.Unmarshal(event.Kv.Value, &run) != nil || run.StartTime.IsZero() {
					continue
				}
				one := attempt{string(event.Kv.Key), run.Attempt}
				if !started[one] {
					started[one] = true
					b.effects.note(run.Task, run.NominalTime, run.StartTime)
				}
				if run.Job != nil && run.Job.UID != "" && !made[one] {
					made[one] = true
					b.jobs.note(run.Task, run.NominalTime, time.Now())
				}
			}
		}
	}()
	return nil
}

// cost is what the runs wrote between two revisions.
type cost struct{ requests, keys, bytes int }

// history counts what was written for the bench's tasks after one revision up to another. A history that has been
// compacted tells nothing.
func (b *bench) history(ctx context.Context, after, to int64) (c cost, known bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	within := "/" + b.namespace() + "/"
	last := int64(0)
	// The scheduler's clock is a key below the prefix too: within a second it shows that the end has been passed.
	for response := range b.client.Watch(ctx, b.Prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		if response.CompactRevision > 0 {
			return cost{}, false, nil
		}
		if err := response.Err(); err != nil {
			return cost{}, false, fmt.Errorf("read the history: %w", err)
		}
		for _, event := range response.Events {
			if event.Kv.ModRevision > to {
				return c, true, nil
			}
			if !strings.Contains(string(event.Kv.Key), within) {
				continue
			}
			if event.Kv.ModRevision != last {
				last = event.Kv.ModRevision
				c.requests++
			}
			c.keys++
			c.bytes += len(event.Kv.Key) + len(event.Kv.Value)
		}
	}
	return cost{}, false, context.Cause(ctx)
}
