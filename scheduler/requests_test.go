package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestRequestsAreAnswered(t *testing.T) {
	yearly := `{"process":{"command":["true"]},"schedule":"0 0 1 1 *"}`
	for _, row := range []struct {
		name, task, id, value string
		before                func(*board)
		accepted              bool
		run, field            string
		runs                  []string
	}{
		{name: "run", task: yearly, id: "a", value: `{"action":"run"}`, accepted: true, run: "req-a", runs: []string{"req-a Assigned"}},
		{name: "run, with YAML", task: yearly, id: "a", value: "action: run\nby: me", accepted: true, run: "req-a", runs: []string{"req-a Assigned"}},
		{name: "run of a suspended task", task: strings.Replace(yearly, "{", `{"suspend":true,`, 1), id: "a", value: `{"action":"run"}`, accepted: true, run: "req-a", runs: []string{"req-a Assigned"}},
		{
			name: "run while frozen", task: yearly, id: "a", value: `{"action":"run"}`, accepted: true, run: "req-a", runs: []string{"req-a Pending Frozen"},
			before: func(b *board) { b.set(b.keys.Of(store.Freezes)+demo, "") },
		},
		{
			name: "run while one is live", task: yearly, id: "b", value: `{"action":"run"}`, field: "overlap", runs: []string{"req-a Assigned"},
			before: func(b *board) { b.set(b.keys.Request(demo, "a"), `{"action":"run"}`) },
		},
		{
			name: "run while one is live, allowed", task: yearly, id: "b", value: `{"action":"run","overlap":"allow"}`, accepted: true, run: "req-b",
			runs:   []string{"req-a Assigned", "req-b Assigned"},
			before: func(b *board) { b.set(b.keys.Request(demo, "a"), `{"action":"run"}`) },
		},
		{
			name: "run while one is live, queued", task: yearly, id: "b", value: `{"action":"run","overlap":"queue-all"}`, accepted: true, run: "req-b",
			runs:   []string{"req-a Assigned", "req-b Pending Overlap"},
			before: func(b *board) { b.set(b.keys.Request(demo, "a"), `{"action":"run"}`) },
		},
		{name: "cancel of nothing", task: yearly, id: "a", value: `{"action":"cancel"}`, field: "run"},
		{name: "cancel of an unknown run", task: yearly, id: "a", value: `{"action":"cancel","run":"req-x"}`, field: "run"},
		{name: "no such task", id: "a", value: `{"action":"run"}`, field: "key"},
		{name: "task never accepted", task: `{"process":{}}`, id: "a", value: `{"action":"run"}`, field: "key"},
		{name: "no action", task: yearly, id: "a", value: `{}`, field: "action"},
		{name: "empty value", task: yearly, id: "a", value: "", field: ""},
		{name: "garbage", task: yearly, id: "a", value: "\x00\xff", field: ""},
		{name: "bad id", task: yearly, id: "sp ace", value: `{"action":"run"}`, field: "key"},
		{name: "long id", task: yearly, id: strings.Repeat("x", 60), value: `{"action":"run"}`, field: "key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			if row.task != "" {
				b.put(row.task)
			}
			b.settle(demo)
			if row.before != nil {
				row.before(b)
				b.settle(demo)
			}
			b.set(b.keys.Request(demo, row.id), row.value)
			b.settle(demo)
			v := b.verdict(row.id)
			if v.Accepted != row.accepted || v.Run != row.run || !v.Time.Equal(b.now) {
				t.Errorf("%+v", v)
			}
			if !row.accepted && (len(v.Errors) == 0 || v.Errors[0].Field != row.field || v.Errors[0].Reason == "") {
				t.Errorf("%+v", v)
			}
			b.wantRuns(row.runs...)
			if left := b.below(store.Requests); len(left) != 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// Requests that have nothing to do with each other share transactions; others wait for their turn.
func TestManyRequests(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"schedule":"0 0 1 1 *","overlap":"allow","history":{"failed":100}}`)
	b.settle(demo)
	ask := func(n int, id, value string) {
		var pairs []any
		for i := range n {
			pairs = append(pairs, b.keys.Request(demo, fmt.Sprintf("%s-%02d", id, i)), strings.ReplaceAll(value, "NN", fmt.Sprintf("%02d", i)))
		}
		b.set(pairs...)
	}
	answered := func(what string, most int) {
		t.Helper()
		n := 0
		for ; ; n++ {
			p := b.decide(demo)
			if p.txn.Empty() {
				break
			}
			b.commit(p)
		}
		if n > most {
			t.Errorf("%s: %d transactions, want at most %d", what, n, most)
		}
		for _, tail := range b.below(store.Verdicts) {
			_, id, _ := store.SplitLast(tail)
			if v := b.verdict(id); v.Accepted != !strings.HasPrefix(id, "no-") {
				t.Errorf("%s: %s: %+v", what, id, v)
			}
		}
	}
	ask(48, "a", `{"action":"run"}`)
	answered("run", 3)
	ask(20, "no-such-run", `{"action":"drop","run":"NN"}`)
	ask(20, "no-such-action", `{"action":"NN"}`)
	answered("refused", 40/maxRunChanges+20)
	for _, line := range b.runs() {
		id, _, _ := strings.Cut(line, " ")
		b.claim(id)
		b.finish(id, nightwatch.PhaseFailed)
	}
	b.settle(demo)
	if counts := b.status().Counts; counts.Failed != 48 {
		t.Fatalf("%+v: want 48 dead letters", counts)
	}
	ask(24, "retried", `{"action":"retry","run":"req-a-NN"}`)
	answered("retry", 2)
	ask(48, "dropped", `{"action":"drop","run":"req-a-NN"}`)
	answered("drop", 3)
	// What has to do with each other is done one after the other: each of these is one transaction.
	ask(10, "queued", `{"action":"run","overlap":"queue-all"}`)
	ask(1, "canceled", `{"action":"cancel","run":"req-queued-00"}`)
	answered("in turn", 30)
	for i := range 10 { // while those that were retried have not ended
		if run := b.run(fmt.Sprintf("req-queued-%02d", i)); run.Phase != nightwatch.PhasePending && (i > 0 || run.Phase != nightwatch.PhaseCanceled) {
			t.Errorf("%s is %s", run.ID, run.Phase)
		}
	}
}

// Of runs that are asked for at once, and must not overlap, the one that was asked for first starts, or the last if it is to
// replace the others.
func TestRunsAskedForAtOnce(t *testing.T) {
	for policy, want := range map[string]string{"skip": "req-c", "queue-one": "req-c", "queue-all": "req-c", "replace": "req-a"} {
		b := newBoard(t, "10:00")
		b.node("n1")
		b.put(fmt.Sprintf(`{"process":{"command":["true"]},"schedule":"0 0 1 1 *","overlap":%q}`, policy))
		b.settle(demo)
		for _, id := range []string{"c", "b", "a"} {
			b.set(b.keys.Request(demo, id), `{"action":"run"}`)
		}
		b.settle(demo)
		var assigned []string
		for _, line := range b.runs() {
			if id, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, string(nightwatch.PhaseAssigned)) {
				assigned = append(assigned, id)
			}
		}
		if !slices.Equal(assigned, []string{want}) {
			t.Errorf("%s: %q are assigned, want %s", policy, assigned, want)
		}
	}
}

func TestMalformedRequestKeys(t *testing.T) {
	for _, tail := range []string{"x", "a/b/c/d", "Default/demo/x", "default/"} {
		b := newBoard(t, "10:00")
		b.set(b.keys.Of(store.Requests)+tail, `{"action":"run"}`)
		name, _, _ := store.SplitLast(tail)
		b.settle(name)
		var v nightwatch.Verdict
		if !b.read(b.keys.Of(store.Verdicts)+tail, &v) || v.Accepted || len(v.Errors) != 1 || v.Errors[0].Field != "key" {
			t.Errorf("%s: %+v", tail, v)
		}
		b.moveTo("11:00")
		b.settle(name)
		if len(b.entries) != 0 {
			t.Errorf("%s: left %v", tail, b.entries)
		}
	}
}

// The same id within the hour has the same answer, whatever it asks for, and does nothing twice.
func TestRequestIDRepeated(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"schedule":"0 0 1 1 *","history":{"succeeded":0}}`)
	b.settle(demo)
	ask := func(value string) nightwatch.Verdict {
		b.set(b.keys.Request(demo, "a"), value)
		b.settle(demo)
		b.complete(nightwatch.PhaseSucceeded)
		return b.verdict("a")
	}
	first := ask(`{"action":"run"}`)
	b.moveTo("10:59:59")
	if again := ask(`{"action":"run"}`); again.Run != first.Run || !again.Time.Equal(first.Time) {
		t.Errorf("%+v, first %+v", again, first)
	}
	ask(`{"action":"cancel"}`)
	if n := b.status().Counts.Succeeded; n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	b.goTo("11:00")
	ask(`{"action":"run"}`)
	if n := b.status().Counts.Succeeded; n != 2 {
		t.Errorf("%d runs an hour later, want 2", n)
	}
}

