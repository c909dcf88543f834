package scheduler

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A list of all keys comes by parts (store.Follower), which are pages and changes of what pages told of. They make a view of
// their own, which takes the place of the old one when the list is complete: until then decisions go on by the old one, which
// hears of what happens as ever, and a list that breaks off leaves nothing behind but what the next one begins anew. Most
// tasks are packed as they come, without their values being read.

// abreast are the kinds of keys that there are many of, in the order of their names: a list reads them side by side, so that
// what belongs to a task comes together.
var abreast = []store.Kind{store.Accepted, store.Ledgers, store.Runs, store.Statuses, store.Tasks}

// maxGathered is of how many tasks a list gathers the keys before it takes those that came first for complete. What
// comes later is taken in all the same.
const maxGathered = 2000

// applyList takes in a part of a list.
func (v *view) applyList(b store.Batch, now time.Time) {
	if b.Page == 0 {
		v.coming = newView(v.keys, func(*taskView) {})
		v.coming.before, v.coming.gathered, v.coming.spare = v.tasks, map[string][]part{}, v.spare
		v.coming.squeezer = v.squeezer
	}
	c := v.coming
	for _, e := range b.Events {
		if !c.gather(e) {
			c.applyEvent(e, now, false)
		}
	}
	if c.packGathered(maxGathered); b.More {
		c.shrink(2*len(b.Events), false)
		return
	}
	c.packGathered(0)
	old := v.tables
	v.coming, v.tables, v.squeezer = nil, c.tables, c.squeezer
	v.before, v.gathered, v.gathering = nil, nil, fifo{}
	v.nodesChanged, v.roomChanged = true, true
	if b.Revision < v.revision {
		// etcd was restored from a backup: what was to be waited for is not to come.
		for _, t := range old.tasks {
			if t.details != nil {
				t.heldUntil = 0
			}
		}
	}
	v.revision = b.Revision
	v.carryOver(&old, now)
}

// gather keeps a key of a task until the others have come. It is false for what is to be taken in at once.
func (v *view) gather(e store.Event) bool {
	if e.Deleted {
		return false
	}
	kind, name, ok := v.keys.Parse(e.Key)
	run := ""
	switch kind {
	case store.Tasks, store.Accepted, store.Statuses, store.Ledgers:
	case store.Runs:
		name, run, ok = store.SplitLast(name)
	default:
		return false
	}
	if !ok || !ordinary(name) {
		return false
	}
	t := v.tasks[name]
	if t == nil {
		t = &taskView{name: strings.Clone(name), heapIndex: -1}
		v.tasks[t.name] = t
		v.gathered[t.name] = make([]part, 0, 4)
		v.gathering.push(t)
	}
	parts, gathering := v.gathered[name]
	if !gathering {
		return false
	}
	v.gathered[t.name] = append(parts, part{kind, run, revisions{e.CreateRevision, e.ModRevision}, e.Value})
	return true
}

// packGathered packs or reads the tasks that came first, until so many are left.
func (v *view) packGathered(left int) {
	for v.gathering.len() > left {
		t := v.gathering.pop()
		parts, gathering := v.gathered[t.name]
		if !gathering || v.tasks[t.name] != t { // or another of its name has come
			continue
		}
		parts = lastOfEach(parts)
		next, quiet := restOf(parts)
		if !quiet {
			v.gathered[t.name] = parts
			v.open(t)
			continue
		}
		delete(v.gathered, t.name)
		t.packed = packing{text: v.textOf(parts), next: next}
		if old := v.before[t.name]; old != nil && old.packed.text == t.packed.text {
			t.packed.text = old.packed.text // the same bytes in one place
		}
	}
}

// What restOf wants to know of values.
var (
	ofAccepted = []string{"task"}
	ofTask     = []string{"calendars", "after"}
	ofRun      = []string{"phase", "shard", "shards"}
	ofStatus   = []string{"observedRevision", "uid", "countedRevision", "next", "pendingRevision", "still", "upstream", "backfills"}
)

