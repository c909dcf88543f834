package scheduler

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

// board is an etcd of maps, with the view of it and a world to decide in. What decide returns is carried out with
// its comparisons, so that tables can follow a task through its life without a clock or a server.
type board struct {
	*world
	t       testing.TB
	entries map[string]store.Event
	rev     int64
	twin    *view             // hears the same and packs nothing, while the view packs what it can; nil: the board's view is as any
	heard   func(store.Batch) // is told what the view's watch tells; may be nil
}

const demo = "default/demo"

// at is a time of the one day on which these tests happen: "10:05", "10:05:30", "10:05:30.250".
func at(clock string) time.Time {
	if strings.Count(clock, ":") == 1 {
		clock += ":00"
	}
	t, err := time.Parse("2006-01-02T15:04:05.999", "2026-11-20T"+clock)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func idAt(clock string) string { return nightwatch.ScheduledRunID(at(clock)) }

func newBoard(t testing.TB, clock string) *board {
	keys := store.NewKeys("")
	b := &board{t: t, entries: map[string]store.Event{}, rev: 100}
	b.world = &world{
		now: at(clock), keys: keys, view: newView(keys, func(*taskView) {}), term: 7, reserved: newUsage(),
	}
	return b
}

func (b *board) moveTo(clock string) { b.now = at(clock) }

func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return encodeAny(v)
	}
}

// set writes keys (pairs of key and value; a nil value deletes) at one revision, as the view's watch tells it.
func (b *board) set(pairs ...any) int64 {
	b.rev++
	var events []store.Event
	for i := 0; i < len(pairs); i += 2 {
		key := pairs[i].(string)
		events = append(events, b.one(key, pairs[i+1], 0))
	}
	b.apply(store.Batch{Revision: b.rev, Events: events})
	return b.rev
}

func (b *board) one(key string, value any, lease clientv3.LeaseID) store.Event {
	if value == nil {
		delete(b.entries, key)
		return store.Event{Key: key, ModRevision: b.rev, Deleted: true}
	}
	e := store.Event{Key: key, Value: []byte(text(value)), CreateRevision: b.rev, ModRevision: b.rev, Lease: lease}
	if before, there := b.entries[key]; there {
		e.CreateRevision = before.CreateRevision
	}
	b.entries[key] = e
	return e
}

// apply has the view hear of something.
func (b *board) apply(batch store.Batch) {
	b.t.Helper()
	b.view.apply(batch, b.now)
	if b.heard != nil && !batch.Snapshot {
		b.heard(batch)
	}
	if b.twin != nil {
		if batch.Snapshot {
			b.twin.applyWhole(batch, b.now)
		} else {
			b.twin.apply(batch, b.now)
		}
		b.view.shrink(len(b.view.tasks), false)
	}
}

// relist has the view start over from a list.
func (b *board) relist() {
	var events []store.Event
	for _, e := range b.entries {
		events = append(events, e)
	}
	b.apply(store.Batch{Snapshot: true, Revision: b.rev, Events: events})
}

func (b *board) put(value string) int64 { return b.set(b.keys.Task(demo), value) }
func (b *board) del(key string)         { b.set(key, nil) }

// node announces a node that can do everything, under a lease of its own, and returns its session.
func (b *board) node(name string, change ...func(*nightwatch.Node)) (session string) {
	b.rev++
	lease := clientv3.LeaseID(b.rev)
	n := nightwatch.Node{
		Name: name, Session: strconv.FormatInt(int64(lease), 16), Capacity: 64, Handlers: []string{"work"},
		Runners: []string{nightwatch.RunnerProcess, nightwatch.RunnerKubernetes, nightwatch.RunnerHandler, nightwatch.RunnerHTTP},
	}
	for _, f := range change {
		f(&n)
	}
	b.apply(store.Batch{Revision: b.rev, Events: []store.Event{b.one(b.keys.Node(name), n, lease)}})
	return n.Session
}

// decide decides on the task and checks what any plan must be.
func (b *board) decide(task string) *plan {
	b.t.Helper()
	t := b.view.known(task)
	if t == nil {
		t = &taskView{name: task, heapIndex: -1, details: &details{}}
	}
	if len(t.ordered) != len(t.runs) || !slices.IsSortedFunc(t.ordered, inOrderOfCreation) ||
		slices.ContainsFunc(t.ordered, func(r *runView) bool { return t.runs[r.run.ID] != r }) {
		b.t.Errorf("the runs of %s are not in order: %d of %d", task, len(t.ordered), len(t.runs))
	}
	twin := b.twinPlan(task)
	p := decide(b.world, t)
	b.remember(task, p)
	if twin != nil && planText(p) != planText(twin) {
		b.t.Errorf("decide on %s: %s, on what was never packed %s", task, planText(p), planText(twin))
	}
	for _, err := range p.errs {
		b.t.Errorf("decide on %s: %v", task, err)
	}
	if n := p.txn.Operations(); n > 100 {
		b.t.Errorf("decide on %s: %d operations", task, n)
	}
	return p
}

