package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/store"
)

func newWhy() *cobra.Command {
	var etcd connection
	var names naming
	var format output
	var atText string
	cmd := &cobra.Command{
		Use:   "why TASK [--at T]",
		Short: "Say why a task ran or did not run at a time, or what it waits for",
		Long: `Say why a task ran or did not run at a time, or without --at what it is doing and waiting for.

The time is ` + momentForms + `; without an offset it is in the task's time zone,
without a date the last time that a clock there showed that.`,
		Example: `  nightwatch why backup
  nightwatch why backup --at 02:00`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			task, err := names.task(args[0])
			if err != nil {
				return err
			}
			at, err := parseMoment("at", atText)
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
				answer := ledger.Why(account, at.last(account.Now, zone))
				return format.print(cmd.OutOrStdout(), answer, func(out io.Writer) {
					fmt.Fprintln(out, answer.Headline)
					for _, sentence := range answer.Details {
						fmt.Fprintln(out, sentence)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&atText, "at", "", "the time that is asked about")
	argument(cmd.Flags(), "at")
	names.flags(cmd.Flags())
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}
