package scheduler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// every10 is a task every ten minutes, with more fields.
func every10(fields string) string {
	return `{"process":{"command":["true"]},"schedule":"*/10 * * * *","overlap":"allow"` + fields + `}`
}

// idsBetween are the runs of a step's multiples, first and last included.
func idsBetween(first, last time.Time, step time.Duration) []string {
	var ids []string
	for t := first; !t.After(last); t = t.Add(step) {
		ids = append(ids, nightwatch.ScheduledRunID(t))
	}
	return ids
}

// A clock that steps back never fires a time twice, nor does a successor that has only ever known the earlier one.
func TestClockStepsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:05"), 1)
		r.node("n1", nil)
		first, second := r.scheduler(), r.scheduler()
		leave := r.lead(first)
		r.task(demo, every10(""))
		r.task("default/zoned", `{"process":{"command":["true"]},"schedule":"*/10 * * * *","timeZone":"Asia/Kathmandu"}`)
		r.pass(2 * time.Hour) // 12:05
		before := r.runs(demo)
		if want := idsBetween(at("10:10"), at("12:00"), 10*time.Minute); !slices.Equal(before, want) {
			t.Fatalf("before the step\n got %q\nwant %q", before, want)
		}
		r.step(-2 * time.Hour)
		r.pass(30 * time.Minute) // 10:35
		r.task(demo, every10(`,"description":"edited while the clock is behind the cursor"`))
		r.pass(30 * time.Minute) // 11:05
		leave()
		r.lead(second)
		r.pass(time.Hour + 4*time.Minute) // 12:09
		if now := r.runs(demo); !slices.Equal(now, before) {
			t.Errorf("until the clock has caught up\n got %q\nwant %q", now, before)
		}
		r.pass(time.Hour) // 13:09
		if now, want := r.runs(demo), idsBetween(at("10:10"), at("13:00"), 10*time.Minute); !slices.Equal(now, want) {
			t.Errorf("after the clock has caught up\n got %q\nwant %q", now, want)
		}
		r.log.auditAll()
	})
}

// A clock that steps forward by hours is a catch-up as each task's policy says: 30 times lie behind it.
func TestClockStepsForward(t *testing.T) {
	tests := []struct {
		name, fields string
		runs         int
	}{
		{name: "none", fields: `,"catchUp":{"mode":"none"}`, runs: 0},
		{name: "latest", fields: ``, runs: 1},
		{name: "latest-too-old", fields: `,"catchUp":{"mode":"latest","window":"2m"}`, runs: 0},
		{name: "all-in-an-hour", fields: `,"catchUp":{"mode":"all"}`, runs: 6},
		{name: "all-but-three", fields: `,"catchUp":{"mode":"all","window":"2h","max":3}`, runs: 3},
		{name: "all", fields: `,"catchUp":{"mode":"all","window":"24h","max":1000}`, runs: 30},
		{name: "all-in-time", fields: `,"catchUp":{"mode":"all","window":"24h","max":1000},"startWithin":"25m"`, runs: 2},
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:00:30"), 2)
		r.node("n1", nil)
		r.lead(r.scheduler())
		for _, test := range tests {
			r.task("default/"+test.name, every10(test.fields))
		}
		r.pass(5 * time.Minute) // 10:05:30
		r.step(5 * time.Hour)
		r.pass(4 * time.Minute) // 15:09:30
		for _, test := range tests {
			task := "default/" + test.name
			want := idsBetween(at("15:10").Add(-time.Duration(test.runs)*10*time.Minute), at("15:00"), 10*time.Minute)
			if ran := r.runs(task, nightwatch.PhaseSucceeded); !slices.Equal(ran, want) {
				t.Errorf("%s ran\n     %q\nwant %q", task, ran, want)
			}
			if missed := r.account(task).Status.Counts.Missed; missed != int64(30-test.runs) {
				t.Errorf("%s: %d missed, want %d", task, missed, 30-test.runs)
			}
		}
		r.log.auditAll()
	})
}

