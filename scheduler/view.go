package scheduler

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// revisions are those of a key as it was last seen; both are 0 while it is absent.
type revisions struct{ create, mod int64 }

func (r revisions) present() bool { return r.mod != 0 }

// taskView is all that is known of one task, under the tail of its key. Of most tasks nothing is wanted at most times:
// they are packed, which leaves what the agenda needs, and view.open unpacks them.
type taskView struct {
	name     string
	*details         // nil: it is packed, or a list is gathering it
	packed   packing // while details is nil

	// What the agenda remembers of it.
	wake      int64 // when it is to be looked at, as in dueEntry; 0: nothing is known of that
	heapIndex int32
	dirty     bool
	waitsTurn bool // to be put after other tasks: see drawing
	looked    bool // this term has looked at it as it is, and found nothing to do before wake
}

// details is what is known of a task. Beside what a value says stands the value, for packing.
type details struct {
	task    revisions
	value   []byte
	putTime time.Time // when the value was put, as well as this node can know
	thawed  time.Time // when the freeze that ended last did so by its own until; zero: it was taken away

	accepted      revisions
	acceptedValue []byte
	def           *nightwatch.Accepted
	// Of a calendar, whose name is store.CalendarTail: what its user wrote, and what is in force.
	source      revisions
	sourceValue []byte
	calendar    *nightwatch.AcceptedCalendar
	pool        *nightwatch.AcceptedPool      // of a pool, whose name is store.PoolTail
	namespace   *nightwatch.AcceptedNamespace // of a namespace, whose name is store.NamespaceTail
	noticed     time.Time                     // when this node first looked at its last change
	statusAt    revisions
	statusValue []byte
	status      nightwatch.Status
	ledgerAt    revisions
	ledgerValue []byte
	ledger      nightwatch.Ledger

	runs     map[string]*runView
	ordered  []*runView                  // runs, oldest first
	shards   map[string]map[int]*runView // runs that are shards, by the run that they are part of and their number
	ended    int64                       // not below the revision at which any of runs ended
	requests map[string]keyView          // by id
	verdicts map[string]verdictView
	locks    map[string]struct{}

	// What the loop remembers of its own doing.
	busy          bool      // a transaction is under way
	wrote         []written // in the last one, and not seen in the view yet
	heldUntil     int64     // the view must reach this revision before the next decision
	retryAt       time.Time // after a failure
	waits         place     // what it waits for on the agenda
	waitsSince    time.Time // the oldest time of it that waits
	waitsPriority int       // and its priority then
	lineIndex     int       // in its line there
	hopeful       bool      // it is looked at because a node may have room
	passedOver    bool      // its requests and verdicts have been, by the last transaction
}

type runView struct {
	revisions
	run   nightwatch.Run
	value []byte // of the record
}

type keyView struct {
	revisions
	key   string
	value []byte
}

type verdictView struct {
	revisions
	key  string
	time time.Time
}

type nodeView struct {
	revisions
	node   nightwatch.Node
	cordon *cordonView // nil: none
}

type freezeView struct {
	revisions
	key    string
	until  time.Time
	freeze nightwatch.Freeze
	err    error // what of its value cannot be read
}

// view is the copy of the cluster's keys that the scheduler decides on, current to one revision at a time. It
// belongs to the loop's goroutine.
type view struct {
	keys     store.Keys
	revision int64
	tables
	coming *view       // what has come of a list that is being taken in
	ticks  []clockTick // of the scheduler's clock, that a list would not tell of

	touched      func(*taskView) // called for every task that changed
	nodesChanged bool
	roomChanged  bool // a session has fewer runs than before

	spare    int // how many tasks are kept unpacked though nothing is wanted of them
	squeezer *squeezer
}

// tables are what a list makes anew.
type tables struct {
	tasks    map[string]*taskView
	unpacked fifo                 // tasks that may be packed, those that have been looked at last behind the others
	nodes    map[string]*nodeView // by name
	sessions map[string]*nodeView // by session
	freezes  map[string]freezeView
	cordons  map[string]*cordonView          // by node
	users    map[string]map[string]*taskView // of a calendar, by its name and theirs
	used     *usage                          // by runs that are assigned or running
	// downstreams are the tasks that come after one, by its name and theirs.
	downstreams map[string]map[string]*taskView
	afterAt     revisions // of the key that says which task was put after others last

	clock   clockValue
	clockAt revisions

	// While a list is taken in.
	before    map[string]*taskView // the tasks as they were, most of which have not changed
	gathered  map[string][]part    // of tasks that have not come as a whole yet
	gathering fifo                 // these tasks, in the order in which they came
}

// clockValue is the value of meta/clock.
type clockValue struct {
	Time time.Time `json:"time"`
}

// clockTick is what the scheduler's clock said from a revision on.
type clockTick struct {
	revision int64
	time     time.Time
}

