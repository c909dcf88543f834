package checker

import (
	"slices"
	"time"
)

// Occurrence is a time at which a task was due, and what became of it.
type Occurrence struct {
	Task string
	Due  time.Time
	// Places is how many records and ranges tell of it, when the task was last there: one, if all is well.
	Places int
	// Phase is that of its record, "" when it never had one.
	Phase string
	// Starts counts the beginnings of its effect. The first was at Began.
	Starts int
	Began  time.Time
	// Allowed is how many beginnings its record explains: by failures and, where that has another attempt follow, by lost
	// sessions.
	Allowed int
	// Waited says that it is on record that it waited for something, such as the run before.
	Waited bool

	unseen bool // it succeeded, and no effect was seen
	undone bool // its node was lost, and there was no other attempt though there should be
}

// Late is by how much it started after its time.
func (o Occurrence) Late() time.Duration { return o.Began.Sub(o.Due) }

// Lost tells whether nobody can say what became of it, or it was to run and did not.
func (o Occurrence) Lost() bool { return o.Places == 0 || o.unseen || o.undone }

// Twice tells whether it is there twice, or began more often than its record explains.
func (o Occurrence) Twice() bool { return o.Places > 1 || o.Starts > max(o.Allowed, 1) }

// Occurrences are all times that the cursors of tasks have passed, but those of which only totals are left.
func Occurrences(h *History) []Occurrence {
	x := newIndex(h)
	var all []Occurrence
	for _, t := range x.tasks {
		s := t.last()
		if s == nil {
			continue
		}
		runs := map[int64]*run{}
		for _, r := range t.runs {
			if r.scheduled() {
				runs[r.first().NominalTime.UnixMilli()] = r
			}
		}
		until := end
		if t.deleted != 0 {
			until = t.deleted
		}
		l, records := t.ledger(until), t.byTime(until)
		t.due(time.Time{}, s.Cursor, func(at time.Time, v *accepted) {
			r := runs[at.UnixMilli()]
			if r == nil && (!at.After(l.Since) || v.Task.MaxRuns > 0) {
				return
			}
			o := Occurrence{Task: t.name, Due: at, Places: records[at.UnixMilli()] + l.ranges(at)}
			if !at.After(l.Since) {
				o.Places = 1 // it was counted
			}
			if r != nil {
				o.saw(x, r, v)
			}
			all = append(all, o)
		})
	}
	return all
}

// saw adds what a record tells, and what was seen of its effects.
func (o *Occurrence) saw(x *index, r *run, v *accepted) {
	last := r.last()
	o.Phase, o.Starts = last.Phase, len(r.starts())
	for _, j := range r.jobs {
		if !j.Suspended {
			o.Starts++
		}
	}
	o.Began, _ = r.began()
	_, timely := r.late()
	o.Waited = o.Starts > 0 && !timely
	o.Allowed = 1 + last.Failures
	if v.Task.Delivery != "at-most-once" {
		o.Allowed += last.LostSessions
	}
	seen := writes(last.Runner) && len(x.Effects) > 0 || last.Runner == "kubernetes" && len(x.Jobs) > 0
	o.unseen = last.Phase == "Succeeded" && o.Starts == 0 && seen && last.Shards == nil
	o.undone = last.Phase == "Failed" && last.Reason == "NodeLost" && v.Task.Delivery != "at-most-once"
}

// Lateness is how late occurrences were that started.
type Lateness struct {
	Count         int
	P50, P99, Max time.Duration
}

// Late sums up the occurrences that were due in [from, to).
func Late(occurrences []Occurrence, from, to time.Time) Lateness {
	var late []time.Duration
	for _, o := range occurrences {
		if o.Starts > 0 && !o.Due.Before(from) && o.Due.Before(to) {
			late = append(late, o.Late())
		}
	}
	if len(late) == 0 {
		return Lateness{}
	}
	slices.Sort(late)
	return Lateness{len(late), late[len(late)/2], late[len(late)*99/100], late[len(late)-1]}
}
