package checker

import (
	"slices"
	"time"
)

// What must hold of when things start.

func neverEarly(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		ahead := time.Duration(0)
		for _, v := range r.versions {
			ahead = max(ahead, x.ahead(v)) // it may be announced by one clock and held back by another
		}
		if at, ok := r.began(); ok && r.scheduled() && at.Before(r.first().NominalTime.Add(-max(ahead, x.hasty(r, at)))) {
			broken(r.key, "it is due at %s and started at %s", text(r.first().NominalTime), text(at))
		}
		for _, e := range r.starts() {
			for _, v := range r.versions {
				if v.revision == e.Fence && e.At().Before(v.NotBefore) && e.At().Before(v.NotBefore.Add(-x.ahead(v))) {
					broken(r.key, "attempt %d is not to start before %s, and started at %s", e.Attempt, text(v.NotBefore), text(e.At()))
				}
			}
		}
	}
}

// hasty is by how much a run may be early because the clock of the node that began it was off then, and it had been announced.
func (x *Index) hasty(r *run, at time.Time) time.Duration {
	const hearing = 250 * time.Millisecond
	if !r.first().Announced {
		return 0
	}
	for _, f := range x.Faults {
		if f.Kind == FaultClock && f.Off > 0 && slices.ContainsFunc(r.versions, func(v version) bool { return v.Node == f.Target }) &&
			!at.Before(f.From) && at.Before(f.To.Add(onTheWay)) {
			return hearing
		}
	}
	return 0
}

// late is by how much the run of a time started late; false if it did not start, or waited for something that is on
// record, or nobody knew the time.
func (r *run) late() (time.Duration, bool) {
	at, ok := r.began()
	if !ok || !r.scheduled() || r.offClock {
		return 0, false
	}
	due := r.first().NominalTime
	if due.IsZero() {
		return 0, false
	}
	for _, v := range r.versions {
		switch v.Reason {
		case "Overlap", "Frozen", "Locked", "NoFittingNode", "NoCapacity":
			if !terminal(v.Phase) {
				return 0, false
			}
		}
		if v.Attempt == 1 && v.NotBefore.After(due) {
			due = v.NotBefore
		}
	}
	return at.Sub(due), true
}

func notLate(x *Index, bounds Bounds, broken broken) {
	if bounds.Late == 0 {
		return
	}
	for _, r := range x.runs {
		if late, ok := r.late(); ok && late > bounds.Late {
			broken(r.key, "it started %s late", late)
		}
	}
}

func startOrder(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		if slices.ContainsFunc(t.versions, func(v accepted) bool { return v.Task.Overlap == "allow" }) {
			continue
		}
		var runs []*run
		for _, r := range t.runs {
			if _, ok := r.began(); ok && r.scheduled() {
				runs = append(runs, r)
			}
		}
		slices.SortFunc(runs, func(a, b *run) int { return a.first().NominalTime.Compare(b.first().NominalTime) })
		for i := 1; i < len(runs); i++ {
			before, _ := runs[i-1].began()
			if at, _ := runs[i].began(); at.Before(before) {
				broken(runs[i].key, "it started at %s, before that of %s, at %s", text(at), text(runs[i-1].first().NominalTime), text(before))
			}
		}
	}
}

// recovery is about what was due between some time after the last fault and the end of the history.
func recovery(x *Index, bounds Bounds, broken broken) {
	if bounds.Heal == 0 || x.Ended.IsZero() || len(x.Faults) == 0 {
		return
	}
	healed := slices.MaxFunc(x.Faults, func(a, b Fault) int { return a.To.Compare(b.To) }).To.Add(bounds.Heal)
	over := x.Ended.Add(-bounds.OnTime)
	for _, t := range x.tasks {
		if t.deleted != 0 || x.frozen(t.name, end-1) {
			continue
		}
		runs := map[int64]*run{}
		for _, r := range t.runs {
			if r.scheduled() {
				runs[r.first().NominalTime.UnixMilli()] = r
			}
		}
		l := t.ledger(end)
		t.due(healed, over, func(at time.Time, v *accepted) {
			r := runs[at.UnixMilli()]
			switch {
			case v.Task.MaxRuns > 0 || v.Task.Suspend || !at.After(healed):
			case r == nil && l.ranges(at) == 0:
				broken(t.name, "nothing became of %s, and all was well from %s on", text(at), text(healed))
			case r == nil && slices.ContainsFunc(l.Ranges, func(r timeRange) bool { return r.tells(at) && outcomes[r.outcome] == "Missed" }),
				r != nil && r.last().Phase == "Missed":
				broken(t.name, "%s was missed, and all was well from %s on", text(at), text(healed))
			case r != nil:
				if late, ok := r.late(); ok && late > bounds.OnTime {
					broken(r.key, "it started %s late, and all was well from %s on", late, text(healed))
				}
			}
		})
	}
}
