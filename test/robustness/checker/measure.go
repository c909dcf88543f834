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
	// sessions and nodes that stopped.
	Allowed int
	// Waited says that it is on record that it waited for something, such as the run before.
	Waited bool

	term   int64 // that made its record
	unseen bool  // it succeeded, and no effect was seen
	undone bool  // its node was lost, and there was no other attempt though there should be
}

// Late is by how much it started after its time.
func (o Occurrence) Late() time.Duration { return o.Began.Sub(o.Due) }

// Lost tells whether nobody can say what became of it, or it was to run and did not.
func (o Occurrence) Lost() bool { return o.Places == 0 || o.unseen || o.undone }

// Twice tells whether it is there twice, or began more often than its record explains.
func (o Occurrence) Twice() bool { return o.Places > 1 || o.Starts > max(o.Allowed, 1) }

// Occurrences are all times that the cursors of tasks have passed, but those of which only totals are left.
func (x *Index) Occurrences() []Occurrence {
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
		l, timed := t.ledger(until), t.timed()
		t.due(time.Time{}, s.Cursor, func(at time.Time, v *accepted) {
			r := runs[at.UnixMilli()]
			if r == nil && (!at.After(l.Since) || v.Task.MaxRuns > 0) {
				return
			}
			o := Occurrence{Task: t.name, Due: at, Places: records(timed[at.UnixMilli()], until) + l.ranges(at)}
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
func (o *Occurrence) saw(x *Index, r *run, v *accepted) {
	last := r.last()
	o.Phase, o.Starts, o.term = last.Phase, r.beginnings(), r.first().Term
	o.Began, _ = r.began()
	_, timely := r.late()
	o.Waited = o.Starts > 0 && !timely
	o.Allowed = 1 + last.Failures
	if last.Runner != "kubernetes" && !v.Task.atMostOnce() { // a Job goes on without its node
		o.Allowed += last.LostSessions + r.handedBack()
	}
	seen := writes(last.Runner) && len(x.Effects) > 0 || last.Runner == "kubernetes" && len(x.Jobs) > 0
	o.unseen = last.Phase == "Succeeded" && o.Starts == 0 && seen && last.Shards == 0
	o.undone = last.Phase == "Failed" && last.Reason == "NodeLost" && last.LostSessions < lostTooOften && !v.Task.atMostOnce()
}

// handedBack is how often a node that stopped ended an attempt for another to begin anew.
func (r *run) handedBack() (n int) {
	r.pairs(func(before, after version) {
		if before.Phase == "Running" && after.Reason == "HandedBack" && after.Attempt > before.Attempt {
			n++
		}
	})
	return n
}

// Spread is how far a number of times lie apart.
type Spread struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

// Late is how late occurrences were that were due in [from, to) and started.
func Late(occurrences []Occurrence, from, to time.Time) Spread {
	var late []time.Duration
	for _, o := range occurrences {
		if o.Starts > 0 && !o.Due.Before(from) && o.Due.Before(to) {
			late = append(late, o.Late())
		}
	}
	return SpreadOf(late)
}

// SpreadOf sums up times, which it sorts.
func SpreadOf(times []time.Duration) Spread {
	if len(times) == 0 {
		return Spread{}
	}
	slices.Sort(times)
	return Spread{len(times), times[len(times)/2], times[len(times)*99/100], times[len(times)-1]}
}
