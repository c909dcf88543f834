// Package cluster runs a nightwatch cluster for fault tests: nodes as processes that can be killed, stopped, and held at
// their crash points, tasks that write down what they do, and a record of all that can be seen from outside.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/failpoint"
	"github.com/nightwatch-go/nightwatch/store"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// Binaries are the programs of nodes, with their crash points switched on.
type Binaries struct{ nightwatch, platform string }

// Build compiles the programs into dir.
func Build(ctx context.Context, dir string) (Binaries, error) {
	err := failpoint.Build(ctx, dir, "./cmd/nightwatch", "./test/robustness/platform")
	return Binaries{nightwatch: filepath.Join(dir, "nightwatch"), platform: filepath.Join(dir, "platform")}, err
}

// Cluster is a set of nodes that have a prefix of an etcd for themselves.
type Cluster struct {
	Client *clientv3.Client
	Store  *store.Store
	// Logs is a folder for all that nodes say. Default none: the end of it is told when a test fails.
	Logs string

	t        testing.TB
	binaries Binaries
	endpoint string
	prefix   string
	effects  string // file
	released string // file that is there once nothing is to be held
	sink     *sink
	proxies  map[string]*etcdtest.Proxy // of nodes, by name
	stopped  context.Context            // ended when the cluster's test is over
	watching context.Context            // the watch's own

	mu       sync.Mutex
	changes  *changes
	reached  int64 // revision up to which changes are complete
	jobs     []checker.JobEvent
	jobsSeen map[string]bool // uid and event
	// jobsThere are the Jobs that were not seen to go, by uid; jobsHeard is when Jobs were last heard of.
	jobsThere map[string]checker.JobEvent
	jobsHeard time.Time
	listJobs  func(ctx context.Context) error
	faults    []checker.Fault
}

// New is a cluster without nodes at the prefix of the etcd that listens at endpoint, or at several with commas between
// them. What happens there is recorded from
// now on.
func New(t testing.TB, binaries Binaries, endpoint, prefix string) *Cluster {
	t.Helper()
	client := etcdtest.NewClient(t, strings.Split(endpoint, ",")...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	dir := t.TempDir()
	c := &Cluster{
		Client: client, Store: store.New(client, prefix),
		t: t, binaries: binaries, endpoint: endpoint, effects: filepath.Join(dir, "effects.jsonl"), released: filepath.Join(dir, "released"),
		stopped: ctx, watching: clientv3.WithRequireLeader(ctx), jobsSeen: map[string]bool{}, jobsThere: map[string]checker.JobEvent{},
		proxies: map[string]*etcdtest.Proxy{},
	}
	c.prefix = c.Store.Keys().Prefix()
	c.changes = newChanges(t, filepath.Join(dir, "changes.jsonl"))
	var recorded sync.WaitGroup
	recorded.Go(c.recordChanges)
	c.sink = newSink(t, c.effects, c.released)
	t.Cleanup(func() {
		cancel()
		recorded.Wait()
	})
	return c
}

// recordChanges follows the prefix from the first revision on. etcd must keep its history for as long as it takes.
func (c *Cluster) recordChanges() {
	for c.stopped.Err() == nil {
		watch := c.Client.Watch(c.watching, c.prefix, clientv3.WithPrefix(), clientv3.WithRev(c.Recorded()+1), clientv3.WithProgressNotify())
		for response := range watch {
			if response.CompactRevision > 0 {
				c.t.Errorf("the record of changes ends at revision %d: compacted up to %d", c.Recorded(), response.CompactRevision)
				return
			}
			if response.Err() == nil {
				c.saw(response)
			}
		}
		select { // nobody leads etcd
		case <-time.After(100 * time.Millisecond):
		case <-c.stopped.Done():
		}
	}
}

func (c *Cluster) saw(response clientv3.WatchResponse) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range response.Events {
		c.changes.write(checker.Change{
			Revision: e.Kv.ModRevision, Key: strings.TrimPrefix(string(e.Kv.Key), c.prefix), Value: e.Kv.Value,
			Deleted: e.Type == clientv3.EventTypeDelete, Created: e.Kv.CreateRevision, Seen: now,
		})
	}
	// While a watch catches up, the header of its responses is ahead of their events.
	if n := len(response.Events); n > 0 {
		c.reached = response.Events[n-1].Kv.ModRevision
	} else if response.IsProgressNotify() {
		c.reached = max(c.reached, response.Header.Revision)
	}
}

// Recorded is the revision up to which the record of changes is complete.
func (c *Cluster) Recorded() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached
}

