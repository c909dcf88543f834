// Package node is one peer of a nightwatch cluster, wired together: New on an etcd client of the caller's, then Run.
//
// # Lives
//
// A node goes through lives. A life is a session: one lease, under which the node announces itself, stands for the
// scheduler role and claims runs. When the session is lost, by trouble with etcd or because this process stood still,
// everything that life had under way stops, and another life begins with a new session. What the cluster gave to the
// old session it gives to somebody else once the lease has ended; the new life of the same node is somebody else.
// Kubernetes Jobs go on meanwhile and are adopted.
//
// Local time is used for one thing: the session's deadline, counted from the sending of the last renewal that was
// answered, before which the node must have stopped acting.
//
// # Stopping
//
// When Run's context ends: the node is unready; it ends its leader work, waits for it, resigns the scheduler role at
// once and does not campaign again; it says that it is draining, so that nothing new comes; it hands back runs that
// have not started, and Jobs; it waits up to DrainTimeout for everything else, ends what is left, and hands that back
// too; it takes back its announcement and closes the session.
//
// # Being drained
//
// While cordons/<name> says drain, the node does what it does to stop, but for its end: it is unready, resigns the
// scheduler role and does not campaign, hands back what it has, and says that it is draining. The session goes on, so that
// it is still there to be seen; what it is given all the same is handed back. When the key goes it takes part again.
//
// # What it does not do
//
// A node reads no flags, environment, files or signals, opens no listener, and never closes the client it was given.
package node
