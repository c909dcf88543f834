package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// churn are clients that put, edit, freeze, run and delete the same tasks, all at once, and write down what they were told.
type churn struct {
	s          *suite
	rand       *rand.Rand
	tasks      int          // that the operations are about
	rate       atomic.Int64 // operations a second, of all clients
	end        context.CancelFunc
	ended      sync.WaitGroup
	requests   int
	mu         sync.Mutex
	operations []checker.Operation
}

// clients is how many there are. Each does one operation at a time.
const clients = 32

// A task that is put again before the last put has been looked at is never accepted: with more operations there are more
// tasks, so that each is the matter of a few in a second.
const (
	fewestChurned = 12
	churnOfOne    = 4
)

func startChurn(s *suite) *churn {
	c := &churn{s: s, rand: rand.New(rand.NewPCG(s.config.Seed, 1<<32)), tasks: max(fewestChurned, int(s.config.Churn)/churnOfOne)}
	c.rate.Store(s.config.Churn)
	ctx, end := context.WithCancel(s.t.Context())
	c.end = end
	wanted := make(chan checker.Operation)
	c.ended.Go(func() { c.run(ctx, wanted) })
	for range clients {
		c.ended.Go(func() {
			for o := range wanted {
				c.do(o)
			}
		})
	}
	s.t.Cleanup(c.stop)
	return c
}

// stop ends the clients, and waits until they have: no operation is given up on in the middle.
func (c *churn) stop() {
	c.end()
	c.ended.Wait()
}

// run has the clients do one operation after the other, at the rate, or at the one at which etcd answers.
func (c *churn) run(ctx context.Context, wanted chan<- checker.Operation) {
	defer close(wanted)
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
		select {
		case <-ctx.Done():
			return
		case wanted <- c.next():
		}
	}
}

// next is an operation.
func (c *churn) next() checker.Operation {
	tail := fmt.Sprintf("%s/churn-%d", c.s.namespace, c.rand.IntN(c.tasks))
	switch n := c.rand.IntN(20); {
	case n < 11:
		return putting("tasks/"+tail, c.value())
	case n < 14:
		return deleting("tasks/" + tail)
	case n < 16:
		return putting("freeze/"+tail, `{"by":"churn"}`)
	case n < 18:
		return deleting("freeze/" + tail)
	default:
		c.requests++
		return putting(fmt.Sprintf("requests/%s/churn-%d", tail, c.requests), `{"action":"run","by":"churn"}`)
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

func putting(key, value string) checker.Operation {
	return checker.Operation{Key: key, Value: []byte(value)}
}

func deleting(key string) checker.Operation { return checker.Operation{Key: key, Deleted: true} }

// do asks for an operation, for at most 5 s. It is safe for concurrent use.
func (c *churn) do(o checker.Operation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.s.t.Context()), 5*time.Second)
	defer cancel()
	o.Sent = time.Now()
	if revision, err := c.ask(ctx, o); err == nil {
		o.Answered, o.Revision = time.Now(), revision
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, o)
}

func (c *churn) ask(ctx context.Context, o checker.Operation) (revision int64, err error) {
	key := c.s.Store.Keys().Prefix() + o.Key
	if o.Deleted {
		answer, err := c.s.Client.Delete(ctx, key)
		if err != nil {
			return 0, err
		}
		return answer.Header.Revision, nil
	}
	answer, err := c.s.Client.Put(ctx, key, string(o.Value))
	if err != nil {
		return 0, err
	}
	return answer.Header.Revision, nil
}

// answered tells whether the clients' requests have been, that could be: those that are no request stay.
func (c *churn) answered() bool {
	there, err := c.s.Client.Get(c.s.t.Context(), c.s.Store.Keys().Of(store.Requests)+c.s.namespace+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	return err == nil && !slices.ContainsFunc(there.Kvs, func(kv *mvccpb.KeyValue) bool { return strings.Contains(string(kv.Key), "/churn-") })
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
				c.do(deleting(key))
			}
		}
	}
}
