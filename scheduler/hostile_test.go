package scheduler

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Whoever may write below the prefix may write anything; none of it may end the loop or make it spin.
func TestRecordThatNamesAnotherRunIsNoRun(t *testing.T) {
	for name, value := range map[string]string{
		"another id":    `{"id":"other","task":"default/demo","taskUID":UID,"phase":"Pending","runner":"process"}`,
		"another task":  `{"id":"x","task":"default/other","taskUID":UID,"phase":"Running","runner":"process","session":"gone"}`,
		"unknown phase": `{"id":"x","task":"default/demo","taskUID":UID,"phase":"Dancing","runner":"process"}`,
		"no phase":      `{"id":"x","task":"default/demo","taskUID":UID}`,
		"no JSON":       "\x00\xff",
		"wrong types":   `{"id":7}`,
		"null":          `null`,
		"huge attempt":  `{"id":"x","task":"default/demo","taskUID":UID,"phase":"Succeeded","attempt":1e99}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(fiveMinutes)
			b.settle(demo)
			uid := b.status().UID
			b.set(b.keys.Run(demo, "x"), strings.ReplaceAll(value, ":UID", ":"+encodeAny(uid)))
			b.goTo("10:05")
			if r := b.run(idAt("10:05")); r == nil || r.Phase != nightwatch.PhaseAssigned {
				t.Errorf("the next occurrence: %+v", r)
			}
			b.del(b.keys.Task(demo))
			b.settle(demo)
			if left := append(b.below(store.Runs), b.below(store.Statuses)...); len(left) > 0 {
				t.Errorf("left after the task was deleted: %q", left)
			}
		})
	}
}

// A key that stands where an occurrence's record goes is the record, readable or not: the occurrence has been met.
func TestGarbageInPlaceOfTheNextRun(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.set(b.keys.Run(demo, idAt("10:05")), "garbage")
	b.now = before("10:05", announceLead)
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:10")
	if r := b.run(idAt("10:10")); r == nil || r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("10:10: %+v", r)
	}
}

func TestGarbageInPlaceOfABackfilledRun(t *testing.T) {
	b := newBoard(t, "10:32")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.set(b.keys.Run(demo, idAt("10:05")), "garbage")
	if v := b.askBackfill("x", "10:00", "10:11", ""); !v.Accepted || v.Count != 2 {
		t.Errorf("%+v", v)
	}
	for _, clock := range []string{"10:00", "10:10"} {
		if r := b.run(idAt(clock)); r == nil || r.Phase != nightwatch.PhaseAssigned {
			t.Fatalf("%s: %+v", clock, r)
		}
		b.complete(nightwatch.PhaseSucceeded)
	}
}

func TestUnreadableStatusIsWrittenAnew(t *testing.T) {
	for _, value := range []string{"garbage", "", "null", `{"uid":"x"}`, `{}`, `{"uid":99}`, `{"phase":5,"uid":99}`, `{"uid":99,"phase":5}`} {
		t.Run(value, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			submitted := nightwatch.SubmittedRunID(b.put(onceTask))
			b.settle(demo)
			b.claim(submitted)
			uid := b.status().UID
			b.set(b.keys.Status(demo), value)
			b.settle(demo)
			b.wantRuns(submitted + " Running")
			if s := b.status(); s.UID != uid || s.ActiveCount != 1 || s.Phase != nightwatch.PhaseRunning {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A status of another life, where nothing says which life this is, takes no record of this one with it.
func TestStatusOfAnotherLife(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	submitted := b.submitted(onceTask)
	b.claim(submitted)
	b.set(b.keys.Status(demo), `{"uid":99}`, b.keys.Accepted(demo), nil)
	b.settle(demo)
	b.wantRuns(submitted + " Running")
	b.finish(submitted, nightwatch.PhaseSucceeded)
	b.settle(demo)
	if s := b.status(); s.Counts.Succeeded != 1 || s.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v", s)
	}
}

func TestSystemKeysOfNoTaskAreRemoved(t *testing.T) {
	for _, kind := range []store.Kind{store.Statuses, store.Accepted, store.Ledgers} {
		for _, value := range []string{"garbage", "{}", `{"uid":5}`} {
			b := newBoard(t, "10:00")
			b.set(b.keys.Of(kind)+demo, value)
			b.settle(demo)
			if left := b.below(kind); len(left) > 0 {
				t.Errorf("%s: %q is left", kind, left)
			}
			b.node("n1")
			b.set(b.keys.Of(kind)+demo, value)
			submitted := nightwatch.SubmittedRunID(b.put(onceTask))
			b.settle(demo)
			b.wantRuns(submitted + " Assigned")
		}
	}
}

// Only a key under the lease that it names is a node: put by hand, it would take runs and never be lost.
func TestNodeKeysPutByHandAreNoNodes(t *testing.T) {
	b := newBoard(t, "10:00")
	session := b.node("n1")
	for name, value := range map[string]string{
		"ghost":   `{"name":"ghost","session":"abc","runners":["process"],"capacity":64}`,
		"twin":    `{"name":"twin","session":"` + session + `","runners":["process"],"capacity":64}`,
		"other":   `{"name":"n1","session":"` + session + `","runners":["process"],"capacity":64}`,
		"garbage": "garbage",
	} {
		b.set(b.keys.Node(name), value)
		if n := len(b.view.nodes); n != 1 {
			t.Errorf("%s: %d nodes, want n1 alone", name, n)
		}
		b.del(b.keys.Node(name))
		if b.view.sessions[session] == nil {
			t.Errorf("%s: its removal took n1's session away", name)
		}
	}
}

// The claim asks for no key below locks/<namespace>/<task>/, however deep; the view has to see the same.
func TestLockKeysOfAnyDepthHoldATask(t *testing.T) {
	for _, holder := range []string{"694d", "", "a/b", "a/"} {
		t.Run(holder, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			id := nightwatch.SubmittedRunID(b.put(onceTask))
			b.settle(demo)
			lock := b.keys.LocksOf(demo) + holder
			b.set(lock, "")
			r := b.run(id) // as the node gives it back
			queue := b.keys.Queue(r.Node, demo, id)
			r.Phase, r.Reason, r.Node, r.Session = nightwatch.PhasePending, nightwatch.ReasonLocked, "", ""
			b.set(b.keys.Run(demo, id), r, queue, nil)
			b.settle(demo)
			b.wantRuns(id + " Pending Locked")
			b.del(lock)
			b.settle(demo)
			b.wantRuns(id + " Assigned")
		})
	}
}

func TestOddKeysHarmNothing(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = -5 })
	b.node("n2", func(n *nightwatch.Node) { n.Capacity = 1 << 62 })
	for _, key := range []string{"", "tasks", "tasks/", "tasks//", "runs/x", "runs/", "runs///", "requests/x", "requests/", "verdicts/", "locks/x", "locks/",
		"freeze/", "queue/x", "nodes/", "nodes/a/b", "meta/clock", "calendars/x", "election/scheduler/x", "status/", "ledger/a/b/c", "accepted/"} {
		b.set(b.keys.Prefix()+key, "\xff garbage")
	}
	names := []string{}
	for name := range b.view.tasks {
		names = append(names, name)
	}
	for _, name := range names {
		b.settle(name)
	}
	id := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	b.wantRuns(id + " Assigned")
}

// Values close to the limits must not add up to a transaction that etcd refuses for ever.
func TestManyLargeRunsAreMovedInSeveralTransactions(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(with(`"overlap":"allow"`))
	b.settle(demo)
	big := `{"action":"run","overlap":"allow","params":{"x":"` + strings.Repeat("<", 60_000) + `"}}`
	for i := range 20 {
		b.set(b.keys.Request(demo, encodeAny(i)), big)
		b.settle(demo)
	}
	b.node("n2")
	b.del(b.keys.Node("n1"))
	b.settle(demo)
	for _, line := range b.runs() {
		id, _, _ := strings.Cut(line, " ")
		if r := b.run(id); r.Node != "n2" {
			t.Errorf("%s is on %q", id, r.Node)
		}
	}
}
