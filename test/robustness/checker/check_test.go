package checker

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)

// change is a revision of a key, seen as many seconds after start.
func change(revision int64, key, value string) Change {
	return Change{Revision: revision, Key: key, Value: []byte(value), Seen: start.Add(time.Duration(revision) * time.Second)}
}

func deletion(revision int64, key string) Change {
	c := change(revision, key, "")
	c.Deleted = true
	return c
}

// one is a record of runs/a/t/r1 with more fields.
func one(revision int64, phase, fields string) Change {
	return change(revision, "runs/a/t/r1", fmt.Sprintf(`{"id":"r1","task":"a/t","taskUID":5,"phase":%q,"runner":"process",%s}`, phase, fields))
}

// effect is what attempt n of a/t/r1 wrote, as many seconds after start.
func effect(attempt int, fence int64, event string, at int) Effect {
	return Effect{Task: "a/t", Run: "r1", Attempt: attempt, Fence: fence, Event: event, Time: start.Add(time.Duration(at) * time.Second).UnixNano()}
}

func jobEvent(uid, event string, attempt, at int) JobEvent {
	return JobEvent{
		Namespace: "a", Name: "t", UID: uid, Task: "a/t", TaskUID: 5, Run: "r1", Attempt: attempt, Event: event,
		Succeeded: event == JobFinished, Time: start.Add(time.Duration(at) * time.Second),
	}
}

// good is a run that lost its node in mid-run and succeeded on another.
func good() *History {
	return &History{
		Changes: []Change{
			change(7, "election/scheduler/l1", "n1"),
			one(10, "Assigned", `"attempt":1,"term":7`),
			one(11, "Running", `"attempt":1,"term":7`),
			one(12, "Running", `"attempt":1,"term":7,"fence":11`),
			one(20, "Assigned", `"attempt":2,"term":7,"fence":11,"lostSessions":1`),
			one(21, "Running", `"attempt":2,"term":7,"fence":11,"lostSessions":1`),
			one(24, "Succeeded", `"attempt":2,"term":7,"fence":21,"lostSessions":1,"endTime":"2026-11-20T14:15:23Z"`),
			deletion(40, "runs/a/t/r1"),
		},
		Effects: []Effect{
			effect(1, 11, EffectStart, 12), effect(1, 11, EffectBeat, 14),
			effect(2, 21, EffectStart, 22), effect(2, 21, EffectEnd, 23),
		},
	}
}

// goodJob is a run whose Job was adopted.
func goodJob() *History {
	h := good()
	h.Effects = nil
	h.Changes = []Change{
		change(5, "tasks/a/t", "{}"),
		one(10, "Assigned", `"attempt":1,"runner":"kubernetes"`),
		one(11, "Running", `"attempt":1,"runner":"kubernetes","job":{"namespace":"a","name":"t"}`),
		one(20, "Pending", `"attempt":1,"runner":"kubernetes","job":{"namespace":"a","name":"t"},"lostSessions":1`),
		one(21, "Assigned", `"attempt":1,"runner":"kubernetes","job":{"namespace":"a","name":"t"},"lostSessions":1`),
		one(22, "Running", `"attempt":1,"runner":"kubernetes","job":{"namespace":"a","name":"t"},"lostSessions":1`),
		one(24, "Succeeded", `"attempt":1,"fence":22,"runner":"kubernetes","job":{"namespace":"a","name":"t","uid":"u1"},"lostSessions":1`),
	}
	h.Jobs = []JobEvent{jobEvent("u1", JobCreated, 1, 12), jobEvent("u1", JobFinished, 1, 23), jobEvent("u1", JobDeleted, 1, 30)}
	return h
}