func newView(keys store.Keys, touched func(*taskView)) *view {
	return &view{keys: keys, touched: touched, spare: maxSpare, tables: tables{
		tasks:       map[string]*taskView{},
		nodes:       map[string]*nodeView{},
		sessions:    map[string]*nodeView{},
		freezes:     map[string]freezeView{},
		cordons:     map[string]*cordonView{},
		users:       map[string]map[string]*taskView{},
		used:        newUsage(),
		downstreams: map[string]map[string]*taskView{},
	}}
}

// apply brings the view to the batch's revision. While a list comes by pages the view stays as it is.
func (v *view) apply(b store.Batch, now time.Time) {
	if b.Snapshot {
		v.applyList(b, now)
		return
	}
	for _, e := range b.Events {
		v.applyEvent(e, now, true)
	}
	v.revision = max(v.revision, b.Revision)
}

// task is the task of that name, unpacked; one of which nothing was known, if need be.
func (v *view) task(name string) *taskView {
	t := v.known(name)
	if t == nil {
		t = &taskView{name: strings.Clone(name), details: &details{}, heapIndex: -1}
		v.tasks[t.name] = t
		v.unpacked.push(t)
	}
	t.looked = false
	return t
}

// known is the task of that name, unpacked; nil when there is none.
func (v *view) known(name string) *taskView {
	t := v.tasks[name]
	if t != nil {
		v.open(t)
	}
	return t
}

func (v *view) applyEvent(e store.Event, now time.Time, live bool) {
	kind, tail, ok := v.keys.Parse(e.Key)
	if !ok {
		return
	}
	at := revisions{e.CreateRevision, e.ModRevision}
	if e.Deleted {
		at = revisions{}
	}
	switch kind {
	case store.Tasks:
		t := v.task(tail)
		came := t.task.present() != at.present()
		t.task, t.value = at, e.Value
		if live {
			t.putTime = now
		}
		v.changed(t)
		if came {
			v.touchNeighbours(t)
		}
	case store.Accepted:
		t := v.task(tail)
		v.use(t, nil)
		t.accepted, t.acceptedValue, t.calendar, t.pool, t.namespace = at, e.Value, nil, nil, nil
		if _, ok := store.NamespaceOf(tail); ok {
			if namespace := new(nightwatch.AcceptedNamespace); !e.Deleted && json.Unmarshal(e.Value, namespace) == nil {
				t.namespace = namespace
			}
			v.nodesChanged = true // all that waits is looked at
			v.changed(t)
			return
		}
		if _, ok := store.PoolOf(tail); ok {
			if pool := new(nightwatch.AcceptedPool); !e.Deleted && json.Unmarshal(e.Value, pool) == nil {
				t.pool = pool
			}
			v.nodesChanged = true // all that waits is looked at
			v.changed(t)
			return
		}
		if name, ok := store.CalendarOf(tail); ok {
			v.applyCalendar(t, name, e)
			return
		}
		if old := v.earlier(tail); old != nil && old.def != nil && old.accepted == at {
			v.use(t, old.def)
		} else if def := new(nightwatch.Accepted); !e.Deleted && json.Unmarshal(e.Value, def) == nil {
			v.use(t, def)
		}
		v.changed(t)
	case store.Statuses:
		t := v.task(tail)
		before := t.status.Upstream
		t.statusAt, t.statusValue, t.status = at, e.Value, nightwatch.Status{}
		if old := v.earlier(tail); old != nil && old.statusAt == at {
			t.status = old.status
		} else if own := t.own(e); own != nil {
			t.status = *own.status
		} else if !e.Deleted {
			t.status = readStatus(e.Value)
		}
		v.changed(t)
		v.touchLookedAt(before, t.status.Upstream)
	case store.Ledgers:
		t := v.task(tail)
		t.ledgerAt, t.ledgerValue, t.ledger = at, e.Value, nightwatch.Ledger{}
		if !e.Deleted {
			_ = json.Unmarshal(e.Value, &t.ledger)
		}
		v.changed(t)
	case store.Runs:
		v.applyRun(tail, at, e)
	case store.Requests, store.Verdicts, store.Locks:
		v.applyPart(kind, tail, at, e)
	case store.Nodes:
		v.applyNode(tail, at, e)
	case store.Freezes:
		v.applyFreeze(tail, at, e, now, live)
	case store.Cordons:
		v.applyCordon(tail, at, e)
	case store.Calendars:
		t := v.task(store.CalendarTail(tail))
		t.source, t.sourceValue, t.noticed = at, e.Value, nothing
		if live {
			t.putTime = now
		}
		v.changed(t)
		v.touchUsers(tail)
	case store.Pools:
		t := v.task(store.PoolTail(tail))
		t.source, t.sourceValue = at, e.Value
		v.changed(t)
	case store.Namespaces:
		t := v.task(store.NamespaceTail(tail))
		t.source, t.sourceValue = at, e.Value
		v.changed(t)
	case store.Meta:
		if e.Key == v.keys.MetaAfter() {
			v.afterAt = at
		}
		if e.Key == v.keys.MetaClock() && !e.Deleted && json.Unmarshal(e.Value, &v.clock) == nil {
			v.clockAt = at
		}
	}
}

