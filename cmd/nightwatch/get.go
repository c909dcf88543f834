package main

import (
	"github.com/spf13/cobra"
)

// getting is what the kinds of get have in common.
type getting struct {
	etcd  connection
	names naming
	out   output
	all   bool
}

func newGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get tasks|runs|dead|nodes|calendars|pools|namespaces [NAME]",
		Short: "Show tasks, runs, dead letters, nodes, calendars, pools or namespaces",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage("want get tasks, get runs, get dead, get nodes, get calendars, get pools or get namespaces")
		},
	}
	cmd.AddCommand(newGetTasks(), newGetRuns(), newGetDead(), newGetNodes(), newGetCalendars(), newGetPools(), newGetNamespaces())
	return cmd
}

func (g *getting) flags(cmd *cobra.Command) {
	g.names.flags(cmd.Flags())
	cmd.Flags().BoolVarP(&g.all, "all-namespaces", "A", false, "all namespaces, instead of one")
	argument(cmd.Flags(), "all-namespaces")
	g.out.flags(cmd.Flags())
	g.etcd.flags(cmd.Flags())
}

// of is the task that is asked for, or the namespace, or "" for all of them.
func (g *getting) of(args []string) (task, namespace string, err error) {
	if err := checkAll(&g.out, &g.names); err != nil {
		return "", "", err
	}
	if len(args) > 0 {
		if g.all {
			return "", "", usage("want a task or --all-namespaces, not both")
		}
		task, err = g.names.task(args[0])
		return task, "", err
	}
	if g.all {
		return "", "", nil
	}
	return "", g.names.namespace, nil
}
