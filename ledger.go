package nightwatch

import "time"

// Ledger accounts for the occurrences of a task that have no run record: those whose records left the history, and
// those that never became runs. It is the value of ledger/<namespace>/<task>. Package ledger changes and reads it.
type Ledger struct {
	// Since is from when on Ranges tell of every occurrence without a record.
	Since time.Time `json:"since,omitzero"`
	// Ranges are in order of time and do not overlap; at most 128.
	Ranges []LedgerRange `json:"ranges,omitempty"`
	// Totals are the occurrences up to Since.
	Totals Counts `json:"totals,omitzero"`
}

// LedgerRange is a run of neighbouring occurrences, From <= nominal time <= To, that ended alike.
type LedgerRange struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Count   int64     `json:"count"`
	Outcome Phase     `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
}