// ticked has the view know of a tick. Those from before the one that was there at the view's revision say nothing any more:
// what was put until then has been seen.
func (v *view) ticked(t clockTick) {
	v.ticks = append(v.ticks, t)
	for len(v.ticks) > 1 && v.ticks[1].revision <= v.revision {
		v.ticks = v.ticks[1:]
	}
}

// tickBefore is the last tick of a lower revision that is known.
func (v *view) tickBefore(revision int64) (last clockTick) {
	if v.clockAt.mod < revision {
		last = clockTick{v.clockAt.mod, v.clock.Time}
	}
	for _, t := range v.ticks {
		if t.revision < revision && t.revision > last.revision {
			last = t
		}
	}
	return last
}

// changed tells the loop about t, and forgets a task of which nothing is left.
func (v *view) changed(t *taskView) {
	if !t.task.present() && !t.source.present() && !t.accepted.present() && !t.statusAt.present() && !t.ledgerAt.present() && !t.busy &&
		len(t.runs) == 0 && len(t.shards) == 0 && len(t.requests) == 0 && len(t.verdicts) == 0 && len(t.locks) == 0 {
		delete(v.tasks, t.name)
	}
	v.touched(t)
}

func (v *view) applyRun(tail string, at revisions, e store.Event) {
	name, id, ok := store.SplitLast(tail)
	if !ok {
		return
	}
	t := v.task(name)
	if before := t.find(id); before != nil {
		v.count(&before.run, -1)
	}
	var r *runView
	if !e.Deleted {
		if old := v.earlier(name); old != nil {
			r = old.find(id)
		}
		if r == nil || r.revisions != at {
			if own := t.own(e); own != nil {
				r = own.run
				r.revisions, r.value = at, e.Value
			} else {
				r = &runView{at, readRun(name, id, e.Value), e.Value}
			}
		}
		v.count(&r.run, 1)
	}
	t.keep(id, r)
	v.changed(t)
	if r != nil {
		v.arrived(t, r)
	}
}

// readRun reads the record of a run. A value that is none, or another run's, is nobody's run that has ended: it stands
// where it stands until the task is removed.
func readRun(task, id string, value []byte) nightwatch.Run {
	var r nightwatch.Run
	if json.Unmarshal(value, &r) != nil || !sound(task, id, &r) {
		return nightwatch.Run{ID: id, Task: task, Phase: nightwatch.PhaseFailed}
	}
	return r
}

// sound tells whether a record is that of the run whose key it stands under.
func sound(task, id string, r *nightwatch.Run) bool {
	switch r.Phase {
	case nightwatch.PhasePending, nightwatch.PhaseAssigned, nightwatch.PhaseRunning:
	default:
		if r.Live() {
			return false
		}
	}
	return r.ID == id && r.Task == task && r.TaskUID != 0 && (r.Shard == nil || id == nightwatch.ShardRunID(r.Shard.Of, r.Shard.Index))
}

// readStatus reads a status. A value that cannot be read, be it in part, is as good as none: it is written anew under its
// revision.
func readStatus(value []byte) nightwatch.Status {
	var s nightwatch.Status
	if json.Unmarshal(value, &s) != nil {
		return nightwatch.Status{}
	}
	return s
}

// count keeps what runs use.
func (v *view) count(r *nightwatch.Run, n int) {
	if !r.Occupies() {
		return
	}
	if v.used.add(takingOf(r), n); n < 0 {
		v.roomChanged = true
	}
}

func (v *view) applyPart(kind store.Kind, tail string, at revisions, e store.Event) {
	name, id, _ := store.SplitLast(tail)
	if kind == store.Locks {
		// A claim asks for no key at all below locks/<namespace>/<task>/, so the rest is the holder, however deep.
		parts := strings.SplitN(tail, "/", 3)
		if len(parts) < 3 {
			return
		}
		name, id = parts[0]+"/"+parts[1], parts[2]
	}
	t := v.task(name)
	switch kind {
	case store.Requests:
		delete(t.requests, id)
		if !e.Deleted {
			if t.requests == nil {
				t.requests = map[string]keyView{}
			}
			t.requests[id] = keyView{at, e.Key, e.Value}
		}
	case store.Verdicts:
		delete(t.verdicts, id)
		var verdict nightwatch.Verdict
		if !e.Deleted {
			if t.verdicts == nil {
				t.verdicts = map[string]verdictView{}
			}
			_ = json.Unmarshal(e.Value, &verdict) // unreadable: the zero time, so it goes at once
			t.verdicts[id] = verdictView{at, e.Key, verdict.Time}
		}
	case store.Locks:
		delete(t.locks, id)
		if !e.Deleted {
			if t.locks == nil {
				t.locks = map[string]struct{}{}
			}
			t.locks[id] = struct{}{}
		} else if len(t.locks) > 0 {
			return
		}
	}
	v.changed(t)
}

