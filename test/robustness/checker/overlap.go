package checker

import (
	"slices"
	"time"
)

// What must hold of the runs of one task among each other, and of the attempts of one run.

// busy is from when until when something of a run was seen to go on.
type busy struct {
	r        *run
	from, to time.Time
	last     Effect
}

// busyTimes are those of the runs of a task's schedule, in order.
func (t *task) busyTimes() []busy {
	var all []busy
	for _, r := range t.runs {
		if !r.scheduled() {
			continue
		}
		from, ok := r.began()
		if !ok {
			continue
		}
		b := busy{r: r, from: from, to: from}
		if n := len(r.effects); n > 0 {
			b.last = r.effects[n-1]
			b.to = b.last.At()
		}
		for _, j := range r.jobs {
			for _, at := range []time.Time{j.created, j.finished} {
				if !j.Suspended && at.After(b.to) {
					b.to = at
				}
			}
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b busy) int { return a.from.Compare(b.from) })
	return all
}

func skipOverlap(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		if slices.ContainsFunc(t.versions, func(v accepted) bool { return !v.Task.skips() }) {
			continue
		}
		var before busy
		for _, b := range t.busyTimes() {
			if before.r != nil && b.from.Before(before.to) && !x.excused(before.r, before.last) {
				broken(b.r.key, "it started at %s, and that of %s was seen to go on at %s",
					text(b.from), text(before.r.first().NominalTime), text(before.to))
			}
			if before.r == nil || b.to.After(before.to) {
				before = b
			}
		}
		t.liveTogether(broken)
	}
}

// liveTogether finds runs whose records were live at one revision.
func (t *task) liveTogether(broken broken) {
	var runs []*run
	for _, r := range t.runs {
		if r.scheduled() && !terminal(r.first().Phase) {
			runs = append(runs, r)
		}
	}
	for i := 1; i < len(runs); i++ { // in the order in which they were made
		if ended := runs[i-1].ended(); runs[i].first().revision <= ended {
			broken(runs[i].key, "it was made at revision %d, and that of %s was live until %d",
				runs[i].first().revision, text(runs[i-1].first().NominalTime), ended)
		}
	}
}

// ended is the revision at which the record became terminal, or was deleted.
func (r *run) ended() int64 {
	for _, v := range r.versions {
		if terminal(v.Phase) {
			return v.revision
		}
	}
	if r.deleted != 0 {
		return r.deleted
	}
	return end
}

func retryBound(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		most := 1
		for _, v := range t.versions {
			most = max(most, v.Task.Retry.Attempts)
		}
		for _, r := range t.runs {
			if failures := r.last().Failures; failures >= most {
				broken(r.key, "%d attempts failed and were followed by another; the task allows %d in all", failures, most)
			}
		}
	}
}
