package checker

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// minute is one after start.
func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// occurrence are the changes, from a revision on, of the run of a/e that is due n minutes after start.
func occurrence(revision int64, n int) []Change {
	id := name(minute(n))
	record := func(at int64, phase, fields string) Change {
		return change(at, "runs/a/e/"+id, fmt.Sprintf(`{"id":%q,"task":"a/e","taskUID":5,"taskRevision":5,"phase":%q,"runner":"process",
			"nominalTime":%q,"term":2,"attempt":1,"node":"n1","session":"s1"%s}`, id, phase, text(minute(n)), fields))
	}
	queue := "queue/n1/a/e/" + id
	return []Change{
		record(revision, "Assigned", ""), change(revision, queue, "{}"),
		change(revision, "status/a/e", fmt.Sprintf(`{"uid":5,"observedRevision":5,"cursor":%q,"counts":{"succeeded":%d}}`, text(minute(n)), n-1)),
		record(revision+1, "Running", ""),
		record(revision+2, "Succeeded", fmt.Sprintf(`,"fence":%d,"endTime":%q`, revision+1, text(minute(n).Add(3*time.Second)))),
		deletion(revision+2, queue),
		change(revision+3, "status/a/e", fmt.Sprintf(`{"uid":5,"observedRevision":5,"cursor":%q,"counts":{"succeeded":%d}}`, text(minute(n)), n)),
	}
}

func occurred(fence int64, n int) []Effect {
	at := func(event string, seconds int) Effect {
		return Effect{
			Task: "a/e", Run: name(minute(n)), Attempt: 1, Fence: fence, Event: event,
			Time: minute(n).Add(time.Duration(seconds) * time.Second).UnixNano(),
		}
	}
	return []Effect{at(EffectStart, 0), at(EffectEnd, 2)}
}

// announced is the record of the run of a/e that is due n minutes after start, given to its node ahead of its time.
func announced(revision int64, n int, phase, fields string) Change {
	id := name(minute(n))
	return change(revision, "runs/a/e/"+id, fmt.Sprintf(`{"id":%q,"task":"a/e","taskUID":5,"taskRevision":5,"phase":%q,"runner":"process",
		"nominalTime":%q,"term":2,"attempt":1,"node":"n1","session":"s1"%s}`, id, phase, text(minute(n)), fields))
}

// goodAnnounced is goodTasks with the fourth run announced twice: it was withdrawn, and is to come.
func goodAnnounced() *History {
	h := goodTasks()
	id := "a/e/" + name(minute(4))
	h.Changes = append(h.Changes,
		announced(61, 4, "Assigned", `,"announced":true`), change(61, "queue/n1/"+id, "{}"), deletion(62, "runs/"+id), deletion(62, "queue/n1/"+id),
		announced(63, 4, "Assigned", `,"announced":true`), change(63, "queue/n1/"+id, "{}"))
	for i := range h.Changes {
		h.Changes[i].Seen = start.Add(time.Duration(h.Changes[i].Revision) * 4 * time.Second)
	}
	return h
}

// goodTasks is a task that is due every minute, met three times after a fault, and its first record has been folded into
// the ledger.
func goodTasks() *History {
	h := &History{
		Operations: []Operation{
			{Key: "tasks/a/e", Sent: start, Answered: start, Revision: 5},
			{Key: "requests/a/e/x", Sent: start, Answered: start, Revision: 30},
		},
		Changes: slices.Concat([]Change{
			change(2, "election/scheduler/l1", "n1"),
			change(3, "nodes/n1", `{"name":"n1","session":"s1"}`),
			change(5, "tasks/a/e", `{"every":"1m"}`),
			change(6, "accepted/a/e", fmt.Sprintf(`{"revision":5,"uid":5,"since":%q,"task":{"every":"1m","process":{}}}`, text(start))),
			change(6, "status/a/e", fmt.Sprintf(`{"uid":5,"observedRevision":5,"cursor":%q,"counts":{}}`, text(start))),
		}, occurrence(10, 1), occurrence(20, 2), occurrence(40, 3), []Change{
			change(30, "requests/a/e/x", `{"action":"run"}`), change(31, "verdicts/a/e/x", `{"accepted":true}`), deletion(31, "requests/a/e/x"),
			change(45, "ledger/a/e", fmt.Sprintf(`{"ranges":[{"from":%[1]q,"to":%[1]q,"count":1,"outcome":"Succeeded"}]}`, text(minute(1)))),
			deletion(45, "runs/a/e/"+name(minute(1))),
			change(50, "freeze/a", "{}"), deletion(60, "freeze/a"),
		}),
		Effects: slices.Concat(occurred(11, 1), occurred(21, 2), occurred(41, 3)),
		Faults:  []Fault{{Kind: FaultKill, Target: "n2", From: start, To: start}},
	}
	for i := range h.Changes {
		h.Changes[i].Seen = start.Add(time.Duration(h.Changes[i].Revision) * 4 * time.Second)
	}
	return h
}

