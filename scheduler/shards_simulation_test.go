package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A term may end after any transaction that has to do with a run of shards: before its record is there, between the
// record and the shards, between shards, between their ends. The next one goes on from there, and each shard starts once.
func TestFailoverBetweenShards(t *testing.T) {
	const shards = 50
	for after := range 16 {
		t.Run(fmt.Sprintf("after %d transactions", after), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("10:00:30"), uint64(after))
				for i := range 3 {
					r.node(fmt.Sprint("n", i), nil)
				}
				var sent atomic.Int64
				over := make(chan struct{})
				usurp := sync.OnceFunc(func() { close(over) })
				first := r.scheduler(func(l *link) {
					l.lose = func(txn *store.Txn) loss {
						if r.now().Before(at("10:01")) || !about(txn, "/t") {
							return arrives
						}
						if sent.Add(1) == int64(after)+1 {
							usurp()
							l.del(l.keys.Election() + "/s")
						}
						return arrives
					}
				})
				second := r.scheduler(func(l *link) {
					l.delay = func() time.Duration { return time.Duration(r.random(int64(200 * time.Millisecond))) }
				})
				r.lead(first)
				task := "default/t"
				r.task(task, fmt.Sprintf(`{"process":{"command":["true"]},"schedule":"1 10 * * *","shards":%d}`, shards))
				r.pass(31 * time.Second) // 10:01:01
				<-over
				term, _ := r.etcd.elect(r.ctx, "successor")
				r.actors.Go(func() { _ = second.Lead(r.ctx, term) })
				r.pass(time.Minute)
				if ran := r.runs(task, nightwatch.PhaseSucceeded); len(ran) != 1 || ran[0] != nightwatch.ScheduledRunID(at("10:01")) {
					t.Errorf("succeeded %q, all %q", ran, r.runs(task))
				}
				if ran := r.shards(task, nightwatch.PhaseSucceeded); len(ran) != shards || len(r.shards(task)) != shards {
					t.Errorf("%d shards succeeded of %d: %q", len(ran), len(r.shards(task)), ran)
				}
				r.log.auditAll()
			})
		})
	}
}

// about tells whether a transaction writes a key of a task.
func about(txn *store.Txn, task string) bool {
	_, then := txn.Parts()
	return slices.ContainsFunc(then, func(op clientv3.Op) bool { return strings.Contains(string(op.KeyBytes()), task) })
}

// Nodes that die, answers that get lost and a scheduler that changes: every shard of every run ends, once, and every run
// with its shards.
func TestShardsSurviveTrouble(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, at("10:00"), seed)
				lossy := func(l *link) {
					l.lose = func(*store.Txn) loss {
						switch r.random(12) {
						case 0:
							return requestLost
						case 1:
							return answerLost
						}
						return arrives
					}
					l.relist = func() bool { return r.random(60) == 0 }
				}
				for i := range 4 {
					r.node(fmt.Sprint("n", i), func() time.Duration { return time.Duration(r.random(int64(60 * time.Second))) }, func(n *simNode) {
						lossy(n.link)
						n.link.relist = nil
						n.work = func(run nightwatch.Run) (time.Duration, nightwatch.Phase) {
							r.log.started(run)
							phase := nightwatch.PhaseSucceeded
							if r.random(4) == 0 {
								phase = nightwatch.PhaseFailed
							}
							return time.Duration(r.random(int64(3 * time.Second))), phase
						}
					})
				}
				first, second := r.scheduler(lossy), r.scheduler(lossy)
				leave := r.lead(first)
				r.task("default/many", `{"process":{"command":["true"]},"every":"50s","shards":35,"overlap":"queue-all","catchUp":{"mode":"all"},"history":{"succeeded":1,"failed":1}}`)
				r.task("default/nodes", `{"process":{"command":["true"]},"every":"30s","shards":"per-node","overlap":"skip","delivery":"at-most-once"}`)
				r.task("default/once", `{"process":{"command":["true"]},"shardParams":[1,2,3],"overlap":"replace"}`)
				for range 4 {
					r.pass(45 * time.Second)
					r.task("default/once", `{"process":{"command":["true"]},"shardParams":[1,2,3],"overlap":"replace"}`)
					leave()
					first, second = second, first
					leave = r.lead(first)
				}
				for _, task := range []string{"default/many", "default/nodes"} {
					r.task(task, `{"process":{"command":["true"]},"every":"10h"}`)
				}
				r.pass(5 * time.Minute)
				for _, task := range []string{"default/many", "default/nodes", "default/once"} {
					var live []string
					for _, phase := range []nightwatch.Phase{nightwatch.PhasePending, nightwatch.PhaseAssigned, nightwatch.PhaseRunning} {
						live = append(append(live, r.runs(task, phase)...), r.shards(task, phase)...)
					}
					if len(live) > 0 || len(r.shards(task)) == 0 {
						t.Errorf("%s: live %q of %d shards", task, live, len(r.shards(task)))
					}
				}
				r.log.auditAll()
			})
		})
	}
}
