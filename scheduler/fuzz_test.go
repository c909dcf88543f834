package scheduler

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/store"
)

// hostileKinds are those of the keys that a scheduler reads.
var hostileKinds = []store.Kind{
	store.Tasks, store.Requests, store.Freezes, store.Calendars, store.Cordons, store.Pools, store.Namespaces, store.Accepted, store.Statuses,
	store.Verdicts, store.Runs, store.Ledgers, store.Nodes, store.Locks, store.Meta,
}

// Whatever is written under whatever key, the scheduler reads it and decides, and soon comes to an end of that; a view that
// packs what it can says the same as one that packs nothing, and leads to the same. Other tasks run as ever.
func FuzzHostileKey(f *testing.F) {
	run := `{"id":"` + idAt("10:00") + `","task":"default/demo","taskUID":102,"phase":"Running","runner":"process","node":"n1","session":"65","attempt":1,"nominalTime":"2026-11-20T10:00:00Z"}`
	add := func(kind store.Kind, tail, value string) {
		f.Add(uint8(slices.Index(hostileKinds, kind)), tail, []byte(value))
	}
	for _, key := range []struct {
		kind  store.Kind
		tails string
	}{
		{store.Tasks, demo + " hello a/b/c /"}, {store.Requests, demo + "/x x"}, {store.Freezes, demo + " default _cluster"}, {store.Calendars, "x"},
		{store.Cordons, "n1"}, {store.Pools, "x"}, {store.Namespaces, "default"}, {store.Accepted, demo + " _calendars/x _pools/x _namespaces/default"},
		{store.Statuses, demo + " _calendars/x"}, {store.Verdicts, demo + "/x"},
		{store.Runs, demo + "/" + idAt("10:00") + " " + demo + "/" + idAt("10:05") + " " + demo + "/x.1 x"},
		{store.Ledgers, demo}, {store.Nodes, "n1 n2"}, {store.Locks, demo + "/1 " + demo + "/shards/1/x x"}, {store.Meta, "clock after"},
	} {
		for _, tail := range strings.Fields(key.tails) {
			for _, value := range []string{"", "{", "null", `{"phase":1e99}`, run} {
				add(key.kind, tail, value)
			}
		}
	}
	add(store.Requests, demo+"/x", `{"action":"backfill","from":"2026-11-20T00:00:00Z","to":"2026-11-20T01:00:00Z"}`)
	add(store.Statuses, demo, `{"phase":"Scheduled","accepted":true,"uid":102,"cursor":"2026-11-20T09:00:00Z","acceptedRevision":102,"observedRevision":102,"counts":{}}`)
	add(store.Ledgers, demo, `{"since":"2026-11-20T09:00:00Z","ranges":[{"from":"2026-11-20T10:05:00Z","to":"2026-11-20T10:05:00Z","count":1,"outcome":"Missed"}]}`)
	add(store.Namespaces, "default", `{"limits":{"tasks":1,"running":1}}`)
	f.Fuzz(func(t *testing.T, kind uint8, tail string, value []byte) {
		b := newBoard(t, "10:00:30")
		b.twin = newView(b.keys, func(*taskView) {})
		b.view.spare = 0
		b.node("n1")
		b.put(fiveMinutes)
		b.settle(demo)
		const other = "default/other"
		b.set(b.keys.Task(other), fiveMinutes)
		b.settle(other)
		hostile := hostileKinds[int(kind)%len(hostileKinds)]
		key := b.keys.Of(hostile) + tail
		b.set(key, value)
		for range 2 {
			for _, name := range []string{demo, tail, strings.TrimSuffix(tail, "/x"), other} {
				b.settle(name)
			}
			b.relist()
			b.now = b.now.Add(5 * time.Minute)
		}
		if hostile != store.Freezes && !strings.Contains(tail, other) && b.view.known(other).find(idAt("10:05")) == nil {
			t.Errorf("with %q under %s another task did not run", value, key)
		}
		b.del(key)
		b.settle(demo)
		got, want := tellTasks(b.view), tellTasks(b.twin)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(b.view.used, b.twin.used) || fmt.Sprint(b.view.freezes) != fmt.Sprint(b.twin.freezes) {
			t.Fatalf("%v %+v\nwant %v %+v", got, b.view.used, want, b.twin.used)
		}
	})
}
