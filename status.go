package nightwatch

import (
	"encoding/json"
	"time"
)

// Status is what the cluster says of a task: the value of status/<namespace>/<task>. All times are UTC.
type Status struct {
	Phase   Phase  `json:"phase"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Accepted tells whether the value at ObservedRevision was accepted; AcceptedRevision is the one in force.
	Accepted         bool         `json:"accepted"`
	ObservedRevision int64        `json:"observedRevision,omitempty"`
	AcceptedRevision int64        `json:"acceptedRevision,omitempty"`
	UID              int64        `json:"uid,omitempty"`
	Errors           []FieldError `json:"errors,omitempty"`
	Warnings         []FieldError `json:"warnings,omitempty"`

	// Cursor is the newest nominal time that has been accounted for; Next are the following ones, at most 5.
	Cursor time.Time   `json:"cursor,omitzero"`
	Next   []time.Time `json:"next,omitempty"`
	// EarliestTime is before all nominal times that may have run: those of the first version, and of backfills. Absent:
	// nobody can say.
	EarliestTime time.Time `json:"earliestTime,omitzero"`
	// NextNotes say of those of Next that daylight saving or a calendar moved what moved them.
	NextNotes []Occurrence `json:"nextNotes,omitempty"`
	// SubmittedRevision is the newest put of a task without a schedule that became a run.
	SubmittedRevision int64 `json:"submittedRevision,omitempty"`
	// PendingRevision is a put that is to become a run once the task is neither suspended nor frozen.
	PendingRevision int64 `json:"pendingRevision,omitempty"`
	// Still is the reason word for which no time of the task counts at the moment (Suspended, Frozen); time that
	// stands still is not missed.
	Still string `json:"still,omitempty"`
	// StartedRuns counts the occurrences that were given a run, for MaxRuns.
	StartedRuns int64 `json:"startedRuns,omitempty"`
	// LastEndTime is when the newest finished run ended, for AfterFinish.
	LastEndTime time.Time `json:"lastEndTime,omitzero"`
	// Upstream is, of a task with After, how far it has come with each of its upstreams, in their order.
	Upstream []Upstream `json:"upstream,omitempty"`
	// LastSet is the id of the run of the newest complete set of upstream runs, be that run one that never was.
	LastSet string `json:"lastSet,omitempty"`
	// Backfills are under way; at most 10.
	Backfills []Backfill `json:"backfills,omitempty"`
	// Active names live runs, the oldest 10; ActiveCount counts them all.
	ActiveCount int      `json:"activeCount,omitempty"`
	Active      []string `json:"active,omitempty"`
	// LastRun is the newest run by creation, live or not.
	LastRun    *Run      `json:"lastRun,omitempty"`
	CreateTime time.Time `json:"createTime"`
	UpdateTime time.Time `json:"updateTime"`
	Counts     Counts    `json:"counts"`
	// CountedRevision bounds what Counts holds: every finished run whose record's ModRevision is not above it.
	CountedRevision int64 `json:"countedRevision,omitempty"`
}

// Occurrence is a nominal time and what there is to say of it.
type Occurrence struct {
	Time time.Time `json:"time"`
	Note string    `json:"note,omitempty"`
}

// Backfill is a request for the runs of past nominal times, From <= time < To, that is under way.
type Backfill struct {
	// ID is the request's.
	ID   string    `json:"id"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Cursor is the newest nominal time that this backfill has dealt with.
	Cursor time.Time `json:"cursor,omitzero"`
	// MaxParallel is how many of its runs may be live at once.
	MaxParallel int `json:"maxParallel"`
	// Overlap stands in for the task's own.
	Overlap string                     `json:"overlap,omitempty"`
	Params  map[string]json.RawMessage `json:"params,omitempty"`
	By      string                     `json:"by,omitempty"`
	// Cancel is the wish that it end: no further runs, and its live ones canceled.
	Cancel *Cancel `json:"cancel,omitempty"`
}

// Counts are the finished runs of a task since its uid began.
type Counts struct {
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Canceled  int64 `json:"canceled"`
	Skipped   int64 `json:"skipped"`
	Missed    int64 `json:"missed"`
}

// Add counts n runs that ended in phase.
func (c *Counts) Add(phase Phase, n int64) {
	switch phase {
	case PhaseSucceeded:
		c.Succeeded += n
	case PhaseFailed:
		c.Failed += n
	case PhaseCanceled:
		c.Canceled += n
	case PhaseSkipped:
		c.Skipped += n
	case PhaseMissed:
		c.Missed += n
	}
}

// Accepted is the last value of a task that was accepted: accepted/<namespace>/<task>, written in the transaction
// that accepts it. It stays in force while a newer value is refused.
type Accepted struct {
	// Key is "<namespace>/<task>".
	Key      string `json:"key,omitempty"`
	Revision int64  `json:"revision"`
	UID      int64  `json:"uid"`
	// Since is from when on this version says when the task is due.
	Since time.Time `json:"since,omitzero"`
	Task  Task      `json:"task"`
}

// Freeze is the value of a freeze key: nothing of what it covers starts while the key is there.
type Freeze struct {
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`
	// Until is when the freeze ends by itself; zero: when the key is deleted.
	Until time.Time `json:"until,omitzero"`
}
