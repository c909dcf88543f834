package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// tellRun answers for a nominal time that has a record.
func (y *inquiry) tellRun(r *nightwatch.Run) {
	y.answer.Run = r
	y.say(r.Reason, "%s: %s.", y.clock.noted(r.NominalTime, y.note(r.NominalTime)), y.fate(r))
	y.history(r)
}

// fate is what became of a run, as a clause.
func (y *inquiry) fate(r *nightwatch.Run) string {
	switch r.Phase {
	case nightwatch.PhasePending:
		if r.Reason == "" {
			return fmt.Sprintf("run %s waits to be given to a node", r.ID) + because("", "", r.Message)
		}
		return fmt.Sprintf("run %s waits", r.ID) + because(r.Reason, waits(r.Reason), r.Message)
	case nightwatch.PhaseAssigned:
		return fmt.Sprintf("run %s was given to node %s, which has not begun it yet", r.ID, r.Node)
	case nightwatch.PhaseRunning:
		if r.Parent() {
			return fmt.Sprintf("run %s has been running for %s", r.ID, lasting(y.a.Now.Sub(r.StartTime)))
		}
		if r.StartTime.IsZero() {
			return fmt.Sprintf("run %s is being started on node %s", r.ID, r.Node)
		}
		return fmt.Sprintf("run %s has been running on node %s for %s", r.ID, r.Node, lasting(y.a.Now.Sub(r.StartTime)))
	case nightwatch.PhaseSucceeded:
		return fmt.Sprintf("run %s succeeded%s", r.ID, took(r))
	case nightwatch.PhaseFailed:
		return fmt.Sprintf("run %s failed%s", r.ID, took(r)) + because(r.Reason, over(r.Reason), r.Message)
	case nightwatch.PhaseCanceled:
		return fmt.Sprintf("run %s was canceled", r.ID) + y.canceled(r)
	default:
		return fmt.Sprintf("run %s was %s", r.ID, lower(r.Phase)) + because(r.Reason, over(r.Reason), r.Message)
	}
}

// canceled is because for a run that was canceled: of a wish of somebody it says whose it was.
func (y *inquiry) canceled(r *nightwatch.Run) string {
	if r.Cancel == nil {
		return because(r.Reason, over(r.Reason), r.Message)
	}
	message := r.Message
	if message == r.Cancel.Message() && r.Reason == nightwatch.ReasonCancelRequested || message == over(r.Reason) {
		message = "" // the record repeats what is told here
	}
	if r.Reason != nightwatch.ReasonCancelRequested {
		return because(r.Reason, over(r.Reason), message)
	}
	return because(r.Reason, y.wish(r.Cancel), message)
}

// wish is a clause on a cancel that a person asked for: who, when, and the note if there is one.
func (y *inquiry) wish(c *nightwatch.Cancel) string {
	text := firstOf(c.By, "somebody") + " asked for it"
	if !c.Time.IsZero() {
		text += " at " + y.clock.text(c.Time)
	}
	if c.Why != "" {
		text += ": " + c.Why
	}
	return text
}

func took(r *nightwatch.Run) string {
	if r.StartTime.IsZero() || r.EndTime.IsZero() {
		return ""
	}
	return " after " + lasting(r.EndTime.Sub(r.StartTime))
}

// history adds when things happened to a run, and by whom.
func (y *inquiry) history(r *nightwatch.Run) {
	due := r.NominalTime
	if r.NotBefore.After(due) {
		due = r.NotBefore
		y.detail("Its start was delayed by the task's jitter to %s.", y.clock.text(due))
	}
	y.upstreams(r)
	if r.Backfill != "" {
		y.detail("It was asked for by the backfill %s.", r.Backfill)
	}
	var steps []string
	for _, step := range []struct {
		what string
		at   time.Time
	}{{"created", r.CreateTime}, {"started", r.StartTime}, {"ended", r.EndTime}} {
		if step.at.IsZero() {
			continue
		}
		text := step.what + " " + y.clock.text(step.at)
		if late := step.at.Sub(due); step.what == "started" && late > 0 && r.Backfill == "" {
			text += ", " + lasting(late) + " late"
		}
		steps = append(steps, text)
	}
	if len(steps) > 0 {
		y.detail("It was %s.", strings.Join(steps, "; "))
	}
	y.shards(r)
	if r.Node != "" && r.Phase.Terminal() {
		y.detail("It was on node %s.", r.Node)
	}
	if r.Attempt > 1 {
		y.detail("This is attempt %d.", r.Attempt)
	}
	if r.ExitCode != nil && *r.ExitCode != 0 {
		y.detail("Its exit code is %d.", *r.ExitCode)
	}
	if r.Cancel != nil && r.Phase != nightwatch.PhaseCanceled { // of one that was canceled the fate tells
		if reason := r.Cancel.Reason; reason == nightwatch.ReasonCancelRequested {
			y.detail("It was to be canceled (%s): %s.", reason, y.wish(r.Cancel))
		} else {
			y.detail("It was to be ended (%s) from %s on: %s.", reason, y.clock.text(r.Cancel.Time), over(reason))
		}
	}
}

