package nightwatch_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

func TestShardRefusals(t *testing.T) {
	process := func(fields string) string { return `{"process":{"command":["a"]},` + fields + `}` }
	checkTasks(t, []refused{
		{name: "none", value: process(`"shards":0`), field: "shards", reason: `0: want 1 to 1000, or "per-node"`},
		{name: "too many", value: process(`"shards":1001`), field: "shards", reason: `1001: want 1 to 1000`},
		{name: "negative", value: process(`"shards":-1`), field: "shards", reason: `-1: want 1 to 1000`},
		{name: "a number in quotes", value: process(`"shards":"4"`), field: "shards", reason: `"4": want 1 to 1000`},
		{name: "another word", value: process(`"shards":"per-cpu"`), field: "shards", reason: `"per-cpu": want 1 to 1000`},
		{name: "per-node on Kubernetes", value: `{"image":"a","shards":"per-node"}`, field: "shards", reason: `"per-node": where pods run is for Kubernetes to say. Want a number of shards`},
		{name: "params of nodes", value: process(`"shards":"per-node","shardParams":[1]`), field: "shardParams", reason: "goes with a number of shards"},
		{name: "params too few", value: process(`"shards":3,"shardParams":[1,2]`), field: "shardParams", reason: "2 values for 3 shards: want one for each"},
		{name: "params too many", value: process(`"shardParams":[` + strings.Repeat("1,", 1000) + `1]`), field: "shardParams", reason: "1001 values: want at most 1000"},
		{name: "no params", value: process(`"shardParams":[]`), field: "shardParams", reason: "an empty list: leave the field out"},
		{name: "params by name", value: process(`"shardParams":{"0":"a"}`), field: "shardParams", reason: `{"0":"a"}: want a list of one value for each shard`},
		{name: "param with a NUL", value: process(`"shardParams":["a","\u0000"]`), field: "shardParams[1]", reason: "has a NUL byte"},
		{name: "a history of many shards", value: process(`"shards":1000,"history":{"succeeded":100}`), field: "history", reason: "103 finished runs of 1000 shards each: want at most 20000 records of shards, so at most 20 runs"},
		{name: "a history of many nodes", value: process(`"shards":"per-node","history":{"failed":1000}`), field: "history", reason: "1003 finished runs of 100 shards each"},
	})
}

func TestShardsOfATask(t *testing.T) {
	for _, row := range []struct {
		value string
		want  nightwatch.Shards
		param string // of shard 1
	}{
		{`{"process":{"command":["a"]}}`, 0, ""},
		{`{"process":{"command":["a"]},"shards":null}`, 0, ""},
		{`{"process":{"command":["a"]},"shards":1}`, 1, ""},
		{`{"image":"a","shards":4}`, 4, ""},
		{`{"process":{"command":["a"]},"shards":"per-node"}`, nightwatch.PerNode, ""},
		{`{"process":{"command":["a"]},"shardParams":["eu",{ "a" : [1, null] },null]}`, 3, `{"a":[1,null]}`},
		{`{"process":{"command":["a"]},"shards":2,"shardParams":["eu","us"]}`, 2, `us`},
		{`{"process":{"command":["a"]},"shards":1000}`, 1000, ""},
		{"process: {shell: a}\nshards: per-node", nightwatch.PerNode, ""},
	} {
		task := parse(t, row.value)
		if got := task.Split(); got != row.want {
			t.Errorf("%s: %s shards, want %s", row.value, got, row.want)
		}
		if got := nightwatch.ShardParamText(task.ShardParam(1)); got != row.param {
			t.Errorf("%s: param %s, want %s", row.value, got, row.param)
		}
		if again := parse(t, canonical(t, task)); canonical(t, again) != canonical(t, task) {
			t.Errorf("%s: stored as %s, read as %s", row.value, canonical(t, task), canonical(t, again))
		}
	}
	if p := parse(t, `{"process":{"command":["a"]},"shardParams":[1]}`); p.ShardParam(-1) != nil || p.ShardParam(1) != nil {
		t.Error("a param of a shard that is not there")
	}
}

func TestShardParamText(t *testing.T) {
	for param, want := range map[string]string{`"a b"`: "a b", `"\""`: `"`, `null`: "null", `1`: "1", `{"a":"b"}`: `{"a":"b"}`, ``: ""} {
		if got := nightwatch.ShardParamText(json.RawMessage(param)); got != want {
			t.Errorf("%s: %q, want %q", param, got, want)
		}
	}
}

