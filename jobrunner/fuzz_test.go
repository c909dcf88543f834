package jobrunner

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Whatever stands in a node's queue, for its session or for none, the node starts nothing but what has a record that was given to
// it, and goes on with the rest of the queue.
func FuzzHostileQueue(f *testing.F) {
	r := newRig(f, func(cfg *Config) { cfg.Logger = hclog.NewNullLogger() })
	r.start()
	run := nightwatch.Run{ID: "x", Task: demo, TaskUID: r.taskUID, Phase: nightwatch.PhaseAssigned, Node: "n1", Attempt: 1, Runner: nightwatch.RunnerProcess}
	for _, value := range []string{"", "{", "null", "[]", `{"id":"x"}`, `{"phase":"Running"}`, string(encode(&run)), string(encode(&nightwatch.Run{}))} {
		for _, tail := range []string{demo + "/x", "x", "", "/", demo, demo + "/x/y", "a/b/c/d"} {
			f.Add(tail, []byte(value), true)
		}
		f.Add(demo+"/x", []byte(value), false)
	}
	for _, change := range []func(run *nightwatch.Run){
		func(run *nightwatch.Run) { run.Phase = nightwatch.PhaseRunning },
		func(run *nightwatch.Run) { run.Runner = nightwatch.RunnerKubernetes },
		func(run *nightwatch.Run) { run.Runner = "none" },
		func(run *nightwatch.Run) { run.Task = "" },
		func(run *nightwatch.Run) { run.Cancel = &nightwatch.Cancel{} },
		func(run *nightwatch.Run) { run.Shard = &nightwatch.RunShard{Of: "y", Index: 3} },
		func(run *nightwatch.Run) { run.Job = &nightwatch.Job{Name: "x", Namespace: "default"} },
	} {
		changed := run
		change(&changed)
		f.Add(demo+"/x", encode(&changed), true)
	}
	n := 0
	f.Fuzz(func(t *testing.T, tail string, value []byte, ours bool) {
		r.t = t
		var fields map[string]any
		if ours && json.Unmarshal(value, &fields) == nil && fields != nil {
			fields["session"] = r.session.ID()
			value, _ = json.Marshal(fields)
		}
		key := r.keys.Of(store.Queue) + "n1/" + tail
		if len(key)+len(value) > 1<<20 {
			return // etcd does not take it
		}
		if _, err := r.client.Put(t.Context(), key, string(value)); err != nil {
			t.Fatal(err)
		}
		n++
		id := fmt.Sprintf("good-%d", n)
		r.give(id)
		r.wait(id, "succeeds", in(nightwatch.PhaseSucceeded))
		if _, err := r.client.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		r.clean()
		for len(r.process.attempts)+len(r.kube.attempts) > 0 {
			select {
			case a := <-r.process.attempts:
				if a.Run.ID != id {
					t.Errorf("%s: %q under %s", a.Run.ID, value, key)
				}
			case a := <-r.kube.attempts:
				t.Errorf("%s: %q under %s", a.Run.ID, value, key)
			}
		}
	})
}
