package scheduler

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// before is so long before a time of the tests' one day.
func before(clock string, d time.Duration) time.Time { return at(clock).Add(-d) }

// announced is a board on which the run of 10:05 has been given to n1 half a second before.
func announced(t *testing.T, task string) *board {
	t.Helper()
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(task)
	b.settle(demo)
	b.now = before("10:05", announceLead)
	b.settle(demo)
	r := b.run(idAt("10:05"))
	if r == nil || r.Phase != nightwatch.PhaseAssigned || !r.Announced || !r.NotBefore.Equal(at("10:05")) || r.Node != "n1" {
		t.Fatalf("half a second before: %+v", r)
	}
	return b
}

// Nobody waits for what is announced long enough before its time, nor for a status that tells of an end; a start is waited for.
func TestWhatMayWait(t *testing.T) {
	for name, row := range map[string]struct {
		task  string
		ahead time.Duration
		lazy  bool
	}{
		"announced half a second before":       {fiveMinutes, announceLead, true},
		"announced a little before":            {fiveMinutes, announceEvery - time.Millisecond, false},
		"given when due, as it may not before": {`{"process":{"command":["true"]},"schedule":"*/5 * * * *","runTimeout":"1m"}`, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(row.task)
			b.settle(demo)
			b.now = before("10:05", row.ahead)
			p := b.decide(demo)
			if !b.commit(p) || p.changes != 1 || p.lazy != row.lazy {
				t.Errorf("%d runs, lazy: %t", p.changes, p.lazy)
			}
			b.moveTo("10:05")
			b.claim(idAt("10:05"))
			b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
			if p := b.decide(demo); !b.commit(p) || !p.lazy || b.status().Counts.Succeeded != 1 {
				t.Errorf("its end: lazy: %t, %+v", p.lazy, b.status())
			}
		})
	}
}

// What is announced changes nothing but its record and the queue; the status is written once, when the run has ended.
func TestAnnounced(t *testing.T) {
	b := announced(t, fiveMinutes)
	s := b.status()
	if s.Phase != nightwatch.PhaseScheduled || s.ActiveCount != 0 || s.LastRun != nil || !s.Next[0].Equal(at("10:05")) || s.Cursor.After(b.now) {
		t.Errorf("before its time: %+v", s)
	}
	if queue := b.below(store.Queue); !slices.Equal(queue, []string{"n1/" + demo + "/" + idAt("10:05")}) {
		t.Errorf("queue: %q", queue)
	}
	written := b.entries[b.keys.Status(demo)].ModRevision
	b.moveTo("10:05")
	b.claim(idAt("10:05"))
	b.settle(demo)
	b.now = b.now.Add(mirrorEvery / 2)
	b.settle(demo)
	if now := b.entries[b.keys.Status(demo)].ModRevision; now != written {
		t.Errorf("the status was written at revision %d, for a run that has just begun", now)
	}
	b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
	p := b.decide(demo)
	b.commit(p)
	s = b.status()
	if !s.Cursor.Equal(at("10:05")) || s.Counts.Succeeded != 1 || s.StartedRuns != 1 || !s.Next[0].Equal(at("10:10")) {
		t.Errorf("after its end: %+v", s)
	}
	if !p.wake.Equal(before("10:10", announceLead)) {
		t.Errorf("the next look is at %s", p.wake)
	}
	b.settle(demo)
	b.wantRuns(idAt("10:05") + " Succeeded")
}

// A run that goes on is shown as Running soon after its beginning.
func TestAnnouncedRunShows(t *testing.T) {
	b := announced(t, fiveMinutes)
	b.moveTo("10:05")
	b.claim(idAt("10:05"))
	b.settle(demo)
	b.now = b.now.Add(mirrorEvery)
	b.settle(demo)
	if s := b.status(); s.Phase != nightwatch.PhaseRunning || !slices.Equal(s.Active, []string{idAt("10:05")}) || !s.Cursor.Equal(at("10:05")) {
		t.Errorf("%+v", s)
	}
}

