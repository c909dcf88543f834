package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func newBackfill() *cobra.Command {
	var a asking
	request := nightwatch.Request{Action: nightwatch.ActionBackfill}
	var params []string
	var fromText, toText string
	cmd := &cobra.Command{
		Use:   "backfill TASK --from T --to T",
		Short: "Run the past times of a task that have not run",
		Long: `Run the past times of a task, from T up to but without T, that have not run: those that were skipped or missed, and
those from before the task was there. A time that has run does not run again.

The times are ` + momentForms + `; without an offset they are in the task's time
zone, without a date the last time that a clock there showed that.`,
		Example: `  nightwatch backfill report --from 2026-11-01 --to 2026-11-08 --dry-run
  nightwatch backfill report --from 2026-11-01 --to 2026-11-08 --max-parallel 4 --overlap allow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if request.Params, err = parseParams(params); err != nil {
				return err
			}
			var from, to moment
			for _, bound := range []struct {
				flag, text string
				into       *moment
			}{{"from", fromText, &from}, {"to", toText, &to}} {
				if bound.text == "" {
					return usage("--%s: missing: want a time such as %s", bound.flag, momentForms)
				}
				if *bound.into, err = parseMoment(bound.flag, bound.text); err != nil {
					return err
				}
			}
			if request.MaxParallel < 1 {
				return usage("--max-parallel: %d: want 1 or more", request.MaxParallel)
			}
			a.complete = func(ctx context.Context, st *store.Store, task string) error {
				accepted, err := st.Accepted(ctx, task)
				if errors.Is(err, nightwatch.ErrNotFound) {
					if _, _, err := st.Task(ctx, task); err != nil {
						return ofTask(task, err)
					}
					return neverAccepted(task)
				}
				if err != nil {
					return err
				}
				zone, err := taskZone(&accepted)
				if err != nil {
					return err
				}
				now := time.Now()
				request.From, request.To = from.last(now, zone), to.last(now, zone)
				return nil
			}
			return a.ask(cmd, args[0], &request, tellBackfill(request.DryRun))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&fromText, "from", "", "the first time that is part of it")
	flags.StringVar(&toText, "to", "", "the end, which is not part of it; not in the future")
	flags.IntVar(&request.MaxParallel, "max-parallel", 1, "how many of its runs may be live at once; more than 1 wants --overlap allow")
	flags.StringVar(&request.Overlap, "overlap", "", "allow, instead of the task's own, to run beside other runs of the task")
	flags.BoolVar(&request.DryRun, "dry-run", false, "only say what it would do")
	argument(flags, "from", "to", "max-parallel", "overlap", "dry-run")
	paramFlag(cmd, &params)
	a.flags(cmd)
	return cmd
}

func tellBackfill(dryRun bool) telling {
	return func(out io.Writer, task string, v nightwatch.Verdict) {
		if v.Count == 0 {
			fmt.Fprintf(out, "%s: nothing to run: it has no time there that has not run\n", task)
			return
		}
		verb := "runs"
		if dryRun {
			verb = "would run"
		}
		times := "times"
		if v.Count == 1 {
			times = "time"
		}
		fmt.Fprintf(out, "%s %s %d %s:\n", task, verb, v.Count, times)
		for _, t := range v.Times {
			fmt.Fprintf(out, "  %s\n", stamp(t))
		}
		if more := v.Count - int64(len(v.Times)); more > 0 {
			fmt.Fprintf(out, "  and %d more\n", more)
		}
		if !dryRun {
			fmt.Fprintf(out, "To cancel it: nightwatch cancel %s --run %s\n", task, v.Run)
		}
	}
}
