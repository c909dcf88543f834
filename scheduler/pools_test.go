package scheduler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

const pooled = `{"process":{"command":["true"]},"pool":"reports"}`

func TestPool(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	tail := store.PoolTail("reports")
	var verdict nightwatch.PoolStatus
	judge := func(value any) {
		b.set(b.keys.Pool("reports"), value)
		b.settle(tail)
		verdict = nightwatch.PoolStatus{}
		b.read(b.keys.PoolStatus("reports"), &verdict)
	}
	b.put(`{"process":{"command":["true"]},"pool":"reports","every":"5m","overlap":"allow"}`)
	b.settle(demo)
	b.goTo("10:05")
	b.wantRuns(idAt("10:05") + " Pending PoolMissing")
	judge(`{"slots":0}`)
	if verdict.Accepted || len(verdict.Errors) != 1 || verdict.Errors[0].Field != "slots" {
		t.Errorf("%+v", verdict)
	}
	judge(`{"slots":1}`)
	if !verdict.Accepted {
		t.Errorf("%+v", verdict)
	}
	b.settle(demo)
	b.goTo("10:10")
	b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Pending PoolFull")
	judge(`{"slots":"many"}`) // the last good value stays in force
	if verdict.Accepted || verdict.AcceptedRevision == 0 {
		t.Errorf("%+v", verdict)
	}
	b.relist()
	if p := b.decide(demo); !p.txn.Empty() {
		t.Errorf("it waits, and its record says so: %v", p.touched)
	}
	b.claim(idAt("10:05"))
	b.finish(idAt("10:05"), nightwatch.PhaseSucceeded)
	b.settle(demo)
	b.wantRuns(idAt("10:05")+" Succeeded", idAt("10:10")+" Assigned")
	judge(nil)
	if left := append(b.below(store.Accepted), b.below(store.Statuses)...); len(left) != 2 {
		t.Errorf("left: %q", left)
	}
}

// A run that has its place keeps it, whatever pool an edit names: its Job is followed, and canceled.
func TestPoolIsEditedWhileAJobLives(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.set(b.keys.Pool("reports"), `{"slots":1}`)
	b.settle(store.PoolTail("reports"))
	task := func(pool string) string { return `{"image":"busybox","schedule":"5 * * * *","pool":"` + pool + `"}` }
	b.put(task("reports"))
	b.settle(demo)
	b.goTo("10:05")
	id := idAt("10:05")
	b.claim(id, func(r *nightwatch.Run) { r.Job = &nightwatch.Job{Namespace: "default", Name: "demo", UID: "u"} })
	b.put(task("full"))
	b.settle(demo)
	for i, node := range []string{"n2", "n3"} {
		b.del(b.keys.Node([]string{"n1", "n2"}[i]))
		b.node(node)
		b.settle(demo)
		if r := b.run(id); r.Node != node || r.Pool != "reports" || b.view.used.pools["reports"] != 1 {
			t.Errorf("%s on %q in the pool %q: %s", r.Phase, r.Node, r.Pool, r.Message)
		}
		b.set(b.keys.Request(demo, "stop"), `{"action":"cancel"}`)
		b.settle(demo)
	}
}

// Two tasks decided on before either is done do not overrun their pool, nor does one that was decided on before a change.
func TestPoolReservations(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	b.set(b.keys.Pool("reports"), `{"slots":1}`)
	b.settle(store.PoolTail("reports"))
	b.set(b.keys.Task("default/a"), pooled)
	b.set(b.keys.Task("default/b"), pooled)
	first, second := b.decide("default/a"), b.decide("default/b")
	if len(first.takings) != 1 || len(second.takings) != 0 {
		t.Errorf("%v %v", first.takings, second.takings)
	}
	b.set(b.keys.Pool("reports"), `{"slots":2}`)
	b.settle(store.PoolTail("reports"))
	if b.commit(first) {
		t.Error("the pool has changed since")
	}
}

// A pool is never overrun, and starts keep their distance, across terms as well; none waits for ever.
func TestPoolHoldsAcrossTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:00"), 7)
		var starts []time.Time
		live, most := 0, 0
		r.node("n1", nil, func(n *simNode) {
			n.work = func(nightwatch.Run) (time.Duration, nightwatch.Phase) {
				r.mu.Lock()
				defer r.mu.Unlock()
				starts = append(starts, time.Now())
				if live++; live > most {
					most = live
				}
				time.AfterFunc(3*time.Second, func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					live--
				})
				return 3 * time.Second, nightwatch.PhaseSucceeded
			}
		})
		r.etcd.put(r.etcd.keys.Pool("reports"), `{"slots":2,"startsPerMinute":60}`)
		first, second := r.scheduler(), r.scheduler()
		leave := r.lead(first)
		const tasks = 20
		for i := range tasks {
			r.task(fmt.Sprint("default/t", i), pooled)
		}
		r.pass(9500 * time.Millisecond)
		leave()
		r.lead(second)
		r.pass(60 * time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(starts) != tasks || most > 2 {
			t.Errorf("%d starts of %d, %d at once", len(starts), tasks, most)
		}
		for i := 1; i < len(starts); i++ {
			if apart := starts[i].Sub(starts[i-1]); apart < 950*time.Millisecond {
				t.Errorf("starts %d and %d are %s apart", i-1, i, apart)
			}
		}
	})
}

