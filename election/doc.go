// Package election gives one node at a time a role, by etcd's own [concurrency.Election]. Holding the role is a [Term]: a
// context to work under and a comparison to make every write with. It knows no tasks.
//
// # Parties
//
// Every candidate puts a key <prefix>/<lease> under its session's lease; the one with the lowest CreateRevision leads.
// The key's value is the candidate's name. Other programs can stand, observe and resign by the same keys (`etcdctl
// elect`). The number of a term is the CreateRevision of its key: it grows from term to term and is never used twice.
//
// # States of a candidate
//
//	New ──> Campaign ──> Term ──> over: resigned, session lost, or key gone
//	           ^                    │
//	           └────────────────────┘  Campaign again, while the session lives; else New with the next session
//
// A term that is over never comes back: Campaign removes what is left of its key and stands anew, last in line and
// with another number.
//
// # There is no IsLeader
//
// An answer to it would be stale by the time it is read. Leader work runs under [Term.Context] and every write carries
// [Term.Guard] among its transaction's comparisons. The context is how a leader learns that it has to stop; the guard is
// why it does not matter when it learns late. Of two candidates' guards at most the oldest key's is a leader's: an
// older term's guard fails for good once its key is gone, and no newer term begins before that.
//
// # What local time is used for
//
// For pauses between tries and for a re-reading of the term's own key now and then. No decision depends on it; the
// session's deadline, which does, is the session's.
//
// # Failures
//
//   - The session is lost while campaigning: Campaign returns at once (etcd's own would wait for ever, or return without
//     a key). Its key goes with the lease.
//   - The key vanishes while campaigning (etcdctl del, a lost lease): a Campaign that won all the same is confirmed by
//     reading its key before it returns a term; if the key is gone it stands anew.
//   - Any other error while campaigning: Campaign goes on with the same session, which keeps its key and its place,
//     until the context ends. What waiting cannot cure (permission denied) it returns, after removing its key.
//   - The context ends: Campaign removes its key, within a few seconds, and returns. Should etcd not answer, the key is
//     left; campaign again, or end the session, or it will hold the role with nobody behind it.
//   - The leader's key is deleted or taken off its lease, by hand: the term is over, the next in line leads.
//   - A watch ends, is compacted or goes silent: the key is read again.
//   - Resign gets no answer: it is repeated until its context ends. The key goes with the session at the latest.
//
// # Not promised
//
// That the former leader has stopped when the next one's term begins: a process that was stopped, or whose watch is
// late, may still believe in its term. Its guard does not hold any more. Whatever a leader does outside etcd is fenced
// by neither.
//
// Two candidates on one session and one prefix share one key and both lead; use one.
package election
