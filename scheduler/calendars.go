package scheduler

import (
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
	"github.com/nightwatch-go/nightwatch/store"
)

// settleWithin is how long a changed calendar waits for the tasks that use it to settle the time before the change.
const settleWithin = 10 * time.Second

// calendarPoll is how often a calendar and the tasks that use it look whether the others are done.
const calendarPoll = 20 * time.Millisecond

// judgeCalendar keeps what the system says of a calendar: its verdict and the version in force. A value that is
// refused changes nothing for the tasks that use the calendar; when its key goes, so do both. What was due before the
// change is settled by those tasks first, on the days of the version that it ends.
func judgeCalendar(p *plan, name string) {
	if !calendarChanged(p.t) {
		return
	}
	if p.t.noticed.IsZero() || p.now.Before(p.t.noticed) {
		p.t.noticed = p.now
	}
	since, settled := p.usersSettled(name)
	if p.now.Sub(p.t.noticed) < settleWithin && !settled {
		p.wakeBy(p.now.Add(calendarPoll))
		return
	}
	accepted, verdict := p.keys.AcceptedCalendar(name), p.keys.CalendarStatus(name)
	p.txn.Seen(p.keys.Calendar(name), p.t.source.mod)
	if !p.t.source.present() {
		if p.t.accepted.present() {
			p.remove(accepted, p.t.accepted.mod)
		}
		if p.t.statusAt.present() {
			p.remove(verdict, p.t.statusAt.mod)
		}
		return
	}
	status := nightwatch.CalendarStatus{ObservedRevision: p.t.source.mod, UpdateTime: p.now}
	calendar, err := nightwatch.ParseCalendar(name, p.t.sourceValue)
	if err != nil {
		status.Errors, status.AcceptedRevision = faultsOf(err), inForce(p.t)
	} else {
		status.Accepted, status.AcceptedRevision, status.Warnings = true, p.t.source.mod, calendar.Warnings()
		p.put(accepted, p.t.accepted.mod, nightwatch.AcceptedCalendar{
			Revision: p.t.source.mod, Since: since, Calendar: *calendar,
		})
	}
	p.put(verdict, p.t.statusAt.mod, status)
}

// inForce is the revision of the version in force, 0 when there is none.
func inForce(calendar *taskView) int64 {
	if calendar.calendar == nil {
		return 0
	}
	return calendar.calendar.Revision
}

// calendarChanged tells whether a calendar has been put, or has gone, since it was judged.
func calendarChanged(t *taskView) bool {
	if !t.source.present() {
		return t.accepted.present() || t.statusAt.present()
	}
	return t.status.ObservedRevision != t.source.mod || t.status.AcceptedRevision != inForce(t)
}

// changedAt is when a task or a calendar was put or went, as well as this node can know, and not after now.
func changedAt(t *taskView, now time.Time) time.Time {
	if t.putTime.Before(now) {
		return t.putTime.UTC()
	}
	return now
}

// calendarChange is when the first of the task's calendars changed that is still to be judged: up to then the
// versions in force say what was due, and further they do not.
func (p *plan) calendarChange() (at time.Time, changed bool) {
	for _, name := range p.def.Task.Calendars.Names() {
		t := p.view.tasks[store.CalendarTail(name)]
		if t == nil || t.calendar == nil || !calendarChanged(t) {
			continue
		}
		if put := changedAt(t, p.now); !changed || put.Before(at) {
			at, changed = put, true
		}
	}
	return at, changed
}

// usersSettled tells whether every task that uses a calendar has settled what was due before it changed, and since when
// the change counts: not for what a user had settled before a clock stepped back.
func (p *plan) usersSettled(name string) (since time.Time, settled bool) {
	changed := changedAt(p.t, p.now)
	since, settled = changed, true
	for _, t := range p.view.users[name] {
		user := newPlan(p.world, t)
		since = later(since, user.status.Cursor)
		times := user.times()
		if _, ending := user.earlierLife(); ending || times == nil || user.exhausted() {
			continue
		}
		if _, due := times.Between(user.from(), changed, 0); due {
			settled = false
		}
	}
	return since, settled
}

// from is the time after which the task's times are still to be met: the cursor, or the change of a calendar since,
// as no change brings back what was before it. What was due while a calendar was missing is still to be told. Whatever
// somebody made of the status, nothing is due from before the version in force.
func (p *plan) from() time.Time {
	if p.status.Still == nightwatch.ReasonCalendarMissing {
		return later(p.status.Cursor, p.def.Since)
	}
	return later(p.status.Cursor, p.timesSince())
}

// timesSince is since when the task's times are what they are: the put of the version in force, or the last change of one
// of its calendars.
func (p *plan) timesSince() time.Time {
	since := p.def.Since
	for _, name := range p.def.Task.Calendars.Names() {
		if t := p.view.tasks[store.CalendarTail(name)]; t != nil && t.calendar != nil {
			since = later(since, t.calendar.Since)
		}
	}
	return since
}

// times are those of the version in force, on the days that its calendars say; nil when one of them is missing.
func (p *plan) times() *schedule.Schedule {
	times, _ := p.def.Task.TimesOn(p.calendar)
	return times
}

func (p *plan) calendar(name string) *schedule.Calendar {
	if t := p.view.tasks[store.CalendarTail(name)]; t != nil && t.calendar != nil {
		return t.calendar.Calendar.Compiled()
	}
	return nil
}

// missingCalendar is the name of a calendar that the task uses and that is not in force, if there is one.
func (p *plan) missingCalendar() string {
	for _, name := range p.def.Task.Calendars.Names() {
		if p.calendar(name) == nil {
			return name
		}
	}
	return ""
}

// calendarMessage says what is wrong with a missing calendar.
func (p *plan) calendarMessage(name string) string {
	if t := p.view.tasks[store.CalendarTail(name)]; t != nil && t.source.present() {
		return fmt.Sprintf("calendar %q has never been accepted: see %s", name, p.keys.CalendarStatus(name))
	}
	return fmt.Sprintf("calendar %q is not there: put %s", name, p.keys.Calendar(name))
}
