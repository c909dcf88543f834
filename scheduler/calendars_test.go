package scheduler

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

// calendarStatus is the verdict on a calendar, if there is one.
func (b *board) calendarStatus(name string) *nightwatch.CalendarStatus {
	s := new(nightwatch.CalendarStatus)
	if !b.read(b.keys.CalendarStatus(name), s) {
		return nil
	}
	return s
}

func (b *board) putCalendar(name string, value any) {
	b.t.Helper()
	b.set(b.keys.Calendar(name), value)
	b.settle(demo) // what was due before
	b.settle(store.CalendarTail(name))
	b.settle(demo)
}

// 20 November 2026, the day of these tests, is a Friday.
const noFridays = `{"process":{"command":["true"]},"schedule":"*/5 * * * *","calendars":{"exclude":["holidays"]}}`

func TestCalendarMovesItsTasksAtOnce(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Sat","Sun"]}`)
	b.put(noFridays)
	b.settle(demo)
	if s := b.status(); !s.Next[0].Equal(at("10:05")) {
		t.Fatalf("next %v", s.Next)
	}
	b.goTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)

	b.putCalendar("holidays", `{"days":["Sat","Sun","2026-11-20"]}`)
	s := b.status()
	if len(s.Next) == 0 || s.Next[0].Format("2006-01-02T15:04") != "2026-11-23T00:00" {
		t.Errorf("next %v", s.Next)
	}
	b.goTo("10:10")
	b.wantRuns(idAt("10:05") + " Succeeded")
	b.wantSpans()

	// An end of the exclusion brings back nothing of the time before it.
	b.moveTo("10:22")
	b.putCalendar("holidays", `{"days":["Sat","Sun"]}`)
	b.wantRuns(idAt("10:05") + " Succeeded")
	if s := b.status(); !s.Next[0].Equal(at("10:25")) {
		t.Errorf("next %v", s.Next)
	}
	b.goTo("10:25")
	b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:25")+" Assigned")
	b.wantSpans()
}

// What was due before a calendar changed is settled on the days of the version before, also when nobody led.
func TestCalendarThatChangedWhileNobodyLed(t *testing.T) {
	for _, row := range []struct {
		name, fields string
		freeze       bool
		runs, spans  []string
	}{
		{name: "catch-up", runs: []string{idAt("10:10") + " Assigned"}, spans: []string{"10:05:00-10:05:00 1 Missed CatchUp"}},
		{name: "frozen", freeze: true, spans: []string{"10:05:00-10:10:00 2 Skipped Frozen"}},
		{name: "jitter", fields: `,"jitter":"4m"`, runs: []string{idAt("10:10") + " Assigned"}, spans: []string{"10:05:00-10:05:00 1 Missed CatchUp"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.putCalendar("holidays", `{"days":["Sat"]}`)
			b.put(strings.TrimSuffix(noFridays, "}") + row.fields + "}")
			if row.freeze {
				b.set(b.keys.Of(store.Freezes)+demo, "")
			}
			b.settle(demo)
			b.moveTo("10:14")
			b.set(b.keys.Calendar("holidays"), `{"days":["Fri"]}`)
			b.moveTo("10:31") // a scheduler is there again
			tail := store.CalendarTail("holidays")
			if p := b.decide(tail); !p.txn.Empty() || p.wake.IsZero() {
				t.Fatal("judged before its task has settled")
			}
			b.settle(demo)
			b.settle(tail)
			b.settle(demo)
			b.wantRuns(row.runs...)
			b.wantSpans(row.spans...)
			if c := b.view.known(tail).calendar; !c.Since.Equal(at("10:14")) {
				t.Errorf("in force since %s", c.Since)
			}
		})
	}
}

// A task that cannot settle does not keep a calendar from changing for ever.
func TestCalendarDoesNotWaitForEver(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.put(noFridays)
	b.settle(demo)
	b.moveTo("10:06")
	b.set(b.keys.Calendar("holidays"), `{"days":["Fri"]}`)
	tail := store.CalendarTail("holidays")
	b.settle(tail)
	b.moveTo("10:06:10")
	b.settle(tail)
	if c := b.calendarStatus("holidays"); c.ObservedRevision != b.view.known(tail).source.mod {
		t.Errorf("%+v", c)
	}
}

func TestMissingCalendarStandsStill(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(noFridays)
	b.settle(demo)
	s := b.status()
	if s.Phase != nightwatch.PhaseSuspended || s.Reason != nightwatch.ReasonCalendarMissing || !s.Accepted ||
		!strings.Contains(s.Message, `calendar "holidays" is not there`) {
		t.Errorf("%+v", s)
	}
	b.goTo("10:12")
	b.wantRuns()
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.wantSpans("10:05:00-10:10:00 2 Skipped CalendarMissing")
	b.goTo("10:15")
	b.wantRuns(idAt("10:15") + " Assigned")

	b.putCalendar("holidays", nil)
	if left := append(b.below(store.Accepted), b.below(store.Statuses)...); strings.Contains(strings.Join(left, " "), "_calendars") {
		t.Errorf("%q is left of the calendar", left)
	}
	b.complete(nightwatch.PhaseSucceeded)
	if s := b.status(); s.Reason != nightwatch.ReasonCalendarMissing || s.Next != nil {
		t.Errorf("%+v", s)
	}
}

