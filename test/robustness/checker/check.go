package checker

import "fmt"

// Violation is a promise that was not kept.
type Violation struct {
	// Invariant is its name.
	Invariant string
	// About is the run, the task or the key.
	About string
	// Detail says what was seen.
	Detail string
}

func (v Violation) String() string { return v.Invariant + ": " + v.About + ": " + v.Detail }

// The names of the invariants.
const (
	Readable       = "readable"        // every record is JSON that says what its key does
	TerminalFinal  = "terminal-final"  // what ended stays as it ended
	PhaseOrder     = "phase-order"     // phases follow each other as documented
	Growth         = "growth"          // attempts, fences and counts of a record only grow
	SingleDispatch = "single-dispatch" // an attempt has one start, or one Job
	OneAtATime     = "one-at-a-time"   // no attempt of a run begins before the one before has ended
	FenceOrder     = "fence-order"     // a later attempt has a higher fence
	NoStray        = "no-stray"        // every effect and every Job is of a record
	Agreement      = "agreement"       // record and effect tell the same
)

// invariants in the order in which they are reported.
var invariants = []struct {
	name  string
	check func(x *index, broken func(about, detail string, args ...any))
}{
	{Readable, readable},
	{TerminalFinal, terminalFinal},
	{PhaseOrder, phaseOrder},
	{Growth, growth},
	{SingleDispatch, singleDispatch},
	{OneAtATime, oneAtATime},
	{FenceOrder, fenceOrder},
	{NoStray, noStray},
	{Agreement, agreement},
}

// Check verifies every invariant.
func Check(h *History) []Violation {
	x := newIndex(h)
	var all []Violation
	for _, invariant := range invariants {
		invariant.check(x, func(about, detail string, args ...any) {
			all = append(all, Violation{invariant.name, about, fmt.Sprintf(detail, args...)})
		})
	}
	return all
}
