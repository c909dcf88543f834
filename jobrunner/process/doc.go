// Package process runs tasks as operating-system processes of the node: the runner "process".
//
// # Parties
//
// The node's [Runner] decides; it starts no process itself. Processes belong to a guard: the node's own binary executed
// again ([GuardMain]), one at a time, started with the first attempt. Between the two lie two pipes with a line of JSON
// for each message, and the guard does the forking, so there is no moment at which a process exists that the guard
// does not know of. The guard lives in a session of its own and takes no notice of SIGTERM, SIGINT and SIGHUP: Ctrl-C and
// systemd's KillMode=mixed leave the draining to the node.
//
//	node → guard   start (program, environment, deadline), end (grace), beat (newest deadlines)
//	guard → node   ready, started, refused, late, exited (status and the end of the output), pong
//
// Each attempt is a session and process group of its own. Its tree is everything that descends from its first process:
// the guard is a child subreaper, so that what daemonises becomes the guard's child, and is known by its session, its
// process group or a variable in its environment (NIGHTWATCH_GUARD). An attempt has ended when nothing of its tree is
// alive, not sooner. What the first process leaves behind when it exits gets SIGTERM, the grace and SIGKILL.
//
// # What local time is used for
//
// Deadlines only. They cross the pipe as times of the machine's own boot clock, which both sides read, which no one can
// set, and which also counts while the machine sleeps: a message that lay in the pipe, or in a stopped node, for a
// minute says nothing else than when it was sent. The guard asks that clock last before it forks. The node tells it the
// newest deadlines every half second, or more often when they are nearer than four seconds.
//
// # Failures
//
//   - The node dies or closes the pipe: the guard kills every tree with SIGKILL and exits.
//   - The node is stopped, or hangs: no beats arrive, and the guard kills each tree when its deadline passes. When the
//     node wakes up it finds the attempts gone and reports them as Interrupted.
//   - The attempt's context ends: SIGTERM to the tree, the grace, SIGKILL; when the session is lost, SIGKILL at once.
//   - Save fails: another session may have the run already. SIGKILL at once, Interrupted.
//   - The guard dies: the kernel kills the attempts' first processes with it (PR_SET_PDEATHSIG), the node whatever
//     carries that guard's NIGHTWATCH_GUARD. Their attempts end as Failed, GuardLost; the next attempt starts a new guard.
//   - The guard hangs: after ten seconds without an answer the node kills it.
//   - A program cannot be started: Failed, StartRefused, with the operating system's own words.
//
// # Bounds
//
// A guard keeps 2 KiB of output an attempt and reads on, so that nobody's full pipe stops a program. It costs one
// operating-system thread an attempt, since PR_SET_PDEATHSIG is about the thread that forked.
//
// # Not promised
//
// This is no sandbox: a process has the node's user and file system, and [Config.AllowCommands] limits programs, not
// their arguments or environment. A process that asks somebody else to start something (a container engine, at, systemd)
// is not followed there. Of a tree that changed its session and emptied its environment the guard only knows that it
// belongs to one of its attempts: it dies when no attempt is left. When node and guard are killed in one blow, only the
// first processes die by themselves; systemd's control group takes the rest. A process that the kernel cannot kill
// (state D) keeps its attempt open. On systems other than Linux there is neither subreaper nor PR_SET_PDEATHSIG, and only
// process groups are killed.
package process
