package checker

import (
	"fmt"
	"time"
)

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

// Bounds are what a history is held to beside what holds always.
type Bounds struct {
	// Late is by how much a run may start after its time, if nothing that it waited for is on record. 0: any.
	Late time.Duration
	// Heal is how long after the last fault every time is met again within OnTime. 0: it is not asked.
	Heal, OnTime time.Duration
	// Settled says that at the end nothing was under way, and everything had been answered.
	Settled bool
}

// The names of the invariants.
const (
	Readable       = "readable"        // every record is JSON that says what its key does
	TerminalFinal  = "terminal-final"  // what ended stays as it ended
	PhaseOrder     = "phase-order"     // phases follow each other as documented
	Growth         = "growth"          // attempts, fences and counts of a record only grow
	SingleDispatch = "single-dispatch" // an attempt has one start, or one Job
	OneAtATime     = "one-at-a-time"   // no attempt of a run, and no Job of one, begins before the one before has ended
	FenceOrder     = "fence-order"     // an attempt's fence is the revision of its claim, and a later one's higher
	NoStray        = "no-stray"        // every effect and every Job is of a record
	Agreement      = "agreement"       // record and effect tell the same
	Outcome        = "outcome"         // a run is Skipped, Missed, Canceled or Failed only where its task gives a reason for it
	AtMostOnce     = "at-most-once"    // with that delivery nothing begins again but after a failure

	Completeness = "completeness" // every time that a cursor has passed is in one place, a record or a range
	NoInvention  = "no-invention" // no record of a time that is none
	Uniqueness   = "uniqueness"   // no occurrence has a record twice
	CursorMoves  = "cursor-moves" // a cursor never goes back, nor past a time that is in no place at that revision

	NeverEarly = "never-early" // nothing starts before its time, by the clock of the scheduler that made it
	NotLate    = "not-late"    // nor later than the bound
	StartOrder = "start-order" // runs of a task that take turns start in the order of their times
	Recovery   = "recovery"    // everything is on time again some time after the last fault

	FreezeHonoured = "freeze-honoured" // nothing is claimed while a freeze key is there, but a Job that goes on
	EditHonoured   = "edit-honoured"   // a run is made by the version in force
	DeleteHonoured = "delete-honoured" // no run is made after its task was deleted, nor for a new one while it is live
	Acknowledged   = "acknowledged"    // what was put is observed, what was requested has a verdict, and its run

	NoOverlap   = "no-overlap"   // unless overlap: allow, no run of a task begins while another goes on
	SkipOverlap = "skip-overlap" // with overlap: skip no two runs are live at once
	RetryBound  = "retry-bound"  // no more attempts than the task allows, and none before its backoff is over

	TermInForce  = "term-in-force" // what the scheduler writes into records is of the term in force
	LiveAssignee = "live-assignee" // a run is given to a session that is there, and lost by one that is not
	CountsAddUp  = "counts-add-up" // the counts of a status are those of records and ranges
	NoLeftovers  = "no-leftovers"  // no key tells of work that is over
)

// broken takes a violation.
type broken func(about, detail string, args ...any)

// invariants in the order in which they are reported.
var invariants = []struct {
	name  string
	check func(x *Index, bounds Bounds, broken broken)
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
	{Outcome, endsAsAllowed},
	{AtMostOnce, onceAtMost},
	{Completeness, completeness},
	{NoInvention, noInvention},
	{Uniqueness, uniqueness},
	{CursorMoves, cursorMoves},
	{NeverEarly, neverEarly},
	{NotLate, notLate},
	{StartOrder, startOrder},
	{Recovery, recovery},
	{FreezeHonoured, freezeHonoured},
	{EditHonoured, editHonoured},
	{DeleteHonoured, deleteHonoured},
	{Acknowledged, acknowledged},
	{NoOverlap, noOverlap},
	{SkipOverlap, skipOverlap},
	{RetryBound, retryBound},
	{TermInForce, termInForce},
	{LiveAssignee, liveAssignee},
	{CountsAddUp, countsAddUp},
	{NoLeftovers, noLeftovers},
}

// Check verifies every invariant.
func (x *Index) Check(bounds Bounds) []Violation {
	var all []Violation
	for _, invariant := range invariants {
		invariant.check(x, bounds, func(about, detail string, args ...any) {
			all = append(all, Violation{invariant.name, about, fmt.Sprintf(detail, args...)})
		})
	}
	return all
}
