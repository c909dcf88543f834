package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func newGetRuns() *cobra.Command {
	shards := false
	cmd := listRuns(func(r *nightwatch.Run) bool { return shards || r.Shard == nil })
	cmd.Flags().BoolVar(&shards, "shards", false, "those that are shards of other runs, too")
	argument(cmd.Flags(), "shards")
	cmd.Use, cmd.Aliases, cmd.Short = "runs [TASK]", []string{"run"}, "Show the runs that are on record, oldest first"
	return cmd
}

func newGetDead() *cobra.Command {
	cmd := listRuns((*nightwatch.Run).Dead)
	cmd.Use, cmd.Short = "dead [TASK]", "Show the dead letters: runs that failed for good and were neither retried with success nor dropped"
	return cmd
}

// listRuns shows the runs that are on record and wanted.
func listRuns(wanted func(*nightwatch.Run) bool) *cobra.Command {
	var g getting
	cmd := &cobra.Command{
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			task, namespace, err := g.of(args)
			if err != nil {
				return err
			}
			return g.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				found, err := st.Runs(ctx, task+namespace)
				if err != nil {
					return err
				}
				if len(found) == 0 && task != "" {
					if err := known(ctx, st, task); err != nil {
						return err
					}
				}
				runs := []nightwatch.Run{}
				for _, r := range found {
					if wanted(&r) {
						r.Log = nil // what is printed gets around, and who has the token may read the log
						runs = append(runs, r)
					}
				}
				slices.SortFunc(runs, func(a, b nightwatch.Run) int {
					if c := a.CreateTime.Compare(b.CreateTime); c != 0 {
						return c
					}
					return strings.Compare(a.Task+"/"+a.ID, b.Task+"/"+b.ID)
				})
				return g.out.print(cmd.OutOrStdout(), runs, func(out io.Writer) {
					row(out, "TASK", "RUN", "PHASE", "REASON", "NODE", "ATTEMPT", "EXIT", "STARTED", "ENDED", "SHARDS")
					for _, r := range runs {
						exit := ""
						if r.ExitCode != nil {
							exit = strconv.Itoa(*r.ExitCode)
						}
						row(out, r.Task, r.ID, string(r.Phase), r.Reason, r.Node, strconv.Itoa(r.Attempt), exit, stamp(r.StartTime), stamp(r.EndTime), shardsCell(&r))
					}
				})
			})
		},
	}
	g.flags(cmd)
	return cmd
}

// known is nil if the task is there, or its status, which outlives it until the cluster is done with it.
func known(ctx context.Context, st *store.Store, task string) error {
	_, _, err := st.Task(ctx, task)
	if errors.Is(err, nightwatch.ErrNotFound) {
		_, err = st.Status(ctx, task)
	}
	return ofTask(task, err)
}