// requested adds a run of a request, between the second and the third of goodTasks, that was at work at a moment.
func (h *History) requested(id string, moment time.Time) {
	for at, phase := range map[int64]string{32: "Assigned", 33: "Running", 39: "Succeeded"} {
		h.Changes = append(h.Changes, change(at, "runs/a/e/req-"+id, fmt.Sprintf(`{"id":"req-%s","task":"a/e","taskUID":5,"taskRevision":5,
			"phase":%q,"runner":"process","term":2,"attempt":1,"node":"n1","session":"s1"}`, id, phase)))
	}
	for _, event := range []string{EffectStart, EffectEnd} {
		h.Effects = append(h.Effects, Effect{Task: "a/e", Run: "req-" + id, Attempt: 1, Fence: 33, Event: event, Time: moment.UnixNano()})
	}
}

// again has the second run of goodTasks begin once more, a second after the first time, for a reason.
func (h *History) again(fields string) {
	id := name(minute(2))
	h.Changes = slices.DeleteFunc(h.Changes, func(c Change) bool { return c.Key == "runs/a/e/"+id && c.Revision > 21 })
	record := func(at int64, phase, fields string) {
		c := announced(at, 2, phase, fields)
		c.Seen = start.Add(time.Duration(at) * 4 * time.Second)
		c.Value = bytes.Replace(c.Value, []byte(`"attempt":1`), []byte(`"attempt":2`), 1)
		h.Changes = append(h.Changes, c)
	}
	record(22, "Pending", fields)
	record(23, "Assigned", fields)
	record(24, "Running", fields)
	record(25, "Succeeded", fields+`,"fence":24`)
	for i := range h.Effects {
		if e := &h.Effects[i]; e.Run == id && e.Event == EffectEnd {
			e.Attempt, e.Fence = 2, 24
		}
	}
	h.Effects = append(h.Effects, Effect{Task: "a/e", Run: id, Attempt: 2, Fence: 24, Event: EffectStart, Time: minute(2).Add(time.Second).UnixNano()})
}

// edit replaces a piece of the values of keys.
func (h *History) edit(key, old, replacement string) {
	for i := range h.Changes {
		if strings.HasPrefix(h.Changes[i].Key, key) {
			h.Changes[i].Value = bytes.ReplaceAll(h.Changes[i].Value, []byte(old), []byte(replacement))
		}
	}
}

// without drops all changes of keys, and effects of the run of a time.
func (h *History) without(prefix string, run int) {
	h.Changes = slices.DeleteFunc(h.Changes, func(c Change) bool { return strings.HasPrefix(c.Key, prefix) })
	h.Effects = slices.DeleteFunc(h.Effects, func(e Effect) bool { return e.Run == name(minute(run)) })
}

func (h *History) shift(run int, by time.Duration) {
	for i := range h.Effects {
		if h.Effects[i].Run == name(minute(run)) {
			h.Effects[i].Time += by.Nanoseconds()
		}
	}
}