// A term that ends in the middle of a burst leaves nothing undone and nothing done twice, although the one who had it
// goes on for a while.
func TestFailoverInABurst(t *testing.T) {
	const tasks = 500
	for _, after := range []int{0, 1, 1 + rand.IntN(maxInFlight), 1 + rand.IntN(tasks), tasks - 1} {
		t.Run(fmt.Sprintf("after %d transactions", after), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("10:00:30"), uint64(after))
				r.cold = after%2 == 1
				for i := range 8 {
					r.node(fmt.Sprint("n", i), nil)
				}
				due := at("10:01")
				var sent atomic.Int64
				over := make(chan struct{})
				usurp := sync.OnceFunc(func() { close(over) })
				first := r.scheduler(func(l *link) {
					l.lose = func(txn *store.Txn) loss {
						if r.now().Before(due) {
							return arrives
						}
						if sent.Add(1) == int64(after)+1 {
							usurp()
							l.del(l.keys.Election() + "/s")
						}
						return arrives
					}
				})
				second := r.scheduler(func(l *link) { // what it knows is old when its term begins
					l.delay = func() time.Duration { return time.Duration(r.random(int64(200 * time.Millisecond))) }
				})
				r.lead(first)
				for i := range tasks {
					r.task(fmt.Sprintf("default/t%03d", i), `{"process":{"command":["true"]},"schedule":"1 10 * * *"}`)
				}
				r.pass(29 * time.Second) // 10:00:59
				if made := r.log.records(); made != 0 {
					t.Fatalf("%d runs before their time", made)
				}
				<-over
				term, _ := r.etcd.elect(r.ctx, "successor")
				r.actors.Go(func() { _ = second.Lead(r.ctx, term) })
				r.pass(time.Minute)
				for i := range tasks {
					task := fmt.Sprintf("default/t%03d", i)
					if ran := r.runs(task, nightwatch.PhaseSucceeded); len(ran) != 1 || ran[0] != nightwatch.ScheduledRunID(due) {
						t.Errorf("%s: succeeded %q, all %q", task, ran, r.runs(task))
					}
				}
				if made := r.log.records(); made != tasks {
					t.Errorf("%d records, want %d", made, tasks)
				}
				if n := sent.Load(); n > int64(after)+40*maxInFlight {
					t.Errorf("%d transactions of a term that had ended after %d", n, after)
				}
				r.log.auditAll()
			})
		})
	}
}

// A cold standby knows nothing while another leads, but the clock; its own terms do what any do, and leave nothing behind.
func TestColdStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:05"), 3)
		r.cold = true
		r.node("n1", nil)
		all := []*Scheduler{r.scheduler(), r.scheduler()}
		r.task(demo, every10(`,"catchUp":{"mode":"none"}`)) // what is late by more than a second is lost
		for term := range 6 {
			leader, standby := all[term%2], all[1-term%2]
			leave := r.lead(leader)
			r.pass(20 * time.Minute)
			for s, want := range map[*Scheduler]float64{leader: 1, standby: 0} {
				if got := testutil.ToFloat64(s.metrics.tasks); got != want {
					t.Errorf("term %d: %v tasks in view, want %v", term, got, want)
				}
				if err := s.Watching(); err != nil {
					t.Errorf("term %d: %v", term, err)
				}
			}
			standby.health.mu.Lock()
			if time.Since(standby.health.offsetAt) > 2*r.tick {
				t.Errorf("term %d: the standby does not hear of the clock", term)
			}
			standby.health.mu.Unlock()
			leave()
		}
		if ran, want := r.runs(demo, nightwatch.PhaseSucceeded), idsBetween(at("10:10"), at("12:00"), 10*time.Minute); !slices.Equal(ran, want) {
			t.Errorf("ran %q\nwant %q", ran, want)
		}
		r.log.auditAll()
	})
}

