package scheduler

import (
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

const tenAfter = `{"process":{"command":["true"]},"afterFinish":"10m"}`

// oneRun runs what is assigned from the board's clock to another, to its end.
func (b *board) oneRun(until string, phase nightwatch.Phase) {
	b.t.Helper()
	for _, r := range b.view.known(demo).runs {
		if r.run.Phase == nightwatch.PhaseAssigned {
			b.claim(r.run.ID)
			b.goTo(until)
			b.finish(r.run.ID, phase)
			b.settle(demo)
			return
		}
	}
	b.t.Fatalf("nothing is assigned: %q", b.runs())
}

func TestAfterFinish(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(tenAfter)
	b.goTo("10:00:30.001")
	b.wantRuns(idAt("10:00:30.001") + " Assigned") // the first time is when it is put
	if s := b.status(); s.Phase != nightwatch.PhaseRunning || s.Next != nil {
		t.Errorf("%+v", s)
	}
	b.oneRun("10:07", nightwatch.PhaseFailed)
	if s := b.status(); s.Phase != nightwatch.PhaseScheduled || len(s.Next) != 1 || !s.Next[0].Equal(at("10:17")) || !s.LastEndTime.Equal(at("10:07")) {
		t.Errorf("%+v", s)
	}
	if p := b.decide(demo); !p.wake.Equal(at("10:17")) {
		t.Errorf("wake %s", p.wake)
	}
	b.goTo("10:16:59")
	if n := len(b.runs()); n != 1 {
		t.Fatalf("%q", b.runs())
	}
	b.goTo("10:17")
	b.oneRun("10:18", nightwatch.PhaseSucceeded)
	b.relist() // another scheduler
	b.goTo("10:40")
	if r := b.run(idAt("10:28")); r == nil || r.Phase != nightwatch.PhaseAssigned {
		t.Fatalf("%q", b.runs()) // late, and not lost
	}
}

func TestAfterFinishOutlivesItsRecords(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"afterFinish":"10m","history":{"succeeded":0}}`)
	b.goTo("10:00:31")
	b.oneRun("10:05", nightwatch.PhaseSucceeded)
	b.wantRuns()
	b.relist()
	b.goTo("10:15")
	b.wantRuns(idAt("10:15") + " Assigned")
}

func TestAfterFinishCountsRequestedRuns(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(tenAfter)
	b.goTo("10:00:31")
	b.oneRun("10:05", nightwatch.PhaseSucceeded)
	b.goTo("10:14")
	b.set(b.keys.Request(demo, "a"), `{"action":"run"}`)
	b.settle(demo)
	b.goTo("10:15") // due, but one is live
	b.oneRun("10:16", nightwatch.PhaseSucceeded)
	if s := b.status(); len(s.Next) != 1 || !s.Next[0].Equal(at("10:26")) {
		t.Errorf("next %v", s.Next)
	}
}

func TestAfterFinishStandsStill(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(tenAfter)
	b.goTo("10:00:31")
	b.oneRun("10:05", nightwatch.PhaseSucceeded)
	b.set(b.keys.Of(store.Freezes)+demo, "")
	b.goTo("10:30")
	if n := len(b.runs()); n != 1 {
		t.Fatalf("%q", b.runs())
	}
	b.del(b.keys.Of(store.Freezes) + demo)
	b.settle(demo)
	b.goTo("10:31")
	if r := b.run(idAt("10:30:00.001")); r == nil || r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%q", b.runs())
	}
}

func TestAfterFinishGoesOnAfterAMissedStart(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(`{"process":{"command":["true"]},"afterFinish":"10m","startWithin":"1m"}`)
	b.goTo("10:00:31")
	b.goTo("10:02")
	b.wantRuns(idAt("10:00:30.001") + " Missed StartWithin")
	b.node("n1")
	b.goTo("10:12")
	if r := b.run(idAt("10:12")); r == nil || r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%q", b.runs())
	}
}

// finishedBy is a board at 10:05:01 on which the first run was finished at 10:05, by a node whose clock said otherwise.
func finishedBy(t *testing.T, clock string) (b *board, id string) {
	b = newBoard(t, "10:00:30")
	b.node("n1")
	b.put(tenAfter)
	b.goTo("10:00:31")
	id = idAt("10:00:30.001")
	b.claim(id)
	b.goTo("10:05")
	b.now = at(clock)
	b.finish(id, nightwatch.PhaseSucceeded)
	b.goTo("10:05:01")
	b.wantRuns(id + " Succeeded")
	return b, id
}

// A node whose clock is hours behind does not make runs follow each other without a pause.
func TestAfterFinishWithAClockBehind(t *testing.T) {
	b, _ := finishedBy(t, "08:00")
	b.goTo("10:10:31")
	if n := len(b.runs()); n != 2 {
		t.Errorf("%q", b.runs())
	}
}

// A node whose clock is ahead says that a run ended in the future: the next one does not wait until then.
func TestAfterFinishWithAClockAhead(t *testing.T) {
	b, id := finishedBy(t, "12:00")
	b.goTo("10:14:59")
	b.wantRuns(id + " Succeeded")
	b.goTo("10:15:01")
	if n := len(b.runs()); n != 2 {
		t.Errorf("%q", b.runs())
	}
}
