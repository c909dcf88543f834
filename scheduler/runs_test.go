package scheduler

import (
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// What becomes of a run whose session is gone, by what runs it, how far it was, and what the task asks for.
func TestLostSession(t *testing.T) {
	job := &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo"}
	created := &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo", UID: "u1"}
	cancel := &nightwatch.Cancel{By: "me", Reason: nightwatch.ReasonCancelRequested, Why: "enough"}
	for _, row := range []struct {
		name, task  string
		claimed     bool
		job         *nightwatch.Job
		cancel      *nightwatch.Cancel
		losses      int
		want        nightwatch.Phase
		reason      string
		wantAttempt int
		wantLosses  int
		wantJob     bool
	}{
		{name: "process, not claimed", task: onceTask, want: nightwatch.PhaseAssigned, wantAttempt: 1},
		{name: "process, claimed", task: onceTask, claimed: true, want: nightwatch.PhaseAssigned, wantAttempt: 2, wantLosses: 1},
		{name: "process, at most once, not claimed", task: `{"process":{"command":["true"]},"delivery":"at-most-once"}`, want: nightwatch.PhaseAssigned, wantAttempt: 1},
		{
			name: "process, at most once, claimed", task: `{"process":{"command":["true"]},"delivery":"at-most-once"}`, claimed: true,
			want: nightwatch.PhaseFailed, reason: nightwatch.ReasonNodeLost, wantAttempt: 1, wantLosses: 1,
		},
		{
			name: "process, claimed, to be canceled", task: onceTask, claimed: true, cancel: cancel,
			want: nightwatch.PhaseCanceled, reason: nightwatch.ReasonCancelRequested, wantAttempt: 1, wantLosses: 1,
		},
		{
			name: "process, lost too often", task: onceTask, claimed: true, losses: maxLostSessions - 1,
			want: nightwatch.PhaseFailed, reason: nightwatch.ReasonNodeLost, wantAttempt: 1, wantLosses: maxLostSessions,
		},
		{name: "handler, claimed", task: `{"handler":{"name":"work"}}`, claimed: true, want: nightwatch.PhaseAssigned, wantAttempt: 2, wantLosses: 1},
		{name: "Job, not claimed", task: kubernetesJob, want: nightwatch.PhaseAssigned, wantAttempt: 1},
		{name: "Job named, not created", task: kubernetesJob, claimed: true, job: job, want: nightwatch.PhaseAssigned, wantAttempt: 1, wantLosses: 1, wantJob: true},
		{name: "Job created", task: kubernetesJob, claimed: true, job: created, want: nightwatch.PhaseAssigned, wantAttempt: 1, wantLosses: 1, wantJob: true},
		{
			name: "Job created, at most once", task: `{"image":"busybox","delivery":"at-most-once"}`, claimed: true, job: created,
			want: nightwatch.PhaseAssigned, wantAttempt: 1, wantLosses: 1, wantJob: true,
		},
		{
			name: "Job created, to be canceled", task: kubernetesJob, claimed: true, job: created, cancel: cancel,
			want: nightwatch.PhaseAssigned, wantAttempt: 1, wantLosses: 1, wantJob: true,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			id := nightwatch.SubmittedRunID(b.put(row.task))
			b.settle(demo)
			if row.claimed {
				b.claim(id, func(r *nightwatch.Run) { r.Job, r.Cancel, r.LostSessions = row.job, row.cancel, row.losses })
			}
			b.settle(demo)
			clusters := func(n *nightwatch.Node) { n.Clusters = map[string]string{"main": "k1"} }
			b.node("n2", clusters)
			b.del(b.keys.Node("n1"))
			b.settle(demo)
			r := b.run(id)
			if r.Phase != row.want || r.Reason != row.reason || r.Attempt != row.wantAttempt || r.LostSessions != row.wantLosses || (r.Job != nil) != row.wantJob {
				t.Errorf("%+v", r)
			}
			queue := b.below(store.Queue)
			switch {
			case r.Phase == nightwatch.PhaseAssigned && (len(queue) != 1 || queue[0] != "n2/"+demo+"/"+id || r.Node != "n2"):
				t.Errorf("queue %q, node %q", queue, r.Node)
			case !r.Live() && (len(queue) != 0 || r.EndTime.IsZero() || r.Node != "n1"):
				t.Errorf("queue %q, %+v", queue, r)
			}
			if (r.Cancel != nil) != (row.cancel != nil) {
				t.Errorf("cancel %+v", r.Cancel)
			}
		})
	}
}

