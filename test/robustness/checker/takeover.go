package checker

import (
	"slices"
	"time"
)

// Takeover is how the scheduler role went to another node when the one that held it was killed, or asked to end.
type Takeover struct {
	Node string
	At   time.Time
	// To is the node that was first in line when the key was gone, "" if none was.
	To string
	// Gone is how long after At a watch from outside saw the key of the node's candidacy deleted: by etcd, when the lease
	// of a node that was killed had ended, or by the node, as it resigned. Before that nobody else can hold the role.
	Gone time.Duration
	// Effect is how long after At the first effect began of an occurrence that was due after At and that another term made.
	Effect time.Duration
	// Silence is the longest time, from At until that effect, in which nothing began of what was due after At: what the term
	// before had announced begins though nobody leads.
	Silence time.Duration
	// Again says that To was killed, stopped or asked to end before that effect. Then this is two in one.
	Again bool
}

// Takeovers measures those faults whose target led when they began, if the role was taken over and something began after.
func (x *Index) Takeovers(occurrences []Occurrence, faults []Fault) []Takeover {
	byDue := slices.Clone(occurrences)
	slices.SortStableFunc(byDue, func(a, b Occurrence) int { return a.Due.Compare(b.Due) })
	var all []Takeover
	for _, f := range faults {
		led := leading(x.Candidates(), f.From)
		if led == nil || led.What != f.Target || led.Ended.IsZero() {
			continue
		}
		due := dueAfter(byDue, f.From)
		first := firstOfAnother(due, led.from)
		if first.IsZero() {
			continue
		}
		t := Takeover{
			Node: f.Target, At: f.From, Gone: led.Ended.Sub(f.From), Effect: first.Sub(f.From), Silence: silence(due, f.From, first),
		}
		if next := leading(x.Candidates(), led.Ended); next != nil {
			t.To, t.Again = next.What, x.struck(next, first)
		}
		all = append(all, t)
	}
	return all
}

// struck tells whether a candidate got a signal before a time.
func (x *Index) struck(next *Span, before time.Time) bool {
	return slices.ContainsFunc(x.History.Faults, func(f Fault) bool {
		return slices.Contains([]string{FaultKill, FaultTerminate, FaultStop}, f.Kind) && f.Target == next.What &&
			f.From.After(next.Began) && f.From.Before(before)
	})
}

// dueAfter are those of the occurrences, which are in order of their times, that were due after a time.
func dueAfter(byDue []Occurrence, after time.Time) []Occurrence {
	i, _ := slices.BinarySearchFunc(byDue, after, func(o Occurrence, at time.Time) int {
		if o.Due.After(at) {
			return 1
		}
		return -1
	})
	return byDue[i:]
}

// firstOfAnother is when the first effect began of those of the occurrences, which are in order of their times, that another
// term made than this one; zero if none did.
func firstOfAnother(due []Occurrence, term int64) time.Time {
	var first time.Time
	for _, o := range due {
		if !first.IsZero() && o.Due.After(first) {
			break // nothing begins before it is due
		}
		if o.Starts > 0 && o.term != term && (first.IsZero() || o.Began.Before(first)) {
			first = o.Began
		}
	}
	return first
}

// silence is the longest time between two times in which none of the occurrences began, which are in order of theirs.
func silence(due []Occurrence, from, to time.Time) time.Duration {
	began := []time.Time{from, to}
	for _, o := range due {
		if o.Due.After(to) {
			break
		}
		if o.Starts > 0 && o.Began.After(from) && o.Began.Before(to) {
			began = append(began, o.Began)
		}
	}
	slices.SortFunc(began, time.Time.Compare)
	longest := time.Duration(0)
	for i, at := range began[1:] {
		longest = max(longest, at.Sub(began[i]))
	}
	return longest
}

// leading is the first of the candidates that were there at a time, nil if there was none.
func leading(stood []Span, at time.Time) *Span {
	for i := range stood {
		if c := &stood[i]; !c.Began.After(at) && (c.Ended.IsZero() || c.Ended.After(at)) {
			return c
		}
	}
	return nil
}
