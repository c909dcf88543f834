package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// freezing is what pause and resume have in common.
type freezing struct {
	etcd    connection
	names   naming
	cluster bool
}

func (f *freezing) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.cluster, "cluster", false, "everything, instead of one task")
	argument(cmd.Flags(), "cluster")
	f.names.flags(cmd.Flags())
	f.etcd.flags(cmd.Flags())
}

// what is the tail of the freeze key, and how to speak of it.
func (f *freezing) what(args []string) (tail, name string, err error) {
	if f.cluster {
		if len(args) > 0 {
			return "", "", usage("want a task or --cluster, not both")
		}
		return store.FrozenCluster, "the cluster", nil
	}
	if len(args) != 1 {
		return "", "", usage("want one task, or --cluster")
	}
	task, err := f.names.task(args[0])
	return task, task, err
}

func newPause() *cobra.Command {
	var f freezing
	var note string
	cmd := &cobra.Command{
		Use:   "pause TASK | --cluster",
		Short: "Keep a task, or everything, from starting; what runs goes on",
		RunE: func(cmd *cobra.Command, args []string) error {
			tail, name, err := f.what(args)
			if err != nil {
				return err
			}
			return f.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				if !f.cluster {
					if _, _, err := st.Task(ctx, tail); err != nil {
						return err // a typo must not look like a pause
					}
				}
				if err := st.Freeze(ctx, tail, nightwatch.Freeze{By: whoami(), Note: note}); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s paused\n", name)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "why, for people to read")
	argument(cmd.Flags(), "note")
	f.flags(cmd)
	return cmd
}

func newResume() *cobra.Command {
	var f freezing
	cmd := &cobra.Command{
		Use:   "resume TASK | --cluster",
		Short: "Let a paused task, or everything, start again",
		RunE: func(cmd *cobra.Command, args []string) error {
			tail, name, err := f.what(args)
			if err != nil {
				return err
			}
			return f.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				found, err := st.Unfreeze(ctx, tail)
				if err != nil {
					return err
				}
				result := "resumed"
				if !found {
					result = "was not paused"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", name, result)
				return nil
			})
		},
	}
	f.flags(cmd)
	return cmd
}
