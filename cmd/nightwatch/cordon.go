package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// cordoning is what cordon and drain have in common.
type cordoning struct {
	etcd     connection
	by, note string
	absent   bool
}

func (c *cordoning) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.by, "by", "", "who does it, for people to read (default: you)")
	cmd.Flags().StringVar(&c.note, "note", "", "why, for people to read")
	cmd.Flags().BoolVar(&c.absent, "absent", false, "a node that is not alive, too: the cordon waits for it")
	argument(cmd.Flags(), "by", "note", "absent")
	c.etcd.flags(cmd.Flags())
}

// put writes the cordon.
func (c *cordoning) put(ctx context.Context, st *store.Store, node string, drain bool) error {
	if err := nightwatch.CheckNodeName(node); err != nil {
		return usage("NODE: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.etcd.timeout)
	defer cancel()
	if !c.absent {
		nodes, err := st.Nodes(ctx)
		if err != nil {
			return err
		}
		if _, alive := nodes[node]; !alive { // a typo must not look like a cordon
			return fmt.Errorf("node %s is not alive: see nightwatch get nodes, or cordon it for when it comes with --absent", node)
		}
	}
	if c.by == "" {
		c.by = whoami()
	}
	return st.Cordon(ctx, node, nightwatch.Cordon{Drain: drain, By: c.by, Note: c.note})
}

func newCordon() *cobra.Command {
	var c cordoning
	cmd := &cobra.Command{
		Use:     "cordon NODE",
		Short:   "Give a node no further runs; what it has goes on",
		Example: `  nightwatch cordon vm1 --note 'the disk is failing'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				if err := c.put(ctx, st, args[0], false); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s cordoned\n", args[0])
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newUncordon() *cobra.Command {
	var etcd connection
	cmd := &cobra.Command{
		Use:   "uncordon NODE",
		Short: "Let a node that was cordoned or drained take runs again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				found, err := st.Uncordon(ctx, args[0])
				if err != nil {
					return err
				}
				if !found {
					fmt.Fprintf(cmd.OutOrStdout(), "%s was not cordoned\n", args[0])
					return nil
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s uncordoned\n", args[0])
				return nil
			})
		},
	}
	etcd.flags(cmd.Flags())
	return cmd
}

func newDrain() *cobra.Command {
	var c cordoning
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Have a node give back its runs and stand down, and wait until it has",
		Long: `Have a node give back its runs and stand down, and wait until it has.

The node is given no further runs. It hands over the scheduler role, what it has not begun, and its Kubernetes Jobs at
once; processes, requests and handlers are waited for, up to the node's own --drain-timeout, and then ended and run again
elsewhere as their task's delivery says. The node stays up and out of use until nightwatch uncordon, also when it is
restarted.`,
		Example: `  nightwatch drain vm1 --note 'new kernel' --timeout 5m && ssh vm1 reboot`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return usage("--timeout: %s: want 0 or more", timeout)
			}
			return c.etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				if err := c.put(ctx, st, args[0], true); err != nil {
					return err
				}
				if timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, timeout, errNotDrained)
					defer cancel()
				}
				d := draining{etcd: &c.etcd, st: st, node: args[0]}
				err := d.wait(ctx, func(left string) { fmt.Fprintf(cmd.OutOrStdout(), "waiting for %s: %s\n", args[0], left) })
				if errors.Is(err, errNotDrained) {
					return fmt.Errorf("%s is not drained after %s: %s; it stays cordoned", args[0], timeout, d.left)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s drained\n", args[0])
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; 0 for as long as it takes")
	argument(cmd.Flags(), "timeout")
	return cmd
}

var errNotDrained = errors.New("not drained")

// drainPoll is how often drain looks how far a node is.
const drainPoll = 250 * time.Millisecond

// draining waits for a node.
type draining struct {
	etcd *connection
	st   *store.Store
	node string
	left string // what it waits for
}

// wait returns when nothing is left on the node, and tells whenever something else is. With ctx's own cause it gives up.
func (d *draining) wait(ctx context.Context, tell func(left string)) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		left, err := d.look(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case left == "":
			return nil
		case left != d.left:
			d.left = left
			tell(left)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// look says what is left on the node; empty when nothing is.
func (d *draining) look(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.etcd.timeout)
	defer cancel()
	cordons, err := d.st.Cordons(ctx)
	if err != nil {
		return "", err
	}
	if !cordons[d.node].Drain {
		return "", fmt.Errorf("somebody has taken cordons/%s back, or changed it", d.node)
	}
	views, err := readNodes(ctx, d.st)
	if err != nil {
		return "", err
	}
	runs, err := d.st.Queued(ctx, d.node)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, v := range views {
		switch {
		case v.Name != d.node || v.State == stateAbsent:
		case !v.Draining:
			parts = append(parts, "it has not answered yet")
		case v.Scheduler:
			parts = append(parts, "the scheduler role")
		}
	}
	if len(runs) > 0 {
		parts = append(parts, runsText(runs))
	}
	return strings.Join(parts, ", "), nil
}

// maxRunsNamed is how many runs drain names.
const maxRunsNamed = 5

// runsText is "2 runs (default/a/req-1, default/b/req-2)".
func runsText(runs []string) string {
	named := strings.Join(runs[:min(len(runs), maxRunsNamed)], ", ")
	if more := len(runs) - maxRunsNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	if len(runs) == 1 {
		return "1 run (" + named + ")"
	}
	return fmt.Sprintf("%d runs (%s)", len(runs), named)
}
