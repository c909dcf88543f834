package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// ask puts a request for a backfill of a stretch of the day and settles.
func (b *board) askBackfill(id, from, to, fields string) nightwatch.Verdict {
	b.t.Helper()
	value := fmt.Sprintf(`{"action":"backfill","from":%q,"to":%q%s}`, at(from).Format(time.RFC3339), at(to).Format(time.RFC3339), fields)
	b.set(b.keys.Request(demo, id), value)
	b.settle(demo)
	return b.verdict(id)
}

// aMorning is a board at 10:32 on which the task missed 10:05 and 10:10, ran 10:15 to 10:25, and skipped 10:30.
func aMorning(t *testing.T) *board {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"catchUp":{"mode":"none"},"history":{"succeeded":20}`))
	b.settle(demo)
	b.goTo("10:14") // nobody led until now
	for _, clock := range []string{"10:15", "10:20", "10:25"} {
		b.goTo(clock)
		b.complete(nightwatch.PhaseSucceeded)
	}
	b.set(b.keys.Request(demo, "block"), `{"action":"run"}`)
	b.goTo("10:29:30")
	b.goTo("10:30")
	b.complete(nightwatch.PhaseSucceeded)
	b.goTo("10:32")
	b.wantSpans("10:05:00-10:10:00 2 Missed CatchUp")
	b.wantRuns(idAt("10:15")+" Succeeded", idAt("10:20")+" Succeeded", idAt("10:25")+" Succeeded", idAt("10:30")+" Skipped Overlap", "req-block Succeeded")
	return b
}

func TestBackfill(t *testing.T) {
	b := aMorning(t)
	before := b.status()
	if before.Counts.Missed != 2 || before.Counts.Skipped != 1 {
		t.Fatalf("%+v", before.Counts)
	}
	v := b.askBackfill("fill", "09:55", "10:35", "")
	if v.Accepted || len(v.Errors) != 1 || v.Errors[0].Field != "to" {
		t.Fatalf("a backfill of the future: %+v", v)
	}

	// Before the task was there (09:55, 10:00), missed in a range (10:05, 10:10), skipped with a record (10:30).
	v = b.askBackfill("dry", "09:55", "10:31", `,"dryRun":true`)
	if !v.Accepted || v.Count != 5 || len(v.Times) != 5 || !v.Times[0].Equal(at("09:55")) || !v.Times[4].Equal(at("10:30")) {
		t.Fatalf("dry run: %+v", v)
	}
	if s := b.status(); len(s.Backfills) != 0 {
		t.Errorf("a dry run began %+v", s.Backfills)
	}
	v = b.askBackfill("all", "09:55", "10:31", `,"params":{"why":"test"}`)
	if !v.Accepted || v.Count != 5 || v.Run != "req-all" {
		t.Fatalf("%+v", v)
	}
	for _, clock := range []string{"09:55", "10:00", "10:05", "10:10", "10:30"} {
		r := b.run(idAt(clock))
		if r == nil || r.Phase != nightwatch.PhaseAssigned || r.Backfill != "all" || !r.NominalTime.Equal(at(clock)) || string(r.Params["why"]) != `"test"` {
			t.Fatalf("%s: %+v", clock, r)
		}
		if s := b.status(); s.ActiveCount != 1 || len(s.Backfills) != 1 {
			t.Errorf("%s: %d live, backfills %+v", clock, s.ActiveCount, s.Backfills)
		}
		b.complete(nightwatch.PhaseSucceeded)
	}
	s := b.status()
	if len(s.Backfills) != 0 || s.Counts.Missed != 0 || s.Counts.Skipped != 0 || s.Counts.Succeeded != before.Counts.Succeeded+5 || !s.Cursor.Equal(at("10:30")) {
		t.Errorf("%+v", s)
	}
	b.wantSpans()
	if v := b.askBackfill("again", "09:55", "10:31", ""); !v.Accepted || v.Count != 0 {
		t.Errorf("all has run, and yet: %+v", v)
	}
	b.goTo("10:35") // the schedule goes on
	if r := b.run(idAt("10:35")); r == nil || r.Backfill != "" {
		t.Errorf("%+v", r)
	}
}

func TestBackfillSplitsRanges(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"catchUp":{"mode":"none"},"history":{"succeeded":0}`))
	b.settle(demo)
	b.goTo("10:32")
	b.wantSpans("10:05:00-10:30:00 6 Missed CatchUp")
	b.askBackfill("mid", "10:15", "10:21", "")
	b.wantSpans("10:05:00-10:10:00 2 Missed CatchUp", "10:20:00-10:30:00 3 Missed CatchUp")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.wantSpans("10:05:00-10:10:00 2 Missed CatchUp", "10:15:00-10:20:00 2 Succeeded", "10:25:00-10:30:00 2 Missed CatchUp")
	if c := b.status().Counts; c.Missed != 4 || c.Succeeded != 2 {
		t.Errorf("%+v", c)
	}
}

