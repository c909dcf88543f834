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
	// State is one of the words below.
	State string `json:"state"`
	// Runs is how many the node has, or is to have.
	Runs int `json:"runs"`
	// Scheduler says that the node holds that role at the moment.
	Scheduler bool `json:"scheduler,omitempty"`
	// Cordon is there while users keep the node from being given runs.
	Cordon *nightwatch.Cordon `json:"cordon,omitempty"`
}

// States of a node.
const (
	stateReady    = "ready"
	stateCordoned = "cordoned"
	stateDraining = "draining"
	stateDrained  = "drained"
	stateStopping = "stopping"
	stateAbsent   = "absent" // it is not alive, but cordoned
)

func (v *nodeView) state() string {
	switch {
	case v.Session == "":
		return stateAbsent
	case v.Cordon != nil && v.Cordon.Drain && (v.Runs > 0 || v.Scheduler || !v.Draining):
		return stateDraining
	case v.Cordon != nil && v.Cordon.Drain:
		return stateDrained
	case v.Draining:
		return stateStopping
	case v.Cordon != nil:
		return stateCordoned
	}
	return stateReady
}

func newGetNodes() *cobra.Command {
	var etcd connection
	var format output
	cmd := &cobra.Command{
		Use:     "nodes [NODE]",
		Aliases: []string{"node"},
		Short:   "Show the nodes that are alive, and those that are cordoned",
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
					row(out, "NODE", "STATE", "ROLE", "ADDRESS", "RUNNERS", "RUNS", "CAPACITY", "LABELS", "VERSION", "STARTED", "CORDON")
					for _, v := range views {
						role, cordon := "", ""
						if v.Scheduler {
							role = "scheduler"
						}
						if v.Cordon != nil {
							cordon = v.Cordon.String()
						}
						row(out, v.Name, v.State, role, v.Address, strings.Join(v.Runners, ","), strconv.Itoa(v.Runs), capacityText(v.Node), labelText(v.Labels), v.Version, stamp(v.StartTime), cordon)
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
	cordons, err := st.Cordons(ctx)
	if err != nil {
		return nil, err
	}
	election := st.Keys().Election() + "/"
	first, err := st.Client().Get(ctx, election, clientv3.WithFirstCreate()...)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", election, err)
	}
	for name := range cordons {
		if _, alive := nodes[name]; !alive {
			nodes[name] = nightwatch.Node{Name: name}
		}
	}
	views := []nodeView{}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		v := nodeView{Node: nodes[name], Scheduler: len(first.Kvs) > 0 && string(first.Kvs[0].Value) == name}
		if cordon, there := cordons[name]; there {
			v.Cordon = &cordon
		}
		queue, err := st.Client().Get(ctx, st.Keys().QueueOf(name), clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return nil, fmt.Errorf("count the runs of node %s: %w", name, err)
		}
		v.Runs = int(queue.Count)
		v.State = v.state()
		views = append(views, v)
	}
	return views, nil
}

// capacityText is "64 (handler/resize 2, process 4)".
func capacityText(n nightwatch.Node) string {
	text := strconv.Itoa(n.Capacity)
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(n.Capacities)) {
		parts = append(parts, kind+" "+strconv.Itoa(n.Capacities[kind]))
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

func labelText(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ",")
}
