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

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// calendarView is a calendar as get shows it.
type calendarView struct {
	Name string `json:"name"`
	// Status is nil when the cluster has not looked at the calendar yet.
	Status *nightwatch.CalendarStatus `json:"status,omitempty"`
}

func newGetCalendars() *cobra.Command {
	var etcd connection
	var format output
	cmd := &cobra.Command{
		Use:     "calendars [CALENDAR]",
		Aliases: []string{"calendar"},
		Short:   "Show calendars and what is wrong with them",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			return etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				views, err := readCalendars(ctx, st)
				if err != nil {
					return err
				}
				if len(args) > 0 {
					views = slices.DeleteFunc(views, func(v calendarView) bool { return v.Name != args[0] })
					if len(views) == 0 {
						return fmt.Errorf("calendar %s: %w", args[0], nightwatch.ErrNotFound)
					}
				}
				return format.print(cmd.OutOrStdout(), oneOr(views, len(args) > 0), func(out io.Writer) {
					row(out, "CALENDAR", "ACCEPTED", "REVISION", "ERRORS", "UPDATED")
					for _, v := range views {
						row(out, calendarRow(v)...)
					}
				})
			})
		},
	}
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}

func readCalendars(ctx context.Context, st *store.Store) ([]calendarView, error) {
	states, err := st.Calendars(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]*nightwatch.CalendarStatus{}
	prefix := st.Keys().Of(store.Calendars)
	events, _, err := store.List(ctx, st.Client(), prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	for _, event := range events {
		found[event.Key[len(prefix):]] = nil
	}
	for name, state := range states {
		found[name] = &state
	}
	views := []calendarView{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		views = append(views, calendarView{name, found[name]})
	}
	return views, nil
}

// calendarRow shows the revision that is in force, whether or not a newer one was refused.
func calendarRow(v calendarView) []string {
	cells := []string{v.Name, "", "", "", ""}
	s := v.Status
	if s == nil {
		return cells
	}
	cells[1], cells[4] = strconv.FormatBool(s.Accepted), stamp(s.UpdateTime)
	if s.AcceptedRevision != 0 {
		cells[2] = strconv.FormatInt(s.AcceptedRevision, 10)
	}
	cells[3] = faultsText(s.Errors)
	return cells
}

// faultsText is all that is wrong with a value, on one line.
func faultsText(errs []nightwatch.FieldError) string {
	faults := make([]string, len(errs))
	for i, fault := range errs {
		faults[i] = fault.Error()
	}
	return strings.Join(faults, "; ")
}