// restOf tells of a task whose values have not been read what packable and settled would tell: that it can be packed,
// and when something is wanted of it. It is false whenever that does not meet the eye.
func restOf(parts []part) (next int64, quiet bool) {
	var task, accepted, status *part
	var newest int64 // of records
	for i := range parts {
		switch p := &parts[i]; p.kind {
		case store.Tasks:
			task = p
		case store.Accepted:
			accepted = p
		case store.Statuses:
			status = p
		case store.Runs:
			if !over(p) {
				return 0, false
			}
			newest = max(newest, p.at.mod)
		}
	}
	if task != nil && len(parts) == 1 {
		return restless, true
	}
	if task == nil || accepted == nil || status == nil {
		return 0, false
	}
	var def [1][]byte
	var uses [2][]byte
	if !peek(accepted.value, ofAccepted, def[:]) || def[0] == nil || !peek(def[0], ofTask, uses[:]) || uses[0] != nil || uses[1] != nil {
		return 0, false
	}
	var s [8][]byte
	if !peek(status.value, ofStatus, s[:]) {
		return 0, false
	}
	counted, ok := int64(0), true
	if s[2] != nil {
		counted, ok = numberIn(s[2])
	}
	observed, ok0 := numberIn(s[0])
	uid, ok1 := numberIn(s[1])
	if !ok || !ok0 || !ok1 || observed != task.at.mod || uid != task.at.create || newest > counted || s[4] != nil || s[6] != nil || s[7] != nil {
		return 0, false
	}
	if s[5] != nil {
		return restless, true
	}
	if s[3] == nil {
		return 0, true
	}
	text, ok := bytes.CutPrefix(s[3], []byte(`["`))
	text, _, ok2 := bytes.Cut(text, []byte(`"`))
	at, err := time.Parse(time.RFC3339, string(text))
	if !ok || !ok2 || err != nil || at.IsZero() {
		return 0, false
	}
	return nanos(at)
}

// over tells of a record that its run has ended, and is no shard and has none.
func over(p *part) bool {
	var s [3][]byte
	if !peek(p.value, ofRun, s[:]) || s[0] == nil || s[1] != nil || s[2] != nil {
		return false
	}
	if _, _, shard := nightwatch.SplitShardRunID(p.run); shard {
		return false
	}
	phase := bytes.Trim(s[0], `"`)
	return nightwatch.Phase(phase).Terminal()
}

func numberIn(text []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}

// earlier is a task as it was before the list that is being taken in, if it was not packed.
func (v *view) earlier(name string) *taskView {
	if t := v.before[name]; t != nil && t.details != nil {
		return t
	}
	return nil
}

// carryOver keeps what a list does not tell, and finds the time at which tasks were put that nobody here saw. A task that is
// as it was need not be looked at again, unless freezes have changed meanwhile.
func (v *view) carryOver(old *tables, now time.Time) {
	same := sameFreezes(old.freezes, v.freezes)
	for name, t := range v.tasks {
		before := old.tasks[name]
		put := now
		switch {
		case before != nil && sameMods(before, t):
			put = before.putAt()
		default:
			if last := v.tickBefore(mostOf(t.mods())); last.revision > 0 {
				put = last.time
			}
		}
		v.setPut(t, put)
		if before != nil {
			thawed := before.thawedAt()
			if !same {
				thawed = v.thawedMeanwhile(old, name, thawed, now)
			}
			v.setThawed(t, thawed)
			v.remember(t, before, same && len(old.downstreams[name])+len(v.downstreams[name]) == 0)
		}
		v.touched(t)
	}
	for name, before := range old.tasks {
		if v.tasks[name] == nil && before.details != nil && before.busy {
			t := v.task(name)
			t.busy, t.heldUntil = true, before.heldUntil
		}
	}
}

// thawedMeanwhile is when the freezes of a task ended by themselves that went before a list, and nothing if one was taken away.
func (v *view) thawedMeanwhile(old *tables, task string, thawed, now time.Time) time.Time {
	for _, tail := range freezesOf(task) {
		before, was := old.freezes[tail]
		if _, is := v.freezes[tail]; !was || is {
			continue
		}
		if before.until.IsZero() || before.until.After(now) {
			return nothing
		}
		thawed = later(thawed, before.until)
	}
	return thawed
}

// remember has t know what the loop did with the task as it was before a list. alone says that nothing else has become of it
// since it was looked at.
func (v *view) remember(t, before *taskView, alone bool) {
	switch {
	case before.details != nil && (before.busy || before.heldUntil > v.revision || !before.retryAt.IsZero()):
		v.open(t)
		t.busy, t.heldUntil, t.retryAt = before.busy, before.heldUntil, before.retryAt
	case before.details == nil && t.details == nil && before.packed.text == t.packed.text:
		t.wake, t.looked = before.wake, before.looked && !before.dirty && alone
	}
}

func sameMods(a, b *taskView) bool {
	task, source := a.mods()
	otherTask, otherSource := b.mods()
	return task == otherTask && source == otherSource
}

func mostOf(task, source int64) int64 { return max(task, source) }

// sameFreezes tells whether the same freezes are there, with the same values.
func sameFreezes(a, b map[string]freezeView) bool {
	if len(a) != len(b) {
		return false
	}
	for tail, f := range a {
		if b[tail].revisions != f.revisions {
			return false
		}
	}
	return true
}
