package nightwatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// After has a task follow others: it runs once for each complete set of runs of theirs, one of each.
type After struct {
	// Tasks are the upstreams, 1 to 20 of them: "<namespace>/<task>", or "<task>" of the task's own namespace.
	Tasks []string `json:"tasks,omitempty"`
	// Condition is how a run must have ended to count: AfterSucceeded (default), AfterFailed or AfterFinished.
	Condition string `json:"condition,omitempty"`
	// Window is how far apart the ends of the runs of one set may lie. Default 24h.
	Window Duration `json:"window,omitempty"`
}

// Values of After.Condition. A run that never started (Skipped, Missed) counts for none of them, and neither does one that
// ended because its task was deleted.
const (
	AfterSucceeded = "succeeded"
	AfterFailed    = "failed"
	AfterFinished  = "finished" // succeeded, failed or canceled
)

const (
	maxUpstreams       = 20
	defaultAfterWindow = 24 * time.Hour
)

// Meets tells whether a run of an upstream counts. A run that is split counts as one, whatever its shards are.
func (a *After) Meets(r *Run) bool {
	if r.Shard != nil || r.TaskUID == 0 {
		return false
	}
	switch a.Condition {
	case AfterFailed:
		return r.Phase == PhaseFailed
	case AfterFinished:
		return r.Phase == PhaseSucceeded || r.Phase == PhaseFailed ||
			r.Phase == PhaseCanceled && r.Reason != ReasonTaskDeleted && r.Reason != ReasonTaskReplaced
	default:
		return r.Phase == PhaseSucceeded
	}
}

// Apart is Window with its default.
func (a *After) Apart() time.Duration {
	if a.Window == 0 {
		return defaultAfterWindow
	}
	return time.Duration(a.Window)
}

// Upstreams are the tasks that t comes after, as "<namespace>/<task>", of a task that came from ParseTask or the store.
func (t *Task) Upstreams() []string { return t.upstreams }

// upstreamName is what an item of After.Tasks stands for in a namespace.
func upstreamName(namespace, item string) string {
	if strings.Contains(item, "/") {
		return item
	}
	return namespace + "/" + item
}

func (t *Task) checkAfter(f *faults, namespace, name string) {
	if t.After == nil {
		return
	}
	tasks := t.After.Tasks
	switch n := len(tasks); {
	case n == 0:
		f.add("after.tasks", "missing: want the tasks whose runs this one comes after")
	case n > maxUpstreams:
		f.add("after.tasks", "%d tasks: want at most %d", n, maxUpstreams)
		tasks = tasks[:maxUpstreams]
	}
	var seen []string
	for i, item := range tasks {
		field, upstream := fmt.Sprintf("after.tasks[%d]", i), upstreamName(namespace, item)
		switch _, _, err := ParseTaskName(upstream); {
		case err != nil:
			f.add(field, "%q: want <namespace>/<task>, or <task> of the same namespace", clip(item))
		case upstream == namespace+"/"+name:
			f.add(field, "%q: a task does not come after itself", item)
		case slices.Contains(seen, upstream):
			f.add(field, "%q: is there already", item)
		}
		seen = append(seen, upstream)
	}
	switch t.After.Condition {
	case "", AfterSucceeded, AfterFailed, AfterFinished:
	default:
		f.add("after.condition", "%q: want succeeded, failed or finished", clip(t.After.Condition))
	}
}

// UpstreamRun is a run of an upstream, as the run that comes after it is told of it.
type UpstreamRun struct {
	// Task is <namespace>/<task>, Run the id of its run.
	Task     string `json:"task"`
	Run      string `json:"run"`
	Phase    Phase  `json:"phase"`
	ExitCode *int   `json:"exitCode,omitempty"`
	// Result is what the run said by its Result, JSON of at most MaxResult bytes.
	Result      json.RawMessage `json:"result,omitempty"`
	NominalTime time.Time       `json:"nominalTime,omitzero"`
	EndTime     time.Time       `json:"endTime"`
}

// Upstream is how far a task has come with one of those that it comes after.
type Upstream struct {
	// Task is <namespace>/<task>.
	Task string `json:"task"`
	// Revision and Run are up to where its runs have been looked at: those that ended at an earlier revision, and of
	// those that ended at this one the ones with an id up to Run.
	Revision int64  `json:"revision"`
	Run      string `json:"run,omitempty"`
	// Used is the newest run that was part of a complete set.
	Used string `json:"used,omitempty"`
	// Waiting is a run that counts and waits for those of the other upstreams.
	Waiting *UpstreamRun `json:"waiting,omitempty"`
	// Passed counts runs that met the condition and became part of no set, because a newer one of the same task came
	// before the others did, or because the others ended too long after it.
	Passed int64 `json:"passed,omitempty"`
}

// LookedAt tells whether a run that ended at a revision has been looked at.
func (u *Upstream) LookedAt(revision int64, run string) bool {
	return revision < u.Revision || revision == u.Revision && run <= u.Run
}
