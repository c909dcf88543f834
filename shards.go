package nightwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxShards is into how many parts a run may be split.
const MaxShards = 1000

// Shards is into how many parts each run of a task is split: 0 (not at all), 1 to MaxShards, or PerNode.
type Shards int

// PerNode is one shard on each node that fits when the run begins.
const PerNode Shards = -1

// perNode is how PerNode is written.
const perNode = "per-node"

// String is the number, or "per-node".
func (s Shards) String() string {
	if s == PerNode {
		return perNode
	}
	return strconv.Itoa(int(s))
}

// MarshalJSON writes a number, or "per-node".
func (s Shards) MarshalJSON() ([]byte, error) {
	if s == PerNode {
		return json.Marshal(perNode)
	}
	return json.Marshal(int(s))
}

// UnmarshalJSON reads a number from 1 to MaxShards, or "per-node".
func (s *Shards) UnmarshalJSON(data []byte) error {
	var word string
	if json.Unmarshal(data, &word) == nil && word == perNode {
		*s = PerNode
		return nil
	}
	var n int
	if err := json.Unmarshal(data, &n); err != nil || n < 1 || n > MaxShards {
		return fmt.Errorf("%s: want 1 to %d, or \"%s\"", clip(string(data)), MaxShards, perNode)
	}
	*s = Shards(n)
	return nil
}

// ShardParams are one JSON value for each shard, in order.
type ShardParams []json.RawMessage

// UnmarshalJSON reads a list of anything.
func (p *ShardParams) UnmarshalJSON(data []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return fmt.Errorf("%s: want a list of one value for each shard", clip(string(data)))
	}
	if len(items) == 0 {
		return errors.New("an empty list: leave the field out instead")
	}
	for i, item := range items {
		var compact bytes.Buffer
		if err := json.Compact(&compact, item); err != nil {
			return err
		}
		items[i] = compact.Bytes()
	}
	*p = items
	return nil
}

// Split is Shards, or as many as there are ShardParams.
func (t *Task) Split() Shards {
	if t.Shards == 0 {
		return Shards(len(t.ShardParams))
	}
	return t.Shards
}

// ShardParam is the param of a shard, nil when it has none.
func (t *Task) ShardParam(index int) json.RawMessage {
	if index < 0 || index >= len(t.ShardParams) {
		return nil
	}
	return t.ShardParams[index]
}

// ShardParamText is a shard's param as environment variables and people see it: a string as it is, all else as JSON.
func ShardParamText(param json.RawMessage) string {
	var text string
	if json.Unmarshal(param, &text) == nil && string(param) != "null" {
		return text
	}
	return string(param)
}

// ShardChoice names shards of a run in a request: some, by their numbers, or FailedShards. The zero value names none.
type ShardChoice string

// FailedShards are all those that did not succeed.
const FailedShards ShardChoice = "failed"

// ShardsNamed chooses shards by their numbers.
func ShardsNamed(shards Indexes) ShardChoice { return ShardChoice(shards) }

// Of are the shards that are meant, of a run.
func (c ShardChoice) Of(s *RunShards) Indexes {
	if c == FailedShards {
		return s.Unsuccessful()
	}
	return Indexes(c)
}

// MarshalJSON writes a list of numbers, or "failed".
func (c ShardChoice) MarshalJSON() ([]byte, error) {
	if c == FailedShards {
		return json.Marshal(string(c))
	}
	return json.Marshal(Indexes(c).Numbers())
}

// UnmarshalJSON reads a list of numbers, "failed", or ranges such as "0-2,5".
func (c *ShardChoice) UnmarshalJSON(data []byte) error {
	var word string
	var numbers []int
	switch {
	case json.Unmarshal(data, &word) == nil && word == string(FailedShards):
		*c = FailedShards
		return nil
	case json.Unmarshal(data, &numbers) == nil:
		words := make([]string, len(numbers))
		for i, n := range numbers {
			words[i] = strconv.Itoa(n)
		}
		word = strings.Join(words, ",")
	case json.Unmarshal(data, &word) != nil:
		return fmt.Errorf("%s: want a list of numbers of shards such as [1,3], or \"%s\"", clip(string(data)), FailedShards)
	}
	shards, err := ParseIndexes(word)
	*c = ShardChoice(shards)
	return err
}

