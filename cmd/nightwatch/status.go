package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

func newStatus() *cobra.Command {
	var etcd connection
	var names naming
	var format output
	var wait bool
	cmd := &cobra.Command{
		Use:   "status TASK",
		Short: "Show what the cluster says of a task",
		Long: `Show what the cluster says of a task.

With --wait it waits until the cluster has seen the task's newest value and no run of the task is live or about to
start, and exits with 1 if the value was refused or the last run did not succeed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			task, err := names.task(args[0])
			if err != nil {
				return err
			}
			var status nightwatch.Status
			read := func(ctx context.Context, st *store.Store) (err error) {
				status, err = st.Status(ctx, task)
				if errors.Is(err, nightwatch.ErrNotFound) {
					if _, _, err := st.Task(ctx, task); err != nil {
						return ofTask(task, err)
					}
					return fmt.Errorf("%s: no scheduler has looked at the task yet: is a node running?", task)
				}
				return err
			}
			if wait {
				err = etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) (err error) {
					status, err = waitForRest(ctx, st, task, &etcd)
					return ofTask(task, err)
				})
			} else {
				err = etcd.quick(cmd.Context(), read)
			}
			if err != nil {
				return err
			}
			if err := format.print(cmd.OutOrStdout(), status, func(out io.Writer) { showStatus(out, task, status) }); err != nil {
				return failed(err)
			}
			if wait {
				return failed(outcome(task, status))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it has come to rest")
	argument(cmd.Flags(), "wait")
	names.flags(cmd.Flags())
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}

// waitForRest waits for a status that speaks of the task's newest value and has nothing live in it.
func waitForRest(ctx context.Context, st *store.Store, task string, etcd *connection) (nightwatch.Status, error) {
	readCtx, cancel := context.WithTimeout(ctx, etcd.timeout)
	_, revision, err := st.Task(readCtx, task)
	cancel()
	if err != nil {
		return nightwatch.Status{}, err
	}
	seen := false
	status, err := st.Wait(ctx, task, func(s *nightwatch.Status) bool {
		if s == nil {
			return seen // deleted meanwhile
		}
		seen = true
		return s.ObservedRevision >= revision && s.Reason != nightwatch.ReasonPreviousDeleting && atRest(s)
	})
	if err != nil {
		return nightwatch.Status{}, err
	}
	if status == nil {
		// The task is gone, or the status was that of a life before this one: the task's own key tells.
		again, err := waitForRest(ctx, st, task, etcd)
		if errors.Is(err, nightwatch.ErrNotFound) {
			err = fmt.Errorf("%s: deleted meanwhile", task)
		}
		return again, err
	}
	return *status, nil
}

func atRest(s *nightwatch.Status) bool {
	return s.ActiveCount == 0 && s.PendingRevision == 0 && s.Phase != nightwatch.PhasePending && s.Phase != nightwatch.PhaseRunning
}

// outcome is nil if the newest value was accepted and its last run, if any, went well.
func outcome(task string, s nightwatch.Status) error {
	switch {
	case !s.Accepted:
		return fmt.Errorf("%s: refused: %w", task, nightwatch.InvalidError(s.Errors))
	case s.LastRun == nil || s.LastRun.Phase == nightwatch.PhaseSucceeded:
		return nil
	}
	text := fmt.Sprintf("%s: run %s: %s", task, s.LastRun.ID, s.LastRun.Phase)
	for _, part := range []string{s.LastRun.Reason, s.LastRun.Message} {
		if part != "" {
			text += ": " + part
		}
	}
	return errors.New(text)
}

func showStatus(out io.Writer, task string, s nightwatch.Status) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%s:\t%s\n", name, value)
		}
	}
	line("Task", task)
	line("Phase", string(s.Phase))
	line("Reason", s.Reason)
	line("Message", s.Message)
	for _, fault := range s.Errors {
		line("Error", fault.Error())
	}
	for _, warning := range s.Warnings {
		line("Warning", warning.Error())
	}
	for _, next := range s.Next {
		line("Next", stamp(next)+noteIn(s.NextNotes, next))
	}
	if s.Still != s.Reason {
		line("Stands still", s.Still)
	}
	for _, b := range s.Backfills {
		line("Backfill", backfillText(b))
	}
	if s.ActiveCount > 0 {
		line("Live runs", fmt.Sprintf("%d: %s", s.ActiveCount, strings.Join(s.Active, ", ")))
	}
	line("Counts", countsText(s.Counts))
	line("Updated", stamp(s.UpdateTime))
	r := s.LastRun
	if r == nil {
		return
	}
	line("Last run", r.ID)
	line("  Phase", string(r.Phase))
	line("  Reason", r.Reason)
	line("  Message", r.Message)
	line("  Shards", shardsText(r.Shards))
	line("  Node", r.Node)
	line("  Started", stamp(r.StartTime))
	line("  Ended", stamp(r.EndTime))
	if r.ExitCode != nil {
		line("  Exit code", fmt.Sprint(*r.ExitCode))
	}
	if r.Job != nil {
		line("  Job", r.Job.Namespace+"/"+r.Job.Name)
	}
	if r.Output != "" {
		fmt.Fprintf(out, "  Output:\n")
		for text := range strings.Lines(r.Output) {
			fmt.Fprintf(out, "    %s\n", strings.TrimRight(text, "\r\n"))
		}
	}
}

// backfillText tells how far a backfill has come.
func backfillText(b nightwatch.Backfill) string {
	text := fmt.Sprintf("%s, from %s up to %s", nightwatch.RequestedRunID(b.ID), stamp(b.From), stamp(b.To))
	if !b.Cursor.IsZero() {
		text += ", done or begun up to " + stamp(b.Cursor)
	}
	if b.MaxParallel > 1 {
		text += fmt.Sprintf(", %d at once", b.MaxParallel)
	}
	if b.Cancel != nil {
		text += ", being canceled"
	}
	return text
}
