package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

const ticks = 500 * time.Millisecond

// ticking is a cluster of three nodes on which five tasks run every half second, as processes that say so.
type ticking struct {
	*world
	nodes map[string]*process
	flags []string
	file  string
}

func newTicking(t *testing.T) *ticking {
	t.Helper()
	c := &ticking{
		world: newWorld(t), nodes: map[string]*process{}, file: t.TempDir() + "/effects",
		flags: []string{"--runners", "process", "--lease-ttl", leaseTTL.String()},
	}
	for _, name := range []string{"a", "b", "c"} {
		c.nodes[name] = c.node(name, c.flags...)
	}
	for i := range 5 {
		c.put(fmt.Sprintf("default/t%d", i), fmt.Sprintf(`{"process":{"shell":"echo $NIGHTWATCH_TASK,$NIGHTWATCH_RUN,$NIGHTWATCH_ATTEMPT >> %s"},
			"every":"500ms","catchUp":{"mode":"all","max":1000},"history":{"succeeded":1000,"failed":1000,"skipped":1000}}`, c.file))
	}
	return c
}

// goOn waits until two more occurrences have been met.
func (c *ticking) goOn() {
	c.t.Helper()
	before := c.wait("default/t0", 30*time.Second, func(s *nightwatch.Status) bool { return s != nil })
	c.wait("default/t0", 30*time.Second, func(s *nightwatch.Status) bool { return s.Cursor.After(before.Cursor.Add(2 * ticks)) })
}

// verify finds every occurrence in exactly one place, and no attempt that started twice.
func (c *ticking) verify() {
	c.t.Helper()
	c.etcdctl("put", "/nightwatch/freeze/_cluster", "{}")
	for i := range 5 {
		task := fmt.Sprintf("default/t%d", i)
		s := c.wait(task, 30*time.Second, func(s *nightwatch.Status) bool { return s.Still != "" && s.ActiveCount == 0 })
		c.audit(task, s.CreateTime, s.Cursor, ticks)
		c.t.Logf("%s: %+v", task, s.Counts)
		if s.Counts.Failed+s.Counts.Canceled != 0 {
			c.t.Errorf("%s: %+v", task, s.Counts)
		}
	}
	for _, effect := range duplicates(readLines(c.file)) {
		c.t.Errorf("started twice: %s", effect)
	}
}

// Nodes, the scheduler above all, are killed again and again: nothing is lost, nothing starts twice.
func TestOccurrencesSurviveKills(t *testing.T) {
	c := newTicking(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 5 {
		victim := c.leader()
		if victim == "" || round%3 == 2 {
			victim = []string{"a", "b", "c"}[random.IntN(3)]
		}
		moment := time.NewTimer(time.Duration(random.IntN(1500)) * time.Millisecond)
		<-moment.C
		c.nodes[victim].signal(syscall.SIGKILL)
		c.goOn() // without it
		c.nodes[victim] = c.node(victim, c.flags...)
	}
	c.verify()
}

// The scheduler's process is stopped until another has taken over, and wakes up: it does no harm, and is of use again.
func TestOccurrencesSurviveAStoppedScheduler(t *testing.T) {
	c := newTicking(t)
	for range 2 {
		waitFor(t, "a scheduler", func() bool { return c.leader() != "" })
		c.goOn()
		victim := c.leader()
		c.nodes[victim].signal(syscall.SIGSTOP)
		waitFor(t, "another leads", func() bool { l := c.leader(); return l != "" && l != victim })
		c.goOn()
		c.nodes[victim].signal(syscall.SIGCONT)
		c.nodes[victim].waitReady()
		c.goOn()
	}
	c.verify()
}

func duplicates(lines []string) []string {
	seen := map[string]bool{}
	var twice []string
	for _, line := range lines {
		if seen[line] {
			twice = append(twice, line)
		}
		seen[line] = true
	}
	return twice
}

// audit finds every occurrence of an interval between from and to in exactly one place.
func (w *world) audit(task string, from, to time.Time, every time.Duration) {
	w.t.Helper()
	places := map[int64]int{}
	runs, err := w.store.Runs(w.t.Context(), task)
	if err != nil {
		w.t.Fatal(err)
	}
	for id, run := range runs {
		if want := nightwatch.ScheduledRunID(run.NominalTime); !strings.HasSuffix(id, "/"+want) {
			w.t.Errorf("%s: run %s is of %s", task, id, run.NominalTime)
		}
		if run.StartTime.Before(run.NominalTime) && !run.StartTime.IsZero() {
			w.t.Errorf("%s: run %s started at %s", task, id, run.StartTime)
		}
		places[run.NominalTime.UnixMilli()]++
	}
	var ledger struct {
		Ranges []struct {
			From, To time.Time
			Count    int64
		}
	}
	response, err := w.client.Get(w.t.Context(), w.store.Keys().Of(store.Ledgers)+task, clientv3.WithLimit(1))
	if err != nil {
		w.t.Fatal(err)
	}
	if len(response.Kvs) > 0 {
		if err := json.Unmarshal(response.Kvs[0].Value, &ledger); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, r := range ledger.Ranges {
		n := int64(0)
		for at := r.From; !at.After(r.To); at = at.Add(every) {
			places[at.UnixMilli()]++
			n++
		}
		if n != r.Count {
			w.t.Errorf("%s: a range from %s to %s counts %d", task, r.From, r.To, r.Count)
		}
	}
	expected := 0
	for at := from.Truncate(every).Add(every); !at.After(to); at = at.Add(every) {
		expected++
		if n := places[at.UnixMilli()]; n != 1 {
			w.t.Errorf("%s: %s is in %d places", task, at.Format(time.RFC3339Nano), n)
		}
	}
	if expected < 10 || len(places) != expected {
		w.t.Errorf("%s: %d occurrences stand in %d places", task, expected, len(places))
	}
}
