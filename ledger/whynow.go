package ledger

import (
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// maxLive bounds how many live runs an answer names.
const maxLive = 10

// tellNow answers what the task is doing and waiting for.
func (y *inquiry) tellNow() {
	a := y.a
	live := a.live()
	still := a.still()
	switch {
	case still == nightwatch.ReasonDeleting || still == nightwatch.ReasonPreviousDeleting:
		y.say(still, "Nothing starts (%s): %s.", still, waits(still))
	case a.Status == nil:
		y.say(NotLookedAt, "No scheduler has looked at the task yet.")
	case a.Accepted == nil:
		y.say(NeverAccepted, "Nothing starts: no version of the task was ever accepted.")
	case len(live) > 0:
		first := headRun(live)
		y.answer.Run = first
		y.say(first.Reason, "%s.", capital(y.fate(first)))
		y.shards(first)
	case still != "" && (a.Accepted.Task.Recurring() || a.Accepted.Task.After != nil || a.Status.PendingRevision != 0):
		y.say(still, "Nothing starts (%s): %s.", still, waits(still))
	case a.exhausted():
		y.say(MaxRunsReached, "The task has had all its runs (maxRuns: %d).", a.Accepted.Task.MaxRuns)
	case a.Accepted.Task.After != nil:
		reason := firstOf(a.Status.Reason, nightwatch.ReasonUpstream)
		y.say(reason, "Nothing is due (%s): %s.", reason, waits(reason))
	case a.Accepted.Task.Recurring():
		y.tellNext()
	default:
		y.tellSubmissions()
	}
	y.obstacles(a.Now)
	y.tellLive(live)
	if still == "" && len(live) > 0 && !a.exhausted() {
		if next, ok := y.next(); ok {
			y.detail("Its next time is %s, in %s.", y.clock.noted(next, y.note(next)), lasting(next.Sub(a.Now)))
		}
	}
	y.tellUpstreams()
	y.tellBackfills()
	y.tellLast()
}

// headRun is the run that says most of a task: one that runs, else the one that has waited longest.
func headRun(live []*nightwatch.Run) *nightwatch.Run {
	for _, phase := range []nightwatch.Phase{nightwatch.PhaseRunning, nightwatch.PhaseAssigned} {
		for _, r := range live {
			if r.Phase == phase {
				return r
			}
		}
	}
	return live[0]
}

// next is the next time of the task, which lies in the past when it is due; false when there is none.
func (y *inquiry) next() (time.Time, bool) {
	switch {
	case y.times == nil || y.a.Status == nil:
		return time.Time{}, false
	case y.times.AfterFinish():
		return y.a.following(y.times)
	}
	return y.times.Next(y.a.from())
}

// tellNext answers for a task that waits for its next time.
func (y *inquiry) tellNext() {
	next, ok := y.next()
	switch {
	case !ok:
		y.say(NoTimesLeft, "The task has no further times%s.", given("endsAt", y.a.Accepted.Task.EndsAt))
	case next.After(y.a.Now):
		y.say(WaitsForTheClock, "It waits for its next time, %s, in %s.", y.clock.noted(next, y.note(next)), lasting(next.Sub(y.a.Now)))
	default:
		y.tellDue(next)
	}
}

// tellSubmissions answers for a task without times of its own that has no live run.
func (y *inquiry) tellSubmissions() {
	switch last := y.a.Status.LastRun; {
	case y.a.Status.PendingRevision != 0:
		y.say(NotDecided, "The put of revision %d is about to be run.", y.a.Status.PendingRevision)
	case last != nil:
		y.say(last.Reason, "%s. The task has no schedule: it runs again when it is put.", capital(y.fate(last)))
	default:
		y.say(NoSchedule, "Nothing is to be done: the task has no schedule, it runs when it is put.")
	}
}

// tellLive names the live runs beside the one of the headline, and why they wait.
func (y *inquiry) tellLive(live []*nightwatch.Run) {
	named := 0
	for _, r := range live {
		if r == y.answer.Run {
			continue
		}
		if named == maxLive {
			y.detail("%d further runs are live.", len(live)-named-1)
			return
		}
		named++
		y.detail("%s.", capital(y.fate(r)))
	}
}

func (y *inquiry) tellBackfills() {
	if y.a.Status == nil {
		return
	}
	for _, b := range y.a.Status.Backfills {
		state := "has not begun"
		switch {
		case b.Cancel != nil:
			state = "is being canceled"
		case !b.Cursor.IsZero():
			state = "has come to " + y.clock.text(b.Cursor)
		}
		y.detail("Backfill %s, from %s to %s, %s.", b.ID, y.clock.text(b.From), y.clock.text(b.To), state)
	}
}

// tellLast adds how the newest finished run ended.
func (y *inquiry) tellLast() {
	var last *nightwatch.Run
	for i := range y.a.Runs {
		if r := &y.a.Runs[i]; !r.Live() && (last == nil || r.EndTime.After(last.EndTime)) {
			last = r
		}
	}
	if last != nil {
		y.detail("Last result: %s, at %s.", y.fate(last), y.clock.text(last.EndTime))
	}
}

// capital is a clause that begins a sentence.
func capital(clause string) string { return strings.ToUpper(clause[:1]) + clause[1:] }
