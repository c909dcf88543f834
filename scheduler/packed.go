package scheduler

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Of a million tasks all but a few have nothing to do at any moment. Such a task is kept packed: the values of its keys as
// they came, squeezed into one text, which is a fifth of them and a twentieth of what they take up when they have been read.
// Whoever wants to know more of it opens it, which leads to what there was before: of what is not in the values nothing is
// lost. A task is packed when nothing but time makes anything of it, and when there are others that were opened or
// changed after it, or when nobody has looked at it yet.

// maxSpare is how many tasks are kept unpacked though nothing is wanted of them: those of a small cluster all are.
const maxSpare = 10_000

// packing is a packed task.
type packing struct {
	text string // the revision of the task's value, then its parts
	// Times in nanoseconds since 1970, 0 for the zero time: putTime and thawed of details, and the next time of the task,
	// restless when it is to be looked at before others.
	put, thawed, next int64
}

const restless = -1 << 63

// part is one key of a task as it was last seen.
type part struct {
	kind  store.Kind
	run   string // of a record
	at    revisions
	value []byte
}

// packedKinds are those of the keys of a task that may be packed, in the order in which they are.
var packedKinds = []store.Kind{store.Accepted, store.Tasks, store.Ledgers, store.Runs, store.Statuses}

// open unpacks a task, if need be.
func (v *view) open(t *taskView) {
	if t.details != nil {
		return
	}
	t.details = &details{}
	v.unpacked.push(t)
	if parts, gathering := v.gathered[t.name]; gathering {
		delete(v.gathered, t.name)
		for _, p := range parts {
			v.applyEvent(store.Event{Key: v.keyOf(t, p), Value: p.value, CreateRevision: p.at.create, ModRevision: p.at.mod}, nothing, false)
		}
		return
	}
	t.putTime, t.thawed = timeOf(t.packed.put), timeOf(t.packed.thawed)
	for _, p := range v.partsOf(t.packed.text) {
		t.take(p)
	}
	t.packed = packing{}
}

func (v *view) keyOf(t *taskView, p part) string {
	if p.kind == store.Runs {
		return v.keys.Run(t.name, p.run)
	}
	return v.keys.Of(p.kind) + t.name
}

// take reads a part of a task that was packed. That was nobody's calendar, upstream or downstream, and had no live run,
// so that nothing else hangs on it.
func (t *taskView) take(p part) {
	switch p.kind {
	case store.Tasks:
		t.task, t.value = p.at, p.value
	case store.Accepted:
		t.accepted, t.acceptedValue, t.def = p.at, p.value, new(nightwatch.Accepted)
		if json.Unmarshal(p.value, t.def) != nil {
			t.def = nil
		}
	case store.Statuses:
		t.statusAt, t.statusValue, t.status = p.at, p.value, readStatus(p.value)
	case store.Ledgers:
		t.ledgerAt, t.ledgerValue = p.at, p.value
		_ = json.Unmarshal(p.value, &t.ledger)
	case store.Runs:
		r := &runView{p.at, readRun(t.name, p.run, p.value), p.value}
		t.keep(p.run, r)
		t.ended = max(t.ended, r.endRevision())
	}
}

// pack packs a task, unless something is to be remembered of it that a packed one has no place for.
func (v *view) pack(t *taskView, leading bool) bool {
	if !v.packable(t) || leading && (t.dirty && !t.untouched() || t.waitsTurn || t.hopeful || t.waits != place{}) {
		return false
	}
	p := packing{next: restless}
	var ok [3]bool
	p.put, ok[0] = nanos(t.putTime)
	p.thawed, ok[1] = nanos(t.thawed)
	ok[2] = true
	if t.settled() {
		p.next = 0
		if len(t.status.Next) > 0 {
			p.next, ok[2] = nanos(t.status.Next[0])
		}
	}
	if ok != [3]bool{true, true, true} {
		return false
	}
	p.text = v.textOf(lastOfEach(t.parts()))
	t.packed, t.details = p, nil
	return true
}

// packable tells of a task that all there is to know of it are those of its keys that are packed.
func (v *view) packable(t *taskView) bool {
	if !t.task.present() || !ordinary(t.name) || t.source.present() || t.busy || t.heldUntil > v.revision || !t.retryAt.IsZero() ||
		len(t.shards)+len(t.requests)+len(t.verdicts)+len(t.locks)+len(v.downstreams[t.name]) > 0 {
		return false
	}
	if t.untouched() {
		return true
	}
	if t.def == nil || !t.statusAt.present() || t.def.Task.After != nil || len(t.def.Task.Calendars.Include)+len(t.def.Task.Calendars.Exclude) > 0 {
		return false
	}
	for _, r := range t.ordered {
		if r.run.Live() {
			return false
		}
	}
	return true
}

