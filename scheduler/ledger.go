package scheduler

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// maxRanges bounds a task's ledger; the oldest ranges beyond it become totals.
const maxRanges = 128

// ledger accounts for the occurrences of a task that have no run record: those whose records left the history, and
// those that never became runs. It is the value of ledger/<namespace>/<task>.
type ledger struct {
	// Since is from when on Ranges tell of every occurrence without a record.
	Since time.Time `json:"since,omitzero"`
	// Ranges are in order of time and do not overlap.
	Ranges []span `json:"ranges,omitempty"`
	// Totals are the occurrences before Since.
	Totals nightwatch.Counts `json:"totals,omitzero"`
}

// span is a run of neighbouring occurrences that ended alike.
type span struct {
	From    time.Time        `json:"from"`
	To      time.Time        `json:"to"`
	Count   int64            `json:"count"`
	Outcome nightwatch.Phase `json:"outcome"`
	Reason  string           `json:"reason,omitempty"`
}

// add returns l with s in its place. Equal neighbours become one range unless an occurrence that has a record,
// or another range, stands between them. l itself is not changed.
func (l ledger) add(s span, recorded []time.Time) ledger {
	if !l.Since.IsZero() && !s.To.After(l.Since) {
		l.Totals.Add(s.Outcome, s.Count)
		return l
	}
	ranges := slices.Clone(l.Ranges)
	i, _ := slices.BinarySearchFunc(ranges, s, func(a, b span) int { return a.From.Compare(b.From) })
	ranges = slices.Insert(ranges, i, s)
	for _, j := range []int{i, i - 1} { // the neighbour behind first, so that the index before stays right
		if j >= 0 && j+1 < len(ranges) && mergeable(ranges[j], ranges[j+1], recorded) {
			ranges[j].To = ranges[j+1].To
			ranges[j].Count += ranges[j+1].Count
			ranges = slices.Delete(ranges, j+1, j+2)
		}
	}
	for len(ranges) > maxRanges {
		l.Totals.Add(ranges[0].Outcome, ranges[0].Count)
		l.Since = ranges[0].To
		ranges = ranges[1:]
	}
	l.Ranges = ranges
	return l
}

func mergeable(a, b span, recorded []time.Time) bool {
	if a.Outcome != b.Outcome || a.Reason != b.Reason {
		return false
	}
	return !slices.ContainsFunc(recorded, func(t time.Time) bool { return t.After(a.To) && t.Before(b.From) })
}
