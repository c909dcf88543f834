package scheduler

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nightwatch-go/nightwatch"
)

// find is the record of a run, be it a shard or not; nil when there is none.
func (t *taskView) find(id string) *runView {
	if r := t.runs[id]; r != nil {
		return r
	}
	of, k, ok := nightwatch.SplitShardRunID(id)
	if !ok {
		return nil
	}
	return t.shards[of][k]
}

// keep puts a record where it belongs, in the place of the one that had its id.
func (t *taskView) keep(id string, r *runView) {
	t.reorder(t.runs[id], r)
	delete(t.runs, id)
	of, k, ok := nightwatch.SplitShardRunID(id)
	if ok {
		if delete(t.shards[of], k); len(t.shards[of]) == 0 {
			delete(t.shards, of)
		}
	}
	switch {
	case r == nil:
	case r.run.Shard == nil:
		if t.runs == nil {
			t.runs = map[string]*runView{}
		}
		t.runs[id] = r
	default:
		if t.shards == nil {
			t.shards = map[string]map[int]*runView{}
		}
		if t.shards[of] == nil {
			t.shards[of] = map[int]*runView{}
		}
		t.shards[of][k] = r
	}
}

// reorder has one record take the place of another among the task's runs, oldest first. Either may be nil. To sort thousands
// of records for each decision would take longer than the rest of it.
func (t *taskView) reorder(old, r *runView) {
	if old != nil {
		i, _ := slices.BinarySearchFunc(t.ordered, old, inOrderOfCreation)
		t.ordered = slices.Delete(t.ordered, i, i+1)
	}
	if r != nil && r.run.Shard == nil {
		i, _ := slices.BinarySearchFunc(t.ordered, r, inOrderOfCreation)
		t.ordered = slices.Insert(t.ordered, i, r)
	}
}

func inOrderOfCreation(a, b *runView) int {
	return cmp.Or(cmp.Compare(a.create, b.create), inOrderOfTime(a, b))
}

// records are those of all runs, shards too.
func (t *taskView) records(yield func(*runView) bool) {
	for _, r := range t.ordered {
		if !yield(r) {
			return
		}
	}
	for _, shards := range t.shards {
		for r := range maps.Values(shards) {
			if !yield(r) {
				return
			}
		}
	}
}