// Whatever comes in its way withdraws it, and at its time there is what there would be without it.
func TestAnnouncedIsWithdrawn(t *testing.T) {
	freezes := func(b *board) string { return b.keys.Of(store.Freezes) + demo }
	for name, row := range map[string]struct {
		comes func(b *board)
		runs  []string // at 10:05
		not   bool     // it is not announced once more
	}{
		"an edit":                 {comes: func(b *board) { b.put(fiveMinutes + " ") }, runs: []string{idAt("10:05") + " Assigned"}},
		"an edit to other times":  {comes: func(b *board) { b.put(`{"process":{"command":["true"]},"schedule":"7 * * * *"}`) }},
		"an edit that is refused": {comes: func(b *board) { b.put(`{"process":{}}`) }, runs: []string{idAt("10:05") + " Assigned"}, not: true},
		"suspend": {
			comes: func(b *board) {
				b.put(`{"process":{"command":["true"]},"schedule":"*/5 * * * *","suspend":true}`)
			},
		},
		"a freeze": {
			comes: func(b *board) { b.set(freezes(b), "") },
			not:   true,
		},
		"a request": {
			comes: func(b *board) { b.set(b.keys.Request(demo, "now"), `{"action":"run"}`) },
			runs:  []string{idAt("10:05") + " Skipped Overlap", "req-now Assigned"},
			not:   true,
		},
		"a node that is gone": {comes: func(b *board) {
			b.node("n2")
			b.del(b.keys.Node("n1"))
		}, runs: []string{idAt("10:05") + " Assigned"}},
		"a cordon that drains": {comes: func(b *board) {
			b.node("n2")
			b.set(b.keys.Cordon("n1"), `{"drain":true}`)
		}, runs: []string{idAt("10:05") + " Assigned"}},
		"its node, which stops": {comes: func(b *board) {
			r := b.run(idAt("10:05"))
			queue := b.keys.Queue(r.Node, demo, r.ID)
			r.Phase, r.Reason, r.Node, r.Session = nightwatch.PhasePending, nightwatch.ReasonHandedBack, "", ""
			b.set(b.keys.Run(demo, r.ID), r, queue, nil)
		}, runs: []string{idAt("10:05") + " Assigned"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := announced(t, fiveMinutes)
			create := b.entries[b.keys.Run(demo, idAt("10:05"))].CreateRevision
			row.comes(b)
			p := b.decide(demo)
			if !b.commit(p) {
				t.Fatal("refused")
			}
			if b.run(idAt("10:05")) != nil || len(b.below(store.Queue)) > 0 || p.changes > 0 {
				t.Errorf("the next transaction does not withdraw it, or not alone: %q", b.runs())
			}
			b.now = b.now.Add(300 * time.Millisecond)
			b.settle(demo)
			if row.not && b.run(idAt("10:05")) != nil {
				t.Error("it is announced again")
			}
			b.goTo("10:05")
			b.wantRuns(row.runs...)
			if r := b.entries[b.keys.Run(demo, idAt("10:05"))]; r.CreateRevision == create {
				t.Error("the record is still there")
			}
			if name == "a freeze" {
				b.del(freezes(b))
				b.goTo("10:05:01")
				if spans := b.spans(); len(spans) != 1 {
					t.Errorf("ranges: %q", spans)
				}
			}
		})
	}
}

// Of what was announced when its scheduler and its node died catch-up decides, as of what was not.
func TestAnnouncedBeforeAnOutage(t *testing.T) {
	for _, row := range []struct {
		name, catchUp, back string
		runs, spans         []string
	}{
		{"none", "none", "15:02", nil, []string{"10:05:00-15:00:00 60 Missed CatchUp"}},
		{"the latest", "latest", "15:02", []string{idAt("15:00") + " Assigned"}, []string{"10:05:00-14:55:00 59 Missed CatchUp"}},
		{"the latest is this one", "latest", "10:07", []string{idAt("10:05") + " Assigned"}, nil},
		{"on time all the same", "none", "10:05:00.900", []string{idAt("10:05") + " Assigned"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := announced(t, with(`"catchUp":{"mode":"`+row.catchUp+`"}`))
			b.node("n2")
			b.del(b.keys.Node("n1"))
			b.goTo(row.back)
			b.wantRuns(row.runs...)
			b.wantSpans(row.spans...)
			if s := b.status(); s.StartedRuns != int64(len(row.runs)) {
				t.Errorf("%d runs started", s.StartedRuns)
			}
		})
	}
}

// What an announcement was decided on is as it was, or it is not made.
func TestAnnouncementIsGuarded(t *testing.T) {
	for name, changes := range map[string]func(b *board){
		"the task":   func(b *board) { b.put(fiveMinutes + " ") },
		"the status": func(b *board) { b.set(b.keys.Status(demo), b.status()) },
		"a freeze":   func(b *board) { b.set(b.keys.Of(store.Freezes)+"default", "") },
		"the node":   func(b *board) { b.del(b.keys.Node("n1")) },
		"a cordon":   func(b *board) { b.set(b.keys.Cordon("n1"), "{}") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(fiveMinutes)
			b.settle(demo)
			b.now = before("10:05", announceLead)
			p := b.decide(demo)
			changes(b)
			if p.early == nil || b.commit(p) {
				t.Errorf("announced on old news: %q", b.runs())
			}
		})
	}
}