func brokenTasks() []brokenHistory {
	settled := Bounds{Settled: true}
	second := "runs/a/e/" + name(minute(2))
	return []brokenHistory{
		{CursorMoves, "the cursor goes back", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, change(70, "status/a/e", fmt.Sprintf(`{"uid":5,"cursor":%q}`, text(minute(2)))))
			h.Changes = append(h.Changes, change(71, "status/a/e", fmt.Sprintf(`{"uid":5,"cursor":%q}`, text(minute(3)))))
		}},
		{CursorMoves, "a time is accounted for too late", goodTasks(), Bounds{}, func(h *History) {
			for i := range h.Changes {
				if c := &h.Changes[i]; c.Key == "status/a/e" && c.Revision == 20 {
					c.Revision = 19
				}
			}
		}},
		{Completeness, "a time is gone", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, deletion(70, second))
		}},
		{Completeness, "a time has a record and a range", goodTasks(), Bounds{}, func(h *History) {
			h.edit("ledger/", `"to":"2026-11-20T14:16:00Z"`, `"to":"2026-11-20T14:17:00Z"`)
		}},
		{NoInvention, "a run of no time", goodTasks(), Bounds{}, func(h *History) {
			c := change(70, "runs/a/e/20261120T141730Z", `{"id":"20261120T141730Z","task":"a/e","taskUID":5,"taskRevision":5,"phase":"Skipped",
				"nominalTime":"2026-11-20T14:17:30Z","term":2,"attempt":1}`)
			h.Changes = append(h.Changes, c)
		}},
		{NoInvention, "a run with the name of another time", goodTasks(), Bounds{}, func(h *History) {
			at := text(minute(3))
			c := change(39, "runs/a/e/x", `{"id":"x","task":"a/e","taskUID":5,"taskRevision":5,"phase":"Skipped","nominalTime":"`+at+`","term":2,"attempt":1}`)
			h.without("runs/a/e/"+name(minute(3)), 3)
			h.Changes = append(h.Changes, c)
		}},
		{NoInvention, "a run of a task that is suspended", goodTasks(), Bounds{}, func(h *History) {
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","suspend":true`)
		}},
		{Uniqueness, "a record is made again", goodTasks(), Bounds{}, func(h *History) {
			again := occurrence(46, 1)[:1]
			h.edit("ledger/", `"ranges"`, `"none"`)
			again[0].Value = bytes.Replace(again[0].Value, []byte("Assigned"), []byte("Skipped"), 1)
			h.Changes = append(h.Changes, again...)
		}},
		{NeverEarly, "a start before its time", goodTasks(), Bounds{}, func(h *History) { h.shift(2, -time.Millisecond) }},
		{NeverEarly, "a start before the wait of a retry is over", goodTasks(), Bounds{}, func(h *History) {
			h.edit(second, `"attempt":1`, `"attempt":1,"notBefore":"2026-11-20T14:17:01Z"`)
		}},
		{NotLate, "a late start", goodTasks(), Bounds{Late: 500 * time.Millisecond}, func(h *History) { h.shift(2, 600*time.Millisecond) }},
		{Recovery, "late long after the fault", goodTasks(), Bounds{Heal: 30 * time.Second, OnTime: time.Second}, func(h *History) {
			h.shift(2, time.Hour)
			h.edit(second, "2026-11-20T14:17:03Z", "2026-11-20T16:17:03Z")
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","overlap":"allow"`)
		}},
		{Recovery, "late long after the fault, and suspended in the end", goodTasks(), Bounds{Heal: 30 * time.Second, OnTime: time.Second}, func(h *History) {
			h.shift(2, time.Hour)
			h.edit(second, "2026-11-20T14:17:03Z", "2026-11-20T16:17:03Z")
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","overlap":"allow"`)
			h.Changes = append(h.Changes, change(59, "accepted/a/e", fmt.Sprintf(
				`{"revision":58,"uid":5,"since":%q,"task":{"every":"1m","overlap":"allow","suspend":true,"process":{}}}`, text(minute(3).Add(time.Second)))))
		}},
		{StartOrder, "the later time starts first", goodTasks(), Bounds{}, func(h *History) {
			h.shift(2, 90*time.Second)
			h.edit(second, "2026-11-20T14:17:03Z", "2026-11-20T14:18:50Z")
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","overlap":"queue-all"`)
		}},
		{FreezeHonoured, "a claim while frozen", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, change(19, "freeze/_cluster", "{}"), deletion(29, "freeze/_cluster"))
		}},
		{EditHonoured, "a run of the version before", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes,
				change(35, "accepted/a/e", fmt.Sprintf(`{"revision":33,"uid":5,"since":%q,"task":{"every":"1m"}}`, text(minute(2)))))
		}},
		{DeleteHonoured, "a run after the deletion", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, deletion(39, "tasks/a/e"))
		}},
		{EditHonoured, "a claim of what a version before announced", goodAnnounced(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes,
				change(64, "accepted/a/e", fmt.Sprintf(`{"revision":64,"uid":5,"since":%q,"task":{"every":"1m"}}`, text(minute(3)))),
				announced(65, 4, "Running", ""))
		}},
		{DeleteHonoured, "a claim of what was announced before the deletion", goodAnnounced(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, deletion(64, "tasks/a/e"), announced(65, 4, "Running", ""))
		}},
		{NoStray, "an effect of a run that was withdrawn", goodAnnounced(), Bounds{}, func(h *History) {
			h.Effects = append(h.Effects, Effect{
				Task: "a/e", Run: name(minute(4)), Attempt: 1, Fence: 62, Event: EffectStart, Time: minute(4).UnixNano(),
			})
		}},
		{Acknowledged, "a put that nobody observed", goodTasks(), settled, func(h *History) {
			h.Operations = append(h.Operations, Operation{Key: "tasks/a/e", Answered: start, Revision: 6})
		}},
		{Acknowledged, "a request without a verdict", goodTasks(), settled, func(h *History) {
			h.Operations = append(h.Operations, Operation{Key: "requests/a/e/y", Answered: start, Revision: 6})
		}},
		{NoOverlap, "two effects at once", goodTasks(), Bounds{}, func(h *History) {
			h.shift(2, 59*time.Second)
			h.edit(second, "2026-11-20T14:17:03Z", "2026-11-20T14:18:02Z")
		}},
		{SkipOverlap, "two live records", goodTasks(), Bounds{}, func(h *History) {
			for i := range h.Changes {
				if c := &h.Changes[i]; c.Key == second && c.Revision == 22 {
					c.Revision = 43
				}
			}
		}},
		{NoOverlap, "a requested run beside it", goodTasks(), Bounds{}, func(h *History) {
			h.requested("x", minute(2).Add(time.Second))
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","overlap":"queue-all"`)
		}},
		{SkipOverlap, "a requested record beside it", goodTasks(), Bounds{}, func(h *History) {
			h.requested("x", minute(2).Add(30*time.Second))
			for i := range h.Changes {
				if c := &h.Changes[i]; c.Key == second && c.Revision == 22 {
					c.Revision = 34
				}
			}
		}},
		{Outcome, "missed though all is to be caught up with", goodTasks(), Bounds{}, func(h *History) {
			h.edit("ledger/", "Succeeded", "Missed")
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","catchUp":{"mode":"all"}`)
		}},
		{Outcome, "skipped though they may overlap", goodTasks(), Bounds{}, func(h *History) {
			h.edit("ledger/", "Succeeded", "Skipped")
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","overlap":"allow"`)
			h.without("freeze/", 0)
		}},
		{Outcome, "failed though nothing fails", goodTasks(), Bounds{}, func(h *History) {
			h.edit(second, `"phase":"Succeeded"`, `"phase":"Failed","reason":"GuardLost"`)
			h.Effects = slices.DeleteFunc(h.Effects, func(e Effect) bool { return e.Run == name(minute(2)) && e.Event == EffectEnd })
		}},
		{Outcome, "canceled though nobody asked for it", goodTasks(), Bounds{}, func(h *History) {
			h.edit(second, `"phase":"Succeeded"`, `"phase":"Canceled","reason":"CancelRequested"`)
		}},
		{AtMostOnce, "handed back in mid-run", goodTasks(), Bounds{}, func(h *History) {
			h.again(`,"reason":"HandedBack"`)
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","delivery":"at-most-once"`)
		}},
		{RetryBound, "sooner than it may", goodTasks(), Bounds{}, func(h *History) {
			h.again(`,"reason":"Retry","failures":1`)
			h.edit("accepted/", `"every":"1m"`, `"every":"1m","retry":{"attempts":2,"backoff":"5s"}`)
		}},
		{LiveAssignee, "lost with a session that is there", goodTasks(), Bounds{}, func(h *History) {
			h.again(`,"lostSessions":1`)
		}},
		{NoInvention, "a run that nobody requested", goodTasks(), Bounds{}, func(h *History) {
			h.requested("y", minute(2).Add(30*time.Second))
		}},
		{Completeness, "a range that counts too many", goodTasks(), Bounds{}, func(h *History) { h.edit("ledger/", `"count":1`, `"count":2`) }},
		{Recovery, "missed long after the fault", goodTasks(), Bounds{Heal: 30 * time.Second, OnTime: time.Second}, func(h *History) {
			h.edit("ledger/", "Succeeded", "Missed")
			h.without("runs/a/e/"+name(minute(1)), 1)
			for i := range h.Changes {
				if c := &h.Changes[i]; c.Key == "ledger/a/e" {
					c.Revision = 9
				}
			}
		}},
		{DeleteHonoured, "a task put anew beside a live run", goodAnnounced(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, deletion(64, "tasks/a/e"), change(65, "tasks/a/e", "{}"),
				change(66, "accepted/a/e", fmt.Sprintf(`{"revision":65,"uid":65,"since":%q,"task":{"every":"1m"}}`, text(minute(3)))))
		}},
		{Acknowledged, "a run that was never made", goodTasks(), settled, func(h *History) {
			h.edit("verdicts/", `"accepted":true`, `"accepted":true,"run":"req-x"`)
		}},
		{NoLeftovers, "a ledger without its task", goodTasks(), settled, func(h *History) { h.Changes = append(h.Changes, change(70, "ledger/a/x", "{}")) }},
		{NoLeftovers, "a record without its task", goodTasks(), settled, func(h *History) {
			h.Changes = append(h.Changes, change(70, "runs/a/x/r", `{"id":"r","task":"a/x","phase":"Skipped","term":2}`))
		}},
		{RetryBound, "one more than it may", goodTasks(), Bounds{}, func(h *History) {
			h.edit(second, `"attempt":1`, `"attempt":1,"failures":1`)
		}},
		{TermInForce, "a term that is over", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, change(8, "election/scheduler/l2", "n2"), deletion(15, "election/scheduler/l1"))
		}},
		{LiveAssignee, "given to a session that has gone", goodTasks(), Bounds{}, func(h *History) {
			h.Changes = append(h.Changes, deletion(39, "nodes/n1"))
		}},
		{CountsAddUp, "one too few", goodTasks(), settled, func(h *History) { h.edit("status/", `"succeeded":3`, `"succeeded":2`) }},
		{NoLeftovers, "a lock", goodTasks(), settled, func(h *History) { h.Changes = append(h.Changes, change(70, "locks/a/e/s1", "")) }},
		{NoLeftovers, "a queue key", goodTasks(), settled, func(h *History) {
			h.Changes = append(h.Changes, change(70, "queue/n1/a/e/"+name(minute(2)), ""))
		}},
	}
}