// An id whose run is on record is not given out again, even with its verdict gone.
func TestRequestIDOfARunOnRecord(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"schedule":"0 0 1 1 *"}`)
	b.set(b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("11:30")
	b.set(b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.settle(demo)
	if v := b.verdict("a"); v.Accepted || v.Errors[0].Field != "key" {
		t.Errorf("%+v", v)
	}
	b.wantRuns("req-a Succeeded")
}

func TestRequestsAreAnsweredInOrder(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"schedule":"0 0 1 1 *"}`)
	b.set(b.keys.Request(demo, "z"), `{"action":"run"}`)
	b.set(b.keys.Request(demo, "a"), `{"action":"cancel"}`)
	b.settle(demo)
	if v := b.verdict("a"); !v.Accepted || v.Run != "req-z" {
		t.Errorf("%+v", v)
	}
	b.wantRuns("req-z Canceled CancelRequested")
}

// An answer of more than an hour ago, which nobody was there to remove, is no answer.
func TestRequestAfterAnOldVerdict(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.set(b.keys.Request(demo, "x"), `{"action":"cancel"}`)
	b.settle(demo)
	b.moveTo("11:00:31")
	b.set(b.keys.Request(demo, "x"), `{"action":"run","overlap":"allow"}`)
	b.settle(demo)
	if v := b.verdict("x"); !v.Accepted || v.Run != "req-x" || b.run("req-x") == nil {
		t.Errorf("%+v, %q", v, b.runs())
	}
}

