package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// A task with after is due when there is a run of each upstream that meets its condition and has been part of no set
// before. Runs are looked at in the order in which they ended, by etcd's revisions: each one becomes the one of its
// upstream that waits, in place of an older one, and the one that completes a set makes the run. How far that has come
// stands in the task's status, which moves in the transaction that makes the run, or that only notes what arrived. See
// "After others" in the package documentation.

// arrival is a run of an upstream that counts and has not been looked at.
type arrival struct {
	place    int // of the upstream among the task's
	revision int64
	run      *nightwatch.Run
}

// followUpstreams looks at what has arrived before a revision, and makes the runs that are due by it. It tells whether
// that is all.
func (p *plan) followUpstreams(before int64) (settled bool) {
	if !slices.EqualFunc(p.status.Upstream, p.def.Task.Upstreams(), func(u nightwatch.Upstream, name string) bool { return u.Task == name }) {
		p.restoreUpstreams() // somebody made something else of the status
	}
	for _, a := range p.arrivals(before) {
		if p.full() {
			p.wakeBy(p.now)
			return false
		}
		p.arrive(a)
	}
	return true
}

// arrivals are the runs of upstreams that ended before a revision and have not been looked at, in the order in which they
// ended.
func (p *plan) arrivals(before int64) []arrival {
	var list []arrival
	for i := range p.status.Upstream {
		u := &p.status.Upstream[i]
		t := p.view.known(u.Task)
		if t == nil || t.ended < u.Revision {
			continue
		}
		for id, r := range t.runs {
			at := r.endRevision()
			if at < before && p.def.Task.After.Meets(&r.run) && !u.LookedAt(at, id) {
				list = append(list, arrival{i, at, &r.run})
			}
		}
	}
	slices.SortFunc(list, func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.revision, b.revision), cmp.Compare(a.place, b.place), cmp.Compare(a.run.ID, b.run.ID))
	})
	return list
}

// arrive takes in one run.
func (p *plan) arrive(a arrival) {
	p.status.Upstream = slices.Clone(p.status.Upstream)
	u := &p.status.Upstream[a.place]
	u.Revision, u.Run = a.revision, a.run.ID
	if u.Waiting != nil {
		u.Passed++
	}
	u.Waiting = p.upstreamRun(a.run)
	p.combine(a.revision)
}

// combine lets go of what ended too long before the rest of what waits, and makes the run of the set if that is complete,
// as it is by what came at a revision.
func (p *plan) combine(revision int64) {
	var newest time.Time
	for _, u := range p.status.Upstream {
		if u.Waiting != nil {
			newest = later(newest, u.Waiting.EndTime)
		}
	}
	complete := len(p.status.Upstream) > 0
	for i := range p.status.Upstream {
		u := &p.status.Upstream[i]
		if u.Waiting != nil && newest.Sub(u.Waiting.EndTime) > p.def.Task.After.Apart() {
			u.Waiting = nil // ends only grow, so nothing that is to come lies in its window
			u.Passed++
		}
		complete = complete && u.Waiting != nil
	}
	if complete {
		p.meetSet(nightwatch.UpstreamRunID(revision, p.status.LastSet), newest)
	}
}

