package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// A record that stands where a shard's should is another's: the shard has failed, and nothing waits for it.
func TestRecordInTheWayOfAShard(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	b.put(fiveMinutes[:len(fiveMinutes)-1] + `,"shards":3}`)
	b.settle(demo)
	id := idAt("10:05")
	b.set(b.keys.Run(demo, id+".1"), "garbage")
	b.goTo("10:05")
	b.want(id, nightwatch.PhasePending, "", "1 failed 0,2 active")
	b.end(id, 0, nightwatch.PhaseSucceeded)
	// Nor is one that somebody deleted made again, or one that somebody spoilt waited for.
	b.del(b.keys.Run(demo, id+".2"))
	b.settle(demo)
	r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1-2 failed")
	if r.Message != "shards 1-2 of 3 failed: 1: another record has its name; 2: its record is gone" {
		t.Errorf("%s", r.Message)
	}
}

// Shards whose run somebody deleted, or declared ended, do not go on for ever.
func TestStrayShards(t *testing.T) {
	for _, row := range []struct {
		name string
		hand func(b *board, id string)
		left []string
	}{
		{"the run is gone", func(b *board, id string) { b.del(b.keys.Run(demo, id)) }, nil},
		{"the run has ended", func(b *board, id string) {
			r := b.run(id)
			r.Phase, r.EndTime = nightwatch.PhaseFailed, b.now
			b.set(b.keys.Run(demo, id), r)
		}, []string{" Failed", ".0 Canceled CancelRequested", ".1 Canceled", ".2 Canceled CancelRequested", ".3 Canceled CancelRequested"}},
		{"the task is gone as well", func(b *board, id string) {
			b.del(b.keys.Run(demo, id))
			b.del(b.keys.Task(demo))
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			id := b.submitted(fourShards)
			b.claim(id + ".1")
			b.settle(demo)
			row.hand(b, id)
			b.settle(demo)
			if r := b.run(id + ".1"); r.Cancel == nil {
				t.Fatalf("%+v", r)
			}
			b.finish(id+".1", nightwatch.PhaseCanceled)
			b.settle(demo)
			var want []string
			for _, left := range row.left {
				want = append(want, id+left)
			}
			b.wantRuns(want...)
		})
	}
}

func TestDeletedTaskWithLiveShards(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1", func(n *nightwatch.Node) { n.Capacity = 30 })
	id := b.submitted(`{"process":{"command":["true"]},"shards":70}`)
	b.claim(id + ".3")
	b.claim(id + ".4")
	b.settle(demo)
	b.del(b.keys.Task(demo))
	b.settle(demo)
	if s := b.status(); s.Reason != nightwatch.ReasonDeleting || s.ActiveCount != 1 {
		t.Errorf("%+v", s)
	}
	for _, k := range []string{".3", ".4"} {
		if c := b.run(id + k).Cancel; c == nil || c.Reason != nightwatch.ReasonTaskDeleted {
			t.Errorf("%s: %+v", k, c)
		}
		b.finish(id+k, nightwatch.PhaseCanceled)
	}
	b.settle(demo)
	for _, kind := range []store.Kind{store.Runs, store.Queue, store.Accepted, store.Statuses, store.Ledgers} {
		if left := b.below(kind); len(left) != 0 {
			t.Errorf("%s: %q", kind, left)
		}
	}
}