// The same node in another life is another owner.
func TestRunBelongsToASessionNotToAName(t *testing.T) {
	b := newBoard(t, "10:00")
	first := b.node("n1")
	id := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	b.claim(id)
	b.del(b.keys.Node("n1"))
	second := b.node("n1")
	b.settle(demo)
	if r := b.run(id); r.Session != second || r.Session == first || r.Attempt != 2 || r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%+v", r)
	}
	if q := b.below(store.Queue); len(q) != 1 {
		t.Errorf("queue %q", q)
	}
}

func TestLostWithNoOtherNodeWaits(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	id := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	b.claim(id)
	b.del(b.keys.Node("n1"))
	b.settle(demo)
	b.wantRuns(id + " Pending " + nightwatch.ReasonNoFittingNode)
	if q := b.below(store.Queue); len(q) != 0 {
		t.Errorf("queue %q", q)
	}
	if s := b.status(); s.Phase != nightwatch.PhasePending || s.Reason != nightwatch.ReasonNoFittingNode || s.Message == "" {
		t.Errorf("%+v", s)
	}
	if p := b.decide(demo); p.waits == (place{}) {
		t.Error("it does not wait for a node")
	}
	b.node("n2")
	b.settle(demo)
	b.wantRuns(id + " Assigned")
	if r := b.run(id); r.Attempt != 2 {
		t.Errorf("attempt %d, want 2: one for the loss, none for the wait", r.Attempt)
	}
}

func TestLostWhileFrozenWaitsForTheThaw(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.node("n2")
	id := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	b.claim(id)
	b.set(b.keys.Of(store.Freezes)+demo, "")
	b.del(b.keys.Node(b.run(id).Node))
	b.settle(demo)
	b.wantRuns(id + " Pending Frozen")
	b.del(b.keys.Of(store.Freezes) + demo)
	b.settle(demo)
	b.wantRuns(id + " Assigned")
}

// A Job that runs is followed whatever freezes its task: nothing is started.
func TestJobIsFollowedWhileFrozen(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	id := nightwatch.SubmittedRunID(b.put(kubernetesJob))
	b.settle(demo)
	b.claim(id, func(r *nightwatch.Run) { r.Job = &nightwatch.Job{Cluster: "k1", Name: "demo", UID: "u1"} })
	b.set(b.keys.Of(store.Freezes)+demo, "")
	b.node("n2", func(n *nightwatch.Node) { n.Clusters = map[string]string{"main": "k1"} })
	b.del(b.keys.Node("n1"))
	b.settle(demo)
	b.wantRuns(id + " Assigned")
}

