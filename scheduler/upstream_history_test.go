package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// settleBoth has the loop go round several tasks until there is nothing to do for any, the first in the order that is
// given first.
func (b *board) settleInTurn(tasks ...string) {
	b.t.Helper()
	for range 400 {
		idle := true
		for _, task := range tasks {
			idle = b.look(task).txn.Empty() && idle
		}
		if idle {
			return
		}
	}
	b.t.Fatal("no end to the transactions")
}

// idsOf are the ids of a task's records.
func (b *board) idsOf(task string) []string {
	var ids []string
	for _, tail := range b.below(store.Runs) {
		if id, ok := strings.CutPrefix(tail, task+"/"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

const noHistory = `{"process":{"command":["true"]},"schedule":"0 0 1 1 *","history":{"succeeded":0,"failed":0,"skipped":0}}`

// A record stays until all that come after it have noted it, and no longer, whatever becomes of them.
func TestRecordStaysUntilItIsNoted(t *testing.T) {
	const a = "default/a"
	for _, row := range []struct {
		name, follower string
		phase          nightwatch.Phase
		stays          bool // until the follower has been looked at
		want           int  // runs of the follower
	}{
		{name: "it runs", follower: follower(`"tasks":["a"]`), phase: nightwatch.PhaseSucceeded, stays: true, want: 1},
		{name: "it does not want that", follower: follower(`"tasks":["a"]`), phase: nightwatch.PhaseFailed},
		{name: "it can never be complete", follower: follower(`"tasks":["a","nobody"]`), phase: nightwatch.PhaseSucceeded, stays: true},
		{name: "it is suspended", follower: follower(`"tasks":["a"]`, `"suspend":true`), phase: nightwatch.PhaseSucceeded, stays: true},
		{name: "its newest value is refused", follower: "refused", phase: nightwatch.PhaseSucceeded, stays: true, want: 1},
		{name: "it is gone", follower: "gone", phase: nightwatch.PhaseSucceeded},
		{name: "it is another life", follower: "again", phase: nightwatch.PhaseSucceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			b.set(b.keys.Task(a), noHistory)
			b.settle(a)
			switch row.follower {
			case "refused":
				b.put(follower(`"tasks":["a"]`))
				b.settle(demo)
				b.put(follower(`"tasks":["demo"]`))
				b.settle(demo)
			case "gone", "again":
				b.put(follower(`"tasks":["a"]`))
				b.settle(demo)
				b.del(b.keys.Task(demo))
				if row.follower == "again" {
					b.put(follower(`"tasks":["a"]`))
				}
			default:
				b.put(row.follower)
				b.settle(demo)
			}
			b.moveTo("10:01")
			key, run := b.ended("a", "20261120T100000Z", row.phase)
			b.set(key, run)
			b.settle(a) // is as far as it can get
			if there := len(b.idsOf(a)) == 1; there != row.stays {
				t.Errorf("the record is there: %t, want %t", there, row.stays)
			}
			b.settleInTurn(demo, a)
			if left := b.idsOf(a); len(left) > 0 {
				t.Errorf("%q stays", left)
			}
			if got := b.idsOf(demo); len(got) != row.want {
				t.Errorf("runs %q, want %d", got, row.want)
			}
		})
	}
}

// What noted a run tells the loop about the task whose record waits for that.
func TestNotingWakesTheUpstream(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.set(b.keys.Task("default/a"), noHistory)
	b.settle("default/a")
	b.put(follower(`"tasks":["a"]`))
	b.settle(demo)
	var touched []string
	b.view.touched = func(t *taskView) { touched = append(touched, t.name) }
	told := func(what, name string) {
		t.Helper()
		if !slices.Contains(touched, name) {
			t.Errorf("%s: the loop is told of %q, not of %s", what, touched, name)
		}
		touched = nil
	}
	key, run := b.ended("a", "1", nightwatch.PhaseSucceeded)
	b.set(key, run)
	told("an end", demo)
	b.settle(demo)
	told("a note", "default/a")
	b.del(b.keys.Task(demo))
	told("the end of what comes after", "default/a")
	b.settle(demo)
	told("the end of its accepted value", "default/a")
	b.put(follower(`"tasks":["a"]`))
	b.settle(demo)
	touched = nil
	b.del(b.keys.Task("default/a"))
	told("the end of an upstream", demo)
}

// A dead letter that is made good is written once more: it is not another failure.
func TestResolvedRunIsNoNewArrival(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a")
	b.put(follower(`"tasks":["a"],"condition":"finished"`, `"overlap":"allow"`))
	b.settle(demo)
	rev := b.arrives("a", "20261120T100000Z", nightwatch.PhaseFailed)
	b.settleInTurn("default/a", demo)
	want := []string{depID(rev) + " Assigned"}
	b.wantRuns(want...)
	b.set(b.keys.Request("default/a", "enough"), `{"action":"drop"}`)
	b.settleInTurn("default/a", demo)
	b.wantRuns(want...)

	t.Log("nor is it when it is made good before it was looked at")
	key, run := b.ended("a", "20261120T100100Z", nightwatch.PhaseFailed)
	rev = b.set(key, run)
	b.set(b.keys.Request("default/a", "more"), `{"action":"drop"}`)
	b.settle("default/a")
	var again nightwatch.Run
	if b.read(key, &again); again.ResolvedBy == "" || again.EndRevision != rev {
		t.Fatalf("%+v", again)
	}
	b.settle(demo)
	b.wantRuns(append(want, depID(rev)+" Assigned")...)

	t.Log("a retry that succeeds is a success of its task")
	b.set(b.keys.Request("default/a", "again"), `{"action":"retry","run":"20261120T100100Z"}`)
	b.settle("default/a")
	if v := (nightwatch.Verdict{}); !b.read(b.keys.Verdict("default/a", "again"), &v) || v.Accepted {
		t.Errorf("a dropped one is retried: %+v", v)
	}
	b.arrives("a", "20261120T100200Z", nightwatch.PhaseFailed)
	b.set(b.keys.Request("default/a", "once-more"), `{"action":"retry"}`)
	b.settle("default/a")
	before := len(b.runs())
	var retry nightwatch.Run
	b.read(b.keys.Run("default/a", "req-once-more"), &retry)
	retry.Phase, retry.EndTime = nightwatch.PhaseSucceeded, b.now
	rev = b.set(b.keys.Run("default/a", "req-once-more"), retry, b.keys.Queue(retry.Node, "default/a", "req-once-more"), nil)
	b.settleInTurn("default/a", demo)
	if r := b.run(depID(rev)); r == nil || r.Upstream[0].Run != "req-once-more" || len(b.runs()) != before+1 {
		t.Errorf("%q, %+v", b.runs(), r)
	}
}

// The records of an upstream that is deleted are noted before they go; its canceled runs are nobody's outcome.
func TestUpstreamIsDeletedAndPutAgain(t *testing.T) {
	const a = "default/a"
	b := newBoard(t, "10:00")
	b.node("n1")
	b.upstreams("a", "b")
	b.put(follower(`"tasks":["a","b"],"condition":"finished"`))
	b.settle(demo)
	b.set(b.keys.Request(a, "x"), `{"action":"run"}`)
	b.settle(a)
	key, run := b.ended("a", "20261120T100000Z", nightwatch.PhaseSucceeded)
	b.set(key, run)
	b.del(b.keys.Task(a))
	b.settle(a)
	if left := b.idsOf(a); !slices.Equal(left, []string{"20261120T100000Z"}) {
		t.Errorf("%q", left)
	}
	b.settleInTurn(demo, a)
	if left := b.idsOf(a); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	missing := func() string {
		s := b.status()
		if len(s.Warnings) == 0 {
			return fmt.Sprintf("%s %s", s.Phase, s.Reason)
		}
		return fmt.Sprintf("%s %s; %s", s.Phase, s.Reason, s.Warnings[0].Error())
	}
	if got := missing(); got != "Scheduled UpstreamMissing; after.tasks[0]: UpstreamMissing: there is no task default/a" {
		t.Error(got)
	}
	b.set(b.keys.Task(a), `{"nothing":1}`)
	b.settleInTurn(a, demo)
	if got := missing(); got != "Scheduled UpstreamMissing; after.tasks[0]: UpstreamMissing: task default/a has not been accepted" {
		t.Error(got)
	}
	b.set(b.keys.Task(a), noHistory)
	b.settleInTurn(a, demo)
	if got := missing(); got != "Scheduled Upstream" {
		t.Error(got)
	}
	// What the earlier life brought counts still.
	rev := b.arrives("b", "1", nightwatch.PhaseFailed)
	if r := b.run(depID(rev)); r == nil || r.Upstream[0].Run != "20261120T100000Z" {
		t.Errorf("%q", b.runs())
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.arrives("b", "2", nightwatch.PhaseFailed)
	next := b.arrives("a", "1", nightwatch.PhaseSucceeded)
	if r := b.run(depID(next)); r == nil || r.Upstream[1].Run != "2" {
		t.Errorf("%q", b.runs())
	}
}

// Whatever somebody makes of its status, a task does not run twice for a set, and goes on.
func TestStatusOfAFollowerIsLost(t *testing.T) {
	for _, value := range []any{nil, "garbage", `{"uid":%d,"accepted":true,"observedRevision":%d,"acceptedRevision":%d}`} {
		b := newBoard(t, "10:00")
		b.node("n1")
		b.upstreams("a", "b")
		b.put(follower(`"tasks":["a","b"]`, `"history":{"succeeded":0}`))
		b.settle(demo)
		b.arrives("a", "1", nightwatch.PhaseSucceeded)
		b.arrives("b", "1", nightwatch.PhaseSucceeded)
		b.complete(nightwatch.PhaseSucceeded)
		b.wantRuns()
		b.arrives("a", "2", nightwatch.PhaseSucceeded)
		if text, ok := value.(string); ok && strings.Contains(text, "%d") {
			e := b.entries[b.keys.Task(demo)]
			value = fmt.Sprintf(text, e.CreateRevision, e.ModRevision, e.ModRevision)
		}
		b.set(b.keys.Status(demo), value)
		b.settle(demo)
		b.arrives("b", "2", nightwatch.PhaseSucceeded)
		b.wantRuns()
		rev := b.arrives("a", "3", nightwatch.PhaseSucceeded)
		b.wantRuns(depID(rev) + " Assigned")
	}
}

// One task that a thousand come after, and one that comes after twenty, are cheap.
func TestFanOutAndFanIn(t *testing.T) {
	const wide = 1000
	b := newBoard(t, "10:00")
	for i := range 20 {
		b.node(fmt.Sprint("n", i))
	}
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprintf("u%02d", i)
	}
	b.upstreams(names...)
	var all []string
	for i := range wide {
		name := fmt.Sprintf("default/d%04d", i)
		all = append(all, name)
		b.set(b.keys.Task(name), follower(`"tasks":["u00"]`))
		b.settle(name)
	}
	touched := 0
	b.view.touched = func(*taskView) { touched++ }
	key, run := b.ended("u00", "1", nightwatch.PhaseSucceeded)
	b.set(key, run)
	if touched != wide+1 {
		t.Errorf("%d tasks are looked at, want %d", touched, wide+1)
	}
	began := time.Now()
	transactions := 0
	for _, name := range all {
		for p := b.decide(name); !p.txn.Empty(); p = b.decide(name) {
			b.commit(p)
			transactions++
		}
	}
	t.Logf("%d tasks that come after one: %d transactions decided and done in %s", wide, transactions, time.Since(began))
	if transactions != wide || time.Since(began) > 20*time.Second {
		t.Errorf("%d transactions in %s, want %d", transactions, time.Since(began), wide)
	}
	began = time.Now()
	const looks = 100
	noted := b.view.known("default/u00").runs["1"]
	p := b.decide("default/u00")
	for range looks {
		if p.awaited(noted) {
			t.Fatal("the record is still waited for")
		}
	}
	t.Logf("whether a record is waited for by %d tasks: %s", wide, time.Since(began)/looks)

	b.put(follower(`"tasks":["` + strings.Join(names, `","`) + `"]`))
	b.settle(demo)
	writes, rev := 0, int64(0)
	for _, name := range names {
		key, run := b.ended(name, "2", nightwatch.PhaseSucceeded, func(r *nightwatch.Run) { r.Result = []byte(`"` + strings.Repeat("x", nightwatch.MaxResult-2) + `"`) })
		rev = b.set(key, run)
		for p := b.decide(demo); !p.txn.Empty(); p = b.decide(demo) {
			b.commit(p)
			writes++
		}
	}
	if r := b.run(depID(rev)); r == nil || len(r.Upstream) != 20 || writes != 20 {
		t.Errorf("%d writes, %q", writes, b.runs())
	}
	if size := len(b.entries[b.keys.Run(demo, depID(rev))].Value); size > 64<<10 {
		t.Errorf("a record of %d bytes", size)
	}
}
