// Package ledger says what became of every nominal time of a task.
//
// A nominal time since Ledger.Since is in exactly one place: it has a run record, or a range of the task's ledger covers
// it, or it lies behind the cursor of the status and is not decided yet. The package has three parts:
//
//   - Add, Carve and Find are how ranges change and are looked up. The scheduler writes what they return, in the
//     transaction that removes a record or makes one, so that no time is ever in two places or in none.
//   - Audit lists every expected time beside what became of it, and what is wrong with that.
//   - Why says in plain English what became of one time, or what the task is doing now.
//
// All of it is pure: an Account is everything there is to know of one task at one revision, its clock included. The
// store reads one.
//
// # From when it can be told
//
// The schedule in force says what was expected only from when on it has been in force: from Accepted.Since, and from
// the Since of every calendar that it uses. Ledger.Since bounds it too: of what was before, there are totals only. Of
// earlier times records and ranges are shown as they are, without a judgement.
//
// Requests and submissions are nobody's expectation: their runs are listed, and not checked.
package ledger
