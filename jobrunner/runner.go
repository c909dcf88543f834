package jobrunner

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
)

// Runner is one way to run things. A Runner is safe for concurrent use.
type Runner interface {
	// Name is the word that tasks, nodes and run records use for it.
	Name() string
	// Run performs one attempt and returns when its effect has ended. Nothing of the attempt has been started
	// before, unless a.Adopt says so. When ctx ends, context.Cause(ctx) says what is wanted:
	//
	//   - ErrCancel, ErrTimeout: end the effect, then return what Stopped(ctx) says.
	//   - ErrSessionLost, ErrStopping: the node may not act for this run any longer. A runner whose effects live
	//     apart from the node (Kubernetes) leaves them alone; all others end them. Return Interrupted.
	//
	// An attempt that ended by itself before the runner noticed ctx is reported as it ended.
	Run(ctx context.Context, a *Attempt) Outcome
}

// Preparer is a Runner whose effect has a name that must be on record before the effect is made: Prepare writes it
// into run, with no I/O. It is called before the claim, whose transaction stores run.
type Preparer interface {
	Prepare(run *nightwatch.Run, clusterID string)
}

// Service is a Runner with work of its own beside its attempts, such as a watch. Serve is called once for a node's
// life, before any Run, and blocks until ctx ends.
type Service interface {
	Serve(ctx context.Context, env Env)
}

// Checker is a Runner that depends on things outside of the node. It does not block.
type Checker interface {
	Checks() []Check
}

// Check is one condition of a runner's health.
type Check struct {
	// Name is put after the runner's name and a slash.
	Name string
	// Err is nil while the condition holds.
	Err error
}

// Clusterer is a Runner that reaches Kubernetes clusters. It is asked again and again for what the node announces, and
// does not block. The first cluster takes what asks for none.
type Clusterer interface {
	Clusters() []Cluster
}

// Cluster is a Kubernetes cluster as a node knows it.
type Cluster struct {
	// Name is how the node calls it.
	Name string
	// UID is that of its kube-system namespace; empty while the cluster is out of reach.
	UID    string
	Labels map[string]string
}

// Chooser is a Runner that has several places for an attempt, one of which was chosen when the run was given to the node.
// Suits tells whether that one is what a version of the task asks for, which may be newer than the choice: if not, the
// run goes back to be given anew. It does no I/O.
type Chooser interface {
	Suits(run *nightwatch.Run, task *nightwatch.Task) bool
}

// Env is what a Service is given of the cluster.
type Env struct {
	ClusterID string
	Node      string
	Logger    hclog.Logger
	// Lookup makes a linearizable read of a run's record: nightwatch.ErrNotFound when there is none.
	Lookup func(ctx context.Context, task, run string) (*nightwatch.Run, error)
	// Revision makes a linearizable read of etcd's revision. Nil: it cannot be told.
	Revision func(ctx context.Context) (int64, error)
	// Gone receives the names of runs whose records have been deleted. It may miss some; sweep on a timer too.
	Gone <-chan RunName
}

// RunName names a run: the task as "<namespace>/<task>", and the run's id.
type RunName struct{ Task, Run string }

// Attempt is one try of a run, as its Runner sees it.
type Attempt struct {
	// Run is what may be told to user code. What user code says by its methods goes into the record.
	Run Run
	// Task is the version of the task that this attempt runs. It is nil, for a Preparer only, when the task is gone and
	// the run is only to be ended.
	Task *nightwatch.Task
	// Record is the run's record as it was claimed. Job.Name is set by the runner's own Prepare.
	Record    nightwatch.Run
	ClusterID string
	// Adopt says that this very attempt was claimed before, by a session that is lost or that did not say whether it
	// made the effect: it may exist, or be made yet by a frozen process that wakes up. Only runners whose effects
	// have names (Preparer) ever see it.
	Adopt bool
	// Deadline is until when this node may act for the run, asked anew before every effect. It moves while the
	// session is renewed.
	Deadline func() time.Time
	// StartBy is the last moment at which an effect may be made where none has been, by the clock of this process: after it
	// the run is Missed. When Run is called it has not passed, unless Adopt is set; a Runner whose effect may be long in the
	// making asks again. Zero: there is none.
	StartBy time.Time
	// Save changes the record in etcd under its revision. The first call after the effect frees the task's mutex; a
	// Preparer's effect is there when the record has Job.UID. An error while the ctx it was given lives means that the
	// run is no longer this session's, or that the node stops and has waited long enough (the attempt's ctx has ended or
	// is about to): touch nothing. When that ctx ended first, nobody knows whether the change was made. It is safe for
	// concurrent use.
	Save func(ctx context.Context, change func(*nightwatch.Run)) error
	// Log takes what user code writes, as it writes it; never nil. It is safe for concurrent use, and neither fails nor
	// takes long. When Run has returned, what is written to it is dropped. See also Note.
	Log io.Writer
	// Secrets are those of the node; nil when it has none. See Secret.
	Secrets Secrets
	// Callbacks are those of the node; nil when it takes none. See OpenCallback.
	Callbacks *Callbacks
	// Logger is for the node's operator, not for the task's.
	Logger hclog.Logger
}

