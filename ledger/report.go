package ledger

import (
	"time"

	"github.com/nightwatch-go/nightwatch"
)

const (
	// maxExpected bounds how many expected times one report looks at.
	maxExpected = 100_000
	// maxListed bounds how many times each list of faults names.
	maxListed = 100
	// overdue is how long a time may be due without anything having become of it.
	overdue = 10 * time.Second
)

// Report is what an audit found. It has at most 100,000 expected times.
type Report struct {
	Task     string    `json:"task"`
	Revision int64     `json:"revision"`
	Now      time.Time `json:"now"`
	// OK tells that no fault was found in what could be checked.
	OK bool `json:"ok"`
	// From and To bound what was checked, From < nominal time <= To, and FromReason says why no earlier ones were.
	From       time.Time `json:"from,omitzero"`
	FromReason string    `json:"fromReason,omitempty"`
	To         time.Time `json:"to,omitzero"`
	// More tells that there are expected times after To: another audit since To goes on with them.
	More bool `json:"more,omitempty"`
	// Unchecked says why it is not known what was expected; empty: it is.
	Unchecked string `json:"unchecked,omitempty"`
	// Expected is how many times were checked.
	Expected int64 `json:"expected"`
	// Entries are in order of time; neighbours that one range tells of are one entry.
	Entries []Entry `json:"entries,omitempty"`
	// Totals count what the entries stand for by how it ended, or stands.
	Totals map[nightwatch.Phase]int64 `json:"totals,omitempty"`
	// Earlier are the occurrences up to EarlierTo, of which there are totals only; they may be from before the time
	// asked for.
	Earlier   nightwatch.Counts `json:"earlier,omitzero"`
	EarlierTo time.Time         `json:"earlierTo,omitzero"`

	// Undecided counts the times that are due, or that pass while the task stands still: nothing is wrong with them.
	Undecided int64 `json:"undecided"`
	// Unaccounted are expected times of which nothing tells, Twice those of which more than one place tells, Extra
	// the times of records and the ends of ranges that are outside the schedule: the first 100 of each, and how many
	// there are.
	Unaccounted      []time.Time `json:"unaccounted,omitempty"`
	UnaccountedCount int64       `json:"unaccountedCount"`
	Twice            []time.Time `json:"twice,omitempty"`
	TwiceCount       int64       `json:"twiceCount"`
	Extra            []time.Time `json:"extra,omitempty"`
	ExtraCount       int64       `json:"extraCount"`
	// Miscounted are ranges that tell of another number of times than were expected.
	Miscounted []Miscount `json:"miscounted,omitempty"`
}

// Miscount is a range and how many expected times without a record it covers.
type Miscount struct {
	Range    nightwatch.LedgerRange `json:"range"`
	Expected int64                  `json:"expected"`
}

// States of an entry.
const (
	StateAccounted   = "accounted"   // in exactly one place
	StateUndecided   = "undecided"   // due, or the task stands still
	StateUnaccounted = "unaccounted" // nothing tells of it
	StateTwice       = "twice"       // more than one place tells of it
	StateExtra       = "extra"       // outside the schedule
	StateUnchecked   = "unchecked"   // nobody can say whether it was expected; requests and submissions too
)

// Entry is one nominal time, or several neighbours, and what became of them.
type Entry struct {
	// From and To are the first nominal time and the last; equal when there is one.
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Count int64     `json:"count"`
	State string    `json:"state"`
	// Outcome, Reason and Message are the record's or the range's; Outcome is empty where there is neither.
	Outcome nightwatch.Phase `json:"outcome,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	Message string           `json:"message,omitempty"`
	// Run is the id of the record.
	Run string `json:"run,omitempty"`
}

func (r *Report) unaccounted(t time.Time) { note(&r.Unaccounted, &r.UnaccountedCount, t) }

func (r *Report) twice(t time.Time) { note(&r.Twice, &r.TwiceCount, t) }

func (r *Report) extra(t time.Time) { note(&r.Extra, &r.ExtraCount, t) }

func note(list *[]time.Time, count *int64, t time.Time) {
	if *count++; len(*list) < maxListed {
		*list = append(*list, t)
	}
}
