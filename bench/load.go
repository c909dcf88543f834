package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

const (
	// margin is how long before the first run is due all has been measured that is to be known before, or the cluster was too
	// slow: runs are given to their nodes half a second ahead.
	margin = time.Second
	// beforehand is how long before the first run is due the bench begins to measure that.
	beforehand = margin + time.Second + metricsTimeout
	// lull is how long nothing has happened before the queues are looked at, while more is expected.
	lull = 100 * time.Millisecond
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
	from, to, expected, err := b.put(ctx)
	if err != nil {
		return nil, err
	}
	before, err := b.measureBefore(ctx, from)
	if err != nil {
		return nil, err
	}
	recorded, err := b.await(ctx, expected, from)
	if err != nil {
		return nil, err
	}
	after, err := b.measure(ctx)
	if err != nil {
		return nil, err
	}
	return b.report(ctx, from, to, recorded, expected, before, after)
}

// put writes the tasks and waits until they are accepted: twice, the first time for in an hour, to find out how long that
// takes. All are to be accepted before the first run is due. It returns the moments between which runs are due, and how
// many.
func (b *bench) put(ctx context.Context) (from, to time.Time, expected int, err error) {
	length := time.Second
	if b.Rate > 0 {
		length = b.Duration
	}
	lead := time.Hour
	for range 2 {
		began := time.Now()
		from = began.Add(lead).Truncate(time.Second)
		to = from.Add(length)
		b.effects.between(from, to)
		b.jobs.between(from, to)
		expected = 0
		if err = b.putAll(ctx, func(i int, t *nightwatch.Task) { expected += b.due(i, from, to, t) }); err != nil {
			return from, to, 0, err
		}
		lead = 3*time.Since(began) + 2*time.Second + beforehand
	}
	return from, to, expected, nil
}

// due has a task be due between two moments, the second of which is not among its times, and returns how often it is.
func (b *bench) due(i int, from, to time.Time, t *nightwatch.Task) int {
	if b.Rate == 0 {
		t.At = nightwatch.Strings{instant(from)}
		return 1
	}
	period := time.Duration(float64(b.Tasks) / b.Rate * float64(time.Second)).Truncate(time.Millisecond)
	offset := (period * time.Duration(i) / time.Duration(b.Tasks)).Truncate(time.Millisecond)
	t.Every, t.Offset = nightwatch.Duration(period), nightwatch.Duration(offset)
	t.StartsAt, t.EndsAt = instant(from), instant(to)
	// Its times are multiples of the period since 1970, and the offset.
	upTo := func(at time.Time) int64 { return (at.UnixMilli() - 1 - offset.Milliseconds()) / period.Milliseconds() }
	return int(upTo(to) - upTo(from))
}

// instant is a moment as tasks have it.
func instant(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.999Z07:00") }

// measureBefore measures shortly before the first run is due.
func (b *bench) measureBefore(ctx context.Context, from time.Time) (state, error) {
	if !pause(ctx, time.Until(from.Add(-beforehand))) {
		return state{}, context.Cause(ctx)
	}
	before, err := b.measure(ctx)
	if err == nil && time.Until(from) < margin {
		err = fmt.Errorf("the cluster had not accepted %d tasks when the first was due, three times as long as it took before: put fewer", b.Tasks)
	}
	return before, err
}

// pause waits, and tells whether ctx let it.
func pause(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
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
	return patiently(ctx, slowPoll, func() (int, string, error) {
		response, err := b.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithMinModRev(first))
		if err != nil {
			return 0, "", fmt.Errorf("read %s: %w", prefix, err)
		}
		accepted := len(response.Kvs)
		b.Progress(Progress{"put tasks", accepted, b.Tasks})
		switch accepted {
		case b.Tasks:
			return accepted, "", nil
		case 0:
			return accepted, "nobody has accepted a task: is a scheduler leading?", nil
		}
		return accepted, fmt.Sprintf("%d of %d tasks are accepted: is a scheduler leading?", accepted, b.Tasks), nil
	})
}

// await waits until all that is expected has had its effect and is recorded to its end, or nothing has happened for a long
// time. It returns when the nodes of the bench were first seen to have nothing left after the last effect.
func (b *bench) await(ctx context.Context, expected int, from time.Time) (recorded time.Time, err error) {
	last, left := time.Time{}, 0
	quiet := from // since when there was no effect
	moved := from // since when there was none, and as much left
	err = until(ctx, poll, func() (bool, error) {
		now := time.Now()
		seen, _ := b.effects.count()
		b.Progress(Progress{"run", min(seen, expected), expected})
		if end := b.effects.end(); !end.Equal(last) {
			last, quiet, moved, recorded = end, now, now, time.Time{}
		}
		// Whoever counts keys takes time from those that write them.
		if recorded.IsZero() && now.After(from) && (seen >= expected || now.Sub(quiet) >= lull) {
			n, err := b.queued(ctx)
			if err != nil {
				return false, err
			}
			if n == 0 {
				recorded = time.Now()
			}
			if n != left {
				left, moved = n, now
			}
		}
		if now.Sub(moved) > stall && left > 0 {
			return false, fmt.Errorf("%d runs have not ended, and nothing has happened for %s", left, stall)
		}
		return !recorded.IsZero() && (seen >= expected || now.Sub(quiet) > silence), nil
	})
	return recorded, err
}

// queued is how many runs the nodes of the bench have that are not recorded to their end.
func (b *bench) queued(ctx context.Context) (left int, err error) {
	for _, node := range b.nodes {
		n, err := b.count(ctx, b.keys.QueueOf(node))
		if err != nil {
			return 0, err
		}
		left += n
	}
	return left, nil
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
