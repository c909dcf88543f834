package checker

// What may become of a run, by what its task says.

// lostTooOften is how many sessions a run may lose before no attempt follows.
const lostTooOften = 10

// overlaps is the policy in force.
func (s *spec) overlaps() string {
	switch {
	case s.Overlap != "":
		return s.Overlap
	case s.skips():
		return "skip"
	}
	return "allow"
}

// ever tells whether it holds of any version of the task.
func (t *task) ever(holds func(s *spec) bool) bool {
	for i := range t.versions {
		if holds(&t.versions[i].Task) {
			return true
		}
	}
	return false
}

func (s *spec) atMostOnce() bool { return s.Delivery == "at-most-once" }

// mayEnd tells whether a run of the task may come to such an end.
func (x *Index) mayEnd(t *task, phase string) bool {
	switch phase {
	case "Skipped":
		return x.everFrozen(t.name) || t.ever(func(s *spec) bool { return s.overlaps() != "allow" || s.Suspend })
	case "Missed":
		return t.ever(func(s *spec) bool { return s.CatchUp.Mode != "all" || s.StartWithin != 0 })
	case "Canceled":
		return t.deleted != 0 || t.canceled || t.ever(func(s *spec) bool { return s.overlaps() == "replace" })
	case "Failed":
		return t.ever(func(s *spec) bool { return s.Labels.Fails != "" || s.atMostOnce() || s.Image != "" })
	}
	return true
}

// endsAsAllowed compares how runs ended with what may become of them: nobody loses a run by calling it Missed.
func endsAsAllowed(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		for _, r := range t.runs {
			end := r.last()
			switch {
			case !terminal(end.Phase) || end.Shards != 0:
			case end.Phase != "Failed" && !x.mayEnd(t, end.Phase),
				end.Phase == "Failed" && !t.mayFail(r, end):
				broken(r.key, "it is %s (%s), which its task gives no reason for", end.Phase, end.Reason)
			}
		}
		for _, l := range t.ledger(end).Ranges {
			if phase := outcomes[l.outcome]; !x.mayEnd(t, phase) {
				broken(t.name, "times from %s on are %s, which it gives no reason for", text(l.first()), phase)
			}
		}
	}
}

// mayFail tells whether a run may have failed as it did. Work that is to fail says so in a label of its task.
func (t *task) mayFail(r *run, end version) bool {
	switch end.Reason {
	case "NodeLost":
		return end.LostSessions >= lostTooOften || t.ever((*spec).atMostOnce)
	case "JobGone":
		for _, j := range r.jobs {
			if !j.deleted.IsZero() {
				return true
			}
		}
		return false
	}
	return t.ever(func(s *spec) bool { return s.Labels.Fails != "" })
}

// onceAtMost counts beginnings, of runs of all kinds.
func onceAtMost(x *Index, _ Bounds, broken broken) {
	for _, t := range x.tasks {
		if t.ever(func(s *spec) bool { return !s.atMostOnce() }) {
			continue
		}
		for _, r := range t.runs {
			if began := r.beginnings(); began > 1+r.last().Failures {
				broken(r.key, "it began %d times; %d attempts failed", began, r.last().Failures)
			}
		}
	}
}

// beginnings are how often the effect of a run began, and how many Jobs it had that were to do something.
func (r *run) beginnings() int {
	n := len(r.starts())
	for _, j := range r.jobs {
		if !j.Suspended {
			n++
		}
	}
	return n
}
