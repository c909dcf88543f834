package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func newDelete() *cobra.Command {
	var etcd connection
	var names naming
	var wait bool
	cmd := &cobra.Command{
		Use:   "delete TASK",
		Short: "Delete a task; the cluster cancels its live runs and cleans up",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			task, err := names.task(args[0])
			if err != nil {
				return err
			}
			err = etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				found, err := st.Delete(ctx, task)
				if err == nil && !found {
					err = noTask(task)
				}
				return err
			})
			if err != nil {
				return err
			}
			if wait {
				err = etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) error {
					_, err := st.Wait(ctx, task, func(status *nightwatch.Status) bool { return status == nil })
					return err
				})
			}
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s deleted\n", task)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until its runs have ended and everything of it is gone")
	argument(cmd.Flags(), "wait")
	names.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}
