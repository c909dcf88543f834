package checker

import (
	"strings"
	"time"
)

// What must hold of the times at which tasks are due.

// timed are the runs of the task's times, by these.
func (t *task) timed() map[int64][]*run {
	runs := map[int64][]*run{}
	for _, r := range t.runs {
		if f := r.first(); f.Shard == 0 && (r.scheduled() || f.Backfill != "") {
			runs[f.NominalTime.UnixMilli()] = append(runs[f.NominalTime.UnixMilli()], r)
		}
	}
	return runs
}

// records is how many of the runs of one time are there at a revision.
func records(runs []*run, revision int64) int {
	n := 0
	for _, r := range runs {
		if r.first().revision <= revision && (r.deleted == 0 || r.deleted > revision) {
			n++
		}
	}
	return n
}

// end is above every revision.
const end = int64(1) << 62

func completeness(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		s := t.last()
		if s == nil || t.cleared != 0 {
			continue // all that told of it is gone
		}
		runs, l := t.timed(), t.ledger(end)
		in := make([]int32, len(l.Ranges))
		counted := t.due(time.Time{}, s.Cursor, func(at time.Time, v *accepted) {
			if v.Task.MaxRuns > 0 || !at.After(l.Since) {
				return // it may have had its last run; or there are totals only
			}
			if r, n := records(runs[at.UnixMilli()], end), l.ranges(at); r+n != 1 {
				broken(t.name, "%s is in %d records and %d ranges", text(at), r, n)
			}
			for i, r := range l.Ranges {
				if r.tells(at) {
					in[i]++
				}
			}
		})
		for i, r := range l.Ranges {
			if counted && r.count != in[i] && r.first().After(l.Since) && !t.ever(func(s *spec) bool { return s.MaxRuns > 0 }) {
				broken(t.name, "the range from %s to %s counts %d times, and %d are due in it", text(r.first()), text(r.last()), r.count, in[i])
			}
		}
	}
}

func noInvention(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		for _, r := range t.runs {
			f := r.first()
			if id, requested := strings.CutPrefix(f.ID, "req-"); requested && f.Shard == 0 && !x.requests[t.name+"/"+id] {
				broken(r.key, "nobody requested it")
			}
			if !r.scheduled() {
				continue
			}
			if want := name(f.NominalTime); f.ID != want {
				broken(r.key, "its time is %s: want the name %s", text(f.NominalTime), want)
			}
			v := t.version(f.revision)
			if v == nil {
				broken(r.key, "no version of its task was in force at revision %d", f.revision)
				continue
			}
			if times := v.Task.times(t.name); times != nil {
				if next, ok := times.Next(f.NominalTime.Add(-time.Millisecond)); !ok || !next.Equal(f.NominalTime) {
					broken(r.key, "%s is no time of the version in force at revision %d", text(f.NominalTime), f.revision)
				}
			}
			if v.Task.Suspend && !terminal(f.Phase) {
				broken(r.key, "its task was suspended at revision %d", f.revision)
			}
		}
	}
}

func uniqueness(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		before := map[string]*run{}
		for _, r := range t.runs {
			if first := before[r.key]; first != nil {
				broken(r.key, "it was made at revision %d, and again at %d", first.first().revision, r.first().revision)
			}
			before[r.key] = r
		}
	}
}

func cursorMoves(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		var before time.Time
		runs := t.timed()
		for _, s := range t.statuses {
			if s.Cursor.Before(before) {
				broken(t.name, "the cursor is at %s, and at revision %d at %s", text(before), s.at, text(s.Cursor))
			}
			if s.Cursor.After(before) {
				t.due(before, s.Cursor, func(at time.Time, v *accepted) {
					l := t.ledger(s.at)
					if records(runs[at.UnixMilli()], s.at)+l.ranges(at) == 0 && v.Task.MaxRuns == 0 && at.After(l.Since) {
						broken(t.name, "at revision %d the cursor is at %s, and %s has neither record nor range", s.at, text(s.Cursor), text(at))
					}
				})
				before = s.Cursor
			}
		}
	}
}

// name is what the run of a time is called.
func name(at time.Time) string {
	if at.Nanosecond() >= int(time.Millisecond) {
		return at.UTC().Format("20060102T150405.000Z")
	}
	return at.UTC().Format("20060102T150405Z")
}

func text(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
