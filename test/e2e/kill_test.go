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

// Nodes, the scheduler above all, are killed again and again while recurring tasks run as processes: every occurrence
// is in exactly one place, and no attempt starts twice.
func TestOccurrencesSurviveKills(t *testing.T) {
	w := newWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	flags := []string{"--runners", "process", "--lease-ttl", leaseTTL.String()}
	nodes := map[string]*process{}
	for _, name := range []string{"a", "b", "c"} {
		nodes[name] = w.node(name, flags...)
	}
	file := t.TempDir() + "/effects"
	const tasks, every = 5, 500 * time.Millisecond
	for i := range tasks {
		w.put(fmt.Sprintf("default/t%d", i), fmt.Sprintf(`{"process":{"shell":"echo $NIGHTWATCH_TASK,$NIGHTWATCH_RUN,$NIGHTWATCH_ATTEMPT >> %s"},
			"every":"500ms","catchUp":{"mode":"all","max":1000},"history":{"succeeded":1000,"failed":1000,"skipped":1000}}`, file))
	}
	const rounds = 5
	for round := range rounds {
		victim := w.leader()
		if victim == "" || round%3 == 2 {
			victim = []string{"a", "b", "c"}[random.IntN(3)]
		}
		moment := time.NewTimer(time.Duration(random.IntN(1500)) * time.Millisecond)
		<-moment.C
		nodes[victim].signal(syscall.SIGKILL)
		// The runs go on without it...
		before := w.wait("default/t0", 30*time.Second, func(s *nightwatch.Status) bool { return s != nil })
		w.wait("default/t0", 30*time.Second, func(s *nightwatch.Status) bool { return s.Cursor.After(before.Cursor.Add(2 * every)) })
		// ... and it comes back.
		nodes[victim] = w.node(victim, flags...)
	}

	for _, effect := range duplicates(readLines(file)) {
		t.Errorf("started twice: %s", effect)
	}
	w.etcdctl("put", "/nightwatch/freeze/_cluster", "{}")
	for i := range tasks {
		task := fmt.Sprintf("default/t%d", i)
		s := w.wait(task, 30*time.Second, func(s *nightwatch.Status) bool { return s.Still != "" && s.ActiveCount == 0 })
		w.audit(task, s.CreateTime, s.Cursor, every)
		t.Logf("%s: %+v", task, s.Counts)
		if s.Counts.Failed+s.Counts.Canceled != 0 {
			t.Errorf("%s: %+v", task, s.Counts)
		}
	}
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
