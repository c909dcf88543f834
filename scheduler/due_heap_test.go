package scheduler

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

// The agenda gives what a sorted list of the same tasks would: each once, at its newest time and never before it.
func TestAgendaIsASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAgenda()
		tasks := make([]*taskView, rapid.IntRange(1, 60).Draw(t, "tasks"))
		for i := range tasks {
			tasks[i] = &taskView{heapIndex: -1}
		}
		model := map[*taskView]time.Time{}
		offset := rapid.OneOf(
			rapid.Int64Range(-2_000_000, 20_000_000),                                      // about now, and times alike
			rapid.SampledFrom([]int64{0, int64(time.Millisecond), 999_999, 1, 1_000_001}), // at and within milliseconds
			rapid.Int64Range(0, int64(200*24*365*time.Hour)),
		)
		now := at("10:00")
		t.Repeat(map[string]func(*rapid.T){
			"at": func(t *rapid.T) {
				task := rapid.SampledFrom(tasks).Draw(t, "task")
				model[task] = now.Add(time.Duration(offset.Draw(t, "in")))
				a.at(task, model[task])
			},
			"not": func(t *rapid.T) {
				task := rapid.SampledFrom(tasks).Draw(t, "task")
				delete(model, task)
				a.at(task, time.Time{})
			},
			"due": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(-1_000_000, 10_000_000).Draw(t, "later"))) // clocks step back, too
				next := a.due(now)
				came := take(a)
				for _, task := range came {
					at, there := model[task]
					if !there || at.After(now) {
						t.Fatalf("a task came at %s that was to come at %s (%v)", now, at, there)
					}
					delete(model, task)
				}
				least := time.Time{}
				for _, at := range model {
					if now.Sub(at) >= time.Millisecond {
						t.Fatalf("at %s a task of %s has not come", now, at)
					}
					if least.IsZero() || at.Before(least) {
						least = at
					}
				}
				if wait := next.Sub(least); next.IsZero() != least.IsZero() || wait < 0 || wait >= time.Millisecond {
					t.Fatalf("the next look is at %s, want %s", next, least)
				}
			},
			"": func(t *rapid.T) {
				if len(a.timed) != len(model) {
					t.Fatalf("%d tasks in the heap, want %d", len(a.timed), len(model))
				}
				for i, e := range a.timed {
					if int(e.task.heapIndex) != i || e.wake != wakeMilli(model[e.task]) || e.wake < a.timed[max(i-1, 0)/children].wake {
						t.Fatalf("entry %d of %s is out of place", i, e.task.wakeAt())
					}
				}
			},
		})
	})
}

// Times come in order, as far as milliseconds go, and a time beyond what 64 bits of nanoseconds hold comes last.
func TestDueHeapOrder(t *testing.T) {
	a := newAgenda()
	far := &taskView{heapIndex: -1}
	a.at(far, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
	for range 1000 {
		a.at(&taskView{heapIndex: -1}, at("10:00").Add(time.Duration(rand.Int64N(int64(time.Hour)))))
	}
	if next := a.due(at("11:00")); !next.Equal(far.wakeAt()) {
		t.Errorf("the next is %s", next)
	}
	list := take(a)
	if !slices.IsSortedFunc(list, func(x, y *taskView) int { return cmp.Compare(x.wake, y.wake) }) || len(list) != 1000 {
		t.Errorf("%d tasks, not in order", len(list))
	}
}

// million are tasks with a time each within an hour, on an agenda, in random order.
func million() (*agenda, []*taskView) {
	const n = 1_000_000
	a, tasks, views := newAgenda(), make([]*taskView, n), make([]taskView, n)
	for i, place := range rand.Perm(n) {
		views[i].heapIndex = -1
		tasks[place] = &views[i]
	}
	for i, t := range tasks {
		a.at(t, within(i))
	}
	return a, tasks
}

// within spreads times over an hour.
func within(i int) time.Time {
	return time.Unix(1_800_000_000, int64(uint64(i)*0x9e3779b97f4a7c15%uint64(time.Hour)))
}

// BenchmarkDueHeap is with one million tasks. "B/task" is what the agenda takes up for each, and the task's own fields
// for it.
func BenchmarkDueHeap(b *testing.B) {
	b.Run("insert", func(b *testing.B) {
		a, tasks := million()
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if i%len(tasks) == 0 {
				b.StopTimer()
				for _, t := range tasks {
					a.at(t, time.Time{})
				}
				b.StartTimer()
			}
			a.at(tasks[i%len(tasks)], within(i))
		}
	})
	b.Run("pop", func(b *testing.B) {
		a, tasks := million()
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if len(a.timed) == 0 {
				b.StopTimer()
				for i, t := range tasks {
					a.at(t, within(i))
				}
				b.StartTimer()
			}
			a.timed.remove(a.timed[0].task)
		}
	})
	b.Run("re-arm", func(b *testing.B) {
		a, _ := million()
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			t := a.timed[0].task // as a look does with the one that has come
			a.at(t, t.wakeAt().Add(within(i).Sub(within(0))))
		}
	})
	b.Run("move", func(b *testing.B) {
		a, tasks := million()
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			a.at(tasks[i%len(tasks)], within(7*i))
		}
	})
	b.Run("size", func(b *testing.B) {
		const n = 1_000_000
		tasks := make([]taskView, n)
		var t taskView
		own := unsafe.Sizeof(t.heapIndex) + unsafe.Sizeof(t.wake) + unsafe.Sizeof(t.retryAt) + unsafe.Sizeof(t.putTime) + unsafe.Sizeof(t.thawed)
		for range b.N {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			a := newAgenda()
			for i := range tasks {
				tasks[i].heapIndex = -1
				a.at(&tasks[i], within(i))
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n+float64(own), "B/task")
			runtime.KeepAlive(a)
		}
	})
}