// meetSet makes the run of a complete set, or accounts for it where none is to be.
func (p *plan) meetSet(id string, completed time.Time) {
	p.seenTask()
	p.status.LastSet = id
	runs := make([]nightwatch.UpstreamRun, len(p.status.Upstream))
	for i := range p.status.Upstream {
		u := &p.status.Upstream[i]
		runs[i], u.Used, u.Waiting = *u.Waiting, u.Waiting.Run, nil
	}
	if p.t.runs[id] != nil {
		return // its record is there, so the occurrence has been met
	}
	// It was due when the last of them ended, by whatever clock: not in the future, and at a time of its own, as the
	// ledger is in order of time.
	due := completed
	if p.now.Before(due) {
		due = p.now
	}
	due = later(due, p.newest().Add(time.Millisecond))
	if still, _ := p.standsStill(); still != "" {
		p.enter(nightwatch.LedgerRange{From: due, To: due, Count: 1, Outcome: nightwatch.PhaseSkipped, Reason: still})
		p.status.Counts.Add(nightwatch.PhaseSkipped, 1)
		return
	}
	r := p.newRun(id, due)
	r.run.Upstream = runs
	if p.tooLate(due) {
		p.end(r, nightwatch.PhaseMissed, nightwatch.ReasonStartWithin, p.tooLateMessage())
		return
	}
	policy := p.def.Task.OverlapPolicy()
	if reason, message := p.collide(r, policy); reason != "" {
		p.end(r, nightwatch.PhaseSkipped, reason, message)
		return
	}
	p.startOrWait(r, policy)
}

// upstreamRun is what those that come after a run are told of it.
func (p *plan) upstreamRun(r *nightwatch.Run) *nightwatch.UpstreamRun {
	u := &nightwatch.UpstreamRun{
		Task: r.Task, Run: r.ID, Phase: r.Phase, ExitCode: r.ExitCode, Result: r.Result, NominalTime: r.NominalTime, EndTime: p.ended(r),
	}
	if len(u.Result) > nightwatch.MaxResult || !json.Valid(u.Result) {
		u.Result = nil // nobody but a person with etcdctl writes such a record
	}
	return u
}

// beginUpstreams makes the status one of the upstreams of the version that comes into force. Of new ones only runs count
// that end after the put; what waits of those that stay may make a set that is complete without the others.
func (p *plan) beginUpstreams() {
	var all []nightwatch.Upstream
	for _, name := range p.def.Task.Upstreams() {
		u := nightwatch.Upstream{Task: name}
		if i := slices.IndexFunc(p.status.Upstream, func(u nightwatch.Upstream) bool { return u.Task == name }); i >= 0 {
			u = p.status.Upstream[i]
		}
		if u.Revision < p.def.Revision {
			u.Revision, u.Run = p.def.Revision, ""
		}
		if w := u.Waiting; w != nil && !p.def.Task.After.Meets(&nightwatch.Run{TaskUID: 1, Phase: w.Phase}) {
			u.Waiting = nil // not what the new version waits for
		}
		all = append(all, u)
	}
	p.status.Upstream = all
	p.combine(p.def.Revision)
}

// restoreUpstreams stands in for what a lost status knew: nobody can say any more which runs were part of a set, so that
// none of those that have ended is.
func (p *plan) restoreUpstreams() {
	p.status.Upstream = nil
	for _, name := range p.def.Task.Upstreams() {
		p.status.Upstream = append(p.status.Upstream, nightwatch.Upstream{Task: name, Revision: p.view.revision, Run: afterAll})
	}
}

// afterAll comes after the id of every run.
const afterAll = "~"

// awaited tells whether a task that comes after this one has yet to look at a run that has ended: until then its record
// stays.
func (p *plan) awaited(r *runView) bool {
	for _, t := range p.view.downstreams[p.t.name] {
		if t.awaits(p.t.name, r) {
			return true
		}
	}
	return false
}

// Which task comes after which must have no cycle. Whether a version would close one hangs on the versions of any number
// of other tasks, for all of which one key stands: a version that comes after a task that the one before did not come
// after compares it and writes it, so that of two that are judged at once one is refused, and judged anew. Taking such
// an edge away can close no cycle.

// drawing is what a version that comes after more tasks than before writes into meta/after.
type drawing struct {
	Task     string `json:"task"`
	Revision int64  `json:"revision"`
}

// draws tells whether def comes after a task that the version before it does not come after.
func draws(before *nightwatch.Accepted, def *nightwatch.Task) bool {
	var known []string
	if before != nil {
		known = before.Task.Upstreams()
	}
	return slices.ContainsFunc(def.Upstreams(), func(name string) bool { return !slices.Contains(known, name) })
}