// While a version waits for its turn, what was settled under the one before is in nobody's transaction: no request may take the
// cursor along without the ledger.
func TestRequestWhileAVersionWaitsForItsTurn(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"catchUp":{"mode":"none"}`))
	b.settle(demo)
	b.moveTo("10:33") // nobody led until now
	b.put(`{"process":{"command":["true"]},"after":{"tasks":["other"]}}`)
	b.set(b.keys.Request(demo, "now"), `{"action":"run"}`)
	b.drawing = true
	if p := b.decide(demo); !p.deferred || !p.txn.Empty() {
		t.Errorf("written: %q", p.touched)
	}
	b.drawing = false
	b.settle(demo)
	b.wantSpans("10:05:00-10:30:00 6 Missed CatchUp")
	b.wantRuns("req-now Assigned")
}

// Only records that a plan writes are counted as written.
func TestMetricsOfARequestThatChangesNoRun(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(onceTask)
	b.complete(nightwatch.PhaseSucceeded)
	b.set(b.keys.Request(demo, "stop"), `{"action":"cancel","run":"`+id+`"}`)
	m := newMetrics()
	m.observe(b.now, b.decide(demo))
	if n := testutil.CollectAndCount(m.runs); n != 0 {
		t.Error("a run is counted that has ended before")
	}
}

// A task of which something is due whenever it is looked at still has its requests answered, and old verdicts dropped.
func TestRequestsHaveTheirTurn(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"1s","overlap":"allow","history":{"succeeded":1}}`)
	b.settle(demo)
	b.set(b.keys.Verdict(demo, "old"), nightwatch.Verdict{Time: b.now.Add(-nightwatch.VerdictTTL)})
	for _, id := range []string{"a", "b"} {
		b.set(b.keys.Request(demo, id), `{"action":"cancel"}`)
	}
	made := 0
	for range 6 {
		b.now = b.now.Add(time.Second)
		made += b.look(demo).changes
	}
	if made < 3 {
		t.Errorf("%d runs were made or canceled", made)
	}
	for _, id := range []string{"a", "b"} {
		if v := b.verdict(id); !v.Accepted {
			t.Errorf("%s: %+v", id, v)
		}
	}
	if _, there := b.entries[b.keys.Verdict(demo, "old")]; there {
		t.Error("the old verdict is still there")
	}
}

// A run that is put aside is among the counts, though the request has its turn before what ended meanwhile is counted.
func TestDropHasItsTurn(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"1s","overlap":"allow"}`)
	b.settle(demo)
	due := func() {
		b.now = b.now.Add(time.Second)
		b.look(demo)
	}
	due()
	id := idAt("10:00:01")
	b.claim(id)
	b.set(b.keys.Request(demo, "a"), `{"action":"drop","run":"`+id+`"}`)
	due()
	b.finish(id, nightwatch.PhaseFailed)
	for range 4 {
		due()
	}
	if v := b.verdict("a"); !v.Accepted || b.run(id).ResolvedBy != "req-a" || b.status().Counts.Failed != 1 {
		t.Errorf("%+v, %+v, %+v", v, b.run(id), b.status().Counts)
	}
}
