package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// What one transaction changes is bounded, so that it stays below etcd's 128 operations and 1.5 MiB whatever the size
// of the runs: a single one, with its queue key and the status that shows it, is well below that.
const (
	maxRunChanges = 16
	maxRunBytes   = 256 << 10
)

// world is what a decision may look at: everything as it stands at one revision, and one now.
type world struct {
	now  time.Time
	keys store.Keys
	view *view
	term int64
	// reserved is what runs take that are given in transactions whose effect the view does not show yet, and may never show.
	reserved *usage
	// drawing says that a version that comes after more tasks than before is under way, or does not show in the view yet.
	drawing bool
	// inDoubt says that a transaction of the task may be done yet, unless its status is written.
	inDoubt bool
}

func (w *world) load(session, kind string) int {
	at := room{session, kind}
	return w.view.used.places[at] + w.reserved.places[at]
}

// plan is one transaction on one task in the making, with the task as it will stand once it is done.
type plan struct {
	*world
	t   *taskView
	txn store.Txn

	uid           int64
	def           *nightwatch.Accepted // in force once the transaction is done
	status        nightwatch.Status
	ledger        nightwatch.Ledger
	ledgerChanged bool
	alive         []*runView          // the task's that are live in the store, oldest first, once they have been looked for
	runs          map[string]*runView // copies of those that changed, and new ones (mod 0)
	touched       []string            // keys put or deleted, each once
	wrote         []written           // what is put that the view will tell of
	changes       int
	bytes         int
	starts        *nightwatch.Accepted // what every start of it is decided on is among the comparisons
	upcoming      time.Time            // when the next occurrence is due, zero if it is not known
	early         *runView             // the run of that, announced: until its time it is as if it were not there
	met           *runView             // one that was announced, which this look has the cursor go over
	lazy          bool                 // the transaction tells what has been, and announces what will be
	drawn         bool                 // the version comes after more tasks than the one before
	deferred      bool                 // it would, and another one goes first
	passedOver    bool                 // requests and verdicts wait, and have their turn first in the next transaction
	first         bool                 // they have it in this one, before what ended meanwhile has been counted
	remains       bool                 // of an earlier life of the key: nothing else is done before they are gone

	carvable map[time.Time]bool // ranges of the ledger by their beginning: whether a backfill may take them apart

	takings []taking  // of runs that are given to a node
	wake    time.Time // when to look again although no key changed; zero: never
	waits   place     // what a run waits for a node with; the zero value: none does
	lacking string    // the sentence to that
	errs    []error
}

func newPlan(w *world, t *taskView) *plan {
	return &plan{
		world: w, t: t, def: t.def, status: t.status, ledger: t.ledger, uid: t.task.create,
	}
}

// wakeBy asks for another look at that time at the latest.
func (p *plan) wakeBy(at time.Time) {
	if !at.IsZero() && (p.wake.IsZero() || at.Before(p.wake)) {
		p.wake = at
	}
}

func (p *plan) put(key string, seen int64, value any) (data []byte) {
	data, err := nightwatch.Encode(value)
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("encode %s: %w", key, err))
		return nil
	}
	p.putData(key, seen, data)
	return data
}

func (p *plan) putData(key string, seen int64, data []byte) {
	p.txn.Seen(key, seen)
	p.bytes += len(data)
	p.write(key, func() { p.txn.Put(key, data) })
}

// full tells that further runs are for another transaction.
func (p *plan) full() bool { return p.changes >= maxRunChanges || p.bytes >= maxRunBytes }

func (p *plan) remove(key string, seen int64) {
	p.txn.Seen(key, seen)
	p.write(key, func() { p.txn.Delete(key) })
}

// write does one operation on a key that has had none: etcd refuses two.
func (p *plan) write(key string, do func()) {
	if p.writes(key) {
		p.errs = append(p.errs, fmt.Errorf("%s would be written twice", key))
		return
	}
	p.touched = append(p.touched, key)
	do()
}

// writes tells whether the transaction puts or deletes a key.
func (p *plan) writes(key string) bool { return slices.Contains(p.touched, key) }

// run is a run as it stands in this plan, to be changed.
func (p *plan) run(id string) *runView {
	if r := p.runs[id]; r != nil {
		return r
	}
	copied := *p.t.find(id)
	p.change(&copied)
	return &copied
}

// change has a run stand in this plan as r.
func (p *plan) change(r *runView) {
	if p.runs == nil {
		p.runs = map[string]*runView{}
	}
	p.runs[r.run.ID] = r
}

// all are the task's runs of this uid as they stand in this plan, oldest first; new ones are last. Shards are not among
// them: what is said of a task's runs is said of whole ones.
func (p *plan) all() []*runView { return p.asPlanned(p.t.ordered) }

// live are those of all that are not terminal. A run that has ended does not come to life again, so that only those are
// looked at that are live in the store: of what there are many, most have ended.
func (p *plan) live() []*runView {
	if p.alive == nil {
		p.alive = []*runView{}
		for _, r := range p.t.ordered {
			if r.run.Live() {
				p.alive = append(p.alive, r)
			}
		}
	}
	return slices.DeleteFunc(p.asPlanned(p.alive), func(r *runView) bool { return !r.run.Live() })
}