// shards adds what the shards of a run are at.
func (y *inquiry) shards(r *nightwatch.Run) {
	if r.Shards == nil || r.Shards.Count == 0 {
		return
	}
	if r.Shards.Indexes != "" {
		y.detail("It is a second chance of shards %s of the %d of run %s.", brief(r.Shards.Indexes), r.Shards.Count, r.RetryOf)
	}
	var parts []string
	for _, part := range []struct {
		shards   nightwatch.Indexes
		of, more string
	}{{r.Shards.Succeeded, "has succeeded", "have succeeded"}, {r.Shards.Failed, "has failed", "have failed"}, {r.Shards.Active, "is active", "are active"}} {
		switch n := part.shards.Len(); {
		case n == 1:
			parts = append(parts, string(part.shards)+" "+part.of)
		case n > 1:
			parts = append(parts, brief(part.shards)+" "+part.more)
		}
	}
	if len(parts) > 0 {
		y.detail("Of its %d shards, %s.", r.Shards.All().Len(), strings.Join(parts, "; "))
	}
}

// brief are the shards of a set, as far as they fit on a line.
func brief(shards nightwatch.Indexes) string {
	const most = 80
	if len(shards) <= most {
		return string(shards)
	}
	return fmt.Sprintf("%s… (%d)", shards[:strings.LastIndexByte(string(shards[:most]), ',')+1], shards.Len())
}

// obstacles adds what keeps the task from starting anything at a time.
func (y *inquiry) obstacles(at time.Time) {
	a := y.a
	if a.Accepted != nil && a.Accepted.Task.Suspend {
		y.detail("The task is suspended: nothing of it is met until its value has no suspend: true any more.")
	}
	for _, tail := range a.frozenBy() {
		y.detail("%s", y.freeze(tail, a.Freezes[tail], at))
	}
	for _, name := range y.missing {
		y.detail("Calendar %q, which the task uses, is not there or was never accepted: put calendars/%s.", name, name)
	}
	y.verdict()
	if len(a.Nodes) == 0 {
		y.detail("No node is alive.")
	}
}

// freeze is a sentence on a freeze key: who, why, until when, and what is wrong with it.
func (y *inquiry) freeze(tail string, f nightwatch.Freeze, at time.Time) string {
	text := "freeze/" + tail + " is there"
	if f.By != "" {
		text += ", by " + f.By
	}
	switch {
	case f.Until.IsZero():
		text += ", until somebody deletes it"
	case f.Until.After(at):
		text += ", until " + y.clock.text(f.Until)
	case f.Until.After(y.a.Now):
		text += ", and ends before that time, at " + y.clock.text(f.Until)
	default:
		text += ", which ended at " + y.clock.text(f.Until) + " and is about to be removed"
	}
	if f.Note != "" {
		text += ": " + f.Note
	}
	if fault := y.a.FreezeErrors[tail]; fault != "" {
		text += " (its value is not as it should be: " + fault + ")"
	}
	return text + "."
}

// verdict adds what the newest value of the task has to do with it, when that is not in force.
func (y *inquiry) verdict() {
	a := y.a
	if a.Value == nil {
		return
	}
	switch {
	case a.Status == nil || a.TaskRevision > a.Status.ObservedRevision:
		y.detail("The newest value of the task, of revision %d, has not been looked at yet.", a.TaskRevision)
	case !a.Status.Accepted:
		for _, fault := range a.Status.Errors {
			y.detail("The newest value of the task was refused: %s.", strings.TrimSuffix(fault.Error(), "."))
		}
		if a.Accepted != nil {
			y.detail("The version of revision %d stays in force.", a.Accepted.Revision)
		}
	}
}
