package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

// wantAccounted has the audit find nothing.
func (b *board) wantAccounted() {
	b.t.Helper()
	if r := ledger.Audit(b.account(), nothing); !r.OK {
		b.t.Errorf("audit: unaccounted %v, twice %v, extra %v, miscounted %v; %q, %q", r.Unaccounted, r.Twice, r.Extra, r.Miscounted, b.spans(), b.runs())
	}
}

// Records that an edit finds are folded by the times of the version after it, which need not have those in between.
func TestRangesDoNotSpanRecordsOfAnEarlierVersion(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	for _, row := range []struct {
		clock string
		ends  nightwatch.Phase
	}{{"10:10", nightwatch.PhaseSucceeded}, {"10:15", nightwatch.PhaseFailed}, {"10:20", nightwatch.PhaseSucceeded}} {
		b.goTo(row.clock)
		b.complete(row.ends)
	}
	b.put(`{"process":{"command":["true"]},"schedule":"*/10 * * * *","history":{"succeeded":0}}`)
	b.settle(demo)
	b.put(`{"process":{"command":["true"]},"schedule":"*/10 * * * *","history":{"succeeded":0,"failed":0}}`)
	b.settle(demo)
	b.wantSpans("10:05:00-10:05:00 1 Missed CatchUp", "10:10:00-10:10:00 1 Succeeded", "10:15:00-10:15:00 1 Failed", "10:20:00-10:20:00 1 Succeeded")
}

// A clock that stepped back must not put two occurrences at one time, nor bring a time back under another version.
func TestTimesOnlyGrowThoughTheClockStepsBack(t *testing.T) {
	b := newBoard(t, "10:20:30")
	b.node("n1")
	b.put(onceTask)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.put(onceTask)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("10:00:30")
	third := nightwatch.SubmittedRunID(b.put(onceTask))
	b.settle(demo)
	if r := b.run(third); !r.NominalTime.Equal(at("10:20:30.002")) || !r.CreateTime.Equal(at("10:00:30")) {
		t.Errorf("third submission %+v", r)
	}
	b.complete(nightwatch.PhaseSucceeded)
	b.put(with(`"history":{"succeeded":0}`))
	b.goTo("10:19")
	one := "10:20:30-10:20:30 1 Succeeded"
	b.wantSpans(one, one, one)
	b.wantAccounted()
	b.goTo("10:25")
	b.wantRuns(idAt("10:25") + " Assigned")
	b.wantAccounted()
}

func TestCursorOutlivesAVersionWithoutTimes(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":0}`))
	b.settle(demo)
	b.goTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)
	b.put(onceTask)
	b.goTo("10:06")
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("10:01")
	b.put(with(`"history":{"succeeded":0}`))
	b.settle(demo)
	b.goTo("10:05:30")
	if live := b.status().ActiveCount; live != 0 {
		t.Errorf("10:05 runs again: %q", b.runs())
	}
	b.wantAccounted()
}

// A status that somebody deleted is made again from the records and the ledger: nothing is lost, nothing runs twice.
func TestStatusIsRestored(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"catchUp":{"mode":"all"},"history":{"succeeded":1}`))
	b.settle(demo)
	for _, clock := range []string{"10:05", "10:10", "10:15"} {
		b.goTo(clock)
		b.complete(nightwatch.PhaseSucceeded)
	}
	before := b.status()
	b.del(b.keys.Status(demo))
	b.goTo("10:21")
	after := b.status()
	if after.Counts != before.Counts || !after.Cursor.Equal(at("10:20")) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	b.wantRuns(idAt("10:15")+" Succeeded", idAt("10:20")+" Assigned")
	b.wantAccounted()
	if v := b.askBackfill("x", "09:50", "10:21", `,"dryRun":true`); v.Count != 3 { // of the time before the task
		t.Errorf("a backfill would run %v", v.Times)
	}
}

// A status that somebody deleted does not bring back the runs that the task has had of those that it may have.
func TestStatusIsRestoredWithMaxRuns(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"maxRuns":3,"history":{"succeeded":1}`))
	b.settle(demo)
	for _, clock := range []string{"10:05", "10:10"} {
		b.goTo(clock)
		b.complete(nightwatch.PhaseSucceeded)
	}
	b.del(b.keys.Status(demo))
	for _, clock := range []string{"10:15", "10:20", "10:25"} {
		b.goTo(clock)
		b.complete(nightwatch.PhaseSucceeded)
	}
	if s := b.status(); s.Counts.Succeeded != 3 || s.Phase != nightwatch.PhaseFinished {
		t.Errorf("%s after %+v", s.Phase, s.Counts)
	}
}