// RunShards is what is known of the shards of a run.
type RunShards struct {
	// Count is how many shards the run is of; 0 while a run of one for each node waits for the first node.
	Count int `json:"count"`
	// Indexes are those that this run does, as a second chance of some of another run's; empty means all.
	Indexes Indexes `json:"indexes,omitempty"`
	// Nodes are, of a run of one shard for each node, the nodes: shard k is for the k-th.
	Nodes []string `json:"nodes,omitempty"`
	// Succeeded, Failed and Active are the shards that succeeded, that ended in any other way, and that have begun to
	// exist and not ended.
	Succeeded Indexes `json:"succeeded,omitempty"`
	Failed    Indexes `json:"failed,omitempty"`
	Active    Indexes `json:"active,omitempty"`
	// Results are what shards reported, by their numbers, as far as they fit into MaxShardResults; ResultsOmitted
	// counts those that did not.
	Results        map[int]json.RawMessage `json:"results,omitempty"`
	ResultsOmitted int                     `json:"resultsOmitted,omitempty"`
	// Cancel is the wish that some of them end.
	Cancel *ShardCancel `json:"cancel,omitempty"`
}

// ShardCancel is the wish that some shards of a run end.
type ShardCancel struct {
	Shards Indexes `json:"shards"`
	Cancel
}

// MaxShardResults is how many bytes of results of its shards a run's record keeps, numbers included.
const MaxShardResults = 16 << 10

// All are the shards that this run does.
func (s *RunShards) All() Indexes {
	if s.Indexes != "" {
		return s.Indexes
	}
	return AllIndexes(s.Count)
}

// Unsuccessful are those that have not succeeded: of a run that has ended, all that failed or never came to be.
func (s *RunShards) Unsuccessful() Indexes { return s.All().Minus(s.Succeeded) }

// AddResult keeps the result of a shard if there is room for it.
func (s *RunShards) AddResult(index int, result json.RawMessage) {
	if len(result) == 0 {
		return
	}
	const around = len(`"999":,`)
	size := around + len(result)
	for _, other := range s.Results {
		size += around + len(other)
	}
	if size > MaxShardResults {
		s.ResultsOmitted++
		return
	}
	results := make(map[int]json.RawMessage, len(s.Results)+1)
	for i, other := range s.Results {
		results[i] = other
	}
	results[index] = result
	s.Results = results
}

// RunShard says which part of which run a run is.
type RunShard struct {
	// Of is the id of that run, of which this is part Index, from 0, of Count.
	Of    string `json:"of"`
	Index int    `json:"index"`
	Count int    `json:"count"`
	// Param is the shard's own.
	Param json.RawMessage `json:"param,omitempty"`
	// Node is the only one that it is for.
	Node string `json:"node,omitempty"`
}

// Parent tells whether the run's shards are runs of their own, "<run>.<k>": all but those on Kubernetes are, and there
// those that a retry asked for. No node is given such a run. On Kubernetes any other run with Shards is one Indexed Job.
func (r *Run) Parent() bool {
	return r.Shards != nil && (r.Runner != RunnerKubernetes || r.Shards.Indexes != "")
}

// ShardRunID names the run of a shard that is a run of its own.
func ShardRunID(run string, index int) string { return run + "." + strconv.Itoa(index) }

// SplitShardRunID is the other way round: false when id is not of that form. Other ids may be of it too; a run that is a
// shard has Shard.
func SplitShardRunID(id string) (run string, index int, ok bool) {
	dot := strings.LastIndexByte(id, '.')
	if dot <= 0 {
		return "", 0, false
	}
	index, ok = parseIndex(id[dot+1:])
	return id[:dot], index, ok && id == ShardRunID(id[:dot], index)
}