// A run that was claimed, and given back by a node that stopped before it began, is not withdrawn either.
func TestAnnouncedClaimedAndGivenBack(t *testing.T) {
	b := announced(t, fiveMinutes)
	b.now = before("10:05", 2*time.Millisecond)
	b.claim(idAt("10:05"))
	r := b.run(idAt("10:05"))
	queue := b.keys.Queue(r.Node, demo, r.ID)
	r.Phase, r.Reason, r.Node, r.Session = nightwatch.PhasePending, nightwatch.ReasonHandedBack, "", ""
	b.set(b.keys.Run(demo, r.ID), r, queue, nil)
	b.put(fiveMinutes + " ")
	b.settle(demo)
	b.wantRuns(idAt("10:05") + " Assigned")
	if b.run(idAt("10:05")).StartTime.IsZero() {
		t.Error("another record took its place")
	}
}

// Nothing withdraws a run that its node has claimed: the version under which it began has met that time.
func TestAnnouncedAndClaimed(t *testing.T) {
	b := announced(t, fiveMinutes)
	b.now = before("10:05", 2*time.Millisecond) // its node's clock is ahead by so much
	b.claim(idAt("10:05"))
	b.put(`{"process":{"command":["true"]},"schedule":"5 * * * *"}`)
	b.settle(demo)
	b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
	b.goTo("10:06")
	b.wantRuns(idAt("10:05") + " Succeeded")
	if s := b.status(); s.Counts.Succeeded != 1 || !s.Next[0].Equal(at("11:05")) {
		t.Errorf("%+v", s)
	}
}

// One that its node did not claim in time, because the task's key had changed, goes back to it as any run.
func TestAnnouncedIsGivenAgain(t *testing.T) {
	b := announced(t, fiveMinutes)
	b.moveTo("10:05")
	b.settle(demo)
	b.now = b.now.Add(time.Second)
	b.put(fiveMinutes + " ")
	b.settle(demo)
	r := b.run(idAt("10:05"))
	queue := b.keys.Queue(r.Node, demo, r.ID)
	r.Phase, r.Node, r.Session = nightwatch.PhasePending, "", ""
	b.set(b.keys.Run(demo, r.ID), r, queue, nil)
	b.settle(demo)
	if r := b.run(idAt("10:05")); r.Phase != nightwatch.PhaseAssigned || r.Announced || !r.NotBefore.IsZero() {
		t.Errorf("%+v", r)
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns(idAt("10:05") + " Succeeded")
}

// One that was never claimed and is to end, ends as any run.
func TestAnnouncedIsCanceled(t *testing.T) {
	b := announced(t, strings.Replace(fiveMinutes, "{", `{"overlap":"replace",`, 1))
	b.goTo("10:10")
	b.wantRuns(idAt("10:05")+" Canceled Replaced", idAt("10:10")+" Assigned")
	if r := b.run(idAt("10:05")); r.Announced || r.Overlap != nightwatch.OverlapReplace {
		t.Errorf("%+v", r)
	}
}

// What others may want until then, or what more than the task's key decides on, is not announced.
func TestNotAnnounced(t *testing.T) {
	for name, task := range map[string]string{
		"pool":        `"schedule":"*/5 * * * *","pool":"reports"`,
		"shards":      `"schedule":"*/5 * * * *","shards":2`,
		"jitter":      `"schedule":"*/5 * * * *","jitter":"2s"`,
		"runTimeout":  `"schedule":"*/5 * * * *","runTimeout":"1m"`,
		"calendars":   `"schedule":"*/5 * * * *","calendars":{"exclude":["off"]}`,
		"afterFinish": `"afterFinish":"4m30s"`,
		"maxRuns":     `"schedule":"*/2 * * * *","maxRuns":2`,
		"endsAt":      `"schedule":"*/5 * * * *","endsAt":"2026-11-20T10:05:00Z"`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.set(b.keys.Calendar("off"), `{"days":["Sun"]}`, b.keys.Pool("reports"), `{"slots":1}`)
			b.settle(store.CalendarTail("off"))
			b.settle(store.PoolTail("reports"))
			b.put(`{"process":{"command":["true"]},` + task + `}`)
			b.settle(demo)
			for _, clock := range []string{"10:02", "10:04"} {
				b.goTo(clock)
				b.complete(nightwatch.PhaseSucceeded)
			}
			had := b.runs()
			b.now = before("10:05", announceLead/2)
			b.settle(demo)
			b.wantRuns(had...)
		})
	}
	t.Run("a live run", func(t *testing.T) {
		b := announced(t, fiveMinutes)
		b.goTo("10:05")
		b.claim(idAt("10:05"))
		b.now = before("10:10", announceLead/2)
		b.settle(demo)
		b.wantRuns(idAt("10:05") + " Running")
	})
	t.Run("a backfill", func(t *testing.T) {
		b := aMorning(t)
		b.now = before("10:35", announceLead-100*time.Millisecond)
		// Of a time with a record, which goes first.
		b.set(b.keys.Request(demo, "fill"), `{"action":"backfill","from":"2026-11-20T10:30:00Z","to":"2026-11-20T10:31:00Z"}`)
		for p := b.decide(demo); !p.txn.Empty(); p = b.decide(demo) {
			b.commit(p)
			if queue := b.below(store.Queue); len(queue) > 1 {
				t.Errorf("given out: %q", queue)
			}
		}
		b.wantSpans("10:05:00-10:10:00 2 Missed CatchUp")
		b.goTo("10:35")
		if r := b.run(idAt("10:35")); r.Reason != nightwatch.ReasonOverlap {
			t.Errorf("beside that of a backfill: %+v", r)
		}
	})
	t.Run("half of the node is taken", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1 })
		b.put(fiveMinutes)
		b.settle(demo)
		b.now = before("10:05", announceLead/2)
		b.settle(demo)
		b.wantRuns()
		b.goTo("10:05")
		b.wantRuns(idAt("10:05") + " Assigned")
	})
}

