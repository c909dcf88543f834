package scheduler

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// inFull finds where a record on the board has less to say than one that a node wrote.
var inFull = regexp.MustCompile(`"session":"[0-9a-f]+"(.*?"fence":[0-9]+)`)

// held are n tasks that are due every five minutes, which have run so often, as a list tells of them by pages.
func held(b *testing.B, n, runs int) (o *board, pages func(func(store.Batch))) {
	o = newBoard(b, "10:00:30")
	o.rev = 23_456_789
	o.node("node-1")
	o.set(o.keys.Task(demo), fiveMinutes)
	o.settle(demo)
	for range runs {
		o.now = o.now.Add(5 * time.Minute)
		o.settle(demo)
		for _, line := range o.runs() {
			if id, rest, _ := strings.Cut(line, " "); rest == string(nightwatch.PhaseAssigned) {
				o.claim(id)
				o.now = o.now.Add(1234 * time.Millisecond)
				o.finish(id, nightwatch.PhaseSucceeded)
			}
		}
		o.settle(demo)
	}
	// Prefixes as long as they are, so that revisions of a million tasks look as they do.
	byKind := map[store.Kind][]store.Event{}
	for _, key := range slices.Sorted(maps.Keys(o.entries)) {
		if kind, _, _ := o.keys.Parse(key); slices.Contains(abreast, kind) {
			e := o.entries[key]
			e.Value = inFull.ReplaceAll(e.Value, []byte(`"session":"694d9a4e6a0b1c2f"${1},"exitCode":0,"usage":{"userSeconds":0.012,"systemSeconds":0.003}`))
			byKind[kind] = append(byKind[kind], e)
		}
	}
	return o, func(page func(store.Batch)) {
		number := 0
		for from := 0; from < n; from += 1000 {
			for _, kind := range abreast {
				batch := store.Batch{Snapshot: true, Revision: 1000, Page: number, More: true}
				for i := from; i < min(n, from+1000); i++ {
					name := fmt.Sprintf("default/task-%07d", i)
					for _, e := range byKind[kind] {
						e.Key, e.Value = strings.Replace(e.Key, demo, name, 1), []byte(strings.ReplaceAll(string(e.Value), demo, name))
						batch.Events = append(batch.Events, e)
					}
				}
				page(batch)
				number++
			}
		}
		page(store.Batch{Snapshot: true, Revision: 1000, Page: number})
	}
}

// heap is how many bytes are in use.
func heapInUse() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkTasksHeld is what tasks at rest take up: on a standby, on the scheduler that has looked at all of them, and
// while they are unpacked. "list" is how long a standby takes to take in a list, "take-over" how long it takes from there
// until the scheduler may decide, and "look" what each of those looks costs that follow when nothing else is to be done.
func BenchmarkTasksHeld(b *testing.B) {
	for _, row := range []struct{ tasks, runs int }{{100_000, 0}, {100_000, 5}, {1_000_000, 0}, {1_000_000, 5}} {
		b.Run(fmt.Sprintf("tasks=%d/runs=%d", row.tasks, row.runs), func(b *testing.B) {
			o, pages := held(b, row.tasks, row.runs)
			n := float64(row.tasks)
			now := o.now
			for range b.N {
				before := heapInUse()
				s := newScheduler(&link{memory: newMemory(b)}, o.keys, Config{Now: func() time.Time { return now }})
				var listing time.Duration
				pages(func(batch store.Batch) {
					began := time.Now()
					s.apply(batch)
					listing += time.Since(began)
				})
				b.ReportMetric((heapInUse()-before)/n, "standby-B/task")
				began := time.Now()
				s.startLeading(lease{term: testTerm{b.Context()}, ended: make(chan struct{})})
				b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "take-over-ms")
				b.ReportMetric(listing.Seconds(), "list-s")
				s.lastTick = time.Now().Add(time.Hour)
				began = time.Now()
				for s.agenda.rest.len() > 0 {
					s.pass(b.Context(), now)
				}
				b.ReportMetric(float64(time.Since(began).Nanoseconds())/n, "look-ns/task")
				b.ReportMetric((heapInUse()-before)/n, "scheduler-B/task")
				if row.tasks > 100_000 {
					continue
				}
				unpacked := s.view.unpacked.len()
				began = time.Now()
				for _, t := range s.view.tasks {
					s.view.open(t)
				}
				b.ReportMetric(float64(time.Since(began).Nanoseconds())/(n-float64(unpacked)), "open-ns/task")
				b.ReportMetric((heapInUse()-before)/n, "unpacked-B/task")
				began = time.Now()
				s.view.spare = 0
				s.view.shrink(row.tasks, true)
				b.ReportMetric(float64(time.Since(began).Nanoseconds())/n, "pack-ns/task")
				if left := s.view.unpacked.len(); left > 0 {
					b.Fatalf("%d tasks could not be packed", left)
				}
			}
		})
	}
}