func indexed(t *testing.T, h *History) *Index {
	t.Helper()
	x, err := NewIndex(h)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestGoodHistories(t *testing.T) {
	strict := Bounds{Late: time.Second, Heal: 30 * time.Second, OnTime: time.Second, Settled: true}
	for name, h := range map[string]*History{"empty": {}, "effects": good(), "Jobs": goodJob(), "tasks": goodTasks(), "announced": goodAnnounced()} {
		for _, v := range indexed(t, h).Check(strict) {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// broken is a history that is good but for one thing.
type brokenHistory struct {
	invariant, what string
	from            *History
	bounds          Bounds
	change          func(h *History)
}

func brokenRuns() []brokenHistory {
	return []brokenHistory{
		{Readable, "garbage", good(), Bounds{}, func(h *History) { h.Changes[3].Value = []byte("{") }},
		{Readable, "a record of another run", good(), Bounds{}, func(h *History) {
			for i := range h.Changes[1:] {
				h.Changes[i+1].Key = "runs/a/t/r2"
			}
			for i := range h.Effects {
				h.Effects[i].Run = "r2"
			}
		}},
		{Readable, "a version that is garbage", good(), Bounds{}, func(h *History) { h.Changes = append(h.Changes, change(50, "accepted/a/t", "{")) }},
		{TerminalFinal, "a late success", good(), Bounds{}, func(h *History) {
			h.Changes[6] = one(24, "Failed", `"attempt":2,"fence":21,"lostSessions":1,"term":7,"reason":"NodeLost"`)
			h.Changes[7] = one(25, "Succeeded", `"attempt":2,"fence":21,"lostSessions":1,"term":7`)
		}},
		{PhaseOrder, "success without a claim", good(), Bounds{}, func(h *History) {
			h.Changes[5] = one(21, "Assigned", `"attempt":2,"term":7,"fence":11,"lostSessions":1`)
			h.Effects = nil
		}},
		{PhaseOrder, "another attempt takes over what runs", good(), Bounds{}, func(h *History) {
			h.Changes[3] = one(12, "Running", `"attempt":2,"term":7,"fence":11`)
		}},
		{PhaseOrder, "deleted while it runs", good(), Bounds{}, func(h *History) {
			h.Changes[7].Revision = 22
			h.Changes = slices.Delete(h.Changes, 6, 7)
			h.Effects = h.Effects[:3]
		}},
		{Growth, "the attempt goes back", good(), Bounds{}, func(h *History) {
			h.Changes[4] = one(20, "Assigned", `"attempt":3,"term":7,"fence":11,"lostSessions":1`)
		}},
		{Growth, "the fence goes back", good(), Bounds{}, func(h *History) {
			h.Changes[3] = one(12, "Running", `"attempt":1,"term":7,"fence":12`)
		}},
		{TermInForce, "a write of a term that never was", good(), Bounds{}, func(h *History) {
			h.Changes[3] = one(12, "Running", `"attempt":1,"term":8,"fence":11`)
		}},
		{TermInForce, "a session given up by a term that is over", good(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, change(8, "election/scheduler/l2", "n2"), deletion(15, "election/scheduler/l1"))
		}},
		{SingleDispatch, "an attempt starts twice", good(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, effect(2, 21, EffectStart, 22))
		}},
		{SingleDispatch, "an attempt has two Jobs", goodJob(), Bounds{}, func(h *History) {
			h.Jobs = append(h.Jobs, jobEvent("u2", JobCreated, 1, 22))
		}},
		{OneAtATime, "the first attempt goes on beside the second", good(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, Effect{
				Task: "a/t", Run: "r1", Attempt: 1, Fence: 11, Event: EffectBeat, Time: start.Add(22*time.Second + time.Millisecond).UnixNano(),
			})
		}},
		{OneAtATime, "the Job of one attempt goes on beside that of the next", goodJob(), Bounds{}, func(h *History) {
			h.Jobs = append(h.Jobs, jobEvent("u2", JobCreated, 2, 21))
		}},
		{FenceOrder, "no claim has its fence", good(), Bounds{}, func(h *History) {
			h.Effects[0].Fence, h.Effects[1].Fence = 13, 13
		}},
		{FenceOrder, "the second attempt has the lower fence", good(), Bounds{}, func(h *History) {
			h.Effects[0].Fence, h.Effects[1].Fence = 22, 22
		}},
		{NoStray, "an effect before there is a record", good(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, effect(1, 9, EffectStart, 9))
		}},
		{NoStray, "an effect after the record has gone", good(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, effect(3, 41, EffectStart, 42))
		}},
		{NoStray, "a Job of another life of the task", goodJob(), Bounds{}, func(h *History) {
			e := jobEvent("u2", JobCreated, 1, 40)
			e.TaskUID = 39
			h.Jobs = append(h.Jobs, e)
		}},
		{Agreement, "success without an end", good(), Bounds{}, func(h *History) { h.Effects = h.Effects[:3] }},
		{Agreement, "an attempt that no record knows", good(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, effect(3, 22, EffectBeat, 23))
		}},
		{Agreement, "an effect after the end", good(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, effect(2, 21, EffectBeat, 24))
		}},
		{Agreement, "a skipped run that ran", good(), Bounds{}, func(h *History) {
			h.Changes = []Change{one(10, "Skipped", `"attempt":1`)}
			h.Effects = h.Effects[1:2]
		}},
		{Agreement, "a failure that ended well", good(), Bounds{}, func(h *History) {
			h.Changes[6] = one(24, "Failed", `"attempt":2,"term":7,"fence":21,"lostSessions":1,"reason":"ExitCode"`)
		}},
		{Agreement, "a failure whose Job succeeded", goodJob(), Bounds{}, func(h *History) {
			h.Changes[len(h.Changes)-1] = one(24, "Failed", `"attempt":1,"fence":22,"runner":"kubernetes","lostSessions":1,"reason":"ExitCode"`)
		}},
		{Agreement, "a Job that failed", goodJob(), Bounds{}, func(h *History) { h.Jobs[1].Succeeded = false }},
		{Agreement, "another Job than the one on record", goodJob(), Bounds{}, func(h *History) {
			for i := range h.Jobs {
				h.Jobs[i].UID = "u2"
			}
		}},
	}
}

