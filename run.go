package nightwatch

import (
	"encoding/json"
	"slices"
	"strconv"
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
	// ID is unique among the task's runs: the nominal time ("20261120T141500Z"), "rev-<ModRevision>" of a put,
	// "dep-<revision>" of a complete set of upstream runs, or "req-<id>" of a request; of a shard it is that of the whole,
	// a dot and its number.
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
	// NotBefore is the earliest start of the present attempt, where that is later than NominalTime, by the task's jitter or
	// because the attempt before failed, or where the run was Announced.
	NotBefore time.Time `json:"notBefore,omitzero"`
	StartTime time.Time `json:"startTime,omitzero"`
	EndTime   time.Time `json:"endTime,omitzero"`
	// Announced says that the run was given to its node ahead of its time. It has not begun, and will not should the task's key
	// change before: it is withdrawn then, as if it had never been.
	Announced bool `json:"announced,omitempty"`
	// AttemptTime is when the latest attempt was claimed, StartTime when the first was.
	AttemptTime time.Time `json:"attemptTime,omitzero"`

	// Attempt counts from 1. LostSessions counts the sessions that were lost while they held a claim on this run,
	// Failures the attempts that failed.
	Attempt      int `json:"attempt"`
	LostSessions int `json:"lostSessions,omitempty"`
	Failures     int `json:"failures,omitempty"`
	// Attempts are those before the present one that failed or were lost with their node, the last 10. Those of a node
	// that stopped and handed the run over are not among them.
	Attempts []FailedAttempt `json:"attempts,omitempty"`
	// Node and Session are whose it is at the moment, or was at the end; empty while Pending.
	Node    string `json:"node,omitempty"`
	Session string `json:"session,omitempty"`
	Runner  string `json:"runner"`
	// Cluster is the Kubernetes cluster that the run was given to, as its node calls it.
	Cluster string `json:"cluster,omitempty"`
	// Handler and Slots are what the run was given its node with: the handler's name, and how many places it takes there
	// (absent: one).
	Handler string `json:"handler,omitempty"`
	Slots   int    `json:"slots,omitempty"`
	// Pool is the pool that the run was given a place in.
	Pool string `json:"pool,omitempty"`
	// Overlap is OverlapQueueOne, OverlapQueueAll or OverlapReplace for a run that waits for every earlier run of its
	// task.
	Overlap string `json:"overlap,omitempty"`
	// RetryOf is the run that this one is a second chance of, by request; ResolvedBy is the run by which a dead letter
	// was made good, or the request by which it was dropped.
	RetryOf    string `json:"retryOf,omitempty"`
	ResolvedBy string `json:"resolvedBy,omitempty"`
	// EndRevision is the revision at which the run ended, in a record that has been written since.
	EndRevision int64 `json:"endRevision,omitempty"`
	// Upstream are, of a run of a task with After, those that it comes after, in the order of the task.
	Upstream []UpstreamRun `json:"upstream,omitempty"`
	// Shards is, of a run that is split, what its shards are at; Shard is, of a shard that is a run of its own
	// ("<run>.<k>"), which one it is. Such a run is a part: no occurrence, not counted, and it leaves with the whole.
	Shards *RunShards `json:"shards,omitempty"`
	Shard  *RunShard  `json:"shard,omitempty"`
	// Submitted is, of a run of a task without times of its own, the version that was put: a later put is another
	// submission. It goes when the run ends.
	Submitted *Accepted `json:"submitted,omitempty"`
	// Backfill is the id of the request that asked for this run of a past nominal time.
	Backfill string `json:"backfill,omitempty"`
	// Term is the scheduler's that last wrote the run; Fence the revision of the claim, which only grows.
	Term  int64 `json:"term,omitempty"`
	Fence int64 `json:"fence,omitempty"`

	// ExitCode is set once a process has ended; Output is the last 2 KiB of what it wrote.
	ExitCode *int                       `json:"exitCode,omitempty"`
	Output   string                     `json:"output,omitempty"`
	Usage    *Usage                     `json:"usage,omitempty"`
	Cancel   *Cancel                    `json:"cancel,omitempty"`
	Params   map[string]json.RawMessage `json:"params,omitempty"`
	Job      *Job                       `json:"job,omitempty"`

	// Progress and Result are what the latest attempt said of itself. Result is JSON of at most MaxResult bytes.
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	// Log is how to read all that the run wrote, from its first claim on.
	Log *RunLog `json:"log,omitempty"`
	// Checkpoint is what an attempt saved for the next one, at most MaxCheckpoint bytes (base64 in JSON). A run that
	// succeeds has none.
	Checkpoint []byte `json:"checkpoint,omitempty"`
}

// RunLog is how to read what a run wrote.
type RunLog struct {
	// Token is what a node asks for before it shows the run's log: whoever can read the record may read that too.
	Token string `json:"token"`
}

// FailedAttempt is what became of an attempt that failed, or was lost with its node (ReasonNodeLost), and that another
// one followed.
type FailedAttempt struct {
	Attempt   int       `json:"attempt"`
	Node      string    `json:"node,omitempty"`
	StartTime time.Time `json:"startTime,omitzero"`
	EndTime   time.Time `json:"endTime,omitzero"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message,omitempty"`
	ExitCode  *int      `json:"exitCode,omitempty"`
}

