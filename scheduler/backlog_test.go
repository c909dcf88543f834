package scheduler

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A standby that catches up later has the same view as a scheduler that took every event in as it came.
func TestBacklog(t *testing.T) {
	keys := store.NewKeys("")
	run := func(phase string) string {
		return fmt.Sprintf(`{"id":"r","task":"default/demo","taskUID":1,"phase":%q,"session":"a","node":"n","nominalTime":"2026-11-20T10:00:00Z"}`, phase)
	}
	values := map[string][]string{
		keys.Task(demo):                       {`{"image":"x"}`, `{"image":"y"}`},
		keys.Accepted(demo):                   {`{"key":"default/demo","uid":1,"task":{"image":"x"}}`},
		keys.Status(demo):                     {`{"uid":1,"counts":{"succeeded":1}}`, `{"uid":1,"counts":{"succeeded":2}}`, "no status"},
		keys.Run(demo, "r"):                   {run("Pending"), run("Assigned"), run("Running"), run("Succeeded")},
		keys.Queue("n", demo, "r"):            {run("Assigned")},
		keys.LocksOf(demo) + "a":              {""},
		keys.Of(store.Ledgers) + demo:         {`{"totals":{"failed":1}}`},
		keys.Of(store.Freezes) + "default":    {"", `{"until":"2026-11-20T10:00:01Z"}`},
		keys.Request(demo, "q"):               {`{"action":"run"}`},
		keys.MetaClock():                      {`{"time":"2026-11-20T10:00:00Z"}`},
		keys.Calendar("days"):                 {`{"dates":["2026-12-24"]}`},
		keys.Of(store.Pools) + "licenses":     {`{"limit":3}`},
		keys.Of(store.Namespaces) + "default": {`{"weight":3}`},
	}
	var names []string
	for key := range values {
		names = append(names, key)
	}
	rapid.Check(t, func(r *rapid.T) {
		now := at("10:00")
		clock := func() time.Time { return now }
		standby := newScheduler(nil, keys, Config{Now: clock})
		direct := newView(keys, func(*taskView) {})
		first := store.Event{Key: keys.Task(demo), Value: []byte(values[keys.Task(demo)][0]), CreateRevision: 1, ModRevision: 1}
		standby.apply(store.Batch{Snapshot: true, Revision: 1, Events: []store.Event{first}})
		direct.apply(store.Batch{Snapshot: true, Revision: 1, Events: []store.Event{first}}, now)
		created := map[string]int64{first.Key: 1}
		revision := int64(1)
		for range rapid.IntRange(1, 40).Draw(r, "batches") {
			revision++
			now = now.Add(time.Second)
			batch := store.Batch{Revision: revision}
			for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(r, "keys") {
				e := store.Event{Key: key, ModRevision: revision}
				if e.Deleted = created[key] > 0 && key != first.Key && rapid.Bool().Draw(r, "deleted"); e.Deleted {
					delete(created, key)
				} else {
					if created[key] == 0 {
						created[key] = revision
					}
					e.CreateRevision, e.Value = created[key], []byte(rapid.SampledFrom(values[key]).Draw(r, "value"))
				}
				batch.Events = append(batch.Events, e)
			}
			direct.apply(batch, now)
			standby.apply(batch)
		}
		standby.backlog.take(keys, standby.takeIn)
		got := standby.view
		for name, pair := range map[string][2]any{
			"tasks": {tellTasks(got), tellTasks(direct)}, "freezes": {got.freezes, direct.freezes}, "used": {got.used, direct.used},
			"revision": {got.revision, direct.revision}, "clock": {got.clockAt, direct.clockAt},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				r.Fatalf("%s: %+v, want %+v", name, pair[0], pair[1])
			}
		}
	})
}

// tellTasks is what a view says of its tasks, except of runs whose end has come and gone, and of what the agenda remembers.
// It unpacks them.
func tellTasks(v *view) map[string]string {
	told := map[string]string{}
	for name, t := range v.tasks {
		v.open(t)
		bare := *t.details
		bare.ended, bare.runs, bare.ordered, bare.shards, bare.def, bare.calendar, bare.pool, bare.namespace = 0, nil, nil, nil, nil, nil, nil, nil
		bare.putTime, bare.thawed = bare.putTime.UTC(), bare.thawed.UTC()
		bare.status, bare.value, bare.acceptedValue, bare.statusValue, bare.ledgerValue = nightwatch.Status{}, nil, nil, nil, nil
		text := fmt.Sprintf("%+v %s %s %s %s", bare, t.value, t.acceptedValue, t.statusValue, t.ledgerValue)
		text += encodeAny([]any{t.def, t.calendar, t.pool, t.namespace, t.status})
		var records []string
		for r := range t.records {
			records = append(records, fmt.Sprintf(" %s: %v %s %s", r.run.ID, r.revisions, encodeAny(r.run), r.value))
		}
		slices.Sort(records)
		told[name] = text + strings.Join(records, "")
	}
	return told
}