// An accepted value that somebody deleted is accepted again, and the task goes on where it was.
func TestAcceptedValueIsRestored(t *testing.T) {
	t.Run("with times", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.node("n1")
		b.put(with(`"catchUp":{"mode":"all"}`))
		b.settle(demo)
		b.goTo("10:05")
		b.complete(nightwatch.PhaseSucceeded)
		b.del(b.keys.Accepted(demo))
		b.moveTo("10:11") // nobody led until now
		b.relist()
		b.settle(demo)
		b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:10")+" Assigned")
		if s := b.status(); !s.EarliestTime.Equal(at("10:00:30")) || s.Counts.Succeeded != 1 {
			t.Errorf("%+v", s)
		}
		b.wantAccounted()
	})
	t.Run("while it is suspended", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.put(with(`"suspend":true`))
		b.settle(demo)
		b.moveTo("10:11")
		b.del(b.keys.Accepted(demo))
		b.settle(demo)
		b.put(fiveMinutes)
		b.settle(demo)
		b.wantSpans("10:05:00-10:10:00 2 Skipped Suspended")
	})
	t.Run("of a submission", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.node("n1")
		first := b.submitted(onceTask)
		b.del(b.keys.Accepted(demo))
		b.settle(demo)
		b.complete(nightwatch.PhaseSucceeded)
		second := b.submitted(onceTask)
		b.wantRuns(first+" Succeeded", second+" Assigned")
	})
	t.Run("that nobody here can read", func(t *testing.T) {
		b := newBoard(t, "10:00:30")
		b.put(fiveMinutes)
		b.settle(demo)
		s := b.status()
		s.AcceptedRevision = b.put(`{"process":{"command":["true"]},"every":"5m","later":"than this program"}`)
		s.ObservedRevision = s.AcceptedRevision
		b.set(b.keys.Status(demo), s, b.keys.Accepted(demo), nil)
		b.settle(demo)
		if s := b.status(); !s.Accepted || s.AcceptedRevision == 0 {
			t.Errorf("judged by an older program: %+v", s)
		}
	})
}

// A status that says who the task is and nothing else does not begin the calendar anew.
func TestStatusWithoutACursor(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.set(b.keys.Status(demo), fmt.Sprintf(`{"uid":%d}`, b.status().UID))
	b.goTo("10:11")
	b.wantSpans("10:05:00-10:05:00 1 Missed CatchUp")
	b.wantRuns(idAt("10:10") + " Assigned")
}

// A task was created when it was put, not when somebody was there to look at it.
func TestCreateTimeIsThatOfThePut(t *testing.T) {
	for _, row := range []struct{ name, value string }{{"accepted", fiveMinutes}, {"refused", `{"imago":"x"}`}} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.put(row.value)
			b.goTo("10:32")
			if s := b.status(); !s.CreateTime.Equal(at("10:00:30")) {
				t.Errorf("created %s", s.CreateTime)
			}
			if answer := ledger.Why(b.account(), at("10:10")); answer.Reason == ledger.BeforeTask {
				t.Errorf("%s", answer.Headline)
			}
		})
	}
}

// What is among the totals may have run, and does not run again: not since the task was put, and not by a backfill of
// the time before.
func TestBackfillLeavesTheTotalsAlone(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.goTo("10:31")
	b.askBackfill("early", "09:00", "09:06", "")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.set(b.keys.Ledger(demo), nightwatch.Ledger{Since: at("10:15"), Totals: nightwatch.Counts{Missed: 3}, Ranges: b.ledger().Ranges})
	b.settle(demo)
	for _, row := range []struct {
		from, to string
		count    int64
		refused  bool
	}{
		{from: "10:05", to: "10:11", refused: true}, // looked at for the first time at 10:31
		{from: "09:05", to: "09:11", refused: true},
		{from: "08:40", to: "09:00", count: 4},
	} {
		v := b.askBackfill(row.from[:2]+row.from[3:], row.from, row.to, `,"dryRun":true`)
		if v.Accepted == row.refused || v.Count != row.count {
			t.Errorf("%s to %s: %+v", row.from, row.to, v)
		}
	}
}

