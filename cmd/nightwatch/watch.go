package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// change is something that happened to a task or a run, as nightwatch watch prints it.
type change struct {
	// Time is when it was seen.
	Time time.Time `json:"time"`
	// Kind is "task" or "run".
	Kind    string           `json:"kind"`
	Task    string           `json:"task"`
	Run     string           `json:"run,omitempty"`
	Phase   nightwatch.Phase `json:"phase,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	Message string           `json:"message,omitempty"`
	Node    string           `json:"node,omitempty"`
	Attempt int              `json:"attempt,omitempty"`
	// Next is when a task is due next.
	Next time.Time `json:"next,omitzero"`
	// Deleted says that the status or the record is gone.
	Deleted bool `json:"deleted,omitempty"`
}

func newWatch() *cobra.Command {
	var g getting
	cmd := &cobra.Command{
		Use:   "watch [TASK]",
		Short: "Print a line for each change of a task's phase or a run's, as it happens",
		Long: `Print a line for each change of a task's phase or a run's, as it happens, until it is interrupted: of one task, of
all in a namespace, or with --all-namespaces of all. Of one task the first lines say how it stands.

It outlives compactions and restarts of etcd: what changed meanwhile is printed then, though not every step of it.`,
		Example: `  nightwatch watch backup
  nightwatch watch --all-namespaces -o json | jq 'select(.phase == "Failed")'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if g.out.format == "yaml" {
				return usage("--output: %q: want table or json", g.out.format)
			}
			task, namespace, err := g.of(args)
			if err != nil {
				return err
			}
			return g.etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				w := &watching{
					store: st, task: task, json: g.out.format == "json", out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(),
					known: map[string]change{},
				}
				below := ""
				switch {
				case task != "":
					below, _, _ = strings.Cut(task, "/")
					below += "/"
				case namespace != "":
					below = namespace + "/"
				}
				return w.run(ctx, below, g.etcd.timeout)
			})
		},
	}
	g.flags(cmd)
	return cmd
}

// watchSilence is how long a watch may say nothing before somebody who looks on is told that it is interrupted.
const watchSilence = 6 * time.Second

// watching is one call of nightwatch watch.
type watching struct {
	store       *store.Store
	task        string // "" for all
	json        bool
	out, errOut io.Writer

	mu     sync.Mutex
	known  map[string]change // by key
	failed bool
	err    error
	stop   context.CancelFunc
}

// run follows two prefixes, since who may read a team's keys may read no more than them.
func (w *watching) run(ctx context.Context, below string, timeout time.Duration) error {
	statuses, runs := w.store.Keys().Of(store.Statuses)+below, w.store.Keys().Of(store.Runs)+below
	if w.task != "" {
		runs = w.store.Keys().RunsOf(w.task)
	}
	// Followers try for ever, which is for later.
	for _, prefix := range []string{statuses, runs} {
		first, cancel := context.WithTimeout(ctx, timeout)
		_, err := w.store.Client().Get(first, prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		cancel()
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
	}
	ctx, w.stop = context.WithCancel(ctx)
	defer w.stop()
	var following sync.WaitGroup
	for _, prefix := range []string{statuses, runs} {
		begun := false
		follower := store.Follower{Client: w.store.Client(), Prefix: prefix, Silence: watchSilence, Problem: w.problem}
		following.Go(func() {
			follower.Run(ctx, func(b store.Batch) {
				w.apply(prefix, b, begun || w.task != "")
				begun = true
			})
		})
	}
	following.Wait()
	return w.err
}

// problem tells of trouble with etcd once, and of its end.
func (w *watching) problem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil && denied(err):
		w.err = err
		w.stop()
	case err != nil && !w.failed:
		w.failed = true
		fmt.Fprintf(w.errOut, "nightwatch: watching is interrupted, trying on: %v\n", err)
	case err == nil && w.failed:
		w.failed = false
		fmt.Fprintln(w.errOut, "nightwatch: watching goes on")
	}
}

