package main

import (
	"context"
	"encoding/json"
	"errors"
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

// limitView is what pools and namespaces have in common, as get shows them.
type limitView struct {
	Name string `json:"name"`
	// Used is how many runs count against the limit; Waiting is how many more are pending, for whatever reason.
	Used    int `json:"used"`
	Waiting int `json:"waiting"`
	// Status is the verdict on the key, nil when there is none.
	Status *nightwatch.CalendarStatus `json:"status,omitempty"`
}

// poolView is a pool with what is in force of it. One that only tasks name has no limits, and its runs wait for it.
type poolView struct {
	limitView
	nightwatch.Pool
}

// namespaceView is a namespace with what is in force of it.
type namespaceView struct {
	limitView
	nightwatch.Namespace
	Tasks int `json:"tasks"`
}

func newGetPools() *cobra.Command {
	return newGetLimits("pool", "Show pools, how many runs they have, and how many wait",
		func(out io.Writer, views []*poolView) {
			row(out, "POOL", "SLOTS", "STARTS/MINUTE", "USED", "WAITING", "ACCEPTED", "ERRORS", "UPDATED")
			for _, v := range views {
				row(out, slices.Concat([]string{v.Name, countText(v.Slots), countText(v.StartsPerMinute)}, v.cells())...)
			}
		},
		func(l *limits) map[string]*poolView { return l.pools })
}

func newGetNamespaces() *cobra.Command {
	return newGetLimits("namespace", "Show namespaces, their shares and limits, how many runs they have, and how many wait",
		func(out io.Writer, views []*namespaceView) {
			row(out, "NAMESPACE", "WEIGHT", "LIMIT", "TASKS", "USED", "WAITING", "ACCEPTED", "ERRORS", "UPDATED")
			for _, v := range views {
				row(out, slices.Concat([]string{v.Name, countText(v.Weight), countText(v.Limits.Running), strconv.Itoa(v.Tasks)}, v.cells())...)
			}
		},
		func(l *limits) map[string]*namespaceView { return l.namespaces })
}

func newGetLimits[T any](kind, short string, table func(io.Writer, []T), of func(*limits) map[string]T) *cobra.Command {
	var etcd connection
	var format output
	cmd := &cobra.Command{
		Use:     kind + "s [" + strings.ToUpper(kind) + "]",
		Aliases: []string{kind},
		Short:   short,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			return etcd.quick(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				read, err := readLimits(ctx, st)
				if err != nil {
					return err
				}
				found, views := of(read), []T{}
				for _, name := range slices.Sorted(maps.Keys(found)) {
					if len(args) == 0 || name == args[0] {
						views = append(views, found[name])
					}
				}
				if len(args) > 0 && len(views) == 0 {
					return fmt.Errorf("%s %s: %w", kind, args[0], nightwatch.ErrNotFound)
				}
				return format.print(cmd.OutOrStdout(), oneOr(views, len(args) > 0), func(out io.Writer) { table(out, views) })
			})
		},
	}
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}

// limits are all pools and namespaces, by name: those that have keys, and those that tasks and runs name.
type limits struct {
	pools      map[string]*poolView
	namespaces map[string]*namespaceView
}

func (l *limits) pool(name string) *poolView {
	if l.pools[name] == nil {
		l.pools[name] = &poolView{limitView: limitView{Name: name}}
	}
	return l.pools[name]
}

func (l *limits) namespace(name string) *namespaceView {
	if l.namespaces[name] == nil {
		l.namespaces[name] = &namespaceView{limitView: limitView{Name: name}, Namespace: nightwatch.Namespace{Weight: 1}}
	}
	return l.namespaces[name]
}

func readLimits(ctx context.Context, st *store.Store) (*limits, error) {
	l := &limits{pools: map[string]*poolView{}, namespaces: map[string]*namespaceView{}}
	keys, poolOf := st.Keys(), map[string]string{}
	var faults []error
	each := func(prefix string, fn func(tail string, value []byte)) {
		events, _, err := store.List(ctx, st.Client(), prefix)
		if err != nil {
			faults = append(faults, fmt.Errorf("list %s: %w", prefix, err))
		}
		for _, e := range events {
			fn(e.Key[len(prefix):], e.Value)
		}
	}
	each(keys.Of(store.Pools), func(name string, _ []byte) { l.pool(name) })
	each(keys.Of(store.Namespaces), func(name string, _ []byte) { l.namespace(name) })
	each(keys.PoolStatus(""), func(name string, value []byte) { _ = json.Unmarshal(value, &l.pool(name).Status) })
	each(keys.NamespaceStatus(""), func(name string, value []byte) { _ = json.Unmarshal(value, &l.namespace(name).Status) })
	each(keys.Of(store.Accepted), func(tail string, value []byte) {
		var pool nightwatch.AcceptedPool
		var namespace nightwatch.AcceptedNamespace
		var task nightwatch.Accepted
		if name, ok := store.PoolOf(tail); ok {
			if json.Unmarshal(value, &pool) == nil {
				l.pool(name).Pool = pool.Pool
			}
		} else if name, ok := store.NamespaceOf(tail); ok {
			if json.Unmarshal(value, &namespace) == nil {
				l.namespace(name).Namespace = namespace.Namespace
				l.namespace(name).Weight = max(namespace.Namespace.Weight, 1)
			}
		} else if _, calendar := store.CalendarOf(tail); !calendar && json.Unmarshal(value, &task) == nil {
			name, _, _ := strings.Cut(tail, "/")
			l.namespace(name).Tasks++
			if poolOf[tail] = task.Task.Pool; poolOf[tail] != "" {
				l.pool(poolOf[tail])
			}
		}
	})
	each(keys.Of(store.Runs), func(_ string, value []byte) {
		var run nightwatch.Run
		if json.Unmarshal(value, &run) != nil {
			return
		}
		name, _, _ := strings.Cut(run.Task, "/")
		switch {
		case run.Occupies():
			l.namespace(name).Used++
			if run.Pool != "" {
				l.pool(run.Pool).Used++
			}
		case run.Phase == nightwatch.PhasePending && !run.Parent():
			l.namespace(name).Waiting++
			if pool := poolOf[run.Task]; pool != "" {
				l.pool(pool).Waiting++
			}
		}
	})
	return l, errors.Join(faults...)
}

// cells are the ends of the rows of pools and namespaces.
func (v *limitView) cells() []string {
	cells := []string{strconv.Itoa(v.Used), strconv.Itoa(v.Waiting), "", "", ""}
	if s := v.Status; s != nil {
		cells[2], cells[3], cells[4] = strconv.FormatBool(s.Accepted), faultsText(s.Errors), stamp(s.UpdateTime)
	}
	return cells
}

// countText is a limit, nothing when there is none.
func countText(n nightwatch.Count) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}