// maxFailedAttempts is how many of them a record lists.
const maxFailedAttempts = 10

// Again makes r the next attempt, one that is not to start before a time, after the present one failed.
func (r *Run) Again(failed FailedAttempt, notBefore time.Time) {
	failed.Node = r.Node
	r.list(&failed)
	r.Failures++
	r.Attempt++
	r.Phase, r.Reason, r.NotBefore = PhasePending, ReasonRetry, notBefore
	r.Message = "attempt " + strconv.Itoa(failed.Attempt) + " failed: " + failed.Reason
	r.Node, r.Session, r.Cluster, r.Job = "", "", "", nil
}

// Lost makes r the next attempt after the present one was lost with its node, and nothing of it is left.
func (r *Run) Lost(lost FailedAttempt) {
	lost.Reason = ReasonNodeLost
	r.list(&lost)
	r.Attempt++
	r.Job = nil
}

// list adds what became of the present attempt to Attempts.
func (r *Run) list(over *FailedAttempt) {
	over.Attempt = r.Attempt
	r.Attempts = append(slices.Clone(r.Attempts), *over)
	r.Attempts = r.Attempts[max(0, len(r.Attempts)-maxFailedAttempts):]
}

// Dead tells whether the run is a dead letter: it failed for good, and nobody has dealt with it. A shard is none, the run
// that it is part of may be.
func (r *Run) Dead() bool { return r.Phase == PhaseFailed && r.ResolvedBy == "" && r.Shard == nil }

// Places is how many places the run takes on the node that has it.
func (r *Run) Places() int { return max(r.Slots, 1) }

// Kinds are what a node's Capacities may call the run.
func (r *Run) Kinds() []string {
	if r.Handler != "" {
		return []string{r.Runner, KindOfHandler(r.Handler)}
	}
	return []string{r.Runner}
}

// Live tells whether the run is not terminal yet.
func (r *Run) Live() bool { return !r.Phase.Terminal() }

// Occupies tells whether the run takes a place in its pool and its namespace: a node has it, or its Job may exist.
func (r *Run) Occupies() bool {
	switch r.Phase {
	case PhaseAssigned, PhaseRunning:
		return !r.Parent()
	case PhasePending:
		return r.Job != nil
	}
	return false
}

// Cancel is the wish that a run end, written by the scheduler and carried out by the run's owner.
type Cancel struct {
	// By is who asked for it, or the run that takes the place of this one.
	By string `json:"by,omitempty"`
	// Reason is the system's word for the cause, whatever a person wrote: ReasonCancelRequested, ReasonTaskDeleted,
	// ReasonTaskReplaced, ReasonReplaced, ReasonStartWithin for one none of whose shards could start in time, or
	// ReasonTimeout for one whose time was up while no node had it.
	Reason string `json:"reason"`
	// Why is a sentence: the note of whoever asked, or what the system says.
	Why  string    `json:"why,omitempty"`
	Time time.Time `json:"time"`
}

// End is how a run ends that is ended for c: as Canceled, or as Failed when its time was up.
func (c *Cancel) End() (phase Phase, reason, message string) {
	if c.Reason == ReasonTimeout {
		return PhaseFailed, c.Reason, c.Why
	}
	return PhaseCanceled, c.Reason, c.Message()
}

// Message says who asked for it and why, as far as that is known; empty: the reason word is all there is to say.
func (c *Cancel) Message() string {
	switch {
	case c.Reason != ReasonCancelRequested || c.By == "":
		return c.Why
	case c.Why == "":
		return "by " + c.By
	}
	return "by " + c.By + ": " + c.Why
}

// Job is the Kubernetes Job of the current attempt. Its name is on record before the Job is created, its UID after.
type Job struct {
	// Cluster is the uid of the cluster's kube-system namespace.
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// Usage is what the processes of an attempt used, as far as the node could find out.
type Usage struct {
	// UserSeconds and SystemSeconds are processor time, of processes in a cgroup v2 all of it, else what the first
	// process and those that it waited for used.
	UserSeconds   float64 `json:"userSeconds"`
	SystemSeconds float64 `json:"systemSeconds"`
	// MaxRSSBytes is the memory that the largest of the first process and those that it waited for had at a time. It is
	// left out when that was less than about 50 MB, which cannot be told apart from the memory of what started it.
	MaxRSSBytes int64 `json:"maxRSSBytes,omitempty"`
	// LimitedBy says what kept the limits, where there were any: "cgroup2", "cgroup1" or "rlimit".
	LimitedBy string `json:"limitedBy,omitempty"`
}

// Progress is how far an attempt says it is.
type Progress struct {
	// Fraction is from 0 to 1.
	Fraction float64 `json:"fraction"`
	Message  string  `json:"message,omitempty"`
	// Time is when the attempt said so.
	Time time.Time `json:"time"`
}

// How many bytes a run's record keeps.
const (
	// MaxOutput is of its output, the last ones.
	MaxOutput = 2 << 10
	// MaxResult is of its result.
	MaxResult = 2 << 10
	// MaxCheckpoint is of its checkpoint.
	MaxCheckpoint = 16 << 10
)
