package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// churn is a client that puts, edits, freezes, runs and deletes tasks of its own, and writes down what it was told.
type churn struct {
	s          *suite
	rand       *rand.Rand
	rate       atomic.Int64 // operations a second
	end        context.CancelFunc
	ended      sync.WaitGroup
	requests   int
	mu         sync.Mutex
	operations []checker.Operation
}

// churned is how many tasks the operations are about.
const churned = 12

func startChurn(s *suite) *churn {
	c := &churn{s: s, rand: rand.New(rand.NewPCG(s.config.Seed, 1<<32))}
	c.rate.Store(s.config.Churn)
	ctx, end := context.WithCancel(s.t.Context())
	c.end = end
	c.ended.Go(func() { c.run(ctx) })
	s.t.Cleanup(c.stop)
	return c
}

// stop ends the client, and waits until it has.
func (c *churn) stop() {
	c.end()
	c.ended.Wait()
}

func (c *churn) run(ctx context.Context) {
	const longest = time.Second // what a slow etcd kept from being asked for longer ago is not made up for
	for next := time.Now(); ; {
		if next = next.Add(time.Second / time.Duration(c.rate.Load())); time.Since(next) > longest {
			next = time.Now()
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		c.next()
	}
}

// next is one operation, which is not given up on in the middle: it has a time of its own.
func (c *churn) next() {
	tail := fmt.Sprintf("%s/churn-%d", c.s.namespace, c.rand.IntN(churned))
	switch n := c.rand.IntN(20); {
	case n < 11:
		c.put("tasks/"+tail, c.value())
	case n < 14:
		c.delete("tasks/" + tail)
	case n < 16:
		c.put("freeze/"+tail, `{"by":"churn"}`)
	case n < 18:
		c.delete("freeze/" + tail)
	default:
		c.requests++
		c.put(fmt.Sprintf("requests/%s/churn-%d", tail, c.requests), `{"action":"run","by":"churn"}`)
	}
}

// value is a task.
func (c *churn) value() string {
	runner := []string{nightwatch.RunnerHTTP, nightwatch.RunnerHandler}[c.rand.IntN(2)]
	every := []string{"500ms", "1s", "2s", "3s"}[c.rand.IntN(4)]
	overlap := []string{"skip", "queue-one", "queue-all", "replace", "allow"}[c.rand.IntN(5)]
	lasts := time.Duration(c.rand.IntN(2)) * 400 * time.Millisecond
	return fmt.Sprintf(`{%s,"every":%q,"overlap":%q,"suspend":%v}`, c.s.Work(runner, cluster.Work{Lasts: lasts}), every, overlap, c.rand.IntN(5) == 0)
}

func (c *churn) put(key, value string) {
	c.do(checker.Operation{Key: key, Value: []byte(value)}, func(ctx context.Context, key string) (int64, error) {
		answer, err := c.s.Client.Put(ctx, key, value)
		if err != nil {
			return 0, err
		}
		return answer.Header.Revision, nil
	})
}

func (c *churn) delete(key string) {
	c.do(checker.Operation{Key: key, Deleted: true}, func(ctx context.Context, key string) (int64, error) {
		answer, err := c.s.Client.Delete(ctx, key)
		if err != nil {
			return 0, err
		}
		return answer.Header.Revision, nil
	})
}

func (c *churn) do(o checker.Operation, ask func(ctx context.Context, key string) (int64, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.s.t.Context()), 5*time.Second)
	defer cancel()
	o.Sent = time.Now()
	revision, err := ask(ctx, c.s.Store.Keys().Prefix()+o.Key)
	if err == nil {
		o.Answered, o.Revision = time.Now(), revision
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, o)
}

// clear deletes all that clients have put beside the tasks that stay, once the client has been stopped.
func (c *churn) clear() {
	for _, kind := range []string{"tasks/", "freeze/", "requests/", "calendars/", "pools/"} {
		prefix := c.s.Store.Keys().Prefix()
		there, err := c.s.Client.Get(c.s.t.Context(), prefix+kind, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			c.s.t.Fatal(err)
		}
		for _, kv := range there.Kvs {
			key := strings.TrimPrefix(string(kv.Key), prefix)
			if kind != "tasks/" || strings.Contains(key, "/churn-") || strings.Contains(key, "hostile") {
				c.delete(key)
			}
		}
	}
}
