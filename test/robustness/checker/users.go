package checker

import (
	"slices"
	"strings"
)

// What must hold of what users ask for.

// freezesOf are the freezes that cover a task.
func freezesOf(task string) []string {
	namespace, _, _ := strings.Cut(task, "/")
	return []string{task, namespace, "_cluster"}
}

// frozen tells whether something that covers the task was frozen right before and at a revision.
func (x *Index) frozen(task string, revision int64) bool {
	for _, key := range freezesOf(task) {
		if s := x.freezes[key]; s != nil && s.around(revision) {
			return true
		}
	}
	return false
}

// everFrozen tells whether something that covers the task ever was.
func (x *Index) everFrozen(task string) bool {
	return slices.ContainsFunc(freezesOf(task), func(key string) bool { return x.freezes[key] != nil })
}

func freezeHonoured(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		r.pairs(func(before, after version) {
			if after.Phase == "Running" && before.Phase == "Assigned" && before.Job == nil && x.frozen(after.Task, after.revision) {
				broken(r.key, "attempt %d was claimed at revision %d, when it was frozen", after.Attempt, after.revision)
			}
		})
		for _, e := range r.starts() {
			if x.frozen(e.Task, e.Fence) {
				broken(r.key, "attempt %d was claimed at revision %d, when it was frozen, and started at %s", e.Attempt, e.Fence, text(e.At()))
			}
		}
	}
}

func editHonoured(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		for _, r := range t.runs {
			f := r.first()
			if v := t.version(f.revision); v != nil && f.Submitted == 0 && !strings.HasPrefix(f.ID, "rev-") && f.Shard == 0 && f.TaskRevision != v.Revision {
				broken(r.key, "made at revision %d by version %d, when %d was in force", f.revision, f.TaskRevision, v.Revision)
			}
			r.claims(func(announced, claim version) {
				if v := t.version(claim.revision); v == nil || announced.TaskRevision != v.Revision {
					broken(r.key, "announced by version %d, and claimed at revision %d, when that was not in force", announced.TaskRevision, claim.revision)
				}
			})
		}
	}
}

// claims calls do with the claim of a run that had been announced.
func (r *run) claims(do func(announced, claim version)) {
	r.pairs(func(before, after version) {
		if before.Announced && after.Phase == "Running" {
			do(before, after)
		}
	})
}

func deleteHonoured(x *Index, _ Bounds, broken broken) {
	before := map[string]*task{} // the life before, by name
	for _, t := range x.tasks {
		if earlier := before[t.name]; earlier != nil && len(t.versions) > 0 {
			for _, r := range earlier.runs {
				if ended := r.ended(); ended >= t.versions[0].from {
					broken(r.key, "it was live until revision %d, and a task put anew was accepted at %d", ended, t.versions[0].from)
				}
			}
		}
		before[t.name] = t
		for _, r := range t.runs {
			if f := r.first(); t.deleted != 0 && f.revision > t.deleted && f.Shard == 0 {
				broken(r.key, "made at revision %d, and its task was deleted at %d", f.revision, t.deleted)
			}
			r.claims(func(_, claim version) {
				if t.deleted != 0 && claim.revision > t.deleted {
					broken(r.key, "announced, and claimed at revision %d, and its task was deleted at %d", claim.revision, t.deleted)
				}
			})
		}
	}
}

func acknowledged(x *Index, bounds Bounds, broken broken) {
	if !bounds.Settled {
		return
	}
	for _, o := range x.Operations {
		kind, tail, _ := strings.Cut(o.Key, "/")
		switch {
		case o.Answered.IsZero() || o.Deleted:
		case kind == "tasks" && x.observed[tail] < o.Revision && x.gone[tail] < o.Revision:
			broken(o.Key, "put at revision %d, the status has observed %d", o.Revision, x.observed[tail])
		case kind == "requests":
			if _, there := x.verdicts[tail]; !there {
				broken(o.Key, "put at revision %d, and there is no verdict", o.Revision)
			}
		}
	}
	made := map[string]bool{}
	for _, r := range x.runs {
		made[r.key] = true
	}
	for request, run := range x.verdicts {
		if run != "" && !made[taskOf(request)+"/"+run] {
			broken("requests/"+request, "it was accepted as run %s, which was never made", run)
		}
	}
}