// A calendar that comes back while its task is frozen leaves the times that it was missing for to be told, as the freeze does.
func TestCalendarIsMissingWhileFrozen(t *testing.T) {
	for name, before := range map[string]func(b *board){
		"and before": func(*board) {},
		"since then": func(b *board) { b.putCalendar("holidays", `{"days":["Sat"]}`) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			before(b)
			b.put(noFridays)
			b.settle(demo)
			b.goTo("10:01")
			b.set(b.keys.Of(store.Freezes)+demo, "")
			b.settle(demo)
			b.putCalendar("holidays", nil)
			b.goTo("10:12")
			b.putCalendar("holidays", `{"days":["Sat"]}`)
			b.goTo("10:22")
			b.del(b.keys.Of(store.Freezes) + demo)
			b.settle(demo)
			b.wantSpans("10:05:00-10:10:00 2 Skipped CalendarMissing", "10:15:00-10:20:00 2 Skipped Frozen")
		})
	}
}

func TestCalendarThatIsRefused(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(noFridays)
	b.putCalendar("holidays", `{"days":["Caturday"]}`)
	c := b.calendarStatus("holidays")
	if c == nil || c.Accepted || len(c.Errors) != 1 || c.Errors[0].Field != "days[0]" {
		t.Fatalf("%+v", c)
	}
	if s := b.status(); !strings.Contains(s.Message, "never been accepted") {
		t.Errorf("message %q", s.Message)
	}
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	if c := b.calendarStatus("holidays"); !c.Accepted || c.Errors != nil || c.AcceptedRevision != c.ObservedRevision {
		t.Errorf("%+v", c)
	}
	// A bad edit leaves the last good version in force.
	b.putCalendar("holidays", `{"dais":["Sat"]}`)
	if c := b.calendarStatus("holidays"); c.Accepted || c.AcceptedRevision == 0 || c.AcceptedRevision == c.ObservedRevision {
		t.Errorf("%+v", c)
	}
	b.goTo("10:05")
	b.wantRuns(idAt("10:05") + " Assigned")
}

func TestCalendarKeysDeletedByHand(t *testing.T) {
	b := newBoard(t, "10:00:30")
	tail := store.CalendarTail("holidays")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	for _, key := range []string{b.keys.AcceptedCalendar("holidays"), b.keys.CalendarStatus("holidays")} {
		b.del(key)
		b.settle(tail)
		if c := b.calendarStatus("holidays"); c == nil || !c.Accepted || b.view.known(tail).calendar == nil {
			t.Errorf("after %s was deleted: %+v", key, c)
		}
	}
	b.putCalendar("holidays", `{"days":[]}`)
	b.del(b.keys.AcceptedCalendar("holidays"))
	b.settle(tail)
	if c := b.calendarStatus("holidays"); c.Accepted || c.AcceptedRevision != 0 {
		t.Errorf("%+v", c)
	}
}

// What is decided on a calendar is refused when the calendar has changed in between.
func TestCalendarIsGuarded(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.put(noFridays)
	b.settle(demo)
	b.moveTo("10:05")
	p := b.decide(demo)
	b.set(b.keys.Calendar("holidays"), `{"days":["Fri"]}`)
	b.settle(store.CalendarTail("holidays"))
	b.moveTo("10:05:10") // it waits no longer for the plan that is on its way
	b.settle(store.CalendarTail("holidays"))
	if b.commit(p) {
		t.Error("a run was made on a day that had just been excluded")
	}
	b.wantRuns()
}

