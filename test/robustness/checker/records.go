package checker

import (
	"reflect"
	"slices"
	"strings"
)

// What must hold of the versions of a record.

func readable(x *Index, _ Bounds, broken broken) {
	for _, c := range x.unreadable {
		broken(c.Key, "revision %d: %q", c.Revision, c.Value)
	}
	for _, r := range x.runs {
		for _, v := range r.versions {
			if v.Task+"/"+v.ID != r.key {
				broken(r.key, "revision %d is a record of %s/%s", v.revision, v.Task, v.ID)
			}
		}
	}
}

// pairs calls do with every two versions that follow each other.
func (r *run) pairs(do func(before, after version)) {
	for i := 1; i < len(r.versions); i++ {
		do(r.versions[i-1], r.versions[i])
	}
}

func terminalFinal(x *Index, _ Bounds, broken broken) {
	// That a dead letter has been dealt with is written into it later, and that alone.
	essence := func(r record) record {
		r.Term = 0
		return r
	}
	for _, r := range x.runs {
		r.pairs(func(before, after version) {
			if terminal(before.Phase) && !reflect.DeepEqual(essence(before.record), essence(after.record)) {
				broken(r.key, "%s at revision %d, then at %d %+v", before.Phase, before.revision, after.revision, after.record)
			}
		})
	}
}

// follows are the phases that may come after another, beside itself.
var follows = map[string]string{
	"":         "Pending Assigned Skipped Missed",
	"Pending":  "Assigned Canceled Skipped Missed Failed",
	"Assigned": "Running Pending Canceled Missed Failed",
	"Running":  "Assigned Pending Succeeded Failed Canceled Missed",
}

func phaseOrder(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		if r.last().Shards != 0 {
			continue // it is not claimed: its shards are
		}
		before := version{}
		for _, after := range r.versions {
			if after.Phase == "Running" && before.Phase == "Running" && (after.Session != before.Session || after.Attempt != before.Attempt) {
				broken(r.key, "it runs at revision %d as attempt %d in session %q, and at %d as attempt %d in %q",
					before.revision, before.Attempt, before.Session, after.revision, after.Attempt, after.Session)
			}
			if after.Phase != before.Phase && !terminal(before.Phase) && !slices.Contains(strings.Fields(follows[before.Phase]), after.Phase) {
				broken(r.key, "%q at revision %d, then %q at %d", before.Phase, before.revision, after.Phase, after.revision)
			}
			before = after
		}
		withdrawn := before.Announced || before.Phase == "Pending" && len(r.effects)+len(r.jobs) == 0 // nothing of it ever began
		if r.deleted != 0 && !terminal(before.Phase) && !withdrawn {
			broken(r.key, "it was %s, and deleted at revision %d", before.Phase, r.deleted)
		}
	}
}

func growth(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		r.pairs(func(before, after version) {
			for _, n := range []struct {
				what          string
				before, after int64
			}{
				{"attempt", int64(before.Attempt), int64(after.Attempt)}, {"lostSessions", int64(before.LostSessions), int64(after.LostSessions)},
				{"failures", int64(before.Failures), int64(after.Failures)}, {"fence", before.Fence, after.Fence},
			} {
				if n.after < n.before {
					broken(r.key, "%s is %d at revision %d, and %d at %d", n.what, n.before, before.revision, n.after, after.revision)
				}
			}
		})
	}
}