func TestRequestOfShards(t *testing.T) {
	shards := &nightwatch.RunShards{Count: 6, Succeeded: "0-1,3,5", Failed: "2"}
	for value, want := range map[string]nightwatch.Indexes{
		`{"action":"retry","shards":[]}`:        "",
		`{"action":"retry","shards":[3,1]}`:     "1,3",
		`{"action":"retry","shards":"failed"}`:  "2,4",
		`{"action":"cancel","shards":"0-2, 5"}`: "0-2,5",
	} {
		request, err := nightwatch.ParseRequest([]byte(value))
		if err != nil || request.Shards.Of(shards) != want {
			t.Errorf("%s: %v, %v", value, request, err)
			continue
		}
		if again, err := nightwatch.ParseRequest([]byte(canonical(t, request))); err != nil || again.Shards != request.Shards {
			t.Errorf("%s: written as %s, read as %v, %v", value, canonical(t, request), again, err)
		}
	}
	for _, row := range []refused{
		{name: "run", value: `{"action":"run","shards":[1]}`, field: "shards", reason: "goes with retry and cancel"},
		{name: "cancel what failed", value: `{"action":"cancel","shards":"failed"}`, field: "shards", reason: `"failed": goes with retry; name the shards`},
		{name: "negative", value: `{"action":"retry","shards":[-1]}`, field: "shards", reason: `"-1": want numbers of shards`},
		{name: "too high", value: `{"action":"retry","shards":[1000]}`, field: "shards", reason: "from 0 to 999"},
		{name: "a fraction", value: `{"action":"retry","shards":[1.5]}`, field: "shards", reason: "[1.5]: want a list of numbers of shards"},
		{name: "a number", value: `{"action":"retry","shards":1}`, field: "shards", reason: "1: want a list of numbers of shards"},
		{name: "a word", value: `{"action":"retry","shards":"all"}`, field: "shards", reason: `"all": want numbers of shards and ranges of them`},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := nightwatch.ParseRequest([]byte(row.value))
			row.check(t, err)
		})
	}
}

func TestShardRunIDs(t *testing.T) {
	for _, row := range []struct {
		id, run string
		index   int
		ok      bool
	}{
		{"rev-12.0", "rev-12", 0, true},
		{"20261120T141500.250Z.7", "20261120T141500.250Z", 7, true},
		{"req-a.b.999", "req-a.b", 999, true},
		{"20261120T141500.250Z", "20261120T141500", 0, false},
		{"req-a.1000", "req-a", 0, false},
		{"req-a.01", "req-a", 0, false},
		{"req-a.", "req-a", 0, false},
		{"req-a", "", 0, false},
		{".1", "", 0, false},
	} {
		run, index, ok := nightwatch.SplitShardRunID(row.id)
		if ok != row.ok || ok && (run != row.run || index != row.index || nightwatch.ShardRunID(run, index) != row.id) {
			t.Errorf("%s: %q, %d, %v", row.id, run, index, ok)
		}
	}
}

// A record of shards stays small, and is one way to write one thing.
func TestShardResultsAreBounded(t *testing.T) {
	shards := nightwatch.RunShards{Count: nightwatch.MaxShards}
	long := json.RawMessage(`"` + strings.Repeat("x", nightwatch.MaxResult-2) + `"`)
	for k := range nightwatch.MaxShards {
		result := json.RawMessage(fmt.Sprint(k))
		if k%2 == 0 {
			result = long
		}
		shards.AddResult(k, result)
	}
	shards.AddResult(0, nil)
	written := canonical(t, shards.Results)
	if len(written) > nightwatch.MaxShardResults || len(written) < nightwatch.MaxShardResults/2 {
		t.Errorf("%d bytes", len(written))
	}
	if kept := len(shards.Results); kept+shards.ResultsOmitted != nightwatch.MaxShards {
		t.Errorf("%d kept, %d omitted", kept, shards.ResultsOmitted)
	}
	if string(shards.Results[1]) != "1" || !slices.Equal(shards.Results[0], long) {
		t.Errorf("%s", shards.Results[1])
	}
	var again nightwatch.RunShards
	if err := json.Unmarshal([]byte(canonical(t, shards)), &again); err != nil || canonical(t, again) != canonical(t, shards) {
		t.Errorf("%v", err)
	}
}

func TestParent(t *testing.T) {
	all, some := &nightwatch.RunShards{Count: 4}, &nightwatch.RunShards{Count: 4, Indexes: "1"}
	for _, row := range []struct {
		name string
		run  nightwatch.Run
		want bool
	}{
		{"not split", nightwatch.Run{Runner: nightwatch.RunnerProcess}, false},
		{"a shard", nightwatch.Run{Runner: nightwatch.RunnerProcess, Shard: &nightwatch.RunShard{Of: "rev-1", Count: 4}}, false},
		{"split", nightwatch.Run{Runner: nightwatch.RunnerProcess, Shards: all}, true},
		{"an Indexed Job", nightwatch.Run{Runner: nightwatch.RunnerKubernetes, Shards: all}, false},
		{"some shards of a Job", nightwatch.Run{Runner: nightwatch.RunnerKubernetes, Shards: some}, true},
	} {
		if got := row.run.Parent(); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
	if all.All() != "0-3" || some.All() != "1" {
		t.Errorf("%s, %s", all.All(), some.All())
	}
}
