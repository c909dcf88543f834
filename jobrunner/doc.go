// Package jobrunner does runs on a node: it claims them, starts them, follows them and writes down how they ended.
//
// # Parties and states
//
// The scheduler assigns a run to a session and puts a key into that node's queue in the same transaction; from then
// on the run's record is the session's to write, until it is terminal or given back to wait (Pending). Once it is
// claimed the scheduler writes into it for two reasons only: a wish to cancel, and because the session is gone. A Worker serves
// one session; a Runner is one way to run things, and knows nothing of etcd.
//
// # Dispatch
//
// The claim is one transaction: if the record is as the queue told, the queue key is the one that told it (a run may be
// given to us again before we hear that it was taken away), no freeze key covers the task, and there is no key below
// locks/<namespace>/<task>/, then the lock (in the form of concurrency.Mutex, under our lease) and the record as Running
// are put, and the accepted value is read: that is the version the attempt runs. The transaction's revision is the
// attempt's fence. Where the task is frozen, or somebody holds its mutex for long, the run goes back to Pending with that
// reason, and the scheduler brings it again. A run whose Job is on record, or that is only to be ended, is claimed
// without lock and freezes: nothing is dispatched. A run that was announced, half a second ahead of its time, is waited with
// until then, by this node's clock; its claim compares the task's key too, and it is given back when that has changed. A run
// that is claimed after its startWithin has passed is Missed, unless it is a Job that may exist.
//
// Then the runner makes the effect, asking last of all whether the session's deadline has passed, and Save writes
// what there is to write of it and frees the lock in one transaction. An attempt that ends first frees it as it
// finishes.
//
//	claim        → if we die here the record says Running, nothing was started or, for a Job, it has the name on
//	               record; the lock goes with our lease; the scheduler takes the run from the session.
//	effect       → if we die here the same holds. A process, request or handler has ended by the time the lease
//	               has; a Job is found under its name and adopted.
//	Save         → if we die here the Job's uid is on record: it is followed, never created again.
//	end          → if we die here, processes and the like count as lost in mid-run (delivery says what follows); a
//	               Job is read again by whoever adopts it.
//	finish       → terminal for good.
//
// The tests in test/robustness kill nodes at each of these points, which gofail comments mark in the code.
//
// # The mutex
//
// It covers dispatch, never the run. Within this process, where the mutex would be re-entrant, dispatches of one task
// take turns, the oldest time first; what is claimed without the mutex waits for none. A claim that finds the mutex held elsewhere tries again while it goes from one dispatch
// to the next; once one and the same holder has had it for half a second, the run is given back. An operator's
// "etcdctl lock" on the same name keeps the task from being dispatched.
//
// Shards of runs, a thousand of which may begin at once, do not exclude each other: the key of a shard's dispatch stands
// below the same prefix, under shards/, where the mutex waits for it as for any other, and its claim asks for the absence
// of all keys but these.
//
// # Ambiguity
//
// A claim whose answer is lost is sent again with the same comparisons; when they fail and the record is ours as we
// wrote it, nothing has been started on the strength of it, and it is claimed anew. A stop waits for that answer, and
// hands the run back as it was. Other writes whose answer is lost
// are sent again; when refused, the record tells whether the first was done.
//
// # Not promised
//
// At most one attempt at a time cannot be kept up for a handler that ignores its context, a request that was sent, or
// a machine that stands still as a whole. Every attempt is told its fence, so that what it works on can refuse an
// older one.
package jobrunner
