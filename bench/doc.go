// Package bench measures a cluster: how many runs a second it does, how late they are, and what one costs in etcd, beside
// the rate that etcd itself would allow.
//
// # The ceiling
//
// A run changes state three times: it is created (run, queue key, status), claimed (lock, run) and finished (run, queue
// key, lock). Ceiling does just that with etcd's client, with keys and values of the sizes that a run has, 32 runs to a
// request and 8 requests under way, and with no scheduler, worker or watch. No way to run tasks that records them in this
// form can be faster on the same machines. It is measured right before the load, as machines are shared and change.
//
// # The load
//
// Tasks of a namespace of their own, "bench-<id>", are all due at one moment (a burst), or evenly, as many a second as
// asked for, for as long as asked for and no longer. They run on nodes of the bench's own: with the runner "handler" by a
// handler that notes the moment and returns, else by runners that these nodes bring along. Lateness is from a run's nominal
// time to its effect: the call of the handler, or the start that the record tells.
//
// The tasks are put twice, the first time for in an hour, to find out how long the cluster takes to accept them: by the
// moment that the first run is due all are accepted, and what there was before has been measured. All runs that are due
// from then on count, and none else.
//
// The load is over when as many runs as were due have had their effect and the bench's nodes have none left that is not
// recorded to its end; or, when some are missed, after half a minute without an effect. The rate of a burst is until the
// nodes were first seen to have nothing left after the last effect.
//
// # Kubernetes
//
// Jobs have a ceiling of their own, which is mostly the API server's: before the load a bare loop of creates makes as many
// of the same Job, or what it can make of them in half a minute, as fast as the limits of requests allow. Beside it stands how many Jobs a second the runs had, from the
// first nominal time until the last record named its Job. A run starts when it is claimed; its Job comes after that,
// when its create's turn has come, and its lateness is given as well. The load and the bare loop have a namespace each on
// the API server, which is removed with all in it.
//
// # What a run costs
//
// After the load the history of its keys is read from etcd: each revision was a request that wrote, each event a key.
// Nothing is counted while effects come one after the other, so nothing is disturbed. Revisions that hold no key of the bench's tasks are
// not among them; a request that writes nothing has no revision.
//
// Processor time is that of the bench with its nodes, and of other processes that tell theirs by /metrics: the cluster's own
// nodes at their address, the members of etcd that the bench was given, and the API server.
//
// # Rights
//
// What a node needs in etcd, and to read and write below "<prefix>-bench-" ("/nightwatch-bench-"): the keys of the ceiling
// are beside those of the cluster, where nobody watches.
//
// # Left behind
//
// Nothing of the bench: tasks are deleted, and Run waits until the cluster has cleaned up after them, and the API server.
// Where there was no cluster at the prefix yet, the keys stay that every cluster has: meta/version, meta/cluster and
// meta/clock.
package bench