func TestBackfillInParallel(t *testing.T) {
	b := aMorning(t)
	if v := b.askBackfill("two-x", "10:00", "10:31", `,"maxParallel":2`); v.Accepted || v.Errors[0].Field != "maxParallel" {
		t.Errorf("with overlap skip: %+v", v)
	}
	b.askBackfill("two", "10:00", "10:31", `,"maxParallel":2,"overlap":"allow"`)
	b.askBackfill("two-b", "10:00", "10:31", `,"maxParallel":2,"overlap":"allow"`)
	if s := b.status(); s.ActiveCount != 4 || len(s.Backfills) != 2 {
		t.Errorf("%d live, %+v", s.ActiveCount, s.Backfills)
	}
	for range 4 {
		b.complete(nightwatch.PhaseSucceeded)
	}
	if s := b.status(); s.ActiveCount != 0 || len(s.Backfills) != 0 {
		t.Errorf("%d live, %+v", s.ActiveCount, s.Backfills)
	}
}

func TestBackfillIsCanceled(t *testing.T) {
	b := aMorning(t)
	b.askBackfill("fill", "10:00", "10:31", "")
	b.claim(idAt("10:00"))
	b.set(b.keys.Request(demo, "stop"), `{"action":"cancel","run":"req-fill","by":"ana"}`)
	b.settle(demo)
	if v := b.verdict("stop"); !v.Accepted || v.Run != "req-fill" {
		t.Fatalf("%+v", v)
	}
	r := b.run(idAt("10:00"))
	if r.Cancel == nil || r.Cancel.By != "ana" {
		t.Fatalf("%+v", r)
	}
	if s := b.status(); len(s.Backfills) != 1 {
		t.Errorf("gone while its run is live: %+v", s.Backfills)
	}
	b.finish(idAt("10:00"), nightwatch.PhaseCanceled)
	b.settle(demo)
	if s := b.status(); len(s.Backfills) != 0 || s.ActiveCount != 0 {
		t.Errorf("%+v", s)
	}
	b.wantSpans("10:05:00-10:10:00 2 Missed CatchUp")
}

