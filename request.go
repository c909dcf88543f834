package nightwatch

import (
	"encoding/json"
	"time"
)

// Actions of a request.
const (
	ActionRun      = "run"
	ActionCancel   = "cancel"
	ActionBackfill = "backfill"
	ActionRetry    = "retry"
	ActionDrop     = "drop"
)

// Request is one action a user asks for: the value of requests/<namespace>/<task>/<id>, consumed by the scheduler.
type Request struct {
	Action string `json:"action,omitempty"`
	// Run is the run to act on; empty means the oldest live one for ActionCancel, the newest dead letter for ActionRetry
	// and ActionDrop.
	Run string `json:"run,omitempty"`
	// Shards are, with ActionRetry and ActionCancel, those that are meant of a run that is split. Default all of it.
	Shards ShardChoice `json:"shards,omitempty"`
	// Params are laid over the task's for this run.
	Params map[string]json.RawMessage `json:"params,omitempty"`
	// Overlap stands in for the task's own for this run.
	Overlap string `json:"overlap,omitempty"`
	// From and To bound the nominal times of a backfill: From <= time < To.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// MaxParallel is how many runs of a backfill may be live at once. Default 1.
	MaxParallel int `json:"maxParallel,omitempty"`
	// DryRun asks what a backfill would do.
	DryRun bool   `json:"dryRun,omitempty"`
	By     string `json:"by,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Verdict is what became of a request: verdicts/<namespace>/<task>/<id>, kept for an hour. The same id put again
// within that hour has the same verdict and does nothing twice.
type Verdict struct {
	Accepted bool   `json:"accepted"`
	Run      string `json:"run,omitempty"`
	// Count is how many runs a backfill makes, as far as can be said when it begins, and Times are the first 10.
	Count  int64        `json:"count,omitempty"`
	Times  []time.Time  `json:"times,omitempty"`
	Errors []FieldError `json:"errors,omitempty"`
	Time   time.Time    `json:"time"`
}

// VerdictTTL is how long a verdict on a request is kept.
const VerdictTTL = time.Hour
