package ledger

import (
	"fmt"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

// tellUpstreams adds how far a task has come with those that it comes after.
func (y *inquiry) tellUpstreams() {
	a := y.a
	if a.Accepted == nil || a.Accepted.Task.After == nil || a.Status == nil {
		return
	}
	after := a.Accepted.Task.After
	condition := firstOf(after.Condition, nightwatch.AfterSucceeded)
	y.detail("It runs once for each set of runs, one of each of %s, that have %s within %s of each other.",
		strings.Join(a.Accepted.Task.Upstreams(), ", "), condition, nightwatch.Duration(after.Apart()))
	for i := range a.Status.Upstream {
		u := &a.Status.Upstream[i]
		text := fmt.Sprintf("Of %s it waits for a run", u.Task)
		if u.Waiting != nil {
			text = fmt.Sprintf("Of %s run %s, which %s, waits for those of the others", u.Task, u.Waiting.Run, y.came(u.Waiting))
		}
		if u.Used != "" {
			text += fmt.Sprintf("; the last one that it used is %s", u.Used)
		}
		if u.Passed > 0 {
			text += fmt.Sprintf("; %d were passed over", u.Passed)
		}
		y.detail("%s.", text)
	}
	for _, warning := range a.Status.Warnings {
		if _, missing, ok := strings.Cut(warning.Reason, nightwatch.ReasonUpstreamMissing+": "); ok {
			y.detail("Missing: %s.", missing)
		}
	}
}

// came is how and when a run of an upstream ended, as a clause.
func (y *inquiry) came(u *nightwatch.UpstreamRun) string {
	return fmt.Sprintf("%s at %s", ended(u.Phase, "was"), y.clock.text(u.EndTime))
}

// upstreams adds what a run came after.
func (y *inquiry) upstreams(r *nightwatch.Run) {
	for i := range r.Upstream {
		u := &r.Upstream[i]
		y.detail("It comes after run %s of %s, which %s.", u.Run, u.Task, y.came(u))
	}
}
