package jobrunner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// What a run comes after reaches user code as the record has it; a run that comes after none says nothing of it.
func TestToldOfUpstreams(t *testing.T) {
	upstream := []nightwatch.UpstreamRun{{
		Task: "ops/load", Run: "req-x", Phase: nightwatch.PhaseSucceeded, Result: []byte(`{"text":"a <b> $c"}`),
		NominalTime: time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC), EndTime: time.Date(2026, 11, 20, 2, 1, 0, 0, time.UTC),
	}}
	run := &nightwatch.Run{Task: demo, ID: "dep-7", Upstream: upstream}
	told := userView(run, run, nil, "k")
	const want = `NIGHTWATCH_UPSTREAM=[{"task":"ops/load","run":"req-x","phase":"Succeeded","result":{"text":"a <b> $c"},` +
		`"nominalTime":"2026-11-20T02:00:00Z","endTime":"2026-11-20T02:01:00Z"}]`
	if env := told.Environment(); !slices.Contains(env, want) || len(told.Upstream) != 1 {
		t.Errorf("%q, want %s", env, want)
	}
	shard := userView(&nightwatch.Run{Task: demo, ID: "dep-7.1", Shard: &nightwatch.RunShard{Of: "dep-7", Index: 1, Count: 2}}, run, nil, "k")
	if len(shard.Upstream) != 1 {
		t.Errorf("a shard is told %+v", shard.Upstream)
	}
	none := &nightwatch.Run{Task: demo, ID: "req-y"}
	for _, line := range userView(none, none, nil, "k").Environment() {
		if strings.HasPrefix(line, "NIGHTWATCH_UPSTREAM") {
			t.Errorf("told %s", line)
		}
	}
}
