package nightwatch

import (
	"encoding/json"
	"time"
)

// Phase is where a run or a task stands.
type Phase string

// Phases of a run: Pending → Assigned → Running → one of the terminal ones, which never change. An attempt whose
// session is lost goes back from Assigned or Running.
const (
	PhasePending   Phase = "Pending"
	PhaseAssigned  Phase = "Assigned"
	PhaseRunning   Phase = "Running"
	PhaseSucceeded Phase = "Succeeded"
	PhaseFailed    Phase = "Failed"
	PhaseCanceled  Phase = "Canceled"
	PhaseSkipped   Phase = "Skipped"
	PhaseMissed    Phase = "Missed"
)

// Phases that only a task has, beside Pending, Running, Succeeded, Failed and Canceled.
const (
	PhaseInvalid   Phase = "Invalid"
	PhaseScheduled Phase = "Scheduled"
	PhaseSuspended Phase = "Suspended"
	PhaseFinished  Phase = "Finished"
)

// Terminal tells whether a run in this phase is done for good.
func (p Phase) Terminal() bool {
	switch p {
	case PhaseSucceeded, PhaseFailed, PhaseCanceled, PhaseSkipped, PhaseMissed:
		return true
	}
	return false
}

// Run is what happened at one occurrence of a task: the value of runs/<namespace>/<task>/<run>, whose key is the
// claim on that occurrence. All times are UTC.
type Run struct {
	// ID is unique among the task's runs: the nominal time ("20261120T141500Z"), "rev-<ModRevision>" of a put, or
	// "req-<id>" of a request.
	ID string `json:"id"`
	// Task is <namespace>/<task>.
	Task string `json:"task"`
	// TaskUID is the CreateRevision of the task's key; TaskRevision the revision of the accepted value that the
	// latest attempt ran (before the first claim, the one in force when the run was made).
	TaskUID      int64 `json:"taskUID"`
	TaskRevision int64 `json:"taskRevision"`
	Phase        Phase `json:"phase"`
	// Reason is a word (see the Reason constants), Message a sentence for people.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`

	// NominalTime is when the run was due; CreateTime, StartTime and EndTime are when things happened.
	NominalTime time.Time `json:"nominalTime,omitzero"`
	CreateTime  time.Time `json:"createTime"`
	// NotBefore is the earliest start, where that is later than NominalTime: by the task's jitter.
	NotBefore time.Time `json:"notBefore,omitzero"`
	StartTime time.Time `json:"startTime,omitzero"`
	EndTime   time.Time `json:"endTime,omitzero"`

	// Attempt counts from 1. LostSessions counts the sessions that were lost while they held a claim on this run.
	Attempt      int `json:"attempt"`
	LostSessions int `json:"lostSessions,omitempty"`
	// Node and Session are whose it is at the moment, or was at the end; empty while Pending.
	Node    string `json:"node,omitempty"`
	Session string `json:"session,omitempty"`
	Runner  string `json:"runner"`
	// Overlap is OverlapQueueOne, OverlapQueueAll or OverlapReplace for a run that waits for every earlier run of its
	// task.
	Overlap string `json:"overlap,omitempty"`
	// Backfill is the id of the request that asked for this run of a past nominal time.
	Backfill string `json:"backfill,omitempty"`
	// Term is the scheduler's that last wrote the run; Fence the revision of the claim, which only grows.
	Term  int64 `json:"term,omitempty"`
	Fence int64 `json:"fence,omitempty"`

	// ExitCode is set once a process has ended; Output is the last 2 KiB of what it wrote.
	ExitCode *int                       `json:"exitCode,omitempty"`
	Output   string                     `json:"output,omitempty"`
	Cancel   *Cancel                    `json:"cancel,omitempty"`
	Params   map[string]json.RawMessage `json:"params,omitempty"`
	Job      *Job                       `json:"job,omitempty"`
}

// Live tells whether the run is not terminal yet.
func (r *Run) Live() bool { return !r.Phase.Terminal() }

// Cancel is the wish that a run end, written by the scheduler and carried out by the run's owner.
type Cancel struct {
	By   string    `json:"by,omitempty"`
	Why  string    `json:"why,omitempty"`
	Time time.Time `json:"time"`
}

// Reason is the reason word of a run that ended as Canceled for c.
func (c *Cancel) Reason() string {
	switch c.Why {
	case ReasonTaskDeleted, ReasonTaskReplaced, ReasonReplaced:
		return c.Why
	}
	return ReasonCancelRequested
}

// Message says in a sentence why a run ended as Canceled for c.
func (c *Cancel) Message() string {
	if c.Why == ReasonReplaced {
		return "run " + c.By + " took its place"
	}
	return c.Why
}

// Job is the Kubernetes Job of the current attempt. Its name is on record before the Job is created, its UID after.
type Job struct {
	// Cluster is the uid of the cluster's kube-system namespace.
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// MaxOutput is how many bytes of a run's output its record keeps, the last ones.
const MaxOutput = 2048
