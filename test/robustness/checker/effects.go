package checker

import (
	"slices"
	"time"
)

// What must hold of what the tasks wrote themselves, and of Jobs.

func noStray(x *Index, _ Bounds, broken broken) {
	for _, e := range x.strays {
		broken(e.Task+"/"+e.Run, "attempt %d, fence %d: %s at %s, without a record", e.Attempt, e.Fence, e.Event, e.At())
	}
	for _, j := range x.strayJobs {
		broken(j.Task+"/"+j.Run, "Job %s/%s, uid %s, without a record", j.Namespace, j.Name, j.UID)
	}
}

func singleDispatch(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		started := map[int]Effect{}
		for _, e := range r.starts() {
			if before, twice := started[e.Attempt]; twice {
				broken(r.key, "attempt %d started at %s (fence %d) and at %s (fence %d)", e.Attempt, before.At(), before.Fence, e.At(), e.Fence)
			}
			started[e.Attempt] = e
		}
		made := map[int]*job{}
		for _, j := range r.jobs {
			if j.Suspended {
				continue // it does nothing
			}
			if before := made[j.Attempt]; before != nil {
				broken(r.key, "attempt %d has Job %s, uid %s, and Job %s, uid %s", j.Attempt, before.Name, before.UID, j.Name, j.UID)
			}
			made[j.Attempt] = j
		}
	}
}

// excused tells whether an effect may have gone on beyond its time: requests that were sent, and handlers, which stand
// still and wake up with their node. That is what fences are for.
func (x *Index) excused(r *run, e Effect) bool {
	node := e.Node
	for _, v := range r.versions {
		if v.revision == e.Fence {
			node = v.Node
		}
	}
	runner := r.last().Runner
	return (runner == "http" || runner == "handler") && slices.ContainsFunc(x.Faults, func(f Fault) bool {
		return f.Kind == FaultStop && f.Target == node && !e.At().Before(f.From) && e.At().Before(f.To.Add(wakeUp))
	})
}

// clockOff tells whether the clock of the node was off that wrote a version, or had just been.
func (x *Index) clockOff(v version) bool {
	return slices.ContainsFunc(x.Faults, func(f Fault) bool {
		return f.Kind == FaultClock && f.Target == v.Node && !v.seen.Before(f.From) && v.seen.Before(f.To.Add(onTheWay))
	})
}

// wakeUp is how long a node that was stopped may take to notice.
const wakeUp = 5 * time.Second

// oneAtATime compares what the effects of one attempt wrote last with when the next began.
func oneAtATime(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		newest := Effect{}
		for _, e := range r.effects { // in order of time
			switch {
			case e.Attempt > newest.Attempt:
				newest = e
			case e.Event == EffectCut && e.At().Sub(newest.At()) < onTheWay: // it noticed
			case e.Attempt < newest.Attempt && !x.excused(r, e):
				broken(r.key, "attempt %d: %s at %s, after attempt %d began at %s", e.Attempt, e.Event, e.At(), newest.Attempt, newest.At())
			}
		}
		var before *job
		for _, j := range r.jobs { // in the order in which they were made
			if j.Suspended {
				continue
			}
			if before != nil && !before.over(j.created.Add(onTheWay)) {
				broken(r.key, "Job %s, uid %s, was made at %s, and Job %s, uid %s, had not ended", j.Name, j.UID, text(j.created), before.Name, before.UID)
			}
			before = j
		}
	}
}

// over tells whether a Job had ended, or had gone, by some time.
func (j *job) over(by time.Time) bool {
	return !j.finished.IsZero() && !j.finished.After(by) || !j.deleted.IsZero() && !j.deleted.After(by)
}

func fenceOrder(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		var before Effect
		for _, e := range r.starts() {
			if before.Attempt > 0 && e.Attempt != before.Attempt && (e.Attempt > before.Attempt) != (e.Fence > before.Fence) {
				broken(r.key, "attempt %d has fence %d, attempt %d has %d", before.Attempt, before.Fence, e.Attempt, e.Fence)
			}
			before = e
			if !slices.ContainsFunc(r.versions, func(v version) bool {
				return v.revision == e.Fence && v.Phase == "Running" && v.Attempt == e.Attempt
			}) {
				broken(r.key, "attempt %d has fence %d, and was not claimed at that revision", e.Attempt, e.Fence)
			}
		}
	}
}

// runners whose effects write down themselves what they do.
func writes(runner string) bool {
	return runner == "process" || runner == "http" || runner == "handler"
}

// agreement compares how records ended with what was seen of their effects. A history without any effects, or Jobs, says
// nothing about them.
func agreement(x *Index, _ Bounds, broken broken) {
	for _, r := range x.runs {
		end := r.last()
		switch {
		case end.Shards != 0:
		case writes(end.Runner) && len(x.Effects) > 0:
			x.agreesWithEffects(r, end, broken)
		case end.Runner == "kubernetes" && len(x.Jobs) > 0:
			r.agreesWithJobs(end, broken)
		}
	}
}

func (x *Index) agreesWithEffects(r *run, end version, broken broken) {
	done := false
	for _, e := range r.effects {
		done = done || e.Event == EffectEnd && e.Attempt == end.Attempt
		if e.Attempt > end.Attempt {
			broken(r.key, "attempt %d: %s at %s, but the record ends with attempt %d", e.Attempt, e.Event, e.At(), end.Attempt)
		}
		grain := clockGrain
		if end.Runner == "http" {
			grain = onTheWay
		}
		if !end.EndTime.IsZero() && e.At().After(end.EndTime.Add(grain)) && !x.excused(r, e) && !x.clockOff(end) && !x.ledByAny(end) {
			broken(r.key, "attempt %d: %s at %s, but the record says that it ended at %s", e.Attempt, e.Event, e.At(), end.EndTime)
		}
	}
	switch end.Phase {
	case "Succeeded":
		if !done {
			broken(r.key, "the record says that attempt %d succeeded; the effect does not", end.Attempt)
		}
	case "Failed":
		if done && end.Reason != "NodeLost" {
			broken(r.key, "the record says that attempt %d failed (%s); the effect ended well", end.Attempt, end.Reason)
		}
	case "Skipped", "Missed":
		if len(r.effects) > 0 {
			broken(r.key, "it is %s, and has an effect of attempt %d at %s", end.Phase, r.effects[0].Attempt, r.effects[0].At())
		}
	}
}

func (r *run) agreesWithJobs(end version, broken broken) {
	if end.Phase == "Failed" && end.Reason != "JobGone" {
		for _, j := range r.jobs {
			if j.succeeded && j.Attempt == end.Attempt {
				broken(r.key, "it failed (%s), and its Job %s, uid %s, succeeded", end.Reason, j.Name, j.UID)
			}
		}
	}
	if end.Phase != "Succeeded" {
		return
	}
	if end.Job == nil {
		broken(r.key, "it succeeded and names no Job")
		return
	}
	for _, j := range r.jobs {
		if j.UID == end.Job.UID {
			if !j.succeeded {
				broken(r.key, "it succeeded, and its Job %s, uid %s, did not", j.Name, j.UID)
			}
			return
		}
	}
	broken(r.key, "it succeeded with Job %s, uid %s, which nobody has seen", end.Job.Name, end.Job.UID)
}

// onTheWay is how long what was sent may take: a server to notice that a request was cut off, a watch to tell of a change.
const onTheWay = time.Second

// clockGrain is what the times of records are rounded down to.
const clockGrain = time.Millisecond
