// Package registry keeps nodes under their lease: a [Session] is one life of a node, a [Registration] is its key
// nodes/<name>, a [View] is who is there now. It knows no tasks.
//
// # Parties
//
// A node holds one session at a time. etcd holds the lease and removes every key under it when the lease ends. Other
// nodes see the key and, when they act on it, compare its CreateRevision in the same transaction: neither a lease nor a
// session is a permission by itself.
//
// # States of a session
//
//	NewSession ──> alive ──> lost     the deadline passed, or etcd said that the lease is gone, or the client was closed
//	                 └─────> closed   Close was called
//
// There is no way back from either: whoever lost a session starts over with a new one, which has another ID. All of
// Alive, Context and Done agree, except that Alive is exact and the other two follow within moments.
//
// # What local time is used for
//
// Only for the deadline, and only durations on the monotonic clock; no two machines' clocks are compared. The lease
// lasts TTL from when etcd handled a renewal, which is after the renewal was sent. So the deadline is the *sending* of
// the last renewal that was answered, plus the TTL, less a margin of a fifth of it: by any node's clock that runs at
// roughly the right speed, this node has stopped acting before etcd lets the lease end. A renewal goes out every quarter
// of the TTL and waits no longer than that for its answer; one that fails at once is sent again after a twentieth. With
// a TTL of 5 s a node acts for up to 4 s after it last reached etcd, and can lose two renewals in a row.
//
// [Session.Alive] compares the deadline with the time of the call, not with what a timer did: a process that was stopped
// past its deadline finds itself dead at once when it wakes, even before its timers have run.
//
// The [concurrency.Session] on the same lease (for elections and mutexes) renews nothing, and ends with this one: the library's
// own keepalive gives a session up when its stream is not answered, whatever other renewals are.
//
// # Failures
//
//   - A renewal is slow, refused or unanswered: the next is sent; nothing else happens until the deadline.
//   - The deadline passes: Alive is false and the context ends with ErrSessionLost. Renewals stop. The lease is revoked
//     only after its margin has passed as well, since the margin is for whatever takes a moment to end here; if that
//     fails, etcd ends the lease by itself.
//   - The lease was revoked or has expired: lost as soon as a renewal says so.
//   - The server raises the TTL (etcd does below 1.5 election timeouts): the granted one is what counts.
//   - A registration's transaction times out: it may have happened. It is repeated with the same comparison, and a key
//     that is found under our own lease is ours.
//   - The name is held: [Register] returns a [NameHeldError] which says by whom. [WaitRegister] waits for the old
//     holder's lease to end, watching its key.
//   - Somebody deletes nodes/<name> by hand: the session goes on, the registration is gone; Update returns
//     ErrNotRegistered, the View has no such node. Register again under the same session.
//   - A value under nodes/ that is not a node of that name under that lease: the View leaves it out and logs it.
//   - A watch ends, is compacted, or goes silent: the View lists anew, at once or at its next resync.
//
// # Not promised
//
// A machine frozen as a whole (a suspended VM) may have its monotonic clock frozen too; it finds out from etcd's first
// answer, or refusal, after it wakes. Work that does not look at the context or at Alive is not stopped by either. With
// etcd older than 3.6 (3.5.13), a deposed etcd leader may answer renewals for up to an election timeout, by which the
// lease can then end before the margin does. For all these the comparisons in each transaction stand, and the fence
// that a run is given.
package registry