// remember keeps what the scheduler's loop keeps of a decision.
func (b *board) remember(task string, p *plan) {
	p.t.passedOver = p.passedOver
	if b.twin != nil {
		if t := b.twin.known(task); t != nil {
			t.passedOver = p.passedOver
		}
	}
}

// commit carries a plan out as etcd would, and tells whether it was done.
func (b *board) commit(p *plan) bool {
	b.t.Helper()
	for _, taken := range p.takings {
		b.reserved.add(taken, -1)
	}
	ifs, then := p.txn.Parts()
	for _, cmp := range ifs {
		if !b.holds(cmp.GetCompare()) {
			b.t.Logf("refused: %s", cmp.KeyBytes())
			return false
		}
	}
	size := 0
	b.rev++
	var events []store.Event
	for _, op := range then {
		key := string(op.KeyBytes())
		if op.IsDelete() {
			if _, there := b.entries[key]; there {
				events = append(events, b.one(key, nil, 0))
			}
			continue
		}
		size += len(op.ValueBytes())
		events = append(events, b.one(key, op.ValueBytes(), 0))
	}
	if size > 3<<19 { // etcd's default for a request
		b.t.Errorf("a transaction of %d bytes", size)
	}
	b.readsAsWritten(p.wrote)
	t := p.t
	if known := b.view.known(t.name); known != nil {
		t = known
	}
	b.view.open(t)
	t.wrote = p.wrote
	b.apply(store.Batch{Revision: b.rev, Events: events})
	if t.details != nil && len(t.wrote) > 0 {
		b.t.Errorf("not known for its own: %s", t.wrote[0].key)
	}
	return true
}

// readsAsWritten checks that what a transaction puts would be read as what is kept of it.
func (b *board) readsAsWritten(wrote []written) {
	b.t.Helper()
	for _, w := range wrote {
		if w.run != nil {
			_, tail, _ := b.keys.Parse(w.key)
			name, id, _ := store.SplitLast(tail)
			if read := readRun(name, id, w.value); !reflect.DeepEqual(read, w.run.run) {
				b.t.Errorf("%s is read as %+v, kept as %+v", w.key, read, w.run.run)
			}
			continue
		}
		var read nightwatch.Status
		if err := json.Unmarshal(w.value, &read); err != nil || !reflect.DeepEqual(read, *w.status) {
			b.t.Errorf("%s is read as %+v (%v), kept as %+v", w.key, read, err, *w.status)
		}
	}
}

func (b *board) holds(cmp *pb.Compare) bool {
	b.t.Helper()
	return compares(b.t, b.entries[string(cmp.GetKey())], cmp)
}

// mirror goes on to when the status follows what only repeats the records.
func (b *board) mirror() {
	b.t.Helper()
	b.now = b.now.Add(mirrorEvery)
	b.settle(demo)
}

// settle decides on the task until there is nothing more to do.
func (b *board) settle(task string) {
	b.t.Helper()
	for range 400 {
		if b.look(task).txn.Empty() {
			return
		}
	}
	b.t.Fatalf("%s: no end to the transactions", task)
}

// look decides on the task once, and carries that out.
func (b *board) look(task string) *plan {
	b.t.Helper()
	p := b.decide(task)
	if !p.txn.Empty() && !b.commit(p) {
		b.t.Fatalf("%s: refused though the view is current", task)
	}
	return p
}

// goTo is settle at a later time.
func (b *board) goTo(clock string) {
	b.t.Helper()
	b.moveTo(clock)
	b.settle(demo)
}

func (b *board) status() nightwatch.Status {
	var s nightwatch.Status
	b.read(b.keys.Status(demo), &s)
	return s
}

func (b *board) ledger() nightwatch.Ledger {
	var l nightwatch.Ledger
	b.read(b.keys.Ledger(demo), &l)
	return l
}

func (b *board) read(key string, into any) bool {
	e, there := b.entries[key]
	if there {
		if err := json.Unmarshal(e.Value, into); err != nil {
			b.t.Fatalf("%s: %v", key, err)
		}
	}
	return there
}

// run is the record of a run of the demo task.
func (b *board) run(id string) *nightwatch.Run {
	r := new(nightwatch.Run)
	if !b.read(b.keys.Run(demo, id), r) {
		return nil
	}
	return r
}