// With more to fold than one transaction may remove, the oldest go first, as the ledger keeps the newest.
func TestOldestRecordsAreFoldedFirst(t *testing.T) {
	b := newBoard(t, "10:00:00")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"1s","catchUp":{"mode":"all","max":1000},"history":{"skipped":1000}}`)
	b.settle(demo)
	b.goTo("10:03:20")
	b.put(`{"process":{"command":["true"]},"every":"1s","history":{"skipped":0}}`)
	for !b.ledgerChanges() {
	}
	if spans := b.spans(); len(spans) != 1 || !strings.HasPrefix(spans[0], "10:00:02-10:00:51 50 Skipped") {
		t.Errorf("%q", spans)
	}
}

// ledgerChanges does the next transaction, and tells whether it wrote the ledger.
func (b *board) ledgerChanges() bool {
	b.t.Helper()
	before := b.entries[b.keys.Ledger(demo)].ModRevision
	p := b.decide(demo)
	if p.txn.Empty() || !b.commit(p) {
		b.t.Fatalf("nothing to fold: %q", b.spans())
	}
	return b.entries[b.keys.Ledger(demo)].ModRevision != before
}

// A key in the place of the next record is that record, also where times depend on when runs end.
func TestAfterFinishWithARecordInItsPlace(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"afterFinish":"10m"}`)
	b.goTo("10:00:31")
	b.moveTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)
	b.set(b.keys.Run(demo, idAt("10:15")), "garbage")
	b.goTo("10:15:01")
	if s := b.status(); s.ActiveCount != 1 {
		t.Errorf("%q, %+v", b.runs(), s)
	}
}

// Freezes that end by themselves end one after the other, in whatever order their keys go.
func TestSeveralFreezesEndByThemselves(t *testing.T) {
	early, late := store.FrozenCluster, "default"
	for _, order := range [][]string{{early, late}, {late, early}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(with(`"catchUp":{"mode":"all"},"overlap":"queue-all"`))
			b.set(b.keys.Of(store.Freezes)+early, `{"until":"2026-11-20T10:07:00Z"}`)
			b.set(b.keys.Of(store.Freezes)+late, `{"until":"2026-11-20T10:12:00Z"}`)
			b.settle(demo)
			b.moveTo("10:16") // nobody led until now
			for _, tail := range order {
				b.del(b.keys.Of(store.Freezes) + tail)
			}
			b.relist()
			b.settle(demo)
			b.wantSpans("10:05:00-10:10:00 2 Skipped Frozen")
			b.wantRuns(idAt("10:15") + " Assigned")
		})
	}
}

// What there is to write about a run at its creation, its claim and its end is written once each.
func TestWritesOfOneRun(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes)
	b.settle(demo)
	b.goTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)
	writes := func(do func()) (n int) {
		t.Helper()
		do()
		for ; n < 20; n++ {
			p := b.decide(demo)
			if p.txn.Empty() {
				break
			}
			b.commit(p)
		}
		return n
	}
	for _, row := range []struct {
		name string
		do   func()
		most int
	}{
		{"due", func() { b.moveTo("10:10") }, 1},
		{"nothing", func() { b.moveTo("10:10:01") }, 0},
		{"claimed", func() { b.claim(idAt("10:10")) }, 1},
		{"another look", func() { b.relist() }, 0},
		{"ended", func() { b.finish(idAt("10:10"), nightwatch.PhaseSucceeded) }, 1},
		{"nothing once more", func() { b.now = b.now.Add(time.Minute) }, 0},
	} {
		if n := writes(row.do); n > row.most {
			t.Errorf("%s: %d transactions, want at most %d", row.name, n, row.most)
		}
	}
}

// Of a freeze that went while the watch was behind a list says that it is not there any more. When the one before it ended by
// itself says nothing of what was due under this one.
func TestFreezeThatWentBeforeAList(t *testing.T) {
	for _, row := range []struct{ until, want string }{
		{``, "10:05:00-10:20:00 4 Skipped Frozen"},
		{`"until":"2026-11-20T10:12:00Z"`, "10:05:00-10:10:00 2 Skipped Frozen"},
	} {
		b := newBoard(t, "10:00:30")
		b.node("n1")
		freeze := b.keys.Of(store.Freezes) + demo
		b.put(with(`"catchUp":{"mode":"all"},"overlap":"allow"`))
		b.settle(demo)
		b.goTo("10:04")
		b.set(freeze, `{"until":"2026-11-20T10:06:00Z"}`)
		b.goTo("10:07")
		b.del(freeze)
		b.settle(demo)
		b.goTo("10:08")
		b.set(freeze, `{`+row.until+`}`)
		b.settle(demo)
		b.moveTo("10:21")
		delete(b.entries, freeze)
		b.rev++
		b.relist()
		b.settle(demo)
		if got := b.spans(); !slices.Contains(got, row.want) {
			t.Errorf("a freeze %s: %q, want %q", row.until, got, row.want)
		}
	}
}
