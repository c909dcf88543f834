package scheduler

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch/store"
)

// applyWhole takes in a list, and reads everything in it.
func (v *view) applyWhole(b store.Batch, now time.Time) {
	c := newView(v.keys, func(*taskView) {})
	c.before = v.tasks
	for _, e := range b.Events {
		c.applyEvent(e, now, false)
	}
	old := v.tables
	v.tables, v.before = c.tables, nil
	v.nodesChanged, v.roomChanged, v.revision = true, true, b.Revision
	v.carryOver(&old, now)
}

// twinPlan is what is decided on the twin, where there is one.
func (b *board) twinPlan(task string) *plan {
	if b.twin == nil {
		return nil
	}
	t := b.twin.known(task)
	if t == nil {
		t = &taskView{name: task, heapIndex: -1, details: &details{}}
	}
	w := *b.world
	w.view, w.reserved = b.twin, newUsage()
	w.reserved.places, w.reserved.namespaces = maps.Clone(b.reserved.places), maps.Clone(b.reserved.namespaces)
	w.reserved.pools, w.reserved.running = maps.Clone(b.reserved.pools), maps.Clone(b.reserved.running)
	w.reserved.started = maps.Clone(b.reserved.started)
	return decide(&w, t)
}

// planText is a plan, in an order of its own.
func planText(p *plan) string {
	ifs, then := p.txn.Parts()
	var list []string
	for _, cmp := range ifs {
		list = append(list, fmt.Sprintf("if %s", cmp.GetCompare()))
	}
	for _, op := range then {
		list = append(list, fmt.Sprintf("put %v %s %s", op.IsPut(), op.KeyBytes(), op.ValueBytes()))
	}
	slices.Sort(list)
	return fmt.Sprintf("%s wake %s waits %v deferred %v errs %v", strings.Join(list, "\n"), p.wake, p.waits, p.deferred, p.errs)
}

// A view that packs what it can says the same as one that packs nothing, and leads to the same decisions, whatever happens.
func TestPackingChangesNothing(t *testing.T) {
	packed := 0
	rapid.Check(t, func(r *rapid.T) {
		o := newOracle(t, r)
		o.twin = newView(o.keys, func(*taskView) {})
		o.view.spare = 0
		o.node("n1")
		o.set(o.keys.Task(demo), o.someTask())
		o.quiet()
		actions := o.actions()
		actions[""] = func(r *rapid.T) {
			if task := o.view.tasks[demo]; task != nil && task.details == nil {
				packed++
			}
			got, want := tellTasks(o.view), tellTasks(o.twin)
			for name := range want {
				if got[name] != want[name] {
					r.Fatalf("%s is %s\nwant %s", name, got[name], want[name])
				}
			}
			if len(got) != len(want) {
				r.Fatalf("%d tasks, want %d", len(got), len(want))
			}
			if !reflect.DeepEqual(o.view.used, o.twin.used) || fmt.Sprint(o.view.freezes) != fmt.Sprint(o.twin.freezes) {
				r.Fatalf("%+v %+v\nwant %+v %+v", o.view.used, o.view.freezes, o.twin.used, o.twin.freezes)
			}
			o.view.shrink(len(o.view.tasks), false)
		}
		r.Repeat(actions)
	})
	if packed == 0 {
		t.Error("nothing was ever packed")
	}
}

// What a list makes of a task without reading its values is what reading them leads to.
func TestListPacksWhatIsAtRest(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := newOracle(t, r)
		o.node("n1")
		o.set(o.keys.Task(demo), o.someTask())
		o.quiet()
		for range rapid.IntRange(0, 20).Draw(r, "things") {
			o.happen(rapid.SampledFrom(whatHappens).Draw(r, "what"))
			if rapid.Bool().Draw(r, "quiet") {
				o.quiet()
			}
		}
		v := newView(o.keys, func(*taskView) {})
		v.apply(store.Batch{Snapshot: true, Revision: o.rev, Events: slices.Collect(maps.Values(o.entries))}, o.now)
		task := v.tasks[demo]
		if task == nil || task.details != nil {
			return
		}
		listed := task.packed
		listedNext, listedCalm := task.calm(o.now)
		v.open(task)
		next, calm := task.calm(o.now)
		if !v.pack(task, false) {
			r.Fatalf("it was packed by the list, and cannot be once it has been read")
		}
		if task.packed != listed || calm != listedCalm || calm && !next.Equal(listedNext) {
			r.Fatalf("%+v calm %v %s, want %+v %v %s", listed, listedCalm, listedNext, task.packed, calm, next)
		}
	})
}

