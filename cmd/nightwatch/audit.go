package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

func newAudit() *cobra.Command {
	var etcd connection
	var names naming
	var format output
	var sinceText string
	cmd := &cobra.Command{
		Use:   "audit TASK [--since T]",
		Short: "List every time that a task was expected to run beside what became of it",
		Long: `List every time that a task was expected to run, after --since, beside what became of it, and exit with 1 if a time is
unaccounted for, is in more than one place, or is outside the schedule.

The time is ` + momentForms + `, or how long ago it is, such as 24h; without an
offset it is in the task's time zone, without a date the last time that a clock there showed that.`,
		Example: `  nightwatch audit backup
  nightwatch audit backup --since 7d`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			task, err := names.task(args[0])
			if err != nil {
				return err
			}
			since, err := parseMomentOrAgo("since", sinceText)
			if err != nil {
				return err
			}
			return etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				account, err := st.Account(ctx, task)
				if err != nil {
					return ofTask(task, err)
				}
				zone, err := taskZone(account.Accepted)
				if err != nil {
					return err
				}
				from := since.last(account.Now, zone)
				if from.After(account.Now) {
					return usage("--since: %q: %s is in the future: want a time that is over", sinceText, stamp(from))
				}
				report := ledger.Audit(account, from)
				err = format.print(cmd.OutOrStdout(), report, func(out io.Writer) { showReport(out, report, zone) })
				if err == nil && !report.OK {
					err = fmt.Errorf("%s: %s", task, strings.Join(faultsOf(report), ", "))
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&sinceText, "since", "", "only later times (default: as far back as there is anything to tell)")
	argument(cmd.Flags(), "since")
	names.flags(cmd.Flags())
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}

// faultsOf are the kinds of faults that a report has, with how many there are.
func faultsOf(r ledger.Report) []string {
	var faults []string
	for _, kind := range []struct {
		n    int64
		what string
	}{
		{r.UnaccountedCount, "unaccounted for"},
		{r.TwiceCount, "in more than one place"},
		{r.ExtraCount, "outside the schedule"},
		{int64(len(r.Miscounted)), "miscounted by ranges"},
	} {
		if kind.n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", kind.n, kind.what))
		}
	}
	return faults
}

func showReport(out io.Writer, r ledger.Report, zone *time.Location) {
	local := func(t time.Time) string { return t.In(zone).Truncate(time.Millisecond).Format(fine) } // as times of schedules
	if len(r.Entries) > 0 {
		row(out, "TIME", "COUNT", "STATE", "OUTCOME", "REASON", "RUN", "MESSAGE")
	}
	for _, e := range r.Entries {
		when := local(e.From)
		if !e.To.Equal(e.From) {
			when += " to " + local(e.To)
		}
		row(out, when, strconv.FormatInt(e.Count, 10), e.State, string(e.Outcome), e.Reason, e.Run, oneLine(e.Message))
	}
	if !r.EarlierTo.IsZero() {
		fmt.Fprintf(out, "Up to %s: %s.\n", local(r.EarlierTo), countsText(r.Earlier))
	}
	if len(r.Totals) > 0 {
		fmt.Fprintf(out, "Listed: %s.\n", totalsText(r.Totals))
	}
	for _, m := range r.Miscounted {
		fmt.Fprintf(out, "The range from %s to %s (%s) tells of %d times, where the schedule has %d.\n",
			local(m.Range.From), local(m.Range.To), m.Range.Outcome, m.Range.Count, m.Expected)
	}
	if r.Unchecked != "" {
		fmt.Fprintf(out, "What was expected could not be checked: %s.\n", r.Unchecked)
		return
	}
	fmt.Fprintf(out, "Checked after %s (%s), up to %s.\n", local(r.From), r.FromReason, local(r.To))
	if r.More {
		fmt.Fprintf(out, "There are more: --since %s goes on from there.\n", local(r.To))
	}
	verdict := "all of them accounted for"
	if faults := faultsOf(r); len(faults) > 0 {
		verdict = strings.Join(faults, ", ")
	} else if r.Undecided > 0 {
		verdict = fmt.Sprintf("%d not decided yet, all others accounted for", r.Undecided)
	}
	fmt.Fprintf(out, "Expected times: %d; %s.\n", r.Expected, verdict)
}

// totalsText lists how occurrences ended or stand, the most first.
func totalsText(totals map[nightwatch.Phase]int64) string {
	phases := make([]nightwatch.Phase, 0, len(totals))
	for phase := range totals {
		phases = append(phases, phase)
	}
	slices.SortFunc(phases, func(a, b nightwatch.Phase) int {
		if d := totals[b] - totals[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(string(a), string(b))
	})
	texts := make([]string, len(phases))
	for i, phase := range phases {
		texts[i] = fmt.Sprintf("%d %s", totals[phase], strings.ToLower(string(phase)))
	}
	return strings.Join(texts, ", ")
}

func countsText(c nightwatch.Counts) string {
	return fmt.Sprintf("%d succeeded, %d failed, %d canceled, %d skipped, %d missed", c.Succeeded, c.Failed, c.Canceled, c.Skipped, c.Missed)
}

// oneLine keeps a message that a program wrote in its row.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