func (v *view) applyNode(name string, at revisions, e store.Event) {
	if before := v.nodes[name]; before != nil {
		delete(v.sessions, before.node.Session)
		delete(v.nodes, name)
	}
	// A key under another lease than it names was put by hand: it would take runs, and no session's end take them back.
	n := &nodeView{revisions: at, cordon: v.cordons[name]}
	if !e.Deleted && json.Unmarshal(e.Value, &n.node) == nil && n.node.Name == name && n.node.Session == strconv.FormatInt(int64(e.Lease), 16) {
		v.nodes[name], v.sessions[n.node.Session] = n, n
	}
	v.nodesChanged = true
}

func (v *view) applyFreeze(tail string, at revisions, e store.Event, now time.Time, live bool) {
	before := v.freezes[tail]
	delete(v.freezes, tail)
	if !e.Deleted {
		// Whatever the value says, the key is what freezes.
		freeze, err := nightwatch.ParseFreeze(e.Value)
		v.freezes[tail] = freezeView{at, e.Key, freeze.Until, freeze, err}
	}
	if !live {
		return // all tasks are looked at
	}
	touch := func(t *taskView) {
		switch {
		case !e.Deleted:
		case before.until.IsZero() || before.until.After(now):
			v.setThawed(t, nothing) // by whoever took it away
		default:
			v.setThawed(t, later(t.thawedAt(), before.until))
		}
		t.looked = false
		v.touched(t)
	}
	if strings.Contains(tail, "/") {
		if t := v.tasks[tail]; t != nil {
			touch(t)
		}
		return
	}
	for _, t := range v.tasks {
		if namespace, _, _ := strings.Cut(t.name, "/"); tail == store.FrozenCluster || tail == namespace {
			touch(t)
		}
	}
}

// applyCalendar takes in the calendar in force, which moves every task that uses it.
func (v *view) applyCalendar(t *taskView, name string, e store.Event) {
	if calendar := new(nightwatch.AcceptedCalendar); !e.Deleted && json.Unmarshal(e.Value, calendar) == nil {
		t.calendar = calendar
	}
	v.changed(t)
	v.touchUsers(name)
}

// use makes def the version of t in force, and t a user of its calendars and a downstream of its upstreams.
func (v *view) use(t *taskView, def *nightwatch.Accepted) {
	v.follow(t, def)
	if t.def != nil {
		for _, name := range t.def.Task.Calendars.Names() {
			delete(v.users[name], t.name)
		}
	}
	if t.def = def; def == nil {
		return
	}
	for _, name := range def.Task.Calendars.Names() {
		if v.users[name] == nil {
			v.users[name] = map[string]*taskView{}
		}
		v.users[name][t.name] = t
	}
}

// touchUsers tells the loop about every task that uses a calendar.
func (v *view) touchUsers(name string) {
	for _, user := range v.users[name] {
		v.touched(user)
	}
}

// frozen is the freeze key that keeps a task from starting, if there is one.
func (v *view) frozen(task string) (what string, frozen bool) {
	for _, tail := range freezesOf(task) {
		if _, there := v.freezes[tail]; there {
			return tail, true
		}
	}
	return "", false
}

// freezesOf are the freezes that cover a task.
func freezesOf(task string) [3]string {
	namespace, _, _ := strings.Cut(task, "/")
	return [...]string{task, namespace, store.FrozenCluster}
}

// freezeMessage says what a freeze key says: who, why and until when, as far as it can be read.
func (v *view) freezeMessage(tail string) string {
	f := v.freezes[tail]
	text := "freeze/" + tail + " is there"
	if f.freeze.By != "" {
		text += ", by " + f.freeze.By
	}
	if !f.until.IsZero() {
		text += ", until " + f.until.UTC().Format(time.RFC3339)
	}
	if f.freeze.Note != "" {
		text += ": " + f.freeze.Note
	}
	if f.err != nil {
		text += " (its value is not as it should be: " + f.err.Error() + ")"
	}
	return text
}

// freePlaces is how many more runs the nodes have room for.
func (v *view) freePlaces(reserved *usage) int {
	free := 0
	for session, n := range v.sessions {
		at := room{session, ""}
		free += max(n.node.Capacity-v.used.places[at]-reserved.places[at], 0)
	}
	return free
}
