// Package process runs tasks as operating-system processes of the node: the runner "process".
//
// # Parties
//
// The node's [Runner] decides; it starts no process itself. Processes belong to a guard: the node's own binary executed
// again ([GuardMain]), one at a time, started by Serve or with the first attempt. Between the two lie two pipes with a line of JSON
// for each message, and the guard does the forking, so there is no moment at which a process exists that the guard
// does not know of. The guard lives in a session of its own and takes no notice of SIGTERM, SIGINT and SIGHUP: Ctrl-C and
// systemd's KillMode=mixed leave the draining to the node.
//
//	node → guard   start (program, environment, deadline), end (grace), beat (newest deadlines), took (output)
//	guard → node   ready, started, refused, late, wrote (output), exited (status, usage and the end of the output), pong
//
// Each attempt is a session and process group of its own. Its tree is everything that descends from its first process.
// Where the guard may make control groups, each attempt is born in one of its own, which nothing leaves by forking: version
// 2 if there is one, else version 1. Besides, and where there are none, the guard is a child subreaper, so that what
// daemonises becomes the guard's child, and is known by its session, its process group or a variable in its environment
// (NIGHTWATCH_GUARD). An attempt has ended when nothing of its tree is alive, not sooner. What the first process leaves
// behind when it exits gets SIGTERM, the grace and SIGKILL.
//
// # Who it runs as, and what it may use
//
// The node decides whom an attempt runs as, and the guard switches between fork and exec; capabilities that a service
// manager gave to the node for that stop at the guard. Limits are kept by control groups of version 2, else of version 1,
// else by resource limits, one of these for all limits of an attempt; what none of them can keep is refused. Resource
// limits can only be set by the process that is to have them: the guard executes its own binary once more, which sets them
// and then executes the program.
//
// The guard's control groups are rooms, one in each hierarchy, with a group in it for each attempt. A room is locked for
// as long as its guard lives. To get controllers of version 2 the guard moves itself and the node into a group
// "nightwatch-node" below the one they are in, if that is delegated to them and nobody else is there.
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
//   - The guard dies: the kernel kills the attempts' first processes with it (PR_SET_PDEATHSIG), the node whatever is in
//     that guard's rooms or carries its NIGHTWATCH_GUARD. Their attempts end as Failed, GuardLost; the next attempt starts a new guard.
//   - Guard and node die in one blow: the next guard on the machine kills what is in rooms that nobody locks.
//   - The guard hangs: after ten seconds without an answer the node kills it.
//   - A program cannot be started: Failed, StartRefused, with the operating system's own words.
//   - The memory in a control group runs out: the attempt is Failed, OOMKilled, unless it can do without what was killed.
//
// # Output
//
// A program's standard output and error are one pipe: they come in the order in which they were written, which two pipes
// would lose. The guard reads it and sends what it reads to the node, which writes it into the attempt's log and says how
// much it took: no more than 256 KiB of an attempt are under way. What the node does not take the guard holds, up to
// another 256 KiB; then the program waits, as for any full pipe, but for one second at most; if nothing was taken until
// then, the oldest output is dropped, and the log says how much. So a node that is stopped, or whose disk is, holds no
// program up and costs bounded memory, and when it wakes up it has the newest output. When the node is killed, what it had
// written is in its log, and what was under way dies with the processes. The last word on an attempt, with the last 2 KiB
// of its output, comes after all of that, or two seconds after its end.
//
// The guard could write the log itself, and a killed node's last milliseconds of output would be kept. But then two
// processes would turn one set of files over, each unable to tell what the other does when it is stopped, and a node
// whose logs are not in files would have none.
//
// # Bounds
//
// A guard costs half a megabyte an attempt whose node does not take its output, hardly any else, and one operating-system
// thread an attempt, since PR_SET_PDEATHSIG is about the thread that forked.
//
// # Not promised
//
// This is no sandbox: a process has its user's rights, which are the node's own unless the task or the node says
// otherwise, and with them may leave its control group or raise its limits. [Config.AllowCommands] limits programs, not
// their arguments or environment. A process that asks somebody else to start something (a container engine, at, systemd) is
// not followed there.
//
// Without control groups the guard only knows of a tree that changed its session and emptied its environment that it
// belongs to one of its attempts: it dies when no attempt is left, and when node and guard are killed in one blow only
// systemd's own control group takes it. The same goes for processes of other users, whose environment a guard with
// neither root's rights nor CAP_SYS_PTRACE cannot read. A process that the kernel cannot kill (state D) keeps its attempt
// open. On systems other than Linux there is neither subreaper nor PR_SET_PDEATHSIG nor any limit, and only process groups
// are killed.
package process