// apply prints what a batch changes of what is known; what is there from the beginning only if that is to be told.
func (w *watching) apply(prefix string, b store.Batch, tell bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := map[string]bool{}
	for _, e := range b.Events {
		there[e.Key] = true
		c, ok := w.read(e)
		if !ok {
			continue
		}
		before, known := w.known[e.Key]
		now := c
		before.Next, now.Next = time.Time{}, time.Time{} // that one time follows another is no news
		switch {
		case e.Deleted && known:
			w.gone(e.Key)
		case !e.Deleted && (!known || before != now):
			w.known[e.Key] = c
			if tell {
				w.print(c)
			}
		}
	}
	if b.Snapshot {
		for key := range w.known {
			if strings.HasPrefix(key, prefix) && !there[key] {
				w.gone(key)
			}
		}
	}
}

// gone is called with w.mu held.
func (w *watching) gone(key string) {
	c := w.known[key]
	delete(w.known, key)
	w.print(change{Kind: c.Kind, Task: c.Task, Run: c.Run, Deleted: true})
}

// read is what a key says, without the time, if it is one of those that are watched.
func (w *watching) read(e store.Event) (change, bool) {
	kind, tail, ok := w.store.Keys().Parse(e.Key)
	if !ok {
		return change{}, false
	}
	if kind == store.Statuses {
		if !store.TaskTail(tail) || w.task != "" && tail != w.task {
			return change{}, false
		}
		c := change{Kind: "task", Task: tail}
		var s nightwatch.Status
		if !e.Deleted && json.Unmarshal(e.Value, &s) == nil {
			c.Phase, c.Reason, c.Message = s.Phase, s.Reason, s.Message
			if len(s.Errors) > 0 {
				c.Message = nightwatch.InvalidError(s.Errors).Error()
			}
			if len(s.Next) > 0 && !s.Phase.Terminal() {
				c.Next = s.Next[0]
			}
		}
		return c, true
	}
	task, id, _ := store.SplitLast(tail)
	c := change{Kind: "run", Task: task, Run: id}
	var r nightwatch.Run
	if !e.Deleted && json.Unmarshal(e.Value, &r) == nil {
		c.Phase, c.Reason, c.Message, c.Node, c.Attempt = r.Phase, r.Reason, r.Message, r.Node, r.Attempt
	}
	return c, true
}

// print is called with w.mu held.
func (w *watching) print(c change) {
	c.Time = time.Now().UTC().Truncate(time.Millisecond)
	var line string
	if w.json {
		data, _ := nightwatch.Encode(c) // a change can always be written
		line = string(data)
	} else {
		line = c.line()
	}
	if _, err := fmt.Fprintln(w.out, line); err != nil && w.err == nil {
		w.err = fmt.Errorf("print: %w", err)
		w.stop()
	}
}

// line is a change for people, in columns as far as they can be known.
func (c change) line() string {
	what := "task"
	if c.Kind == "run" {
		what = "run " + c.Run
	}
	phase := string(c.Phase)
	if c.Deleted {
		phase = "gone"
	}
	var details []string
	for _, part := range []string{c.Reason, oneLine(c.Message)} {
		if part != "" {
			details = append(details, part)
		}
	}
	text := strings.Join(details, ": ")
	add := func(part string) { text = strings.TrimPrefix(text+"; "+part, "; ") }
	if c.Node != "" {
		add("on " + c.Node)
	}
	if c.Attempt > 1 {
		add(fmt.Sprintf("attempt %d", c.Attempt))
	}
	if !c.Next.IsZero() {
		add("next " + stamp(c.Next))
	}
	return strings.TrimRight(fmt.Sprintf("%s  %-20s  %-20s  %-10s %s", c.Time.Format("2006-01-02T15:04:05.000Z"), c.Task, what, phase, text), " ")
}
