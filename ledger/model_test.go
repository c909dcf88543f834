package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

// history is a random past of a task, as a scheduler would have left it: for each expected time a record or a place
// in a range, whatever the order in which records left.
func history(t *rapid.T, tb testing.TB) ledger.Account {
	fields := rapid.SampledFrom([]string{
		every5, `"every":"1m"`, `"every":"90s","offset":"7s"`, `"schedule":["*/7 * * * *","30 10,11 * * *"]`, `"schedule":"0,1,2,30 * * * * *"`,
	}).Draw(t, "fields")
	a := accountOf(tb, fields, "10:00:30", "10:00:30")
	times := a.Accepted.Task.Times()
	expected, _ := times.Between(a.Accepted.Since, at("18:00"), rapid.IntRange(1, 400).Draw(t, "times"))

	// Under the version before other times counted; they are marked off by when this one began.
	a.Ledger.Ranges = []nightwatch.LedgerRange{several("09:01", "10:00", 5, succeeded)}
	outcomes := []nightwatch.LedgerRange{
		{Outcome: succeeded},
		{Outcome: failed, Reason: nightwatch.ReasonTimeout},
		{Outcome: skipped, Reason: nightwatch.ReasonSuspended},
		{Outcome: missed, Reason: nightwatch.ReasonCatchUp},
	}
	variety := rapid.IntRange(1, len(outcomes)).Draw(t, "outcomes")
	kept := rapid.IntRange(0, 9).Draw(t, "records of ten")
	var leaving []time.Time
	for _, nominal := range expected {
		if rapid.IntRange(0, 9).Draw(t, "record") < kept {
			a.Runs = append(a.Runs, runOf(nominal, rapid.SampledFrom([]nightwatch.Phase{succeeded, failed, skipped, nightwatch.PhaseRunning}).Draw(t, "phase")))
		} else {
			leaving = append(leaving, nominal)
		}
	}
	if len(leaving) > 1 && rapid.Bool().Draw(t, "out of order") {
		leaving = rapid.Permutation(leaving).Draw(t, "leaving")
	}
	marks := []time.Time{a.Accepted.Since}
	for _, r := range a.Runs {
		marks = append(marks, r.NominalTime)
	}
	marks = append(marks, leaving...)
	for _, nominal := range leaving {
		r := outcomes[rapid.IntRange(0, variety-1).Draw(t, "outcome")]
		r.From, r.To, r.Count = nominal, nominal, 1
		marks = slices.DeleteFunc(marks, nominal.Equal)
		a.Ledger = ledger.Add(a.Ledger, r, unless(marks...))
	}
	// Some of them are run after all.
	for range rapid.IntRange(0, 5).Draw(t, "backfills") {
		nominal := rapid.SampledFrom(expected).Draw(t, "backfilled")
		if carved, _, ok := ledger.Carve(a.Ledger, nominal, times); ok {
			a.Ledger = carved
			a.Runs = append(a.Runs, runOf(nominal, nightwatch.PhasePending))
		}
	}
	sortRuns(a.Runs)
	a.Status.Cursor = expected[len(expected)-1]
	a.Now = a.Status.Cursor.Add(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "lateness")) * time.Millisecond)
	if rapid.Bool().Draw(t, "standing still") {
		a.Status.Still, a.Now = nightwatch.ReasonFrozen, a.Now.Add(time.Hour)
	}
	return a
}

func TestAnyHistoryIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := history(rt, t)
		r := ledger.Audit(a, time.Time{})
		if !r.OK {
			rt.Fatalf("unaccounted %s, twice %s, extra %s, miscounted %+v\n%+v", clocks(r.Unaccounted), clocks(r.Twice), clocks(r.Extra), r.Miscounted, a.Ledger)
		}
		// Nothing is listed twice, and nothing that there is gets lost between the lines.
		var listed int64
		for _, e := range r.Entries {
			if e.Outcome != "" {
				listed += e.Count
			}
		}
		want := int64(len(a.Runs))
		for _, span := range a.Ledger.Ranges {
			want += span.Count
		}
		if listed != want {
			rt.Fatalf("%d occurrences are listed, there are %d", listed, want)
		}
		if !slices.IsSortedFunc(r.Entries, func(x, y ledger.Entry) int { return x.From.Compare(y.From) }) {
			rt.Fatalf("out of order: %q", lines(r))
		}
	})
}

func TestAnyDamageIsFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := history(rt, t)
		from := ledger.Audit(a, time.Time{}).From
		checkedRuns, checkedRanges := []int{}, []int{}
		for i, r := range a.Runs {
			if r.NominalTime.After(from) {
				checkedRuns = append(checkedRuns, i)
			}
		}
		for i, r := range a.Ledger.Ranges {
			if r.From.After(from) {
				checkedRanges = append(checkedRanges, i)
			}
		}
		type damage struct {
			what string
			do   func() time.Time // a time that the report is to name
		}
		var found func(ledger.Report) []time.Time
		unaccounted := func(r ledger.Report) []time.Time { return r.Unaccounted }
		twice := func(r ledger.Report) []time.Time { return r.Twice }
		extra := func(r ledger.Report) []time.Time { return r.Extra }
		miscounted := func(r ledger.Report) []time.Time {
			var times []time.Time
			for _, m := range r.Miscounted {
				times = append(times, m.Range.From)
			}
			return times
		}
		a.Ledger.Ranges = slices.Clone(a.Ledger.Ranges)
		damages := []damage{
			{"a record outside the schedule", func() time.Time {
				found = extra
				at := a.Status.Cursor.Add(-time.Millisecond)
				a.Runs = append(a.Runs, runOf(at, succeeded))
				return at
			}},
			{"a range outside the schedule", func() time.Time {
				found = extra
				at := a.Status.Cursor.Add(-time.Millisecond)
				a.Ledger.Ranges = append(a.Ledger.Ranges, nightwatch.LedgerRange{From: at, To: at, Count: 1, Outcome: missed})
				return at
			}},
		}
		if len(checkedRuns) > 0 {
			i := rapid.SampledFrom(checkedRuns).Draw(rt, "run")
			nominal := a.Runs[i].NominalTime
			damages = append(damages,
				damage{"a record is lost", func() time.Time {
					found = unaccounted
					a.Runs = slices.Delete(a.Runs, i, i+1)
					return nominal
				}},
				damage{"a range tells of a record as well", func() time.Time {
					found = twice
					a.Ledger.Ranges = append(a.Ledger.Ranges, nightwatch.LedgerRange{From: nominal, To: nominal, Count: 1, Outcome: missed})
					return nominal
				}},
				damage{"a record is there twice", func() time.Time {
					found = twice
					a.Runs = append(a.Runs, a.Runs[i])
					return nominal
				}})
		}
		if len(checkedRanges) > 0 {
			i := rapid.SampledFrom(checkedRanges).Draw(rt, "range")
			r := &a.Ledger.Ranges[i]
			begins, inside := r.From, r.From
			if covered, _ := a.Accepted.Task.Times().Between(r.From.Add(-time.Millisecond), r.To, 500); len(covered) > 0 {
				inside = rapid.SampledFrom(covered).Draw(rt, "covered")
			}
			damages = append(damages,
				damage{"a range is lost", func() time.Time {
					found = unaccounted
					a.Ledger.Ranges = slices.Delete(a.Ledger.Ranges, i, i+1)
					return begins
				}},
				damage{"a time of a range has a record as well", func() time.Time {
					found = twice
					a.Runs = append(a.Runs, runOf(inside, succeeded))
					return inside
				}},
				damage{"a range counts one more", func() time.Time {
					found = miscounted
					r.Count++
					return begins
				}},
				damage{"a range counts one less", func() time.Time {
					found = miscounted
					r.Count--
					return begins
				}},
				damage{"a range ends too late", func() time.Time {
					found = extra
					r.To = r.To.Add(time.Millisecond)
					return r.To
				}})
		}
		d := rapid.SampledFrom(damages).Draw(rt, "damage")
		at := d.do()
		sortRuns(a.Runs)
		r := ledger.Audit(a, time.Time{})
		listed := found(r)
		if r.OK || !slices.ContainsFunc(listed, at.Equal) && r.UnaccountedCount <= 100 {
			rt.Fatalf("%s, at %s: ok %v, found at %s; %+v", d.what, fmt.Sprint(at), r.OK, clocks(listed), r.Entries)
		}
	})
}