func TestCancelByPhase(t *testing.T) {
	created := func(r *nightwatch.Run) {
		r.Job = &nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "demo", UID: "u1"}
	}
	for _, row := range []struct {
		name, task string
		before     func(b *board, id string)
		want       string
		told       bool // its node hears of it
	}{
		{name: "waits for a node", task: onceTask, before: func(b *board, _ string) {}, want: "Canceled CancelRequested"},
		{name: "assigned", task: onceTask, before: func(b *board, _ string) { b.node("n1") }, want: "Canceled CancelRequested"},
		{name: "claimed", task: onceTask, before: func(b *board, id string) { b.node("n1"); b.settle(demo); b.claim(id) }, want: "Running", told: true},
		{name: "Job assigned", task: kubernetesJob, before: func(b *board, _ string) { b.node("n1") }, want: "Canceled CancelRequested"},
		{name: "Job claimed", task: kubernetesJob, before: func(b *board, id string) { b.node("n1"); b.settle(demo); b.claim(id, created) }, want: "Running", told: true},
		{
			name: "Job handed back, nobody reaches its cluster", task: kubernetesJob, want: "Pending " + nightwatch.ReasonNoFittingNode,
			before: func(b *board, id string) {
				b.node("n1")
				b.settle(demo)
				b.claim(id, created)
				b.del(b.keys.Node("n1"))
			},
		},
		{
			name: "Job being moved", task: kubernetesJob, want: "Assigned", told: true,
			before: func(b *board, id string) {
				b.node("n1")
				b.settle(demo)
				b.claim(id, created)
				b.node("n2", func(n *nightwatch.Node) { n.Clusters = map[string]string{"main": "k1"} })
				b.del(b.keys.Node("n1"))
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			id := nightwatch.SubmittedRunID(b.put(row.task))
			b.settle(demo)
			row.before(b, id)
			b.settle(demo)
			b.set(b.keys.Request(demo, "c"), `{"action":"cancel","by":"me","note":"enough"}`)
			b.settle(demo)
			b.wantRuns(id + " " + row.want)
			r := b.run(id)
			if r.Cancel == nil || r.Cancel.By != "me" || r.Cancel.Why != "enough" {
				t.Errorf("cancel %+v", r.Cancel)
			}
			var queued nightwatch.Run
			if there := len(b.below(store.Queue)) > 0 && b.read(b.keys.Queue(r.Node, demo, id), &queued); there != row.told || there && queued.Cancel == nil {
				t.Errorf("queue %q %+v", b.below(store.Queue), queued)
			}
			if v := b.verdict("c"); !v.Accepted || v.Run != id {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}

// What a person writes is never taken for the system's own word.
func TestNoteIsNotTheReason(t *testing.T) {
	for _, row := range []struct{ request, message string }{
		{`{"action":"cancel"}`, ""},
		{`{"action":"cancel","by":"ann"}`, "by ann"},
		{`{"action":"cancel","note":"Replaced"}`, "Replaced"},
		{`{"action":"cancel","by":"ann","note":"TaskDeleted"}`, "by ann: TaskDeleted"},
		{`{"action":"cancel","by":"ann","note":"Timeout"}`, "by ann: Timeout"},
	} {
		b := newBoard(t, "10:00")
		b.node("n1")
		id := nightwatch.SubmittedRunID(b.put(onceTask))
		b.settle(demo)
		b.set(b.keys.Request(demo, "c"), row.request)
		b.settle(demo)
		b.wantRuns(id + " Canceled CancelRequested")
		if r := b.run(id); r.Message != row.message || r.Cancel.Reason != nightwatch.ReasonCancelRequested {
			t.Errorf("%s: message %q, want %q; %+v", row.request, r.Message, row.message, r.Cancel)
		}
	}
}

// Who ended a run and why stands in its record, whoever it was.
func TestRecordSaysWhoEndedTheRunAndWhy(t *testing.T) {
	for _, row := range []struct {
		name, task      string
		end             func(b *board)
		by, reason, why string
	}{
		{"a request", onceTask, func(b *board) { b.set(b.keys.Request(demo, "c"), `{"action":"cancel","by":"ann","note":"enough"}`) }, "ann", nightwatch.ReasonCancelRequested, "enough"},
		{"deletion", onceTask, func(b *board) { b.del(b.keys.Task(demo)) }, "", nightwatch.ReasonTaskDeleted, "the task was deleted"},
		{
			"deletion and another put", onceTask, func(b *board) { b.del(b.keys.Task(demo)); b.put(onceTask) }, "", nightwatch.ReasonTaskReplaced,
			"the task was deleted and put anew",
		},
		{
			"replace", `{"process":{"command":["true"]},"overlap":"replace"}`,
			func(b *board) { b.set(b.keys.Request(demo, "next"), `{"action":"run"}`) }, "req-next", nightwatch.ReasonReplaced, "run req-next takes its place",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			id := nightwatch.SubmittedRunID(b.put(row.task))
			b.settle(demo)
			b.claim(id)
			b.moveTo("10:01")
			row.end(b)
			b.settle(demo)
			r := b.run(id)
			want := nightwatch.Cancel{By: row.by, Reason: row.reason, Why: row.why, Time: at("10:01")}
			if r.Cancel == nil || *r.Cancel != want || r.Phase != nightwatch.PhaseRunning {
				t.Errorf("%+v, want %+v", r.Cancel, want)
			}
		})
	}
}

func (b *board) verdict(id string) (v nightwatch.Verdict) {
	if !b.read(b.keys.Verdict(demo, id), &v) {
		b.t.Errorf("no verdict on %q", id)
	}
	return v
}

// A run that ended while its cancel was on the way stays as it ended.
func TestCancelRacesWithTheEnd(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	id := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	b.claim(id)
	b.settle(demo)
	b.set(b.keys.Request(demo, "c"), `{"action":"cancel"}`)
	p := b.decide(demo)
	b.finish(id, nightwatch.PhaseSucceeded)
	if b.commit(p) {
		t.Fatal("the cancel was written over the end")
	}
	b.settle(demo)
	b.wantRuns(id + " Succeeded")
	if v := b.verdict("c"); v.Accepted {
		t.Errorf("%+v", v)
	}
	if r := b.run(id); r.Cancel != nil {
		t.Errorf("%+v", r)
	}
}

// A run that waits for a long queue must not cost a look at the queue for each of its members.
func TestLongQueueIsDecidedQuickly(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.put(onceTask)
	b.settle(demo)
	uid := b.status().UID
	var pairs []any
	for i := range 3000 {
		id := "req-" + encodeAny(i)
		pairs = append(pairs, b.keys.Run(demo, id), nightwatch.Run{
			ID: id, Task: demo, TaskUID: uid, Phase: nightwatch.PhasePending, Reason: nightwatch.ReasonOverlap, Runner: nightwatch.RunnerProcess,
			Overlap: nightwatch.OverlapQueueAll, NominalTime: b.now, CreateTime: b.now, Attempt: 1,
		})
	}
	b.set(pairs...)
	began := time.Now()
	b.settle(demo)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

// Each submission is of its own version, in what becomes of it when its node is lost, or when no node comes, too.
func TestSubmissionsAreJudgedByTheirOwnVersion(t *testing.T) {
	for _, row := range []struct{ first, second, want string }{
		{`"delivery":"at-most-once"`, `"delivery":"at-least-once"`, "Failed NodeLost"},
		{`"delivery":"at-least-once"`, `"delivery":"at-most-once"`, "Assigned"},
	} {
		t.Run(row.first, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			first := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},` + row.first + `}`))
			b.settle(demo)
			b.claim(first)
			second := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},` + row.second + `}`))
			b.settle(demo)
			if b.run(second) == nil {
				t.Fatalf("%q", b.runs())
			}
			b.node("n2")
			b.del(b.keys.Node("n1"))
			b.settle(demo)
			if got := b.runs()[0]; got != first+" "+row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
	for _, row := range []struct{ first, second, want string }{
		{`"startWithin":"2m"`, `"startWithin":"1h"`, "Missed StartWithin"},
		{`"startWithin":"1h"`, `"startWithin":"2m"`, "Pending NoFittingNode"},
	} {
		t.Run(row.first, func(t *testing.T) {
			b := newBoard(t, "10:00")
			first := nightwatch.SubmittedRunID(b.put(`{"process":{"command":["true"]},` + row.first + `}`))
			b.settle(demo)
			b.put(`{"process":{"command":["true"]},` + row.second + `}`)
			b.settle(demo)
			b.goTo("10:03")
			if got := b.runs()[0]; got != first+" "+row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}
