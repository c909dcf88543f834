// Package store is the one place that makes and parses nightwatch's keys in etcd, and the way to them: typed reads,
// watches and guarded writes. Programs that put tasks from Go use a Store; the system itself uses Keys, Follower and
// Commit too.
//
// # Guarded writes
//
// Nothing here writes a key on the strength of an earlier read alone. A Txn carries, for every key that was looked at
// to decide on it, the ModRevision that was seen (0 for absent), and the guard of the role that writes. Commit tells
// three results apart: done, refused (nightwatch.ErrRefused: some comparison failed, nothing was written) and unknown
// (nightwatch.ErrOutcomeUnknown: no answer came, it may have been written). Since a Txn that was done changes keys
// that it compares, sending the very same Txn again is harmless: the second is refused if the first was done.
//
// # Group commit
//
// Many runs change state at the same moment, and a request costs etcd more than a key. So transactions that are
// committed at the same time go into one request, each nested in it with its own comparisons and its own answer.
// All comparisons of a request see what was there before it, so two transactions share one only if neither writes a key
// or prefix that the other compares, reads or writes (but see Txn.NoLockBesideShards); nor is one sent while another that it
// meets in such a way is under way, or waits before it. What shares a request is then done as it would be one after the
// other; it has one revision.
//
// A transaction that finds nothing under way is sent at once, and so is any while etcd answers promptly, within 2 ms. Else it
// waits for company for as long as etcd takes longer than that, up to 20 ms, or until 32 are together; 8 requests are under
// way at most, not counting those that are without an answer for a second. One that nobody waits for (Txn.Lazy) goes along with the next of the others, and by itself no sooner than 20 ms
// after the last such, unless it is told to hurry. When etcd refuses a request as a whole (a lease that is gone, no space),
// each of its transactions is sent by itself and hears of its own fault. When no answer comes, the outcome of each is
// unknown to its caller, who reads what became of it: nobody else could tell whether it may still be on its way. A caller
// that does not wait any longer takes nothing away from those that share its request.
//
// # Copies
//
// A Follower keeps somebody's copy of a prefix current by a list and a watch. The copy is a hint: whoever acts on it
// does so through a Txn, which is refused if the copy was old.
package store
