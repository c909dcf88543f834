package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// describing is what the kinds of describe have in common.
type describing struct {
	etcd  connection
	names naming
	out   output
}

func newDescribe() *cobra.Command {
	var d describing
	cmd := &cobra.Command{
		Use:   "describe TASK [RUN] | describe node NODE",
		Short: "Tell everything about a task, a run or a node",
		Long: `Tell everything there is to know about a task, a run or a node, for people to read.

Of a task: its verdict, when it is due, what holds it up, its runs and their attempts, requests and what became of them.
Of a run: what it waits for or how it ended, attempt by attempt. Of a node: what it can run and what runs on it.`,
		Example: `  nightwatch describe backup
  nightwatch describe backup 20261120T141500Z
  nightwatch describe node n1`,
		Args: cobra.RangeArgs(1, 2),
		RunE: d.taskOrRun,
	}
	d.flags(cmd)
	cmd.AddCommand(newDescribeTask(), newDescribeRun(), newDescribeNode())
	return cmd
}

func (d *describing) flags(cmd *cobra.Command) {
	d.names.flags(cmd.Flags())
	d.out.flags(cmd.Flags())
	d.etcd.flags(cmd.Flags())
}

func (d *describing) taskOrRun(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		return d.run(cmd, args)
	}
	return d.task(cmd, args)
}

func newDescribeTask() *cobra.Command {
	var d describing
	cmd := &cobra.Command{Use: "task TASK", Short: "Tell everything about a task", Args: cobra.ExactArgs(1), RunE: d.task}
	d.flags(cmd)
	return cmd
}

func newDescribeRun() *cobra.Command {
	var d describing
	cmd := &cobra.Command{Use: "run TASK RUN", Short: "Tell everything about a run", Args: cobra.ExactArgs(2), RunE: d.run}
	d.flags(cmd)
	return cmd
}

func newDescribeNode() *cobra.Command {
	var d describing
	cmd := &cobra.Command{Use: "node NODE", Short: "Tell everything about a node", Args: cobra.ExactArgs(1), RunE: d.node}
	d.out.flags(cmd.Flags())
	d.etcd.flags(cmd.Flags())
	return cmd
}

func (d *describing) task(cmd *cobra.Command, args []string) error {
	task, err := d.named(args[0])
	if err != nil {
		return err
	}
	return d.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
		description, err := readTaskDescription(ctx, st, task)
		if err != nil {
			return ofTask(task, err)
		}
		return d.out.print(cmd.OutOrStdout(), description, description.show)
	})
}

func (d *describing) run(cmd *cobra.Command, args []string) error {
	task, err := d.named(args[0])
	if err != nil {
		return err
	}
	if !nightwatch.ValidRunID(args[1]) {
		return usage("%q: want the id of a run, as \"nightwatch get runs\" shows it", args[1])
	}
	return d.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
		run, _, err := st.Run(ctx, task, args[1])
		if errors.Is(err, nightwatch.ErrNotFound) {
			return noRun(task, args[1])
		}
		if err != nil {
			return err
		}
		run.Log = nil
		now := time.Now()
		return d.out.print(cmd.OutOrStdout(), run, func(out io.Writer) { showRun(out, &run, now) })
	})
}

// noRun is the error of a command on a run that is not there.
func noRun(task, id string) error {
	return fmt.Errorf("%s has no run %q on record; \"nightwatch get runs\" shows those it has", task, id)
}

// named checks the flags, and makes a task's name of an argument.
func (d *describing) named(argument string) (string, error) {
	if err := d.out.check(); err != nil {
		return "", err
	}
	return d.names.task(argument)
}

// fact writes a line about something, nothing when there is nothing to say.
func fact(out io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(out, "%s:\t%s\n", name, oneLine(value))
	}
}

// facts is a fact of several lines.
func facts(out io.Writer, name string, values []string) {
	for i, value := range values {
		if i == 0 {
			fact(out, name, value)
			continue
		}
		fmt.Fprintf(out, "\t%s\n", oneLine(value))
	}
}

// section begins a part with a table of its own.
func section(out io.Writer, title string, cells ...string) {
	fmt.Fprintf(out, "\n%s:\n", title)
	if len(cells) > 0 {
		indented(out, cells...)
	}
}

// indented is a row below a section's title.
func indented(out io.Writer, cells ...string) {
	fmt.Fprint(out, "  ")
	row(out, cells...)
}

// took is how long something lasted, or has lasted, in words as short as they may be.
func took(from, to, now time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = now
	}
	d := to.Sub(from)
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// short cuts a text for a table.
func short(text string, limit int) string {
	text = oneLine(text)
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// readBelow reads the values below a prefix that are a T, by what follows the prefix.
func readBelow[T any](ctx context.Context, st *store.Store, prefix string) (map[string]T, error) {
	events, _, err := store.List(ctx, st.Client(), prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	found := make(map[string]T, len(events))
	for _, event := range events {
		var value T
		_ = json.Unmarshal(event.Value, &value) // that there is one is worth telling, whatever it says
		found[strings.TrimPrefix(event.Key, prefix)] = value
	}
	return found, nil
}
