package nightwatch

// Reason words: the same in keys, logs and metrics.
const (
	// Why a run waits.
	ReasonNoFittingNode = "NoFittingNode" // no live node has the runner, handler or labels, or reaches the Kubernetes cluster
	ReasonNoCapacity    = "NoCapacity"    // nodes that fit are full
	ReasonNamespaceFull = "NamespaceFull" // as many runs of its namespace are live as may be
	ReasonPoolMissing   = "PoolMissing"   // the pool of its task is not there, or was never accepted
	ReasonPoolFull      = "PoolFull"      // as many runs of its pool are live as it has slots
	ReasonPoolRate      = "PoolRate"      // a run of its pool started a moment ago
	ReasonOverlap       = "Overlap"       // an earlier run of the task is live
	ReasonLocked        = "Locked"        // somebody holds locks/<namespace>/<task>
	ReasonRetry         = "Retry"         // an attempt failed, and the time of the next one has not come
	ReasonNotBefore     = "NotBefore"     // its time has not come
	ReasonFrozen        = "Frozen"        // a freeze key covers it
	ReasonNodeLost      = "NodeLost"      // the session that had it is gone
	ReasonHandedBack    = "HandedBack"    // its node is stopping, or is drained

	// Why a run failed, was canceled, skipped or missed.
	ReasonExitCode        = "ExitCode"
	ReasonSignal          = "Signal"
	ReasonTimeout         = "Timeout"
	ReasonStartRefused    = "StartRefused"
	ReasonGuardLost       = "GuardLost" // the guard of the node's processes died, and they with it
	ReasonOOMKilled       = "OOMKilled" // it used more memory than it may
	ReasonHandlerError    = "HandlerError"
	ReasonPanic           = "Panic"
	ReasonHTTPStatus      = "HTTPStatus"
	ReasonHTTPError       = "HTTPError"
	ReasonCallbackFailed  = "CallbackFailed" // whoever did its work called back to say that it failed
	ReasonJobGone         = "JobGone"
	ReasonJobNameTaken    = "JobNameTaken"
	ReasonCancelRequested = "CancelRequested"
	ReasonTaskDeleted     = "TaskDeleted"
	ReasonTaskReplaced    = "TaskReplaced"
	ReasonCatchUp         = "CatchUp"
	ReasonSuspended       = "Suspended"
	ReasonQueueFull       = "QueueFull"   // as many runs wait already as the overlap policy lets wait
	ReasonReplaced        = "Replaced"    // a newer occurrence took its place
	ReasonStartWithin     = "StartWithin" // it could not start in time
	ReasonShardFailed     = "ShardFailed" // of a run that is split: not all shards succeeded

	// Why a task is where it is.
	ReasonCalendarMissing  = "CalendarMissing" // a calendar that it uses is not there, or was never accepted
	ReasonUpstream         = "Upstream"        // it waits for runs of the tasks that it comes after
	ReasonUpstreamMissing  = "UpstreamMissing" // one of these is not there, or was never accepted
	ReasonDeleting         = "Deleting"
	ReasonPreviousDeleting = "PreviousDeleting"
)
