package checker

import (
	"slices"
	"time"
)

// Occurrence is a time at which a task was due, and what became of it.
type Occurrence struct {
	Task string
	Due  time.Time
	// Places is how many records and ranges tell of it: one, if all is well.
	Places int
	// Phase is that of its record, "" when it has none any more.
	Phase string
	// Starts counts the beginnings of its effect. The first was at Began.
	Starts int
	Began  time.Time
}

// Late is by how much it started after its time.
func (o Occurrence) Late() time.Duration { return o.Began.Sub(o.Due) }

// Occurrences are all times that the cursors of tasks have passed.
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
		l, records := t.ledger(end), t.byTime()
		t.due(time.Time{}, s.Cursor, func(at time.Time, _ *accepted) {
			o := Occurrence{Task: t.name, Due: at, Places: records[at.UnixMilli()] + l.ranges(at)}
			if r := runs[at.UnixMilli()]; r != nil {
				o.Phase = r.last().Phase
				o.Starts = len(r.starts())
				for _, j := range r.jobs {
					if !j.Suspended {
						o.Starts++
					}
				}
				o.Began, _ = r.began()
			}
			all = append(all, o)
		})
	}
	return all
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