// What a transaction takes that etcd may do though it gave no answer is not given to anybody else; what it never does is
// given back.
func TestTransactionsInDoubtKeepTheirPlace(t *testing.T) {
	for _, row := range []struct{ name, task, key, value string }{
		{"in a pool", pooled, store.NewKeys("").Pool("reports"), `{"slots":1}`},
		{"in a namespace", onceTask, store.NewKeys("").Namespace("default"), `{"limits":{"running":1}}`},
		{"on a node", `{"process":{"command":["true"]},"slots":60}`, store.NewKeys("").Pool("none"), `{"slots":1}`},
	} {
		for fate, late := range map[string]loss{"done": requestLate, "lost": requestLost} {
			t.Run(row.name+", "+fate, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, at("10:00"), 8)
					r.etcd.put(row.key, row.value)
					most, told := 0, r.etcd.observe
					r.etcd.observe = func(events []store.Event) {
						told(events)
						live := 0
						for _, e := range r.etcd.list(r.etcd.keys.Of(store.Runs)) {
							var run nightwatch.Run
							if json.Unmarshal(e.Value, &run) == nil && run.Occupies() {
								live++
							}
						}
						most = max(most, live)
					}
					r.node("n1", nil, func(n *simNode) {
						n.work = func(nightwatch.Run) (time.Duration, nightwatch.Phase) {
							return 10 * time.Second, nightwatch.PhaseSucceeded
						}
					})
					const away = 5 * time.Second
					var given time.Time // when the first run was given to a node
					r.lead(r.scheduler(func(l *link) {
						l.later = away
						l.lose = func(txn *store.Txn) loss {
							_, then := txn.Parts()
							writes := func(key string) bool {
								return slices.ContainsFunc(then, func(op clientv3.Op) bool { return strings.HasPrefix(string(op.KeyBytes()), key) })
							}
							r.mu.Lock()
							defer r.mu.Unlock()
							switch {
							case given.IsZero() && writes(l.keys.QueueOf("n1")):
								given = time.Now()
								return late
							case !given.IsZero() && time.Since(given) < away && writes(l.keys.Status("default/a")):
								return requestLost
							}
							return arrives
						}
					}))
					r.pass(time.Second)
					r.task("default/a", row.task)
					r.pass(100 * time.Millisecond)
					r.task("default/b", row.task)
					r.pass(time.Minute)
					for _, task := range []string{"default/a", "default/b"} {
						if ran := r.runs(task, nightwatch.PhaseSucceeded); len(ran) != 1 {
							t.Errorf("%s: succeeded %q of %q", task, ran, r.runs(task))
						}
					}
					r.etcd.mu.Lock()
					defer r.etcd.mu.Unlock()
					if most != 1 {
						t.Errorf("%d runs were live at once", most)
					}
				})
			})
		}
	}
}

func TestNamespaceLimit(t *testing.T) {
	b := newBoard(t, "10:00")
	b.node("n1")
	tail := store.NamespaceTail("default")
	b.set(b.keys.Namespace("default"), `{"limits":{"running":1},"weight":3}`)
	b.settle(tail)
	b.set(b.keys.Task("other/free"), onceTask)
	b.settle("other/free")
	b.put(`{"process":{"command":["true"]},"every":"5m","overlap":"allow"}`)
	b.settle(demo)
	b.goTo("10:05")
	b.goTo("10:10")
	b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Pending NamespaceFull")
	if b.view.weight("default") != 3 || b.view.weight("other") != 1 {
		t.Error("other weights")
	}
	b.set(b.keys.Namespace("default"), `{"limits":{"runnin":2}}`)
	b.settle(tail)
	var verdict nightwatch.NamespaceStatus
	b.read(b.keys.NamespaceStatus("default"), &verdict)
	if verdict.Accepted || len(verdict.Errors) != 1 || verdict.Errors[0].Field != "limits.runnin" || verdict.AcceptedRevision == 0 {
		t.Errorf("%+v", verdict)
	}
	p := b.decide(demo)
	if !p.txn.Empty() {
		t.Errorf("it waits, and its record says so: %v", p.touched)
	}
	b.set(b.keys.Namespace("default"), nil)
	b.settle(tail)
	b.settle(demo)
	b.wantRuns(idAt("10:05")+" Assigned", idAt("10:10")+" Assigned")
}
