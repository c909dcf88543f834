// Package checker finds out from what was seen of a cluster, from outside, whether it kept its promises. It reads
// histories and knows nothing of how nightwatch works but its public keys and values, and package schedule, which says
// when a task is due.
//
// # Histories
//
// A [History] is several logs, each written by somebody else:
//
//   - operations: what clients asked for, and when they were told that it is done,
//   - changes: every revision of the keys below the prefix, watched from before the first,
//   - effects: what the tasks themselves wrote when they began, while they went on, and when they had finished,
//   - Jobs: what became of the Job objects in Kubernetes,
//   - faults: what was done to the cluster.
//
// They are kept as lines of JSON, a file each, so that a run of the suite can be looked at, and checked, again. The
// changes of hours are more than memory holds: an [Index] reads them once, in the order of their revisions, and keeps
// what is asked for. All times are of one machine's clock.
//
// # Invariants
//
// [Index.Check] verifies each invariant by its name, and says of every violation what it is about. What a history cannot tell
// is no violation: an operation without an answer may have been done or not, and an effect that was killed has no end.
package checker