func TestBackfillOfSuspendedTime(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"suspend":true`))
	b.settle(demo)
	b.goTo("10:21")
	if v := b.askBackfill("early", "10:10", "10:16", ""); v.Accepted || v.Errors[0].Field != "to" {
		t.Errorf("a backfill of time that stands still: %+v", v)
	}
	if v := b.askBackfill("before", "09:30", "10:00", `,"dryRun":true`); !v.Accepted || v.Count != 6 {
		t.Errorf("a backfill of the time before: %+v", v)
	}
	b.put(fiveMinutes)
	b.settle(demo)
	b.wantSpans("10:05:00-10:20:00 4 Skipped Suspended")
	b.askBackfill("now", "10:10", "10:16", "")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.wantSpans("10:05:00-10:05:00 1 Skipped Suspended", "10:20:00-10:20:00 1 Skipped Suspended")
	b.wantRuns(idAt("10:10")+" Succeeded", idAt("10:15")+" Succeeded")
	if s := b.status(); !s.Cursor.Equal(at("10:21")) || s.Counts.Skipped != 2 || s.Counts.Succeeded != 2 {
		t.Errorf("%+v", s)
	}
}

// Ranges become one only where nothing lies between them.
func TestBackfilledStretchesStayApart(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(with(`"history":{"succeeded":0}`))
	b.settle(demo)
	b.askBackfill("first", "09:00", "09:10", "")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.askBackfill("second", "09:20", "09:30", "")
	b.complete(nightwatch.PhaseSucceeded)
	b.complete(nightwatch.PhaseSucceeded)
	b.wantSpans("09:00:00-09:05:00 2 Succeeded", "09:20:00-09:25:00 2 Succeeded")
	if v := b.askBackfill("between", "09:00", "09:30", `,"dryRun":true`); v.Count != 2 || !v.Times[0].Equal(at("09:10")) {
		t.Errorf("%+v", v)
	}
}

func TestBackfillsThatAreRefused(t *testing.T) {
	for _, row := range []struct{ name, task, request, field string }{
		{"no schedule", onceTask, `"from":"2026-11-20T09:00:00Z","to":"2026-11-20T10:00:00Z"`, "action"},
		{"after finish", `{"process":{"command":["true"]},"afterFinish":"5m"}`, `"from":"2026-11-20T09:00:00Z","to":"2026-11-20T10:00:00Z"`, "action"},
		{"no from", fiveMinutes, `"to":"2026-11-20T10:00:00Z"`, "from"},
		{"no to", fiveMinutes, `"from":"2026-11-20T10:00:00Z"`, "to"},
		{"backwards", fiveMinutes, `"from":"2026-11-20T10:00:00Z","to":"2026-11-20T09:00:00Z"`, "to"},
		{"not a time", fiveMinutes, `"from":"yesterday","to":"2026-11-20T09:00:00Z"`, "from"},
		{"too many", fiveMinutes, `"from":"2020-11-20T10:00:00Z","to":"2026-11-20T09:00:00Z"`, "to"},
		{"too parallel", fiveMinutes, `"from":"2026-11-20T09:00:00Z","to":"2026-11-20T10:00:00Z","maxParallel":1000`, "maxParallel"},
		{"unknown policy", fiveMinutes, `"from":"2026-11-20T09:00:00Z","to":"2026-11-20T10:00:00Z","overlap":"queue-all"`, "overlap"},
		{"large params", fiveMinutes, `"from":"2026-11-20T09:00:00Z","to":"2026-11-20T10:00:00Z","params":{"x":"` + strings.Repeat("x", 8<<10) + `"}`, "params"},
		{"a run", fiveMinutes, `"from":"2026-11-20T09:00:00Z","to":"2026-11-20T10:00:00Z","run":"x"`, "run"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:32")
			b.node("n1")
			b.put(row.task)
			b.settle(demo)
			b.set(b.keys.Request(demo, "x"), `{"action":"backfill",`+row.request+`}`)
			b.settle(demo)
			v := b.verdict("x")
			if v.Accepted || len(v.Errors) == 0 || v.Errors[0].Field != row.field {
				t.Errorf("%+v", v)
			}
			if strings.Contains(strings.Join(b.runs(), " "), "2026") {
				t.Errorf("runs %q", b.runs())
			}
		})
	}
}

// A scheduler that takes over in the middle goes on where the last one was.
func TestBackfillSurvivesTheScheduler(t *testing.T) {
	b := aMorning(t)
	b.askBackfill("fill", "10:00", "10:31", "")
	for range 4 {
		b.relist()
		b.complete(nightwatch.PhaseSucceeded)
	}
	b.wantSpans()
	b.wantRuns(idAt("10:00")+" Succeeded", idAt("10:05")+" Succeeded", idAt("10:10")+" Succeeded", idAt("10:15")+" Succeeded",
		idAt("10:20")+" Succeeded", idAt("10:25")+" Succeeded", idAt("10:30")+" Succeeded", "req-block Succeeded")
	if s := b.status(); len(s.Backfills) != 0 || s.Counts.Missed != 0 {
		t.Errorf("%+v", s)
	}
}

// A range of an earlier version is taken apart when the version in force has the same times in it, and only then.
func TestBackfillAfterAnEdit(t *testing.T) {
	for _, row := range []struct {
		name, edit string
		count      int64
		spans      []string
	}{
		{
			name: "of what runs", edit: `{"process":{"command":["false"]},"schedule":"*/5 * * * *"}`, count: 2,
			spans: []string{"10:05:00-10:10:00 2 Missed CatchUp", "10:25:00-10:30:00 2 Missed CatchUp"},
		},
		{
			name: "of the times", edit: `{"process":{"command":["true"]},"schedule":"*/4 * * * *"}`, count: 0,
			spans: []string{"10:05:00-10:30:00 6 Missed CatchUp"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.put(with(`"catchUp":{"mode":"none"}`))
			b.settle(demo)
			b.goTo("10:33")
			b.put(row.edit)
			b.settle(demo)
			if v := b.askBackfill("x", "10:14", "10:21", ""); !v.Accepted || v.Count != row.count {
				t.Errorf("%+v", v)
			}
			b.complete(nightwatch.PhaseSucceeded)
			b.complete(nightwatch.PhaseSucceeded)
			b.wantSpans(row.spans...)
		})
	}
}

// The name of a backfill that is under way is taken, also when its verdict has gone.
// A range from before a calendar changed is taken apart only if it has the times that there are now.
func TestBackfillAfterAChangeOfACalendar(t *testing.T) {
	for _, row := range []struct {
		name, days string
		count      int64
	}{
		{"to the same times", `["2026-12-24"]`, 3},
		{"to others", `["Sat","Sun"]`, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			off := func(days string) {
				b.set(b.keys.Calendar("off"), `{"days":`+days+`}`)
				b.settle(store.CalendarTail("off"))
				b.settle(demo)
			}
			off(`["2026-12-25"]`)
			b.put(`{"process":{"command":["true"]},"schedule":"5 10 * * *","calendars":{"exclude":["off"]},"catchUp":{"mode":"none"}}`)
			b.settle(demo)
			b.now = at("12:00").AddDate(0, 0, 7)
			b.settle(demo)
			b.wantSpans("10:05:00-10:05:00 8 Missed CatchUp")
			off(row.days)
			value := `{"action":"backfill","from":"2026-11-23T00:00:00Z","to":"2026-11-26T00:00:00Z","dryRun":true}`
			b.set(b.keys.Request(demo, "x"), value)
			b.settle(demo)
			if v := b.verdict("x"); !v.Accepted || v.Count != row.count {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestBackfillOfANameThatIsUnderWay(t *testing.T) {
	b := aMorning(t)
	b.askBackfill("x", "10:00", "10:31", "")
	b.goTo("11:32:30")
	if v := b.askBackfill("x", "09:00", "09:31", ""); v.Accepted || v.Errors[0].Field != "key" {
		t.Errorf("%+v", v)
	}
	if n := len(b.status().Backfills); n != 1 {
		t.Errorf("%d backfills", n)
	}
}

// An edit may leave a backfill with any number of times; one transaction looks at few of them.
func TestBackfillOfVeryManyTimes(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(`{"process":{"command":["true"]},"every":"1h"}`)
	b.settle(demo)
	b.askBackfill("x", "04:00", "10:00", "")
	b.put(`{"process":{"command":["true"]},"every":"10ms","suspend":true}`)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.set(b.keys.Ledger(demo), nightwatch.Ledger{Ranges: []nightwatch.LedgerRange{
		{From: at("04:00"), To: at("10:00"), Count: 2_160_001, Outcome: nightwatch.PhaseSucceeded},
	}})
	for range 10 {
		before := b.status().Backfills[0].Cursor
		b.look(demo)
		if ahead := b.status().Backfills[0].Cursor.Sub(before); ahead <= 0 || ahead > maxLooks*10*time.Millisecond {
			t.Errorf("from %s on it went ahead by %s", before, ahead)
		}
	}
}

// The run of a backfill fails and takes a place in a history that is full, while the next time wants the record that is to
// leave it for that.
func TestBackfillThatFailsInAFullHistory(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(with(`"startWithin":"2m","history":{"failed":1}`))
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:08")
	b.node("n1")
	if v := b.askBackfill("x", "10:00", "10:06", ""); !v.Accepted || v.Count != 2 {
		t.Fatalf("%+v", v)
	}
	b.complete(nightwatch.PhaseFailed)
	b.complete(nightwatch.PhaseFailed)
	b.wantRuns(idAt("10:05") + " Failed")
	b.wantSpans("10:00:00-10:00:00 1 Failed")
	if s := b.status(); len(s.Backfills) > 0 || s.Counts.Failed != 2 || s.Counts.Missed != 0 {
		t.Errorf("%+v %+v", s.Backfills, s.Counts)
	}
}

// A time that was missed and made good by a retry has run.
func TestBackfillOfWhatARetryMadeGood(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(with(`"startWithin":"2m"`))
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:08")
	b.node("n1")
	b.wantRuns(idAt("10:05") + " Missed StartWithin")
	b.set(b.keys.Request(demo, "again"), `{"action":"retry","run":"`+idAt("10:05")+`"}`)
	b.settle(demo)
	b.complete(nightwatch.PhaseSucceeded)
	b.mirror()
	if v := b.askBackfill("x", "10:05", "10:06", ""); !v.Accepted || v.Count != 0 {
		t.Errorf("%+v", v)
	}
}

// Of a run that was missed as a whole all shards go, however many, before there are others of the same names.
func TestBackfillOfManyMissedShards(t *testing.T) {
	const shards = 2*maxRemovals + 10
	b := newBoard(t, "10:00:30")
	b.put(with(fmt.Sprintf(`"startWithin":"2m","shards":%d`, shards)))
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:08")
	if r := b.run(idAt("10:05")); r.Phase != nightwatch.PhaseMissed || len(b.runs()) != 1+shards {
		t.Fatalf("%+v, %d records", r, len(b.runs()))
	}
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 1000 })
	if v := b.askBackfill("x", "10:05", "10:06", ""); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	b.complete(nightwatch.PhaseSucceeded)
	if r := b.run(idAt("10:05")); r.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%s %s: %s", r.Phase, r.Reason, r.Message)
	}
}