// The names of calendars and of malformed task keys meet below status/; the calendar's verdict stands.
func TestTaskKeyInTheCalendarsPlace(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	tail := store.CalendarTail("holidays")
	b.set(b.keys.Task(tail), fiveMinutes)
	b.settle(tail)
	if c := b.calendarStatus("holidays"); c == nil || !c.Accepted {
		t.Fatalf("%+v", c)
	}
	if !b.read(b.keys.AcceptedCalendar("holidays"), new(nightwatch.AcceptedCalendar)) {
		t.Error("the calendar is gone")
	}
	b.set(b.keys.Calendar("holidays"), nil)
	b.settle(tail)
	b.set(b.keys.Task(tail), nil)
	b.settle(tail)
	if left := append(b.below(store.Accepted), b.below(store.Statuses)...); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

// The times before a change go with it, whatever becomes of the calendar after.
func TestCalendarChangeMovesTheCursor(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Fri"]}`)
	b.put(strings.TrimSuffix(noFridays, "}") + `,"history":{"succeeded":0}}`)
	b.settle(demo)
	b.moveTo("10:22")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	if answer := ledger.Why(b.account(), nothing); answer.Reason != ledger.WaitsForTheClock {
		t.Errorf("%s", answer.Headline)
	}
	b.askBackfill("x", "10:05", "10:21", "")
	for range 4 {
		b.complete(nightwatch.PhaseSucceeded)
	}
	b.putCalendar("holidays", nil)
	b.moveTo("10:41")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.wantSpans("10:05:00-10:20:00 4 Succeeded", "10:25:00-10:40:00 4 Skipped CalendarMissing")
	b.wantAccounted()
}

// A calendar and then a task that uses it change while nobody leads: what was due in between is told by the new days.
func TestCalendarAndTaskChangeWhileNobodyLeads(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Fri"]}`)
	b.put(noFridays)
	b.settle(demo)
	b.moveTo("10:07")
	b.set(b.keys.Calendar("holidays"), `{"days":["Sat"]}`)
	b.moveTo("10:16")
	b.put(strings.Replace(noFridays, "*/5", "*/20", 1))
	b.moveTo("10:31")
	for range 3 {
		b.settle(demo)
		b.settle(store.CalendarTail("holidays"))
	}
	b.wantSpans("10:10:00-10:10:00 1 Missed CatchUp")
	b.wantRuns(idAt("10:15")+" Assigned", idAt("10:20")+" Skipped Overlap")
}

// A deleted task whose run has yet to end settles nothing any more.
func TestCalendarDoesNotWaitForADeletedTask(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.put(noFridays)
	b.settle(demo)
	b.goTo("10:05")
	b.claim(idAt("10:05"))
	b.del(b.keys.Task(demo))
	b.goTo("10:12")
	b.putCalendar("holidays", `{"days":["Fri"]}`)
	if c := b.calendarStatus("holidays"); c.ObservedRevision != b.view.known(store.CalendarTail("holidays")).source.mod {
		t.Errorf("it waits: %+v", c)
	}
}

// What a task had met before its clock stepped back was right by the days of then.
func TestCalendarChangesWhileTheClockIsBack(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.put(noFridays)
	b.settle(demo)
	b.goTo("10:05")
	b.complete(nightwatch.PhaseSucceeded)
	b.moveTo("10:02")
	b.putCalendar("holidays", `{"days":["Fri"]}`)
	b.goTo("10:11")
	b.wantRuns(idAt("10:05") + " Succeeded")
	b.wantAccounted()
}

// A task whose calendar is still to be judged does not keep the loop busy.
func TestTaskThatWaitsForACalendarRests(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	b.put(noFridays)
	b.settle(demo)
	b.moveTo("10:02")
	b.set(b.keys.Calendar("holidays"), `{"days":["Fri"]}`)
	b.moveTo("10:05")
	if p := b.decide(demo); !p.txn.Empty() || !p.wake.After(b.now) {
		t.Errorf("%d operations, wakes at %s", p.txn.Operations(), p.wake)
	}
}

func TestOnlyUsersOfACalendarAreTouched(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	use := func(value string) { b.put(value); b.settle(demo) }
	touched := func() (n int) {
		b.view.touched = func(t *taskView) {
			if t.name == demo {
				n++
			}
		}
		b.view.touchUsers("holidays")
		return n
	}
	for _, row := range []struct {
		name, value string
		want        int
	}{{"uses it", noFridays, 1}, {"does no more", fiveMinutes, 0}, {"does again", noFridays, 1}} {
		use(row.value)
		if n := touched(); n != row.want {
			t.Errorf("%s: touched %d times", row.name, n)
		}
	}
	b.relist()
	if n := touched(); n != 1 {
		t.Errorf("after a list: touched %d times", n)
	}
	b.del(b.keys.Task(demo))
	b.settle(demo)
	if n := touched(); n != 0 {
		t.Errorf("deleted: touched %d times", n)
	}
}

// A request below a calendar's tail is no request, and does not stay.
func TestRequestInTheCalendarsPlace(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.putCalendar("holidays", `{"days":["Sat"]}`)
	tail := store.CalendarTail("holidays")
	b.set(b.keys.Request(tail, "x"), `{"action":"run"}`)
	b.settle(tail)
	var v nightwatch.Verdict
	if !b.read(b.keys.Verdict(tail, "x"), &v) || v.Accepted || len(v.Errors) != 1 || len(b.below(store.Requests)) > 0 {
		t.Errorf("%+v, left %q", v, b.below(store.Requests))
	}
	b.moveTo("12:00")
	b.settle(tail)
	if left := b.below(store.Verdicts); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
