package ledger

import (
	"slices"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/schedule"
)

const (
	// maxRanges bounds a task's ledger; the oldest ranges beyond it become totals.
	maxRanges = 128
	// maxCounted bounds how many times Carve asks a schedule for.
	maxCounted = 1_000_000
)

// Add returns l with r in its place; l tells of none of r's times. Neighbours of one outcome and reason become one
// range where adjacent says that no occurrence lies between the end of the one and the beginning of the other, so that
// no range spans what it does not tell of. A range from before l.Since goes to the totals. l itself is not changed.
func Add(l nightwatch.Ledger, r nightwatch.LedgerRange, adjacent func(end, begin time.Time) bool) nightwatch.Ledger {
	if !l.Since.IsZero() && !r.To.After(l.Since) {
		l.Totals.Add(r.Outcome, r.Count)
		return l
	}
	ranges := slices.Clone(l.Ranges)
	i, _ := slices.BinarySearchFunc(ranges, r, func(a, b nightwatch.LedgerRange) int { return a.From.Compare(b.From) })
	if i > 0 && ranges[i-1].To.After(r.To) {
		// Of two times of an earlier version: by the one in force there is another between them.
		second := ranges[i-1]
		second.From, second.Count = second.To, second.Count-1
		ranges[i-1].To, ranges[i-1].Count = ranges[i-1].From, 1
		ranges = slices.Insert(ranges, i, second)
	}
	ranges = slices.Insert(ranges, i, r)
	for _, j := range []int{i, i - 1} { // the neighbour behind first, so that the index before stays right
		if j >= 0 && j+1 < len(ranges) && mergeable(ranges[j], ranges[j+1], adjacent) {
			ranges[j].To = ranges[j+1].To
			ranges[j].Count += ranges[j+1].Count
			ranges = slices.Delete(ranges, j+1, j+2)
		}
	}
	l.Ranges = ranges
	return trim(l)
}

func mergeable(a, b nightwatch.LedgerRange, adjacent func(end, begin time.Time) bool) bool {
	return a.Outcome == b.Outcome && a.Reason == b.Reason && adjacent(a.To, b.From)
}

// trim turns the oldest ranges of a ledger that has too many into totals.
func trim(l nightwatch.Ledger) nightwatch.Ledger {
	for len(l.Ranges) > maxRanges {
		l.Totals.Add(l.Ranges[0].Outcome, l.Ranges[0].Count)
		l.Since = l.Ranges[0].To
		l.Ranges = l.Ranges[1:]
	}
	return l
}

// Find returns the range that covers a nominal time.
func Find(l nightwatch.Ledger, at time.Time) (nightwatch.LedgerRange, bool) {
	if i := find(l, at); i >= 0 {
		return l.Ranges[i], true
	}
	return nightwatch.LedgerRange{}, false
}

func find(l nightwatch.Ledger, at time.Time) int {
	i, _ := slices.BinarySearchFunc(l.Ranges, at, func(r nightwatch.LedgerRange, at time.Time) int { return r.To.Compare(at) })
	if i < len(l.Ranges) && covers(l.Ranges[i], at) {
		return i
	}
	return -1
}

// covers tells whether at may be one of the range's times. Its ends are; between them there are Count-2 others.
func covers(r nightwatch.LedgerRange, at time.Time) bool {
	return at.Equal(r.From) || at.Equal(r.To) || at.After(r.From) && at.Before(r.To) && r.Count > 2
}

// Carve returns l without one nominal time, which is going to have a record of its own, and the range that it was
// taken from. That range is split in two; what times says of it decides where the parts end and how many times each
// has. It is false, and l as it was, when no range since l.Since covers the time. l itself is not changed.
func Carve(l nightwatch.Ledger, at time.Time, times *schedule.Schedule) (nightwatch.Ledger, nightwatch.LedgerRange, bool) {
	i := find(l, at)
	if i < 0 || times == nil || !at.After(l.Since) {
		return l, nightwatch.LedgerRange{}, false
	}
	from := l.Ranges[i]
	left, right := split(from, at, times)
	var parts []nightwatch.LedgerRange
	for _, part := range []nightwatch.LedgerRange{left, right} {
		if part.Count > 0 {
			parts = append(parts, part)
		}
	}
	l.Ranges = slices.Concat(l.Ranges[:i], parts, l.Ranges[i+1:])
	return trim(l), from, true
}

// split returns what is left of a range on either side of one of its times; a side that is empty has no count.
func split(r nightwatch.LedgerRange, at time.Time, times *schedule.Schedule) (left, right nightwatch.LedgerRange) {
	left, right = r, r
	rest := max(r.Count-1, 0)
	switch {
	case at.Equal(r.From) && at.Equal(r.To):
		left.Count, right.Count = 0, 0
		return left, right
	case at.Equal(r.From):
		left.Count, right.Count = 0, max(rest, 1)
	case at.Equal(r.To):
		left.Count, right.Count = max(rest, 1), 0
	default: // covers has seen to it that rest is at least 2
		left.Count = min(max(countLeft(r, at, times, rest), 1), rest-1)
		right.Count = rest - left.Count
	}
	// A range from an earlier version may have other times than these: then a side of several has them anywhere.
	left.To, right.From = r.From, r.To
	if left.Count > 1 {
		left.To = at.Add(-time.Millisecond)
		if prev, ok := times.Prev(at); ok && prev.After(r.From) {
			left.To = prev
		}
	}
	if right.Count > 1 {
		right.From = at.Add(time.Millisecond)
		if next, ok := times.Next(at); ok && next.Before(r.To) {
			right.From = next
		}
	}
	return left, right
}

// countLeft is how many times r has before at, of rest that it has beside it. Both sides are counted at once, so that
// the effort is that of the shorter one.
func countLeft(r nightwatch.LedgerRange, at time.Time, times *schedule.Schedule, rest int64) int64 {
	lower, upper := r.From, at
	for n := int64(0); n < maxCounted/2; n++ {
		next, ok := times.Next(lower)
		if lower = next; !ok || !lower.Before(at) {
			return n + 1 // and r.From itself
		}
		next, ok = times.Next(upper)
		if upper = next; !ok || upper.After(r.To) {
			return rest - n
		}
	}
	return rest / 2
}
