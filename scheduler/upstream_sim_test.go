package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// ends is what an account of tasks that come after others needs: each end of a run, in the order of revisions, and each run
// that was ever made. It knows nothing of how the scheduler decides.
type ends struct {
	mu   sync.Mutex
	list []end
	seen map[string]bool           // by key, those that have ended
	made map[string]nightwatch.Run // by task and id
}

type end struct {
	revision int64
	run      nightwatch.Run
}

// watch sees every revision beside the rig's chronicle.
func (e *ends) watch(r *rig) {
	e.seen, e.made = map[string]bool{}, map[string]nightwatch.Run{}
	before := r.etcd.observe
	r.etcd.observe = func(events []store.Event) {
		before(events)
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, event := range events {
			kind, _, _ := r.etcd.keys.Parse(event.Key)
			var run nightwatch.Run
			if kind != store.Runs || event.Deleted || json.Unmarshal(event.Value, &run) != nil {
				continue
			}
			if strings.HasPrefix(run.ID, "dep-") {
				e.made[run.Task+" "+run.ID] = run
			}
			if run.Phase.Terminal() && !e.seen[event.Key] {
				e.seen[event.Key] = true
				e.list = append(e.list, end{event.ModRevision, run})
			}
		}
	}
}

// sets are the complete sets of a task with after, by the id of their runs, as the documents say: of each upstream the
// newest that has not been used, in the order in which they ended. The ids of those used are in the order of the task.
func (e *ends) sets(after *nightwatch.After, upstreams []string) map[string][]string {
	sets, waiting, last := map[string][]string{}, map[string]end{}, ""
	list := slices.Clone(e.list)
	slices.SortStableFunc(list, func(a, b end) int {
		return cmp.Or(cmp.Compare(a.revision, b.revision),
			cmp.Compare(slices.Index(upstreams, a.run.Task), slices.Index(upstreams, b.run.Task)), cmp.Compare(a.run.ID, b.run.ID))
	})
	for _, x := range list {
		if !slices.Contains(upstreams, x.run.Task) || !after.Meets(&x.run) {
			continue
		}
		waiting[x.run.Task] = x
		if len(waiting) < len(upstreams) {
			continue
		}
		var ids []string
		for _, name := range upstreams {
			ids = append(ids, waiting[name].run.ID)
		}
		clear(waiting)
		last = nightwatch.UpstreamRunID(x.revision, last)
		sets[last] = ids
	}
	return sets
}

// Whatever part of the answers gets lost and whoever leads: the runs of tasks that come after others are those of the
// complete sets, each once, although no record of an upstream is kept.
func TestEachSetHasOneRun(t *testing.T) {
	for range 3 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("10:00"), seed)
				var e ends
				e.watch(r)
				lossy := func(l *link) {
					l.lose = func(*store.Txn) loss {
						switch r.random(12) {
						case 0:
							return requestLost
						case 1, 2:
							return answerLost
						}
						return arrives
					}
					l.relist = func() bool { return r.random(40) == 0 }
				}
				for i := range 3 {
					lives := func() time.Duration { return time.Duration(r.random(int64(3 * time.Minute))) }
					if i == 0 {
						lives = nil
					}
					r.node(fmt.Sprint("n", i), lives, func(n *simNode) {
						lossy(n.link)
						n.link.relist = nil
						n.work = func(run nightwatch.Run) (time.Duration, nightwatch.Phase) {
							r.log.started(run)
							phase := nightwatch.PhaseSucceeded
							if r.random(4) == 0 {
								phase = nightwatch.PhaseFailed
							}
							return time.Duration(r.random(int64(300 * time.Millisecond))), phase
						}
					})
				}
				const gone = `,"history":{"succeeded":0,"failed":0}`
				followers := map[string]string{
					"default/w": `"tasks":["a"]`, "default/x": `"tasks":["b"],"condition":"failed"`, "default/y": `"tasks":["a","b"],"condition":"finished"`,
					"default/z": `"tasks":["w","y","c"]`, // after what comes after others
				}
				for task, after := range followers {
					r.task(task, `{"process":{"command":["true"]},"overlap":"allow","after":{`+after+`}`+gone+`}`)
				}
				schedulers := []*Scheduler{r.scheduler(lossy), r.scheduler(lossy)}
				leave := r.lead(schedulers[0])
				r.pass(20 * time.Second) // all of them are in force
				upstream := func(task, when string) {
					r.task("default/"+task, `{"process":{"command":["true"]},"overlap":"allow",`+when+gone+`}`)
				}
				upstream("a", `"every":"7s"`)
				upstream("b", `"every":"11s"`)
				upstream("c", `"every":"5s"`)
				for i := range 12 {
					r.pass(time.Duration(r.random(int64(20 * time.Second))))
					leave()
					if r.random(2) == 0 {
						r.pass(time.Duration(r.random(int64(20 * time.Second)))) // nobody leads, and runs end
					}
					leave = r.lead(schedulers[(i+1)%2])
				}
				for _, task := range []string{"a", "b", "c"} {
					upstream(task, `"schedule":"0 0 1 1 *"`)
				}
				r.pass(2 * time.Minute)
				e.mu.Lock()
				defer e.mu.Unlock()
				total := 0
				for task := range followers {
					var def nightwatch.Accepted
					if !r.etcd.read(r.etcd.keys.Accepted(task), &def) {
						t.Fatalf("%s is not in force", task)
					}
					want, got := e.sets(def.Task.After, def.Task.Upstreams()), map[string][]string{}
					for key, run := range e.made {
						if of, id, _ := strings.Cut(key, " "); of == task {
							for _, u := range run.Upstream {
								got[id] = append(got[id], u.Run)
							}
						}
					}
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%s: runs\n got %v\nwant %v", task, got, want)
					}
					total += len(want)
				}
				if total < 10 {
					t.Errorf("only %d sets", total)
				}
				t.Logf("%d sets of %d ends", total, len(e.list))
				for _, task := range []string{"default/a", "default/b", "default/c", "default/w", "default/x", "default/y", "default/z"} {
					for _, record := range r.etcd.below(r.etcd.keys.RunsOf(task)) {
						var run nightwatch.Run
						if json.Unmarshal(record.Value, &run) == nil && run.LostSessions == 0 && run.Phase == nightwatch.PhaseSucceeded {
							t.Errorf("%s stays", record.Key)
						}
					}
				}
				r.log.auditAll()
			})
		})
	}
}
