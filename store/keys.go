package store

import (
	"strings"
)

// DefaultPrefix is where the keys of a cluster live unless it is told otherwise.
const DefaultPrefix = "/nightwatch/"

// Kind is the first part of a key below the prefix, which says what the key holds.
type Kind string

// The kinds of keys. Users write those of the first group, the system all others; the two never mix.
const (
	Tasks     Kind = "tasks"
	Requests  Kind = "requests"
	Freezes   Kind = "freeze"
	Calendars Kind = "calendars"
	Cordons   Kind = "cordons"
	Pools     Kind = "pools"
	// Namespaces are what users say of a namespace as a whole.
	Namespaces Kind = "namespaces"

	Accepted Kind = "accepted"
	Statuses Kind = "status"
	Verdicts Kind = "verdicts"
	Runs     Kind = "runs"
	Ledgers  Kind = "ledger"
	Queue    Kind = "queue"
	Nodes    Kind = "nodes"
	Election Kind = "election"
	Locks    Kind = "locks"
	Meta     Kind = "meta"
)

// Keys makes and parses the keys of one cluster. A task is named by its tail, "<namespace>/<task>"; the tails of
// malformed keys, which get their verdict at the same place under status/, are kept as they are.
type Keys struct{ prefix string }

// NewKeys is for keys below prefix; a missing final "/" is added, so that "team" never touches "team-1". An empty
// prefix is DefaultPrefix.
func NewKeys(prefix string) Keys {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return Keys{prefix}
}

// Prefix is the prefix of all keys, ending in "/".
func (k Keys) Prefix() string { return k.prefix }

// Of is the prefix of all keys of a kind, ending in "/".
func (k Keys) Of(kind Kind) string { return k.prefix + string(kind) + "/" }

// Task is where users write a task.
func (k Keys) Task(task string) string { return k.Of(Tasks) + task }

// Accepted is where the last accepted value of a task stands.
func (k Keys) Accepted(task string) string { return k.Of(Accepted) + task }

// Status is where the state of a task stands.
func (k Keys) Status(task string) string { return k.Of(Statuses) + task }

// Ledger accounts for the occurrences of a task that have no record of their own.
func (k Keys) Ledger(task string) string { return k.Of(Ledgers) + task }

// Run is the record of a run.
func (k Keys) Run(task, run string) string { return k.Of(Runs) + task + "/" + run }

// RunsOf is the prefix of a task's run records, ending in "/".
func (k Keys) RunsOf(task string) string { return k.Of(Runs) + task + "/" }

// Request is where a user asks for one action.
func (k Keys) Request(task, id string) string { return k.Of(Requests) + task + "/" + id }

// Verdict is what became of a request.
func (k Keys) Verdict(task, id string) string { return k.Of(Verdicts) + task + "/" + id }

// Queue tells a node of a run that its session is to do.
func (k Keys) Queue(node, task, run string) string { return k.QueueOf(node) + task + "/" + run }

// QueueOf is the prefix of a node's queue, ending in "/".
func (k Keys) QueueOf(node string) string { return k.Of(Queue) + node + "/" }

// Node is where a node announces itself.
func (k Keys) Node(name string) string { return k.Of(Nodes) + name }

// Cordon is where users keep a node from being given runs.
func (k Keys) Cordon(node string) string { return k.Of(Cordons) + node }

// Election is the prefix of the scheduler's election, without the final "/" that concurrency.Election adds.
func (k Keys) Election() string { return k.prefix + "election/scheduler" }

// Mutex is the name of a task's concurrency.Mutex, without the final "/" that it adds: what "etcdctl lock" takes.
func (k Keys) Mutex(task string) string { return k.Of(Locks) + task }

// LocksOf is the prefix of the keys of whoever holds or waits for a task's mutex, ending in "/".
func (k Keys) LocksOf(task string) string { return k.Of(Locks) + task + "/" }

// shardLocks is where, below the keys of a task's mutex, those of the dispatch of shards stand: whoever takes the mutex
// waits for them as for any other, and they do not wait for each other.
const shardLocks = "shards/"

// ShardLock is the key by which a session holds a task's mutex together with the dispatch of other shards.
func (k Keys) ShardLock(task, session, run string) string {
	return k.LocksOf(task) + shardLocks + session + "/" + run
}

// SplitLock splits the tail of a lock into the task and who holds it: a session, or of the dispatch of a shard the session
// and the run. For a holder of another form the session is all that follows the task.
func SplitLock(tail string) (task, session, run string, ok bool) {
	parts := strings.SplitN(tail, "/", 3)
	if len(parts) < 3 {
		return "", "", "", false
	}
	task, session = parts[0]+"/"+parts[1], parts[2]
	if shard, is := strings.CutPrefix(session, shardLocks); is {
		if of, id, two := strings.Cut(shard, "/"); two {
			return task, of, id, true
		}
	}
	return task, session, "", true
}