// What was put while nobody led was put before this term began, though the list that tells of it comes after its first ticks.
func TestPutWhileNobodyLed(t *testing.T) {
	for name, change := range map[string]func(*rig){"a cold standby": func(r *rig) { r.cold = true }, "a new process": func(*rig) {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("10:01"), 5)
				change(r)
				slow := func(l *link) { l.listing = 3 * r.tick }
				r.node("n1", nil)
				leave := r.lead(r.scheduler())
				r.task(demo, every10(`,"catchUp":{"mode":"all"}`))
				r.pass(2 * time.Minute) // 10:03
				leave()
				r.pass(2 * time.Minute) // 10:05
				r.task(demo, every10(`,"catchUp":{"mode":"all"},"suspend":true`))
				r.pass(15 * time.Minute) // 10:20
				r.lead(r.scheduler(slow))
				r.pass(5 * time.Minute)
				if ran := r.runs(demo, ""); len(ran) > 0 {
					t.Errorf("ran though it was suspended: %q", ran)
				}
				if a := r.account(demo); a.Accepted == nil || !a.Accepted.Task.Suspend || a.Accepted.Since.After(at("10:05")) {
					t.Errorf("in force: %+v", a.Accepted)
				}
			})
		})
	}
}

// A cold standby leads over an etcd that was restored from a backup: of what it had written before nothing is to be waited for.
func TestColdStandbyAfterABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, at("10:01"), 6)
		r.cold = true
		s := r.scheduler()
		leave := r.lead(s)
		r.task("default/a", every10(""))
		r.pass(time.Minute)
		backup, revision := maps.Clone(r.etcd.entries), r.etcd.at()
		follower := `{"process":{"command":["true"]},"after":{"tasks":["a"]}}`
		r.pass(time.Minute)
		r.task("default/b", follower)
		r.pass(time.Minute)
		leave()
		r.pass(time.Minute)
		r.etcd.mu.Lock()
		r.etcd.entries, r.etcd.revision = backup, revision
		r.etcd.mu.Unlock()
		r.etcd.del(r.etcd.keys.Election() + "/s")
		r.lead(s)
		r.task("default/c", follower)
		r.pass(10 * time.Second)
		if a := r.account("default/c"); a.Accepted == nil {
			t.Errorf("it is not judged: %+v", a.Status)
		}
	})
}

// Whatever part of the requests and of the answers gets lost: each time is met once, and its run starts once.
func TestAnswersGetLost(t *testing.T) {
	for range 4 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("10:00"), seed)
				lossy := func(l *link) {
					l.lose = func(*store.Txn) loss {
						switch r.random(10) {
						case 0:
							return requestLost
						case 1, 2:
							return answerLost
						}
						return arrives
					}
					l.relist = func() bool { return r.random(50) == 0 }
				}
				for i := range 3 {
					r.node(fmt.Sprint("n", i), nil, func(n *simNode) { lossy(n.link); n.link.relist = nil })
				}
				r.lead(r.scheduler(lossy))
				for i := range 10 {
					r.task(fmt.Sprint("default/t", i), fmt.Sprintf(
						`{"process":{"command":["true"]},"every":"10s","offset":"%dms","overlap":"allow","catchUp":{"mode":"all"}}`, 100+i*900))
				}
				r.task("default/once", onceTask)
				r.pass(5 * time.Minute)
				// No more times for an hour, so that what is under way ends.
				for _, e := range r.etcd.below(r.etcd.keys.Of(store.Tasks)) {
					r.task(e.Key[len(r.etcd.keys.Of(store.Tasks)):], `{"process":{"command":["true"]},"every":"1h","overlap":"allow"}`)
				}
				r.pass(2 * time.Minute)
				for i := range 10 {
					task := fmt.Sprint("default/t", i)
					ran := r.runs(task, nightwatch.PhaseSucceeded)
					if first := at("10:00").Add(time.Duration(100+i*900) * time.Millisecond); !slices.Equal(ran, idsBetween(first, at("10:05"), 10*time.Second)) {
						t.Errorf("%s: %d runs: %q", task, len(ran), ran)
					}
				}
				r.log.auditAll()
			})
		})
	}
}