// Handlers and requests stand still and wake up with their node.
func TestStoppedNodesExcuseHandlers(t *testing.T) {
	for _, runner := range []string{"process", "handler", "http"} {
		h := good()
		for i := range h.Changes {
			h.Changes[i].Value = bytes.Replace(h.Changes[i].Value, []byte(`"runner":"process"`), []byte(`"runner":"`+runner+`","node":"n1"`), 1)
		}
		h.Faults = []Fault{{Kind: FaultStop, Target: "n1", From: start.Add(13 * time.Second), To: start.Add(23 * time.Second)}}
		h.Effects = append(h.Effects, effect(1, 11, EffectCut, 23))
		if got, want := len(indexed(t, h).Check(Bounds{})) > 0, runner == "process"; got != want {
			t.Errorf("%s: broken %v, want %v", runner, got, want)
		}
		h.Effects[len(h.Effects)-1] = effect(1, 11, EffectCut, 30)
		if len(indexed(t, h).Check(Bounds{})) == 0 {
			t.Errorf("%s: seven seconds after it woke up nothing is excused", runner)
		}
	}
}

// Every invariant is broken by a history of which it is the only one that says so.
func TestBrokenHistories(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range slices.Concat(brokenRuns(), brokenTasks()) {
		b.change(b.from)
		violations := indexed(t, b.from).Check(b.bounds)
		if len(violations) == 0 {
			t.Errorf("%s, %s: not found", b.invariant, b.what)
		}
		for _, v := range violations {
			if v.Invariant != b.invariant {
				t.Errorf("%s, %s: found %s", b.invariant, b.what, v)
			}
		}
		seen[b.invariant] = true
	}
	for _, invariant := range invariants {
		if !seen[invariant.name] {
			t.Errorf("nothing here breaks %s", invariant.name)
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	h := goodJob()
	h.Effects = good().Effects
	h.Operations = []Operation{{Key: "tasks/a/t", Value: []byte("{}"), Sent: start, Answered: start.Add(time.Second), Revision: 5}}
	h.Faults = []Fault{{Kind: "kill", Target: "n1", From: start}}
	dir := t.TempDir()
	if err := h.Write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var changes []Change
	if err := again.eachChange(func(c Change) { changes = append(changes, c) }); err != nil {
		t.Fatal(err)
	}
	again.Changes, again.ChangesFile = changes, ""
	if !reflect.DeepEqual(h, again) {
		t.Errorf("wrote %+v, read %+v", h, again)
	}
}