// account is what the store reads of the demo task.
func (b *board) account() ledger.Account {
	a := ledger.Account{Task: demo, Now: b.now, Revision: b.rev, Freezes: map[string]nightwatch.Freeze{}, Calendars: map[string]nightwatch.AcceptedCalendar{}}
	if e, there := b.entries[b.keys.Task(demo)]; there {
		a.Value, a.TaskRevision = e.Value, e.ModRevision
	}
	var accepted nightwatch.Accepted
	if b.read(b.keys.Accepted(demo), &accepted) {
		a.Accepted = &accepted
	}
	var status nightwatch.Status
	if b.read(b.keys.Status(demo), &status) {
		a.Status = &status
	}
	b.read(b.keys.Ledger(demo), &a.Ledger)
	for key, e := range b.entries {
		if strings.HasPrefix(key, b.keys.RunsOf(demo)) {
			var r nightwatch.Run
			_ = json.Unmarshal(e.Value, &r)
			a.Runs = append(a.Runs, r)
		}
	}
	slices.SortFunc(a.Runs, func(x, y nightwatch.Run) int { return x.NominalTime.Compare(y.NominalTime) })
	for _, key := range b.keys.Freezes(demo) {
		if e, there := b.entries[key]; there {
			_, tail, _ := b.keys.Parse(key)
			a.Freezes[tail], _ = nightwatch.ParseFreeze(e.Value)
		}
	}
	if a.Accepted != nil {
		for _, name := range a.Accepted.Task.Calendars.Names() {
			var c nightwatch.AcceptedCalendar
			if b.read(b.keys.AcceptedCalendar(name), &c) {
				a.Calendars[name] = c
			}
		}
	}
	for _, n := range b.view.nodes {
		a.Nodes = append(a.Nodes, n.node)
	}
	return a
}

// runs are all records as "<id> <phase>[ <reason>]", in order.
func (b *board) runs() []string {
	var list []string
	for key, e := range b.entries {
		if strings.HasPrefix(key, b.keys.RunsOf(demo)) {
			var r nightwatch.Run
			_ = json.Unmarshal(e.Value, &r)
			list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.ID, r.Phase, r.Reason)))
		}
	}
	slices.Sort(list)
	return list
}

// spans are the ledger's ranges as "<from>-<to> <count> <outcome> <reason>".
func (b *board) spans() []string {
	var list []string
	for _, s := range b.ledger().Ranges {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s-%s %d %s %s", s.From.Format("15:04:05"), s.To.Format("15:04:05"), s.Count, s.Outcome, s.Reason)))
	}
	return list
}

// claim and finish do what the node that has the run does.
func (b *board) claim(id string, change ...func(*nightwatch.Run)) {
	b.t.Helper()
	r := b.run(id)
	if r == nil || r.Phase != nightwatch.PhaseAssigned {
		b.t.Fatalf("claim %s: %+v", id, r)
	}
	r.Phase, r.StartTime, r.Fence = nightwatch.PhaseRunning, b.now, b.rev+1
	if r.Announced {
		r.Announced, r.NotBefore = false, nothing
	}
	for _, f := range change {
		f(r)
	}
	b.set(b.keys.Run(demo, id), r)
}

func (b *board) finish(id string, phase nightwatch.Phase) {
	b.t.Helper()
	r := b.run(id)
	if r == nil || r.Phase != nightwatch.PhaseRunning {
		b.t.Fatalf("finish %s: %+v", id, r)
	}
	r.Phase, r.EndTime = phase, b.now
	b.set(b.keys.Run(demo, id), r, b.keys.Queue(r.Node, demo, id), nil)
}

// complete runs everything that is assigned to its end, and settles.
func (b *board) complete(phase nightwatch.Phase) {
	b.t.Helper()
	for _, line := range b.runs() {
		id, rest, _ := strings.Cut(line, " ")
		if rest == string(nightwatch.PhaseAssigned) {
			b.claim(id)
			b.finish(id, phase)
		}
	}
	b.settle(demo)
}

// below are the tails of all keys of a kind.
func (b *board) below(kind store.Kind) []string {
	var list []string
	for key := range b.entries {
		if tail, ok := strings.CutPrefix(key, b.keys.Of(kind)); ok {
			list = append(list, tail)
		}
	}
	slices.Sort(list)
	return list
}

func (b *board) wantRuns(want ...string) {
	b.t.Helper()
	if got := b.runs(); !slices.Equal(got, want) {
		b.t.Errorf("runs\n got %q\nwant %q", got, want)
	}
}

func (b *board) wantSpans(want ...string) {
	b.t.Helper()
	if got := b.spans(); !slices.Equal(got, want) {
		b.t.Errorf("ledger\n got %q\nwant %q", got, want)
	}
}

// A task of each kind.
const (
	onceTask      = `{"process":{"command":["true"]}}`
	fiveMinutes   = `{"process":{"command":["true"]},"schedule":"*/5 * * * *"}`
	kubernetesJob = `{"image":"busybox"}`
)

// with is a task of fiveMinutes' form with more fields.
func with(fields string) string {
	return strings.TrimSuffix(fiveMinutes, "}") + "," + fields + "}"
}