// last is the last of all; nil: there is none.
func (p *plan) last() *runView {
	if made := p.asPlanned(nil); len(made) > 0 {
		return made[len(made)-1]
	}
	for i := len(p.t.ordered); i > 0; i-- {
		if r := p.asPlanned(p.t.ordered[i-1 : i]); len(r) > 0 {
			return r[0]
		}
	}
	return nil
}

// asPlanned are some of the task's runs as they stand in this plan, and all new ones.
func (p *plan) asPlanned(stored []*runView) []*runView {
	if len(stored) == 0 && len(p.runs) == 0 {
		return nil
	}
	all := make([]*runView, 0, len(stored)+len(p.runs))
	for _, r := range stored {
		if r == p.early {
			continue
		}
		if changed := p.runs[r.run.ID]; changed != nil && changed.present() {
			r = changed
		}
		if r.run.TaskUID == p.uid {
			all = append(all, r)
		}
	}
	before := len(all)
	for _, r := range p.runs {
		if !r.present() && r.run.TaskUID == p.uid && r.run.Shard == nil && r != p.early {
			all = append(all, r)
		}
	}
	slices.SortFunc(all[before:], inOrderOfTime)
	return all
}

func inOrderOfTime(a, b *runView) int {
	return cmp.Or(a.run.NominalTime.Compare(b.run.NominalTime), cmp.Compare(a.run.ID, b.run.ID))
}

// taskOf is the version of the task that a run is of: the one it was submitted with, or the one in force.
func (p *plan) taskOf(r *nightwatch.Run) *nightwatch.Task {
	if whole := p.whole(r); whole.Submitted != nil {
		return &whole.Submitted.Task
	}
	return &p.def.Task
}

// newRun adds a run that does not exist yet.
func (p *plan) newRun(id string, nominal time.Time) *runView {
	r := &runView{run: nightwatch.Run{
		ID: id, Task: p.t.name, TaskUID: p.uid, TaskRevision: p.def.Revision, Phase: nightwatch.PhasePending,
		NominalTime: nominal.UTC(), CreateTime: p.now, Attempt: 1, Runner: p.def.Task.Runner(),
	}}
	shape(&r.run, &p.def.Task)
	p.change(r)
	return r
}

// saveRun writes a run back, with the queue key of the node it was on and of the one it is on now.
func (p *plan) saveRun(r *runView, before nightwatch.Run) {
	p.changes++
	r.run.Term = p.term
	if !r.run.Live() {
		r.run.Submitted, r.run.Announced = nil, false
	}
	data, err := nightwatch.Encode(&r.run)
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("encode run %s: %w", r.run.ID, err))
		return
	}
	key := p.keys.Run(p.t.name, r.run.ID)
	p.putData(key, r.mod, data)
	if sound(p.t.name, r.run.ID, &r.run) {
		p.wrote = append(p.wrote, written{key: key, value: data, run: &runView{run: r.run}})
	}
	was, is := "", ""
	if queued(&before) && r.present() {
		was = p.keys.Queue(before.Node, p.t.name, r.run.ID)
	}
	if queued(&r.run) {
		is = p.keys.Queue(r.run.Node, p.t.name, r.run.ID)
	}
	// The queue key needs no comparison: only transactions that compare the run write it.
	if was != "" && was != is {
		p.write(was, func() { p.txn.Delete(was) })
	}
	if is != "" {
		p.bytes += len(data)
		p.write(is, func() { p.txn.Put(is, data) })
	}
}

// queued tells whether a run has a queue key: from its assignment until it is terminal or given back. No node has a run
// whose shards are runs of their own.
func queued(r *nightwatch.Run) bool {
	return (r.Phase == nightwatch.PhaseAssigned || r.Phase == nightwatch.PhaseRunning) && !r.Parent()
}

// end makes a run terminal.
func (p *plan) end(r *runView, phase nightwatch.Phase, reason, message string) {
	before := r.run
	r.run.Phase, r.run.Reason, r.run.Message, r.run.EndTime = phase, reason, message, p.now
	p.saveRun(r, before)
}

// seenTask adds what every start is decided on: the task, its accepted value, its status, the freeze keys and the
// calendars it uses.
func (p *plan) seenTask() {
	if p.starts == p.def {
		return
	}
	p.starts = p.def
	p.txn.Seen(p.keys.Task(p.t.name), p.t.task.mod)
	p.txn.Seen(p.keys.Accepted(p.t.name), p.t.accepted.mod)
	p.txn.Seen(p.keys.Status(p.t.name), p.t.statusAt.mod)
	for _, key := range p.keys.Freezes(p.t.name) {
		_, tail, _ := p.keys.Parse(key)
		p.txn.Seen(key, p.view.freezes[tail].mod)
	}
	for _, name := range p.def.Task.Calendars.Names() {
		var seen int64
		if c := p.view.tasks[store.CalendarTail(name)]; c != nil {
			seen = c.accepted.mod
		}
		p.txn.Seen(p.keys.AcceptedCalendar(name), seen)
	}
}