// Run is what user code is told of the attempt it is, and by its methods what user code says of it. A copy of it is the
// same run; its methods are safe for concurrent use. Those of a Run that was made by hand, as in a test of user code,
// check what they are given, and keep nothing; runnertest.Attempt makes one that does.
type Run struct {
	Namespace string
	Task      string
	ID        string
	// Attempt counts from 1.
	Attempt     int
	NominalTime time.Time
	// Fence grows with every claim of the task's runs: whoever has seen a higher one may refuse this one.
	Fence int64
	// IdempotencyKey is the same whenever the same attempt is repeated.
	IdempotencyKey string
	// Params are the task's with the request's laid over them.
	Params map[string]json.RawMessage
	// Upstream are the runs that this one comes after, in the order of the task's after; none of a run that somebody asked
	// for, unless it retries one that had them.
	Upstream []nightwatch.UpstreamRun
	// Shards is into how many parts the run is split, 0 when it is not; Shard is which one this is, from 0, or -1 for
	// all of them, as an Indexed Job is. ShardParam is the shard's own param, nil when it has none.
	Shards     int
	Shard      int
	ShardParam json.RawMessage

	feedback *Feedback
}

// Outcome is how an attempt ended.
type Outcome struct {
	// Phase is Succeeded, Failed or Canceled, or Missed if nothing was begun within the task's startWithin; empty when it was interrupted, and another session is to see to it.
	Phase nightwatch.Phase
	// Reason is a word, Message a sentence, which the record has clipped (see Clip); empty on success.
	Reason, Message string
	ExitCode        *int
	// Output is the end of what the attempt wrote; only the last nightwatch.MaxOutput bytes are kept. Empty stands for
	// what was written to the attempt's Log.
	Output string
	// Usage is of a runner that knows what the attempt used.
	Usage *nightwatch.Usage
	// Hint is what the attempt itself says of another one, should it have failed.
	Hint nightwatch.RetryHint
}

// Causes for which the context of an attempt ends.
var (
	ErrCancel      = errors.New("cancel requested")
	ErrTimeout     = errors.New("timeout of the attempt")
	ErrSessionLost = errors.New("session lost")
	ErrStopping    = errors.New("node is stopping")
)

// Interrupted is the Outcome of an attempt that this node gave up before its end.
var Interrupted = Outcome{}

// Stopped is the Outcome of an attempt whose effect was ended because ctx was.
func Stopped(ctx context.Context) Outcome {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCancel):
		return Outcome{Phase: nightwatch.PhaseCanceled, Reason: nightwatch.ReasonCancelRequested}
	case errors.Is(cause, errRunTimeout):
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonTimeout, Message: "the run took longer than its runTimeout"}
	case errors.Is(cause, ErrTimeout), errors.Is(cause, context.DeadlineExceeded):
		return Outcome{Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonTimeout, Message: "the attempt took longer than its timeout"}
	default:
		return Interrupted
	}
}

// WithTimeout bounds ctx by the timeout of the attempt's task, counted from now.
func WithTimeout(ctx context.Context, a *Attempt) (context.Context, context.CancelFunc) {
	if a.Task.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, time.Duration(a.Task.Timeout), ErrTimeout)
}

// Environment is what every attempt is told in the form of environment variables. Which shard of an Indexed Job a pod is
// is left out: only the pod knows.
func (r Run) Environment() []string {
	params, err := json.Marshal(r.Params)
	if err != nil || r.Params == nil {
		params = []byte("{}")
	}
	environment := []string{
		"NIGHTWATCH_NAMESPACE=" + r.Namespace,
		"NIGHTWATCH_TASK=" + r.Task,
		"NIGHTWATCH_RUN=" + r.ID,
		"NIGHTWATCH_ATTEMPT=" + itoa(int64(r.Attempt)),
		"NIGHTWATCH_NOMINAL_TIME=" + r.NominalTime.UTC().Format(time.RFC3339Nano),
		"NIGHTWATCH_FENCE=" + itoa(r.Fence),
		"NIGHTWATCH_PARAMS=" + string(params),
	}
	if upstream, err := nightwatch.Encode(r.Upstream); err == nil && len(r.Upstream) > 0 {
		environment = append(environment, "NIGHTWATCH_UPSTREAM="+string(upstream))
	}
	if r.Shards > 0 {
		environment = append(environment, "NIGHTWATCH_SHARDS="+itoa(int64(r.Shards)))
		if r.Shard >= 0 {
			environment = append(environment, "NIGHTWATCH_SHARD="+itoa(int64(r.Shard)))
		}
		if r.ShardParam != nil {
			environment = append(environment, "NIGHTWATCH_SHARD_PARAM="+nightwatch.ShardParamText(r.ShardParam))
		}
	}
	return environment
}