// Who squeezes parts gets them back, whatever stands in them.
func TestSqueeze(t *testing.T) {
	words := strings.SplitAfter(dictionary, ",")
	s := newSqueezer()
	rapid.Check(t, func(r *rapid.T) {
		var parts []part
		for range rapid.IntRange(0, 6).Draw(r, "parts") {
			p := part{kind: rapid.SampledFrom(packedKinds).Draw(r, "kind"), value: []byte{}}
			if p.kind == store.Runs {
				p.run = rapid.OneOf(rapid.StringMatching(`[0-9]{8}T[0-9]{6}Z`), rapid.StringMatching(`[a-z\x01\x02"0-9]{1,9}`)).Draw(r, "run")
			}
			p.at.create = rapid.Int64Range(0, 1<<40).Draw(r, "create")
			p.at.mod = p.at.create + rapid.Int64Range(0, 1<<40).Draw(r, "later")
			for range rapid.IntRange(0, 30).Draw(r, "pieces") {
				switch rapid.IntRange(0, 3).Draw(r, "piece") {
				case 0:
					p.value = append(p.value, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "bytes")...)
				case 1:
					p.value = append(p.value, rapid.SampledFrom(words).Draw(r, "word")...)
				case 2:
					p.value = append(p.value, slices.Repeat([]byte("x"), rapid.IntRange(0, 70_000).Draw(r, "times"))...)
				case 3:
					p.value = append(p.value, p.value[rapid.IntRange(0, len(p.value)).Draw(r, "from"):]...)
				}
				if len(p.value) > 200_000 {
					break
				}
			}
			parts = append(parts, p)
		}
		mod := rapid.Int64Range(0, 1<<40).Draw(r, "mod")
		text := s.squeeze(mod, parts)
		if got, _ := modIn(text); got != mod {
			r.Fatalf("%d became %d", mod, got)
		}
		got := s.restore(text)
		if len(got) != len(parts) || len(parts) > 0 && !reflect.DeepEqual(got, parts) {
			r.Fatalf("%v became %v", parts, got)
		}
	})
}

// What a differ has made short it makes long again, to the byte; and of times and numbers it does make something short.
func FuzzDiffer(f *testing.F) {
	f.Add([]byte(dictionary), []byte(fiveMinutes))
	for _, text := range []string{
		`"2026-12-01T10:00:00Z""2026-12-01T10:00:00.1Z""2026-12-01T10:00:00.10Z""2026-12-01T10:00:00.1234Z""2026-02-30T10:00:00Z""2026-12-01T24:00:00Z"`,
		`"2026-12-01T10:00:60Z""2026-12-01T10:00:00.Z""0000-01-01T00:00:00Z""9999-12-31T23:59:59.999Z""2026-12-01T10:00:00`, `"20261201T100000Z""20261301T100000Z"`,
		`"a":1234,"b":0123,"a":-1234,"a":12345.6,"a":1234567890123456789,:1234`, "\x01\x02\x03\x04",
	} {
		f.Add([]byte(text), []byte(text))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var forth, back differ
		for _, text := range [][]byte{a, b, a} {
			before := forth
			short, ok := forth.condense([]byte("before"), text)
			switch {
			case !ok && (forth != before || string(short) != "before"):
				t.Errorf("%q has no short form, and left %+v %q", text, forth, short)
			case ok:
				if got := back.expand([]byte("before"), short[len("before"):]); string(got) != "before"+string(text) || back != forth {
					t.Errorf("%q became %q, then %q", text, short, got)
				}
			}
		}
	})
}

func TestDifferMakesShort(t *testing.T) {
	var d differ
	for _, row := range []struct{ text, want string }{
		{`{"next":["2026-12-01T10:00:00Z"`, ""},
		{`{"next":["2026-12-01T10:00:00.001Z","20261201T100000Z"]}`, "{\"next\":[\x01\x02,\x02\x01]}"},
		{`{"uid":12345,"revision":12345,"term":999}`, "{\"uid\":\x03\xf2\xc0\x01,\"revision\":\x03\x00,\"term\":999}"},
		{`{"uid":12346}`, "{\"uid\":\x03\x02}"},
	} {
		if got, ok := d.condense(nil, []byte(row.text)); !ok || row.want != "" && string(got) != row.want {
			t.Errorf("%s: %q %v, want %q", row.text, got, ok, row.want)
		}
	}
}

