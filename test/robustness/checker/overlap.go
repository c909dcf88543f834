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

// busyTimes are those of the runs of a task, in order.
func (t *task) busyTimes() []busy {
	var all []busy
	for _, r := range t.runs {
		from, ok := r.began()
		if !ok || r.first().Shard != 0 || r.first().Overlap == "allow" {
			continue
		}
		b := busy{r: r, from: from, to: from}
		for _, e := range r.effects {
			if e.Event != EffectCut { // by then it has noticed
				b.last, b.to = e, e.At()
			}
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

func noOverlap(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		var before busy
		for _, b := range t.busyTimes() {
			if before.r != nil && b.from.Before(before.to) && !x.excused(before.r, before.last) && !t.lets(before.r, b.r, "allow") {
				broken(b.r.key, "it started at %s, and that of %s was seen to go on at %s",
					text(b.from), text(before.r.first().NominalTime), text(before.to))
			}
			if before.r == nil || b.to.After(before.to) {
				before = b
			}
		}
	}
}

// lets tells whether one of these policies was in force at any time from when one run was made until the next one began.
func (t *task) lets(before, next *run, policies ...string) bool {
	until := next.first().revision
	if starts := next.starts(); len(starts) > 0 {
		until = starts[0].Fence
	} else {
		for _, v := range next.versions {
			if until = v.revision; v.Phase == "Running" {
				break
			}
		}
	}
	for i := range t.versions {
		v := &t.versions[i]
		over := i+1 < len(t.versions) && t.versions[i+1].from <= before.first().revision
		if !over && v.from <= until && slices.Contains(policies, v.Task.overlaps()) {
			return true
		}
	}
	return false
}

func skipOverlap(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		t.liveTogether(broken)
	}
}

// liveTogether finds runs whose records were live at one revision. One transaction may end a run and make the next.
func (t *task) liveTogether(broken broken) {
	var runs []*run
	for _, r := range t.runs {
		if r.first().Shard == 0 && r.first().Overlap == "" && !terminal(r.first().Phase) {
			runs = append(runs, r)
		}
	}
	for i := 1; i < len(runs); i++ { // in the order in which they were made
		if ended := runs[i-1].ended(); runs[i].first().revision < ended && !t.lets(runs[i-1], runs[i], "allow", "queue-one", "queue-all", "replace") {
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
		most, least := 1, time.Duration(1<<62)
		for _, v := range t.versions {
			most, least = max(most, v.Task.Retry.Attempts), min(least, time.Duration(v.Task.Retry.Backoff))
		}
		for _, r := range t.runs {
			if failures := r.last().Failures; failures >= most {
				broken(r.key, "%d attempts failed and were followed by another; the task allows %d in all", failures, most)
			}
			if r.last().LostSessions+r.handedBack() > 0 {
				continue // another followed for another reason
			}
			starts := r.starts()
			for i := 1; i < len(starts); i++ {
				if gap := starts[i].At().Sub(starts[i-1].At()); gap < least {
					broken(r.key, "attempt %d began %s after the one before; the task's backoff is %s", starts[i].Attempt, gap, least)
				}
			}
		}
	}
}
