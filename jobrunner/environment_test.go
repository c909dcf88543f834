package jobrunner_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// A shard is told which one it is; a run that is not split hears nothing of shards.
func TestEnvironmentOfAShard(t *testing.T) {
	for _, row := range []struct {
		name string
		run  jobrunner.Run
		want []string
	}{
		{"not split", jobrunner.Run{}, nil},
		{"the first", jobrunner.Run{Shards: 2}, []string{"NIGHTWATCH_SHARD=0", "NIGHTWATCH_SHARDS=2"}},
		{"with a string", jobrunner.Run{Shards: 2, Shard: 1, ShardParam: json.RawMessage(`"eu \"west\""`)},
			[]string{"NIGHTWATCH_SHARD=1", "NIGHTWATCH_SHARDS=2", `NIGHTWATCH_SHARD_PARAM=eu "west"`}},
		{"with an object", jobrunner.Run{Shards: 1, ShardParam: json.RawMessage(`{"a":[1]}`)},
			[]string{"NIGHTWATCH_SHARD=0", "NIGHTWATCH_SHARDS=1", `NIGHTWATCH_SHARD_PARAM={"a":[1]}`}},
		{"with nothing", jobrunner.Run{Shards: 1, ShardParam: json.RawMessage(`null`)},
			[]string{"NIGHTWATCH_SHARD=0", "NIGHTWATCH_SHARDS=1", "NIGHTWATCH_SHARD_PARAM=null"}},
		{"all in one", jobrunner.Run{Shards: 4, Shard: -1}, []string{"NIGHTWATCH_SHARDS=4"}},
	} {
		got := slices.DeleteFunc(row.run.Environment(), func(v string) bool { return !strings.HasPrefix(v, "NIGHTWATCH_SHARD") })
		slices.Sort(got)
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}