// Calendar is where users write a calendar.
func (k Keys) Calendar(name string) string { return k.Of(Calendars) + name }

// calendarTail is where the system's keys of a calendar stand below a kind. No namespace begins with "_".
const calendarTail = "_calendars/"

// AcceptedCalendar is where the last accepted value of a calendar stands.
func (k Keys) AcceptedCalendar(name string) string { return k.Accepted(calendarTail + name) }

// CalendarStatus is the verdict on a calendar.
func (k Keys) CalendarStatus(name string) string { return k.Status(calendarTail + name) }

// CalendarTail is the tail of the system's keys of a calendar.
func CalendarTail(name string) string { return calendarTail + name }

// CalendarOf is the calendar that the tail of an accepted or status key belongs to, if it is not a task's.
func CalendarOf(tail string) (name string, ok bool) { return strings.CutPrefix(tail, calendarTail) }

// Pool is where users write a pool.
func (k Keys) Pool(name string) string { return k.Of(Pools) + name }

// poolTail is what calendarTail is to calendars.
const poolTail = "_pools/"

// AcceptedPool is where the last accepted value of a pool stands.
func (k Keys) AcceptedPool(name string) string { return k.Accepted(poolTail + name) }

// PoolStatus is the verdict on a pool.
func (k Keys) PoolStatus(name string) string { return k.Status(poolTail + name) }

// PoolTail is the tail of the system's keys of a pool.
func PoolTail(name string) string { return poolTail + name }

// PoolOf is the pool that the tail of an accepted or status key belongs to, if it is not a task's.
func PoolOf(tail string) (name string, ok bool) { return strings.CutPrefix(tail, poolTail) }

// Namespace is where users write what goes for a namespace as a whole.
func (k Keys) Namespace(name string) string { return k.Of(Namespaces) + name }

// namespaceTail is what calendarTail is to calendars.
const namespaceTail = "_namespaces/"

// AcceptedNamespace is where the last accepted value of a namespace stands.
func (k Keys) AcceptedNamespace(name string) string { return k.Accepted(namespaceTail + name) }

// NamespaceStatus is the verdict on a namespace.
func (k Keys) NamespaceStatus(name string) string { return k.Status(namespaceTail + name) }

// NamespaceTail is the tail of the system's keys of a namespace.
func NamespaceTail(name string) string { return namespaceTail + name }

// NamespaceOf is the namespace that the tail of an accepted or status key belongs to, if it is not a task's.
func NamespaceOf(tail string) (name string, ok bool) { return strings.CutPrefix(tail, namespaceTail) }

// TaskTail tells whether the tail of an accepted or status key is a task's, not a calendar's, a pool's or a namespace's.
func TaskTail(tail string) bool {
	_, calendar := CalendarOf(tail)
	_, pool := PoolOf(tail)
	_, namespace := NamespaceOf(tail)
	return !calendar && !pool && !namespace
}

// MetaVersion holds the schema version.
func (k Keys) MetaVersion() string { return k.Of(Meta) + "version" }

// MetaCluster holds the cluster's random id.
func (k Keys) MetaCluster() string { return k.Of(Meta) + "cluster" }

// MetaAfter says which task was the last to be put after others: it is compared and written wherever that is added to, so
// that no two additions pass each other by.
func (k Keys) MetaAfter() string { return k.Of(Meta) + "after" }

// MetaClock holds the scheduler's clock.
func (k Keys) MetaClock() string { return k.Of(Meta) + "clock" }

// FrozenCluster is the tail of the freeze key that covers everything.
const FrozenCluster = "_cluster"

// Freezes are the three keys any of which keeps a task from starting.
func (k Keys) Freezes(task string) []string {
	namespace, _, _ := strings.Cut(task, "/")
	return []string{k.Of(Freezes) + task, k.Of(Freezes) + namespace, k.Of(Freezes) + FrozenCluster}
}

// Parse splits a key into its kind and the tail behind it. It is false for keys outside the prefix.
func (k Keys) Parse(key string) (kind Kind, tail string, ok bool) {
	rest, ok := strings.CutPrefix(key, k.prefix)
	if !ok {
		return "", "", false
	}
	first, tail, ok := strings.Cut(rest, "/")
	return Kind(first), tail, ok
}

// SplitLast splits the tail of a run, request or verdict into the task and the last part. It is false when
// there is no "/".
func SplitLast(tail string) (task, last string, ok bool) {
	i := strings.LastIndexByte(tail, '/')
	if i < 0 {
		return "", tail, false
	}
	return tail[:i], tail[i+1:], true
}