// A scheduler whose clock is ahead makes runs early, by no more than that.
func TestEarlyByTheSchedulersClock(t *testing.T) {
	for ahead, broken := range map[time.Duration]bool{0: true, 4 * time.Second: true, 5 * time.Second: false, -time.Hour: true} {
		h := goodTasks()
		h.shift(2, -5*time.Second)
		h.Faults = append(h.Faults, Fault{Kind: FaultClock, Target: "n1", Off: ahead, From: start, To: start.Add(time.Hour)})
		violations := indexed(t, h).Check(Bounds{})
		if len(violations) > 0 != broken || broken && violations[0].Invariant != NeverEarly {
			t.Errorf("ahead by %s: %v", ahead, violations)
		}
	}
}

// What a scheduler makes while its clock is off is due by that clock, and what a node writes then is of its own time.
func TestWrongClocksExcuse(t *testing.T) {
	h := goodTasks()
	h.shift(2, 600*time.Millisecond)
	h.edit("runs/a/e/"+name(minute(2)), "2026-11-20T14:17:03Z", "2026-11-20T13:17:03Z")
	bounds := Bounds{Late: 500 * time.Millisecond}
	if got := len(indexed(t, h).Check(bounds)); got == 0 {
		t.Error("a late run, and one that ended before it began, and nothing is said of it")
	}
	made := h.Changes[0].Seen
	for _, c := range h.Changes {
		if c.Key == "runs/a/e/"+name(minute(2)) {
			made = c.Seen
			break
		}
	}
	h.Faults = append(h.Faults, Fault{Kind: FaultClock, Target: "n1", From: made.Add(-time.Second), To: made.Add(time.Minute)})
	for _, v := range indexed(t, h).Check(bounds) {
		t.Error(v)
	}
}
