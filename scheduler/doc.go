// Package scheduler is what the holder of the scheduler role does: it turns what users put into accepted tasks,
// occurrences into runs, gives runs to nodes, answers requests, takes runs from sessions that are gone, and keeps
// every task's status true.
//
// # Parties
//
// Users write tasks, requests and freezes. The scheduler of the term in force writes everything else about a task,
// except that a run that was given to a session is written by that session (package jobrunner) until it is terminal
// or given back. Standbys run the same loop with the same view and write nothing. A standby may be a second behind in
// what it has read of what it has heard; before it leads it catches up (backlog). A cold one (Config.Cold) has no view outside
// of its terms, hears only of the scheduler's clock, and reads all keys when its term begins.
//
// # How it decides
//
// One goroutine owns a view of all keys below the prefix, kept current by one list and one watch, so that the view
// always stands at one revision. A pass reads the clock once and, for every task that something happened to, asks
// decide for the next transaction. decide is a function of the view and that time. A task has at most one transaction
// under way; tasks are independent of one another but for the load of the nodes, which the loop reserves.
//
// Every transaction carries the term's guard and the ModRevision of every key that it was decided on: a key that has
// changed since refuses it, and the task is decided on again when the view has caught up. So neither an old view nor
// an old term does harm, and neither does a transaction whose answer was lost: the view tells what became of it.
//
// The list comes by parts (store.Follower) into a view of its own, which takes the place of the one before once it is
// complete: nothing is decided on half a list. What happens meanwhile comes to both. Tasks of which nothing is wanted before their next time are packed (packed.go), on the scheduler as
// on standbys: a look, a change or whoever asks for one opens it, and finds what was there before. What such a task is
// known by without being opened, its name, its next time and that it has no live run, is all that the agenda, a new term
// and a lost node need.
//
// # Becoming scheduler
//
// When the election is won, a read confirms it. Once the view has come as far as that read, it shows all that any earlier term
// wrote, for that was written while the leader key of that term was there; and decisions begin. At the same time the scheduler
// writes meta/clock under its guard, as it does once a second, so that there is something to come. It begins with the tasks of
// which something is wanted, be it that their time has come; the others are looked at when there is nothing else to do, or
// when their time comes. It goes on from the cursor in each status, not from now. A task put while nobody led counts from when
// it was put: the moment the watch told of it, else the last meta/clock before it. Who leads reads that before its own
// first one, where it has no view yet.
//
// # What is one transaction
//
// Accepting a value: accepted, status. An occurrence: the run (whose key must be absent), the cursor in the status,
// the queue key of its node, while task, accepted, status and the freeze keys are as seen and the node's key is the
// one that was there. A request: its effect, its verdict, its deletion; and so for up to 16 that have nothing to do with
// each other. An occurrence that is half a second ahead: the run, announced, and the queue key (announce.go). A lost session: the run, the old queue key, the new one. A record that leaves the history: its deletion and
// the ledger, as a rule with the counts of the run in whose favor it leaves. The counts in a status cover every finished
// run whose ModRevision is not above countedRevision, so that a run is counted once whoever looks; a record leaves only when
// it has been counted.
//
// # Shards
//
// A run that is split is a parent: a record that no node is ever given, and one run for each shard, "<run>.<k>", which is
// placed, claimed, retried and canceled like any run. On Kubernetes there is no parent: the run is one Indexed Job, but for
// a second chance of some of its shards. The parent's record says which shards exist: active, and when they have ended
// succeeded or failed. Only the scheduler writes it.
//
//	the record     is made, with the cursor or the request's answer, as that of any run. If we die here it waits, as any
//	               run may, and whoever comes next goes on.
//	the nodes      of a run of one shard for each are fixed in it when nothing holds it back any more: shard k is for
//	               the k-th, by name, whatever becomes of that node.
//	the shards     are made up to 16 at a time, in transactions that enter them as active and compare the parent. If we
//	               die between two, the parent says which exist. A shard that is entered is never made again, so one
//	               whose record somebody deleted has failed. What is to end, or to be canceled, makes no more of them.
//	their ends     are gathered from their records, which are terminal for good, into ranges and results.
//	its end        is the transaction that gathers the last of them: Succeeded when all are. If we die before, the
//	               same is decided again.
//	its leaving    is the removal of the shards' records, 50 at a time, then of its own with the entry in the ledger. If
//	               we die in between, the record still tells what became of all shards.
//
// Whatever is said of a task's runs (overlap, counts, history, maxRuns, dead letters) is said of parents. A parent waits
// for earlier runs, a freeze or its time before it has shards, and is Pending until the first of them is claimed. A wish
// that it end is written into it first, then into its shards one after the other. startWithin bounds the claim of the
// first shard, and of each one that is for a node of its own; runTimeout is kept by each shard, whose createTime is the
// parent's. A shard without a parent, or with one that has ended, which only somebody's hand can bring about, is canceled
// and, without one, removed.
//
// # After others
//
// A task with after (the downstream) is due by runs of other tasks (its upstreams). When a run ended is told by etcd's
// revisions: that of the write that made its record terminal, after which the record is written at most once more, by
// who makes a dead letter good, and then notes that revision (endRevision). So all schedulers see the same runs in the same
// order, and the one that completes a set gives the set's run its name, "dep-<revision>".
//
// The downstream's status says, for each upstream, up to which revision its runs have been looked at, and which run waits
// for those of the others, with all that the downstream's run is to be told of it. One transaction takes in what has
// arrived: it moves that, and makes the run when a set is complete. Before it, the records are there to be looked at;
// after it, nothing hangs on them any more. Nothing needs to be compared of an upstream: what has ended stays as it
// ended, and what ends later has a higher revision. A record leaves the history, or goes with its deleted task, only when
// no downstream in force has yet to look at it; as looking is all that is asked of it, a downstream that is suspended,
// or that can never be complete, holds nothing up.
//
//	a run ends      → if we die here its record stays until a successor's downstreams have looked at it.
//	it is looked at → if we die here the status says that it waits, or the set's run is there and the status says that
//	                  its runs were used: both are one transaction.
//	it leaves       → nobody needs it any more.
//
// A version counts what ends after the put that it is of. Between that put and its acceptance nobody knows that it is a
// downstream: a record that leaves the history in between, which takes two transactions after the run's end, is not seen.
//
// No task comes after itself, by way of whichever others. A version that would is refused when it is judged, by a walk
// over the versions in force. For all of those stands one key, meta/after, which is compared and written with every
// version that comes after a task that the one before did not come after: of two that are decided on the same view one
// is refused. So that they are not refused in masses, the loop has only one of them under way.
//
// # Failures
//
// If the scheduler dies between two transactions, what is left is a state that decide meets again: runs that wait,
// statuses that lag, keys of a deleted task whose status is still there because it is removed last. If its lease is
// lost while a transaction is on the way, the guard refuses it. If its clock steps back, cursors do not move and
// nothing happens until it has caught up. While etcd takes no writes the loop as a whole rests, up to five seconds at a
// time; a transaction that etcd will never take is its own task's trouble. One without an answer may be done at any time while
// the term lasts, so what it takes stays reserved until the status of its task, which it compares, has been written again: the
// next decision on the task does that. A value that cannot be read where a record
// or a status stands is nobody's run that has ended, or a status to be written anew.
//
// A run that waits for a node while its Job may live is ended by its runTimeout all the same: by the wish that it end
// (cancel, with the reason Timeout), which the next node that reaches the Job's cluster carries out. When no such node is to
// come, a person may drop the run, and its Job is left alone.
//
// # Not promised
//
// Puts of one task that follow each other faster than they are looked at are one put of the newest value. While
// nobody leads, or the task is suspended or frozen, that is the case for all of them.
package scheduler
