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
// # Copies
//
// A Follower keeps somebody's copy of a prefix current by a list and a watch. The copy is a hint: whoever acts on it
// does so through a Txn, which is refused if the copy was old.
package store
