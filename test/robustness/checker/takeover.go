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
		first := firstAfter(byDue, f.From, led.from)
		if first.IsZero() {
			continue
		}
		t := Takeover{Node: f.Target, At: f.From, Gone: led.Ended.Sub(f.From), Effect: first.Sub(f.From)}
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

// firstAfter is when the first effect began of the occurrences that were due after a time and that another term made than
// this one; zero if none did. They are in order of their times.
func firstAfter(byDue []Occurrence, after time.Time, term int64) time.Time {
	i, _ := slices.BinarySearchFunc(byDue, after, func(o Occurrence, at time.Time) int {
		if o.Due.After(at) {
			return 1
		}
		return -1
	})
	var first time.Time
	for _, o := range byDue[i:] {
		if !first.IsZero() && o.Due.After(first) {
			break // nothing begins before it is due
		}
		if o.Starts > 0 && o.term != term && (first.IsZero() || o.Began.Before(first)) {
			first = o.Began
		}
	}
	return first
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
