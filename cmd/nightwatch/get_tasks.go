package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// taskView is a task as get shows it.
type taskView struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Task is the value as read, or the text of one that cannot be read.
	Task   any                `json:"task,omitempty"`
	Status *nightwatch.Status `json:"status,omitempty"`
}

func newGetTasks() *cobra.Command {
	var g getting
	cmd := &cobra.Command{
		Use:     "tasks [TASK]",
		Aliases: []string{"task"},
		Short:   "Show tasks and their status",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			task, namespace, err := g.of(args)
			if err != nil {
				return err
			}
			return g.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				views, err := readTasks(ctx, st, task, namespace)
				if err != nil {
					return err
				}
				return g.out.print(cmd.OutOrStdout(), oneOr(views, task != ""), func(out io.Writer) {
					row(out, "TASK", "PHASE", "REASON", "LAST RUN", "NEXT", "UPDATED")
					for _, v := range views {
						row(out, taskRow(v)...)
					}
				})
			})
		},
	}
	g.flags(cmd)
	return cmd
}

// oneOr is the only element when one was asked for by its name.
func oneOr[T any](list []T, one bool) any {
	if one && len(list) == 1 {
		return list[0]
	}
	return list
}

func readTasks(ctx context.Context, st *store.Store, task, namespace string) ([]taskView, error) {
	values, statuses := map[string][]byte{}, map[string]nightwatch.Status{}
	if task != "" {
		value, _, err := st.Task(ctx, task)
		if err != nil {
			return nil, ofTask(task, err)
		}
		values[task] = value
		status, err := st.Status(ctx, task)
		if err == nil {
			statuses[task] = status
		} else if !errors.Is(err, nightwatch.ErrNotFound) {
			return nil, err
		}
	} else {
		prefix := st.Keys().Of(store.Tasks)
		below := prefix
		if namespace != "" {
			below += namespace + "/"
		}
		events, _, err := store.List(ctx, st.Client(), below)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", below, err)
		}
		for _, event := range events {
			values[event.Key[len(prefix):]] = event.Value
		}
		if statuses, err = st.Statuses(ctx, namespace); err != nil {
			return nil, err
		}
	}
	// A task that was deleted shows until the cluster is done with it.
	for name := range statuses {
		if _, ok := values[name]; !ok {
			values[name] = nil
		}
	}
	views := []taskView{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		view := taskView{Name: name}
		if ns, short, ok := strings.Cut(name, "/"); ok {
			view.Namespace, view.Name = ns, short
		}
		if value := values[name]; value != nil {
			if parsed, err := nightwatch.ParseTask(name, value); err == nil {
				view.Task = parsed
			} else {
				view.Task = string(value)
			}
		}
		if status, ok := statuses[name]; ok {
			view.Status = &status
		}
		views = append(views, view)
	}
	return views, nil
}

func taskRow(v taskView) []string {
	name := v.Name
	if v.Namespace != "" {
		name = v.Namespace + "/" + name
	}
	cells := []string{name, "", "", "", "", ""}
	s := v.Status
	if s == nil {
		return cells
	}
	cells[1], cells[2], cells[5] = string(s.Phase), s.Reason, stamp(s.UpdateTime)
	if len(s.Errors) > 0 {
		cells[2] = s.Errors[0].Error()
	}
	if s.LastRun != nil {
		cells[3] = s.LastRun.ID + " " + string(s.LastRun.Phase)
	}
	if len(s.Next) > 0 {
		cells[4] = stamp(s.Next[0])
	}
	return cells
}