// AskHead returns etcd's revision, and has the watch say soon whether the record of changes is complete up to there.
func (c *Cluster) AskHead(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	now, err := c.Client.Get(ctx, c.prefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return now.Header.Revision, c.Client.RequestProgress(c.watching)
}

// History is what has been seen up to now. Its file of changes grows with the cluster's, and goes with the test.
func (c *Cluster) History() *checker.History {
	c.t.Helper()
	var head int64
	etcdtest.Eventually(c.t, Patience, func() (err error) {
		head, err = c.AskHead(c.t.Context())
		return err
	}, "etcd says where it is")
	etcdtest.Eventually(c.t, Patience, func() bool {
		return c.Recorded() >= head || c.Client.RequestProgress(c.watching) != nil
	}, "the record of changes is complete up to revision %d", head)
	if c.listJobs != nil {
		if err := c.listJobs(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
	effects := c.Effects()
	c.mu.Lock()
	defer c.mu.Unlock()
	return &checker.History{
		ChangesFile: c.changes.flush(), Effects: effects, Jobs: slices.Clone(c.jobs), Faults: slices.Clone(c.faults),
	}
}

// Verify checks the history. It is kept if the test fails, now or later.
func (c *Cluster) Verify(bounds checker.Bounds) *checker.History {
	c.t.Helper()
	h := c.History()
	for _, v := range Index(c.t, h).Check(bounds) {
		c.t.Error(v)
	}
	c.t.Cleanup(func() {
		if !c.t.Failed() {
			return
		}
		dir, err := os.MkdirTemp("", "nightwatch-history-")
		if err == nil {
			err = h.Write(dir)
		}
		c.t.Logf("the history is in %s (%v)", dir, err)
	})
	return h
}

// Index reads a history.
func Index(t testing.TB, h *checker.History) *checker.Index {
	t.Helper()
	x, err := checker.NewIndex(h)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Effects are what the tasks have written so far.
func (c *Cluster) Effects() []checker.Effect {
	c.t.Helper()
	file, err := os.Open(c.effects)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	effects, err := checker.ReadLines[checker.Effect](file)
	if err != nil {
		c.t.Fatal(err)
	}
	return effects
}

// Leader is the name of the node that holds the scheduler role, "" when none does.
func (c *Cluster) Leader() string {
	name, _, err := election.Leader(c.t.Context(), c.Client, c.Store.Keys().Election())
	if err != nil {
		return ""
	}
	return name
}

// Put submits a task.
func (c *Cluster) Put(task, value string) {
	c.t.Helper()
	if _, err := c.Client.Put(c.t.Context(), c.Store.Keys().Task(task), value); err != nil {
		c.t.Fatal(err)
	}
}

// Settle waits until nothing is due any more, as every task is suspended, and nothing is under way: for as long as that
// becomes less, since runs that wait for one another may be many. The error says what is left.
func (c *Cluster) Settle() error {
	c.t.Helper()
	const toCome = 1 << 20 // runs that a task may still have that is not suspended yet
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for least, since := math.MaxInt, time.Now(); ; {
		n, last := 0, ""
		statuses, err := c.Store.Statuses(c.t.Context(), "")
		for task, s := range statuses {
			if left := s.ActiveCount; left > 0 || s.Still == "" {
				if s.Still == "" {
					left += toCome
				}
				n, last = n+left, fmt.Sprintf("%s: %s, %d runs: %v", task, s.Phase, s.ActiveCount, s.Active)
			}
		}
		switch {
		case err == nil && n == 0:
			return nil
		case err == nil && n < least:
			least, since = n, time.Now()
		case time.Since(since) > Patience:
			return errors.Join(fmt.Errorf("nothing of what is under way has ended within %s: %s", Patience, last), err)
		}
		select {
		case <-poll.C:
		case <-c.t.Context().Done():
			return c.t.Context().Err()
		}
	}
}

// Patience is how long a condition that is met in seconds may take on a machine that is busy with other things.
const Patience = 2 * time.Minute

// Wait waits for a status that is done.
func (c *Cluster) Wait(task string, done func(*nightwatch.Status) bool) *nightwatch.Status {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), Patience)
	defer cancel()
	status, err := c.Store.Wait(ctx, task, done)
	if err != nil {
		text, _ := json.MarshalIndent(status, "", "  ")
		c.t.Fatalf("%s: %v; its status is %s", task, err, text)
	}
	return status
}

// Until waits for a condition.
func (c *Cluster) Until(what string, condition func() bool) {
	c.t.Helper()
	etcdtest.Eventually(c.t, Patience, condition, "%s", what)
}
