package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// freezing is what pause and resume have in common.
type freezing struct {
	etcd    connection
	names   naming
	all     bool
	cluster bool
}

func (f *freezing) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "all tasks of the namespace, instead of one task")
	cmd.Flags().BoolVar(&f.cluster, "cluster", false, "everything, instead of one task")
	argument(cmd.Flags(), "all", "cluster")
	f.names.flags(cmd.Flags())
	f.etcd.flags(cmd.Flags())
}

// what is the tail of the freeze key, and how to speak of it.
func (f *freezing) what(args []string) (tail, name string, err error) {
	switch {
	case len(args)+count(f.all, f.cluster) != 1:
		return "", "", usage("want one of a task, --all and --cluster")
	case f.cluster:
		return store.FrozenCluster, "the cluster", nil
	case f.all:
		return f.names.namespace, "namespace " + f.names.namespace, f.names.check()
	}
	task, err := f.names.task(args[0])
	return task, task, err
}

// count is how many of them are true.
func count(flags ...bool) int {
	n := 0
	for _, flag := range flags {
		if flag {
			n++
		}
	}
	return n
}

func newPause() *cobra.Command {
	var f freezing
	var note, until, lasting string
	cmd := &cobra.Command{
		Use:   "pause TASK | --all | --cluster",
		Short: "Keep a task, a namespace or everything from starting; what runs goes on",
		Long: `Keep a task, all tasks of a namespace or everything from starting; what runs goes on.

It lasts until somebody resumes it, or ends by itself with --until or --for. Time that a task is paused is not missed
time: nothing of it is made up for.`,
		Example: `  nightwatch pause backup --for 2h --note 'the disk is full'
  nightwatch pause --all -n team-a --until 2026-11-21T06:00
  nightwatch pause --cluster --until 18:00`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tail, name, err := f.what(args)
			if err != nil {
				return err
			}
			end, err := pauseEnd(until, lasting, time.Now(), time.Local)
			if err != nil {
				return err
			}
			return f.etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				if strings.Contains(tail, "/") {
					if _, _, err := st.Task(ctx, tail); err != nil {
						return ofTask(tail, err) // a typo must not look like a pause
					}
				}
				if err := st.Freeze(ctx, tail, nightwatch.Freeze{By: whoami(), Note: note, Until: end}); err != nil {
					return err
				}
				if !end.IsZero() {
					name += " paused until " + stamp(end)
				} else {
					name += " paused"
				}
				fmt.Fprintln(cmd.OutOrStdout(), name)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "why, for people to read")
	cmd.Flags().StringVar(&until, "until", "", "when it ends by itself: "+momentForms+"; without an offset, as this machine's clock shows it")
	cmd.Flags().StringVar(&lasting, "for", "", "how long until it ends by itself, such as 2h or 7d")
	argument(cmd.Flags(), "note", "until", "for")
	f.flags(cmd)
	return cmd
}

// pauseEnd is when a pause ends by itself, on a whole second; the zero time when it does not.
func pauseEnd(until, lasting string, now time.Time, zone *time.Location) (time.Time, error) {
	if until != "" && lasting != "" {
		return time.Time{}, usage("want --until or --for, not both")
	}
	if lasting != "" {
		length, err := nightwatch.ParseDuration(lasting)
		if err != nil {
			return time.Time{}, usage("--for: %w", err)
		}
		return now.Add(time.Duration(length) + time.Second - 1).Truncate(time.Second).UTC(), nil
	}
	m, err := parseMoment("until", until)
	if err != nil {
		return time.Time{}, err
	}
	end := m.next(now, zone).Truncate(time.Second)
	if until != "" && !end.After(now) {
		return time.Time{}, usage("--until: %s is in the past: want a time to come", stamp(end))
	}
	return end, nil
}

// resumed says what a resume did, and which freezes still cover what was resumed.
func resumed(name string, found bool, still []string) string {
	others := strings.Join(still, " and ")
	switch {
	case found && others == "":
		return name + " resumed"
	case found:
		return name + " resumed; still paused by " + others
	case others == "":
		return name + " was not paused"
	}
	return name + " was not paused itself; it is paused by " + others
}

// pausing names the freezes of what a tail stands for that are not over, the narrowest first, with what they tell.
func pausing(what string, freezes map[string]nightwatch.Freeze, now time.Time) []string {
	namespace, _, _ := strings.Cut(what, "/")
	var texts []string
	for _, tail := range slices.Compact([]string{what, namespace, store.FrozenCluster}) {
		freeze, there := freezes[tail]
		if !there || !freeze.Until.IsZero() && !freeze.Until.After(now) {
			continue // the scheduler is about to remove one that is over
		}
		text := "freeze/" + tail
		if told := freezeText(freeze); told != "" {
			text += " (" + told + ")"
		}
		texts = append(texts, text)
	}
	return texts
}

// freezeText is by whom a freeze is, until when and why, as far as it tells.
func freezeText(f nightwatch.Freeze) string {
	var parts []string
	if f.By != "" {
		parts = append(parts, "by "+f.By)
	}
	if !f.Until.IsZero() {
		parts = append(parts, "until "+stamp(f.Until))
	}
	text := strings.Join(parts, ", ")
	if f.Note != "" {
		text = strings.TrimPrefix(text+": "+f.Note, ": ")
	}
	return text
}

func newResume() *cobra.Command {
	var f freezing
	cmd := &cobra.Command{
		Use:   "resume TASK | --all | --cluster",
		Short: "Let a paused task, namespace or everything start again",
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
				if !found && strings.Contains(tail, "/") {
					if _, _, err := st.Task(ctx, tail); err != nil {
						return ofTask(tail, err)
					}
				}
				freezes, err := st.Freezes(ctx, tail)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), resumed(name, found, pausing(tail, freezes, time.Now())))
				return nil
			})
		},
	}
	f.flags(cmd)
	return cmd
}