// A long task is short too, be it as repetitive as it may.
func TestSqueezeLong(t *testing.T) {
	s := newSqueezer()
	value := []byte(`{"x":"` + strings.Repeat("0123456789abcdef ", 4000) + `"}`)
	if short := s.squeeze(1, []part{{kind: store.Accepted, value: value}, {kind: store.Tasks, value: value}}); len(short) > 1000 {
		t.Errorf("%d bytes of %d", len(short), 2*len(value))
	}
}

// Where peek finds members, encoding/json reads the same.
func FuzzPeek(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { "phase" : "Failed" , "next":["2026-12-01T00:00:00Z"], "shard":{"a":[1,{"b":"}"}]}}`, `{"phase":"a","Phase":"b"}`, `{"phase":"a","phase":"b"}`,
		`{"ph\u0061se":"a"}`, `{"phase":"\"}"}`, `{"phase":1`, `[]`, `{"phase":}`, `{"a":1,}`, `{"uid":-3,"x":null}x`,
	} {
		f.Add([]byte(text))
	}
	names := []string{"phase", "shard", "next", "uid"}
	f.Fuzz(func(t *testing.T, data []byte) {
		var found [4][]byte
		if !peek(data, names, found[:]) || !json.Valid(data) {
			return
		}
		var want struct {
			Phase, Shard, Next, UID json.RawMessage
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		for i, raw := range []json.RawMessage{want.Phase, want.Shard, want.Next, want.UID} {
			if string(found[i]) != string(raw) {
				t.Errorf("%q: %s is %q, want %q", data, names[i], found[i], raw)
			}
		}
	})
}

// A record whose run is over, in a list's eyes.
func TestOver(t *testing.T) {
	for value, want := range map[string]bool{
		`{"id":"r","phase":"Succeeded"}`: true, `{"id":"r","phase":"Running"}`: false, `{"id":"r"}`: false, `{"phase":"Failed","shards":{"count":3}}`: false,
		`{"phase":"Failed","shard":{"of":"r"}}`: false, "x": false,
	} {
		if got := over(&part{kind: store.Runs, run: "r", value: []byte(value)}); got != want {
			t.Errorf("%s: %v", value, got)
		}
		if read := readRun(demo, "r", []byte(value)); want && read.Live() {
			t.Errorf("%s: is over, and reads as %s", value, read.Phase)
		}
	}
	if over(&part{kind: store.Runs, run: "r.1", value: []byte(`{"phase":"Succeeded"}`)}) {
		t.Error("a shard is taken for a run")
	}
}

// What is put faster than it can be looked at waits packed, for its turn.
func TestPutsWaitPacked(t *testing.T) {
	keys := store.NewKeys("")
	s := newScheduler(&link{memory: newMemory(t)}, keys, Config{})
	s.lease, s.view.spare = &lease{}, 10
	const puts = 1000
	name := func(i int) string { return fmt.Sprintf("default/task-%d", i) }
	value := func(i int) string { return fmt.Sprintf(`{"every":"1m","command":["echo","%d"]}`, i) }
	for i := range puts {
		e := store.Event{Key: keys.Task(name(i)), Value: []byte(value(i)), CreateRevision: int64(i + 1), ModRevision: int64(i + 1)}
		s.takeIn(store.Batch{Revision: int64(i + 1), Events: []store.Event{e}}, time.Now())
	}
	unpacked := 0
	for _, task := range s.view.tasks {
		if task.details != nil {
			unpacked++
		}
	}
	if unpacked > s.view.spare {
		t.Errorf("%d of %d are not packed, want %d", unpacked, puts, s.view.spare)
	}
	for i := range puts {
		task := s.agenda.next()
		if task == nil || task.name != name(i) {
			t.Fatalf("the turn after %d others is %v's", i, task)
		}
		if s.view.open(task); string(task.value) != value(i) || task.task.mod != int64(i+1) || task.putTime.IsZero() {
			t.Errorf("%s is %s at %d, put at %s", task.name, task.value, task.task.mod, task.putTime)
		}
	}
}
