package scheduler

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestOccurrencesAndTheCursor(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.wantRuns()
	s := b.status()
	if s.Phase != nightwatch.PhaseScheduled || !s.Cursor.Equal(at("10:00:30")) || len(s.Next) != maxNext || !s.Next[0].Equal(at("10:05")) {
		t.Errorf("after the put: %+v", s)
	}
	if p := b.decide(demo); !p.wake.Equal(at("10:05").Add(-announceLead)) {
		t.Errorf("wake %s", p.wake)
	}
	b.goTo("10:04:59.499")
	b.wantRuns()
	b.goTo("10:05")
	b.wantRuns(idAt("10:05") + " Assigned")
	s = b.status()
	if s.Phase != nightwatch.PhaseRunning || !s.Cursor.Equal(at("10:05")) || !s.Next[0].Equal(at("10:10")) {
		t.Errorf("at 10:05: %+v", s)
	}
	r := b.run(idAt("10:05"))
	if !r.NominalTime.Equal(at("10:05")) || r.Attempt != 1 || r.Term != 7 || r.TaskUID != s.UID || r.Node != "n1" {
		t.Errorf("%+v", r)
	}
	b.moveTo("10:04") // the clock steps back
	b.settle(demo)
	if s := b.status(); !s.Cursor.Equal(at("10:05")) {
		t.Errorf("the cursor went back to %s", s.Cursor)
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("10:05")
	b.wantRuns(idAt("10:05") + " Succeeded")
}

func TestClockThatStepsBackBeforeAPut(t *testing.T) {
	b := newBoard(t, "11:00")
	b.node("n1")
	b.put(fiveMinutes) // the watch told of it at 11:00
	b.moveTo("10:00:30")
	b.settle(demo)
	if s := b.status(); s.Cursor.After(b.now) {
		t.Errorf("the cursor is %s, after now", s.Cursor)
	}
	b.goTo("10:05")
	b.wantRuns(idAt("10:05") + " Assigned")
}

func TestCatchUp(t *testing.T) {
	minutes := func(from, to int) (list []time.Time) {
		for m := from; m <= to; m++ {
			list = append(list, at("10:00").Add(time.Duration(m)*time.Minute))
		}
		return list
	}
	policy := func(mode string, window time.Duration, limit int) nightwatch.CatchUp {
		task := nightwatch.Task{CatchUp: nightwatch.CatchUp{Mode: mode, Window: nightwatch.Duration(window), Max: nightwatch.Count(limit)}}
		return task.CatchUpPolicy()
	}
	for _, row := range []struct {
		name   string
		times  []time.Time
		now    string
		policy nightwatch.CatchUp
		want   []time.Time
	}{
		{name: "on time, any mode", times: minutes(5, 5), now: "10:05:01", policy: policy("none", 0, 0), want: minutes(5, 5)},
		{name: "late, none", times: minutes(5, 5), now: "10:05:01.001", policy: policy("none", 0, 0)},
		{name: "late, latest by default", times: minutes(1, 5), now: "10:05:30", policy: policy("", 0, 0), want: minutes(5, 5)},
		{name: "latest, the newest on time", times: minutes(1, 5), now: "10:05", policy: policy("latest", 0, 0), want: minutes(5, 5)},
		{name: "latest, outside the window", times: minutes(1, 5), now: "12:00", policy: policy("latest", 0, 0)},
		{name: "latest, at the window's edge", times: minutes(1, 5), now: "11:05", policy: policy("latest", 0, 0), want: minutes(5, 5)},
		{name: "all", times: minutes(1, 5), now: "10:05:30", policy: policy("all", 0, 0), want: minutes(1, 5)},
		{name: "all, over max", times: minutes(1, 5), now: "10:05:30", policy: policy("all", 0, 2), want: minutes(4, 5)},
		{name: "all, over max, the newest on time", times: minutes(1, 5), now: "10:05", policy: policy("all", 0, 2), want: minutes(3, 5)},
		{name: "all, part of it in the window", times: minutes(1, 5), now: "10:08", policy: policy("all", 4*time.Minute, 0), want: minutes(4, 5)},
		{name: "none, the newest on time", times: minutes(1, 5), now: "10:05", policy: policy("none", 0, 0), want: minutes(5, 5)},
	} {
		if got := catchUp(row.times, func(t time.Time) time.Time { return t }, at(row.now), row.policy); !slices.EqualFunc(got, row.want, time.Time.Equal) {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

// leaderless is a stretch during which nobody looked at the task.
func TestAfterALeaderlessStretch(t *testing.T) {
	for _, row := range []struct {
		name, fields, back string
		runs, spans        []string
	}{
		{
			name: "latest by default", fields: `"priority":0`, back: "10:17",
			runs: []string{idAt("10:15") + " Assigned"}, spans: []string{"10:05:00-10:10:00 2 Missed CatchUp"},
		},
		{
			name: "none", fields: `"catchUp":{"mode":"none"}`, back: "10:17",
			spans: []string{"10:05:00-10:15:00 3 Missed CatchUp"},
		},
		{
			name: "all, skipping what overlaps", fields: `"catchUp":{"mode":"all"}`, back: "10:17",
			runs: []string{idAt("10:05") + " Assigned", idAt("10:10") + " Skipped Overlap", idAt("10:15") + " Skipped Overlap"},
		},
		{
			name: "all, overlapping", fields: `"overlap":"allow","catchUp":{"mode":"all","max":2}`, back: "10:17",
			runs: []string{idAt("10:10") + " Assigned", idAt("10:15") + " Assigned"}, spans: []string{"10:05:00-10:05:00 1 Missed CatchUp"},
		},
		{
			name: "two weeks", fields: `"schedule":"*/5 * * * *"`, back: "23:59",
			runs: []string{idAt("23:55") + " Assigned"}, spans: []string{"10:05:00-23:50:00 166 Missed CatchUp"},
		},
		{
			name: "outside the window", fields: `"catchUp":{"mode":"all","window":"3m"}`, back: "10:19",
			spans: []string{"10:05:00-10:15:00 3 Missed CatchUp"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			if row.name == "two weeks" {
				row.fields = `"priority":0`
			}
			b.put(with(row.fields))
			b.settle(demo)
			b.goTo(row.back)
			b.wantRuns(row.runs...)
			b.wantSpans(row.spans...)
			s := b.status()
			if s.Cursor.After(b.now) || b.now.Sub(s.Cursor) > 5*time.Minute {
				t.Errorf("cursor %s", s.Cursor)
			}
		})
	}
}

// More occurrences than one transaction accounts for are still one catch-up.
func TestCatchUpOverMoreThanOneTransactionAccountsFor(t *testing.T) {
	for _, row := range []struct {
		fields string
		want   int
	}{
		{fields: `"catchUp":{"mode":"latest","window":"10h"}`, want: 1},
		{fields: `"catchUp":{"mode":"all","max":7,"window":"10h"}`, want: 7},
		{fields: `"catchUp":{"mode":"none"}`, want: 0},
	} {
		t.Run(row.fields, func(t *testing.T) {
			b := newBoard(t, "10:00")
			b.node("n1")
			b.put(`{"process":{"command":["true"]},"every":"2s","overlap":"allow",` + row.fields + `}`)
			b.settle(demo)
			b.view.nodes = map[string]*nodeView{} // nobody takes anything: only the records count
			b.goTo("15:34:21.500")                // 10,030 occurrences
			now := 0
			for _, line := range b.runs() {
				var r nightwatch.Run
				id, _, _ := strings.Cut(line, " ")
				b.read(b.keys.Run(demo, id), &r)
				if b.now.Sub(r.NominalTime) > onTime {
					now++
				}
			}
			if now != row.want {
				t.Errorf("%d late occurrences run, want %d", now, row.want)
			}
			total := int64(len(b.runs()))
			for _, s := range b.ledger().Ranges {
				total += s.Count
			}
			if total != 10030 {
				t.Errorf("%d occurrences are accounted for, want 10030", total)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.goTo("10:10")
	b.wantRuns(idAt("10:05")+" Running", idAt("10:10")+" Skipped Overlap")
	if r := b.run(idAt("10:10")); r.Message != "run "+idAt("10:05")+" is live" || r.EndTime.IsZero() {
		t.Errorf("%+v", r)
	}
	b.finish(idAt("10:05"), nightwatch.PhaseFailed)
	b.goTo("10:15")
	if got, want := b.status().Counts, (nightwatch.Counts{Failed: 1, Skipped: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	b.put(with(`"overlap":"allow"`))
	b.goTo("10:20")
	b.wantRuns(idAt("10:05")+" Failed", idAt("10:10")+" Skipped Overlap", idAt("10:15")+" Assigned", idAt("10:20")+" Assigned")
}

func TestSubmissionsQueueUpInOrder(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	var ids []string
	for range 3 {
		ids = append(ids, nightwatch.SubmittedRunID(b.put(onceTask)))
		b.settle(demo)
	}
	b.wantRuns(ids[0]+" Assigned", ids[1]+" Pending Overlap", ids[2]+" Pending Overlap")
	b.complete(nightwatch.PhaseFailed)
	b.wantRuns(ids[0]+" Failed", ids[1]+" Assigned", ids[2]+" Pending Overlap")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.wantRuns(ids[0]+" Failed", ids[1]+" Succeeded", ids[2]+" Succeeded")
	if s := b.status(); s.Phase != nightwatch.PhaseSucceeded || s.SubmittedRevision != s.ObservedRevision || s.PendingRevision != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhatCountsAsASubmission(t *testing.T) {
	for _, row := range []struct {
		name, before, after string
		runs                int
	}{
		{name: "the same bytes", before: onceTask, after: onceTask, runs: 2},
		{name: "another command", before: onceTask, after: `{"process":{"command":["false"]}}`, runs: 2},
		{name: "suspend alone", before: onceTask, after: `{"process":{"command":["true"]},"suspend":true}`, runs: 1},
		{name: "history alone", before: onceTask, after: `{"process":{"command":["true"]},"history":{"failed":1}}`, runs: 1},
		{name: "priority alone", before: onceTask, after: `{"process":{"command":["true"]},"priority":3}`, runs: 1},
		{name: "priority and more", before: onceTask, after: `{"process":{"command":["true"]},"priority":3,"owner":"me"}`, runs: 2},
		{name: "schedule taken away", before: fiveMinutes, after: onceTask, runs: 1},
		{name: "refused", before: onceTask, after: `{"process":{}}`, runs: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(row.before)
			b.settle(demo)
			b.complete(nightwatch.PhaseSucceeded)
			b.put(row.after)
			b.settle(demo)
			if n := len(b.runs()); n != row.runs {
				t.Errorf("%d runs, want %d: %q", n, row.runs, b.runs())
			}
		})
	}
}

// An edit is in force from when it was put: what was due before is the old version's.
func TestEditAt1005(t *testing.T) {
	hourly := `{"process":{"command":["true"]},"schedule":"0 * * * *"}`
	for _, row := range []struct {
		name, put, seen string
		want            []string
	}{
		{name: "put before 10:05, seen after", put: "10:04:59", seen: "10:05:00.500"},
		{name: "put at 10:05", put: "10:05", seen: "10:05:00.500", want: []string{idAt("10:05") + " Assigned"}},
		{name: "put after 10:05", put: "10:05:00.300", seen: "10:05:00.500", want: []string{idAt("10:05") + " Assigned"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(fiveMinutes)
			b.settle(demo)
			b.moveTo(row.put)
			b.put(hourly)
			b.goTo(row.seen)
			b.wantRuns(row.want...)
			if s := b.status(); s.AcceptedRevision != s.ObservedRevision || !s.Next[0].Equal(at("11:00")) || s.Cursor.Before(at(row.put)) {
				t.Errorf("%+v", s)
			}
			b.goTo("10:55")
			b.wantRuns(row.want...)
		})
	}
}

func TestRefusedEditLeavesTheAcceptedVersionInForce(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.put(with(`"schedule":"61 * * * *"`))
	b.settle(demo)
	if s := b.status(); s.Accepted || len(s.Errors) == 0 || s.ObservedRevision == s.AcceptedRevision || s.Phase != nightwatch.PhaseScheduled {
		t.Errorf("%+v", s)
	}
	b.goTo("10:05")
	b.wantRuns(idAt("10:05") + " Assigned")
}

// Time that stands still is neither missed nor caught up: it is one range, for the reason that it stood still.
func TestSuspendedAndFrozenTime(t *testing.T) {
	freeze := func(what string) func(*board) {
		return func(b *board) { b.set(b.keys.Of(store.Freezes)+what, `{"by":"me"}`) }
	}
	thaw := func(what string) func(*board) {
		return func(b *board) { b.del(b.keys.Of(store.Freezes) + what) }
	}
	suspend := func(b *board) { b.put(with(`"suspend":true`)) }
	resume := func(b *board) { b.put(fiveMinutes) }
	for _, row := range []struct {
		name       string
		stop, goOn func(*board)
		reason     string
	}{
		{name: "suspend", stop: suspend, goOn: resume, reason: nightwatch.ReasonSuspended},
		{name: "freeze the task", stop: freeze(demo), goOn: thaw(demo), reason: nightwatch.ReasonFrozen},
		{name: "freeze the namespace", stop: freeze("default"), goOn: thaw("default"), reason: nightwatch.ReasonFrozen},
		{name: "freeze the cluster", stop: freeze(store.FrozenCluster), goOn: thaw(store.FrozenCluster), reason: nightwatch.ReasonFrozen},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(fiveMinutes)
			b.settle(demo)
			b.goTo("10:05")
			b.complete(nightwatch.PhaseSucceeded)
			b.moveTo("10:07")
			row.stop(b)
			b.settle(demo)
			if s := b.status(); s.Phase != nightwatch.PhaseSuspended || s.Reason != row.reason || len(s.Next) != 0 {
				t.Errorf("while it stands still: %+v", s)
			}
			b.goTo("10:21")
			b.wantRuns(idAt("10:05") + " Succeeded")
			b.moveTo("10:22")
			row.goOn(b)
			b.settle(demo)
			b.wantRuns(idAt("10:05") + " Succeeded")
			b.wantSpans("10:10:00-10:20:00 3 Skipped " + row.reason)
			if s := b.status(); s.Phase != nightwatch.PhaseScheduled || s.Counts.Skipped != 3 || s.Still != "" {
				t.Errorf("after: %+v", s)
			}
			b.goTo("10:25")
			b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:25")+" Assigned")
		})
	}
}

// What falls due after the edit that resumed a task is not suspended time, however late somebody looks.
func TestResumedWhileNobodyLed(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"suspend":true`))
	b.settle(demo)
	b.moveTo("10:07")
	b.put(fiveMinutes)
	b.goTo("10:21") // a scheduler is there again
	b.wantRuns(idAt("10:20") + " Assigned")
	b.wantSpans("10:05:00-10:05:00 1 Skipped Suspended", "10:10:00-10:15:00 2 Missed CatchUp")
}

// An edit in the middle of a freeze settles the time of the version that it ends.
func TestEditWhileFrozen(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.set(b.keys.Of(store.Freezes)+demo, "")
	b.settle(demo)
	b.moveTo("10:12")
	b.put(`{"process":{"command":["true"]},"schedule":"*/10 * * * *"}`)
	b.settle(demo)
	b.wantSpans("10:05:00-10:10:00 2 Skipped Frozen")
	b.moveTo("10:31")
	b.del(b.keys.Of(store.Freezes) + demo)
	b.settle(demo)
	b.wantSpans("10:05:00-10:10:00 2 Skipped Frozen", "10:20:00-10:30:00 2 Skipped Frozen")
	b.wantRuns()
}

func TestSubmissionWaitsForTheEndOfAFreeze(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.set(b.keys.Of(store.Freezes)+"default", "")
	id := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	if s := b.status(); s.Phase != nightwatch.PhaseSuspended || s.Reason != nightwatch.ReasonFrozen || s.Message != "freeze/default is there" {
		t.Errorf("%+v", s)
	}
	b.wantRuns()
	b.del(b.keys.Of(store.Freezes) + "default")
	b.settle(demo)
	b.wantRuns(id + " Assigned")
}

// Whatever a start was decided on changes in the meantime: the transaction is refused, and decided on again.
func TestStartIsRefusedWhenWhatItWasDecidedOnChanges(t *testing.T) {
	for name, change := range map[string]func(*board){
		"task":     func(b *board) { b.put(with(`"owner":"me"`)) },
		"deleted":  func(b *board) { b.del(b.keys.Task(demo)) },
		"accepted": func(b *board) { b.set(b.keys.Accepted(demo), b.entries[b.keys.Accepted(demo)].Value) },
		"status":   func(b *board) { b.set(b.keys.Status(demo), b.entries[b.keys.Status(demo)].Value) },
		"freeze":   func(b *board) { b.set(b.keys.Of(store.Freezes)+"default", "") },
		"cluster":  func(b *board) { b.set(b.keys.Of(store.Freezes)+store.FrozenCluster, "") },
		"run":      func(b *board) { b.set(b.keys.Run(demo, idAt("10:05")), "garbage") },
		"node":     func(b *board) { b.del(b.keys.Node("n1")); b.node("n1") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(fiveMinutes)
			b.settle(demo)
			b.moveTo("10:05")
			p := b.decide(demo)
			change(b)
			if b.commit(p) {
				t.Error("it was done")
			}
			b.settle(demo)
		})
	}
}
