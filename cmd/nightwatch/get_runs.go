package main

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func newGetRuns() *cobra.Command {
	var g getting
	cmd := &cobra.Command{
		Use:     "runs [TASK]",
		Aliases: []string{"run"},
		Short:   "Show the runs that are on record, oldest first",
		Args:    cobra.MaximumNArgs(1),
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
				runs := slices.SortedFunc(maps.Values(found), func(a, b nightwatch.Run) int {
					if c := a.CreateTime.Compare(b.CreateTime); c != 0 {
						return c
					}
					return strings.Compare(a.Task+"/"+a.ID, b.Task+"/"+b.ID)
				})
				if runs == nil {
					runs = []nightwatch.Run{}
				}
				return g.out.print(cmd.OutOrStdout(), runs, func(out io.Writer) {
					row(out, "TASK", "RUN", "PHASE", "REASON", "NODE", "ATTEMPT", "EXIT", "STARTED", "ENDED")
					for _, r := range runs {
						exit := ""
						if r.ExitCode != nil {
							exit = strconv.Itoa(*r.ExitCode)
						}
						row(out, r.Task, r.ID, string(r.Phase), r.Reason, r.Node, strconv.Itoa(r.Attempt), exit, stamp(r.StartTime), stamp(r.EndTime))
					}
				})
			})
		},
	}
	g.flags(cmd)
	return cmd
}
