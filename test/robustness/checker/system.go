package checker

import (
	"strings"
)

// What must hold of the cluster as a whole.

// leader is the term in force right before a revision: of the candidates that were there the first.
func (x *Index) leader(revision int64) int64 {
	for _, s := range x.Candidates() {
		if s.at(revision) {
			return s.from
		}
	}
	return 0
}

func termInForce(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		before := version{}
		for _, v := range r.versions {
			if v.Term != before.Term || v.isOfScheduler(before) {
				if leader := x.leader(v.revision); v.Term != leader {
					broken(r.key, "written at revision %d by term %d, when %d was in force", v.revision, v.Term, leader)
				}
			}
			before = v
		}
	}
}

// isOfScheduler tells whether nobody but a scheduler writes what is new in a version.
func (v version) isOfScheduler(before version) bool {
	return v.Phase != before.Phase && (v.Phase == "Assigned" || v.Phase == "Skipped") || v.LostSessions > before.LostSessions
}

func liveAssignee(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		before := ""
		for _, v := range r.versions {
			if v.Session != before && v.Session != "" && !x.session(v.Session, v.revision) {
				broken(r.key, "given at revision %d to session %s of %s, which was not there", v.revision, v.Session, v.Node)
			}
			before = v.Session
		}
		r.pairs(func(before, after version) {
			if after.LostSessions > before.LostSessions && x.session(before.Session, after.revision) {
				broken(r.key, "lost at revision %d with session %s of %s, which was there", after.revision, before.Session, before.Node)
			}
		})
	}
}

// session tells whether a node had announced it right before a revision.
func (x *Index) session(session string, revision int64) bool {
	for _, s := range x.nodes.all {
		if s.What == session && s.at(revision) {
			return true
		}
	}
	return false
}

func countsAddUp(x *Index, bounds Bounds, broken broken) {
	if !bounds.Settled {
		return
	}
	for _, t := range x.tasks {
		s := t.last()
		if s == nil || t.cleared != 0 {
			continue
		}
		l := t.ledger(end)
		sum := l.Totals
		for _, r := range l.Ranges {
			sum.add(outcomes[r.outcome], int64(r.count))
		}
		for _, r := range t.runs {
			if r.deleted == 0 && r.first().Shard == 0 {
				sum.add(r.last().Phase, 1)
			}
		}
		if sum != s.Counts {
			broken(t.name, "the status counts %+v, records and ledger %+v", s.Counts, sum)
		}
	}
}

func noLeftovers(x *Index, bounds Bounds, broken broken) {
	if !bounds.Settled {
		return
	}
	live := map[string]bool{}
	for _, r := range x.runs {
		live[r.key] = live[r.key] || r.deleted == 0 && !terminal(r.last().Phase)
	}
	for key := range x.work {
		kind, tail, _ := strings.Cut(key, "/")
		_, run, _ := strings.Cut(tail, "/") // what follows the node's name
		if kind != "queue" || !live[run] {
			broken(key, "it is there, and nothing is under way")
		}
	}
	for key := range x.kept {
		if kind, task, _ := strings.Cut(key, "/"); kind != "tasks" && !x.kept["tasks/"+task] {
			broken(key, "it is there, and its task is not")
		}
	}
	for _, r := range x.runs {
		if task := r.first().Task; r.deleted == 0 && !x.kept["tasks/"+task] {
			broken(r.key, "its record is there, and its task is not")
		}
	}
}