// draw compares and writes the key that stands for all versions that come after others.
func (p *plan) draw() {
	p.drawn = true
	p.put(p.keys.MetaAfter(), p.view.afterAt.mod, drawing{Task: p.t.name, Revision: p.t.task.mod})
}

// cycle is the fault of a version that would come after itself by way of others; nil: there is none.
func (p *plan) cycle(def *nightwatch.Task) error {
	came := map[string]string{} // from which task the walk came to one
	for i, first := range def.Upstreams() {
		for walk := []string{first}; len(walk) > 0; {
			name := walk[len(walk)-1]
			walk = walk[:len(walk)-1]
			t := p.view.known(name)
			if t == nil || !t.current() {
				continue
			}
			for _, next := range t.def.Task.Upstreams() {
				if _, seen := came[next]; seen {
					continue
				}
				came[next] = name
				if next == p.t.name {
					return fault(fmt.Sprintf("after.tasks[%d]", i), "%q: makes a cycle: %s", def.After.Tasks[i], p.around(first, came))
				}
				walk = append(walk, next)
			}
		}
	}
	return nil
}

// maxCycle is how many tasks of a cycle a verdict names.
const maxCycle = 10

// around is a cycle in words, from the task by way of the first of those that it comes after.
func (p *plan) around(first string, came map[string]string) string {
	names := []string{p.t.name} // from the end
	for name := came[p.t.name]; ; name = came[name] {
		names = append(names, name)
		if name == first {
			break
		}
	}
	names = append(names, p.t.name)
	slices.Reverse(names)
	text := names[0] + " comes after " + names[1]
	for i, name := range names[2:] {
		if left := len(names) - 3 - i; i >= maxCycle-2 && left > 0 {
			return text + fmt.Sprintf(", and so on by way of %d more to ", left) + p.t.name
		}
		text += ", which comes after " + name
	}
	return text
}

// waitsForUpstreams is why a task with after that has no live run does not run, as a reason and a sentence.
func (p *plan) waitsForUpstreams() (reason, message string) {
	if missing := p.missingUpstreams(); len(missing) > 0 {
		return nightwatch.ReasonUpstreamMissing, strings.TrimPrefix(missing[0].Reason, nightwatch.ReasonUpstreamMissing+": ")
	}
	var names []string
	for _, u := range p.status.Upstream {
		if u.Waiting == nil {
			names = append(names, u.Task)
		}
	}
	return nightwatch.ReasonUpstream, "waits for a run of " + strings.Join(names, ", ")
}

// missingUpstreams warns of upstreams that are not there, or were never accepted.
func (p *plan) missingUpstreams() []nightwatch.FieldError {
	var missing []nightwatch.FieldError
	if p.def == nil {
		return nil
	}
	for i, name := range p.def.Task.Upstreams() {
		field := fmt.Sprintf("after.tasks[%d]", i)
		switch t := p.view.known(name); {
		case t == nil || !t.task.present():
			missing = append(missing, nightwatch.FieldError{Field: field, Reason: fmt.Sprintf("%s: there is no task %s", nightwatch.ReasonUpstreamMissing, name)})
		case !t.current():
			missing = append(missing, nightwatch.FieldError{Field: field, Reason: fmt.Sprintf("%s: task %s has not been accepted", nightwatch.ReasonUpstreamMissing, name)})
		}
	}
	return missing
}

// warn puts the warnings on upstreams that are missing now in the place of those of before.
func (p *plan) warn() {
	warnings := slices.DeleteFunc(slices.Clone(p.status.Warnings), func(w nightwatch.FieldError) bool {
		return strings.HasPrefix(w.Reason, nightwatch.ReasonUpstreamMissing+":")
	})
	p.status.Warnings = slices.Concat(warnings, p.missingUpstreams())
}

// everything is after every revision.
const everything = math.MaxInt64
