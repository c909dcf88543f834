package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// nodeView is a node as get shows it.
type nodeView struct {
	nightwatch.Node
	// Scheduler says that the node holds that role at the moment.
	Scheduler bool `json:"scheduler,omitempty"`
}

func newGetNodes() *cobra.Command {
	var etcd connection
	var format output
	cmd := &cobra.Command{
		Use:     "nodes [NODE]",
		Aliases: []string{"node"},
		Short:   "Show the nodes that are alive",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			return etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				views, err := readNodes(ctx, st)
				if err != nil {
					return err
				}
				if len(args) > 0 {
					views = slices.DeleteFunc(views, func(v nodeView) bool { return v.Name != args[0] })
					if len(views) == 0 {
						return fmt.Errorf("node %s: %w", args[0], nightwatch.ErrNotFound)
					}
				}
				return format.print(cmd.OutOrStdout(), oneOr(views, len(args) > 0), func(out io.Writer) {
					row(out, "NODE", "ROLE", "ADDRESS", "RUNNERS", "CAPACITY", "LABELS", "VERSION", "STARTED")
					for _, v := range views {
						role := ""
						if v.Scheduler {
							role = "scheduler"
						}
						row(out, v.Name, role, v.Address, strings.Join(v.Runners, ","), strconv.Itoa(v.Capacity), labelText(v.Labels), v.Version, stamp(v.StartTime))
					}
				})
			})
		},
	}
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}

func readNodes(ctx context.Context, st *store.Store) ([]nodeView, error) {
	nodes, err := st.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	election := st.Keys().Election() + "/"
	first, err := st.Client().Get(ctx, election, clientv3.WithFirstCreate()...)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", election, err)
	}
	views := []nodeView{}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		scheduler := len(first.Kvs) > 0 && string(first.Kvs[0].Value) == name
		views = append(views, nodeView{Node: nodes[name], Scheduler: scheduler})
	}
	return views, nil
}

func labelText(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ",")
}
