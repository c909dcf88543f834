// Package suite lets a cluster of real processes run tasks of all kinds while faults come at random moments, and finds
// out by package checker what came of it.
//
// # A run of the suite
//
// An etcd, three nodes of the nightwatch binary and two of an embedder are processes. Tasks of all runners, with all
// overlap policies and both deliveries, are due up to ten times a second each and write down themselves what they do. A
// client puts, edits, freezes and deletes others all the while. Then:
//
//   - calm, for a few seconds: what is late now is late without any fault,
//   - faults, for [Config.Duration]: chosen, and aimed at moments from 3 s before to 1 s after a time at which a task is
//     due that comes once a minute, by a generator that begins at [Config.Seed]. They overlap,
//   - calm again: everything is to be on time after [heal], without anyone's help,
//   - the end: every task is suspended or deleted, and what is under way ends.
//
// The seed decides which faults come, at what moments, on which kinds of nodes. What they meet there is the machine's
// matter: the same seed is the same storm, not the same run.
//
// # What is left of it
//
// A folder with the history, as lines of JSON, the logs of nodes, the verdict, and a page that shows all of it in time.
package suite