// Once announced, a run starts at its time though nobody leads by then.
func TestAnnouncedOutlivesItsScheduler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:04:30"), 5)
		var began time.Time
		r.node("n1", nil, func(n *simNode) {
			work := n.work
			n.work = func(run nightwatch.Run) (time.Duration, nightwatch.Phase) {
				began = r.now()
				return work(run)
			}
		})
		first, second := r.scheduler(), r.scheduler()
		leave := r.lead(first)
		r.task(demo, every10(""))
		r.pass(at("10:09:59.8").Sub(r.now()))
		leave()
		r.pass(time.Second)
		if late := began.Sub(at("10:10")); late < 0 || late > 50*time.Millisecond {
			t.Errorf("it began %s after its time", late)
		}
		r.lead(second)
		r.pass(time.Second)
		if ran := r.runs(demo, nightwatch.PhaseSucceeded); !slices.Equal(ran, []string{nightwatch.ScheduledRunID(at("10:10"))}) {
			t.Errorf("ran %q", ran)
		}
		r.log.auditAll()
	})
}

// TestWithdrawnWithoutAnAnswer: etcd has withdrawn what was announced and nobody has heard of it when its time comes. The cursor does
// not go over a time whose record is gone.
func TestWithdrawnWithoutAnAnswer(t *testing.T) {
	for _, overlap := range []string{
		nightwatch.OverlapSkip, nightwatch.OverlapQueueOne, nightwatch.OverlapQueueAll, nightwatch.OverlapReplace, nightwatch.OverlapAllow,
	} {
		t.Run(overlap, func(t *testing.T) {
			b := announced(t, `{"process":{"command":["true"]},"schedule":"*/5 * * * *","overlap":"`+overlap+`"}`)
			b.set(b.keys.Request(demo, "now"), `{"action":"run"}`)
			withdrawal := b.decide(demo)
			b.moveTo("10:05:01")
			late := b.decide(demo)
			if !b.commit(withdrawal) || b.run(idAt("10:05")) != nil {
				t.Fatal("not withdrawn")
			}
			if b.commit(late) {
				t.Errorf("decided on old news: %+v", b.status())
			}
			b.settle(demo)
			if b.run(idAt("10:05")) == nil || !b.status().Cursor.Equal(at("10:05")) {
				t.Errorf("what was due has no record: %+v", b.status())
			}
		})
	}
}

// TestWithdrawalComesLate: the cursor has gone over what was announced, and nobody has heard of that, when a freeze has it
// withdrawn. Its record is what the time has by then.
func TestWithdrawalComesLate(t *testing.T) {
	b := announced(t, fiveMinutes)
	b.moveTo("10:05:01")
	due := b.decide(demo)
	b.set(b.keys.Freezes(demo)[0], `{}`)
	withdrawal := b.decide(demo)
	if !b.commit(due) || !b.status().Cursor.Equal(at("10:05")) {
		t.Fatal("the cursor does not go over it")
	}
	if b.commit(withdrawal) {
		t.Error("withdrawn on old news")
	}
	b.settle(demo)
	if b.run(idAt("10:05")) == nil {
		t.Errorf("what was due has no record: %+v", b.status())
	}
}