func TestShardsOfLostNodes(t *testing.T) {
	for _, row := range []struct{ delivery, want, message string }{
		{"at-least-once", "Assigned", ""},
		{"at-most-once", "Failed NodeLost", "shard 1 of 2 failed: 1: NodeLost on node n2"},
	} {
		t.Run(row.delivery, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.node("n1")
			b.node("n2")
			id := b.submitted(`{"process":{"command":["true"]},"shards":2,"delivery":"` + row.delivery + `"}`)
			b.claim(id + ".0")
			b.claim(id + ".1")
			b.settle(demo)
			b.del(b.keys.Node("n2"))
			b.settle(demo)
			if r := b.run(id + ".1"); strings.TrimSpace(string(r.Phase)+" "+r.Reason) != row.want {
				t.Errorf("%+v", r)
			}
			b.end(id, 0, nightwatch.PhaseSucceeded)
			if row.want == "Assigned" {
				if r := b.run(id + ".1"); r.Node != "n1" || r.Attempt != 2 {
					t.Errorf("%+v", r)
				}
				b.end(id, 1, nightwatch.PhaseSucceeded)
				b.want(id, nightwatch.PhaseSucceeded, "", "0-1 succeeded")
			} else if r := b.want(id, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed, "0 succeeded 1 failed"); r.Message != row.message {
				t.Errorf("%s", r.Message)
			}
			// Its record stays for an hour, and with it that of the whole.
			b.put(`{"process":{"command":["true"]},"history":{"succeeded":0,"failed":0},"suspend":true}`)
			b.settle(demo)
			if row.want == "Assigned" && b.run(id) == nil {
				t.Error("the record has left within the hour")
			}
			b.now = b.now.Add(61 * time.Minute)
			b.settle(demo)
			if left := b.runs(); len(left) != 0 {
				t.Errorf("%q", left)
			}
		})
	}
}

// A shard that somebody's lock sent back waits for that lock, not for the dispatch of its siblings.
func TestLockedShardWaitsForNoSibling(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.node("n1")
	id := b.submitted(fourShards)
	r := b.run(id + ".1")
	node := r.Node
	r.Phase, r.Reason, r.Node, r.Session = nightwatch.PhasePending, nightwatch.ReasonLocked, "", ""
	b.set(b.keys.LocksOf(demo)+"abc", "", b.keys.ShardLock(demo, "694d", id+".2"), "",
		b.keys.Run(demo, id+".1"), r, b.keys.Queue(node, demo, id+".1"), nil)
	b.settle(demo)
	if r := b.run(id + ".1"); r.Phase != nightwatch.PhasePending || r.Reason != nightwatch.ReasonLocked {
		t.Errorf("%+v", r)
	}
	b.del(b.keys.LocksOf(demo) + "abc")
	b.settle(demo)
	if r := b.run(id + ".1"); r.Phase != nightwatch.PhaseAssigned {
		t.Errorf("%+v", r)
	}
}

// Shards wait for a node, and what is to be run is not known any more: nothing can become of them, nor of the whole.
func TestShardsOfATaskWithoutADefinition(t *testing.T) {
	for name, steps := range map[string]func(b *board){
		"waiting":  func(*board) {},
		"canceled": func(b *board) { b.set(b.keys.Request(demo, "stop"), `{"action":"cancel"}`) },
		"too late": func(b *board) { b.goTo("10:08") },
		"a node":   func(b *board) { b.node("n1") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "10:00:30")
			b.put(with(`"shards":3,"startWithin":"2m"`))
			b.settle(demo)
			b.goTo("10:05")
			b.set(b.keys.Accepted(demo), "garbage")
			b.settle(demo)
			steps(b)
			b.settle(demo)
			if len(b.runs()) != 4 {
				t.Errorf("%q", b.runs())
			}
		})
	}
}

// A run that was missed as a whole is ended though its task's definition has become unreadable meanwhile.
func TestMissedShardsWithoutADefinition(t *testing.T) {
	b := newBoard(t, "10:00:30")
	b.put(with(`"shards":20,"startWithin":"2m"`))
	b.settle(demo)
	b.goTo("10:05")
	b.moveTo("10:08")
	if p := b.decide(demo); p.txn.Empty() || !b.commit(p) { // the wish; its shards hear of it one after the other
		t.Fatal("nothing is done")
	}
	b.set(b.keys.Accepted(demo), "garbage")
	b.settle(demo)
	if r := b.run(idAt("10:05")); r.Phase != nightwatch.PhaseMissed || r.Message != "could not start within 2m" {
		t.Errorf("%s %s: %s", r.Phase, r.Reason, r.Message)
	}
}