// ordinary tells of a name that it is none of what the system keeps like tasks: a calendar, a pool, a namespace.
func ordinary(name string) bool { return !strings.HasPrefix(name, "_") }

// untouched tells of a task that there is nothing but what its user wrote: no scheduler has looked at it yet. A million
// may be put faster than they can be accepted, so that these are packed though something is to be done with each.
func (t *taskView) untouched() bool {
	return !t.accepted.present() && !t.statusAt.present() && !t.ledgerAt.present() && len(t.runs) == 0
}

func (t *taskView) parts() []part {
	parts := []part{{kind: store.Tasks, at: t.task, value: t.value}}
	if t.accepted.present() {
		parts = append(parts, part{kind: store.Accepted, at: t.accepted, value: t.acceptedValue})
	}
	if t.statusAt.present() {
		parts = append(parts, part{kind: store.Statuses, at: t.statusAt, value: t.statusValue})
	}
	if t.ledgerAt.present() {
		parts = append(parts, part{kind: store.Ledgers, at: t.ledgerAt, value: t.ledgerValue})
	}
	for id, r := range t.runs {
		parts = append(parts, part{kind: store.Runs, run: id, at: r.revisions, value: r.value})
	}
	return parts
}

// lastOfEach puts parts in order, and leaves of those of one key the last.
func lastOfEach(parts []part) []part {
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(slices.Index(packedKinds, a.kind), slices.Index(packedKinds, b.kind)), cmp.Compare(a.run, b.run), cmp.Compare(b.at.mod, a.at.mod))
	})
	return slices.CompactFunc(parts, func(a, b part) bool { return a.kind == b.kind && a.run == b.run })
}

// textOf packs parts, in order. Equal ones make equal texts.
func (v *view) textOf(parts []part) string {
	var mod int64
	for _, p := range parts {
		if p.kind == store.Tasks {
			mod = p.at.mod
		}
	}
	return v.packer().squeeze(mod, parts)
}

// partsOf unpacks what textOf packed.
func (v *view) partsOf(text string) []part { return v.packer().restore(text) }

// packer is the view's squeezer, made when it is first needed.
func (v *view) packer() *squeezer {
	if v.squeezer == nil {
		v.squeezer = newSqueezer()
	}
	return v.squeezer
}

// shrink packs tasks of which nothing is wanted when there are more unpacked ones than is good. It looks at so many at
// most, those first that have been unpacked longest.
func (v *view) shrink(most int, leading bool) {
	for ; most > 0 && v.unpacked.len() > v.spare; most-- {
		t := v.unpacked.pop()
		if v.tasks[t.name] == t && t.details != nil && !v.pack(t, leading) {
			v.unpacked.push(t)
		}
	}
}

// mods are the revisions of what users wrote.
func (t *taskView) mods() (task, source int64) {
	if t.details != nil {
		return t.task.mod, t.source.mod
	}
	task, _ = modIn(t.packed.text)
	return task, 0
}

func (t *taskView) putAt() time.Time {
	if t.details != nil {
		return t.putTime
	}
	return timeOf(t.packed.put)
}

func (t *taskView) thawedAt() time.Time {
	if t.details != nil {
		return t.thawed
	}
	return timeOf(t.packed.thawed)
}

func (v *view) setPut(t *taskView, at time.Time) {
	n, ok := nanos(at)
	if t.details == nil && ok {
		t.packed.put = n
		return
	}
	v.open(t)
	t.putTime = at
}

func (v *view) setThawed(t *taskView, at time.Time) {
	n, ok := nanos(at)
	if t.details == nil && ok {
		t.packed.thawed = n
		return
	}
	v.open(t)
	t.thawed = at
}

// nanos are those of a time since 1970, 0 for the zero time. It is false for other times that have no such number.
func nanos(at time.Time) (n int64, ok bool) {
	if at.IsZero() {
		return 0, true
	}
	n = at.UnixNano()
	return n, n != 0 && n != restless && time.Unix(0, n).Equal(at)
}

func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}
