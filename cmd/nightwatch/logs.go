package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/store"
)

// tailing is one call of nightwatch logs.
type tailing struct {
	etcd       connection
	names      naming
	follow     bool
	timestamps bool
	attempt    int // 0: the newest
	tail       int
	shard      int

	store       *store.Store
	task        string
	out, errOut io.Writer
}

func newLogsCommand() *cobra.Command {
	var t tailing
	cmd := &cobra.Command{
		Use:   "logs TASK [RUN]",
		Short: "Print what a run writes",
		Long: `Print what a run writes: of the run that is under way or, if there is none, of the newest.

It is read from the node that has it, at the address that the node announces (--advertise there). When that cannot be,
the end of it that the run's record keeps is printed, and why on standard error. What a run writes to standard output
and error is one stream, in the order in which it was written.`,
		Example: `  nightwatch logs backup
  nightwatch logs team-a/report -f
  nightwatch logs backup 20261120T141500Z --attempt 1 --timestamps`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.check(cmd); err != nil {
				return err
			}
			var err error
			if t.task, err = t.names.task(args[0]); err != nil {
				return err
			}
			id := ""
			if len(args) > 1 {
				if id = args[1]; !nightwatch.ValidRunID(id) {
					return usage("%q: want the id of a run, as \"nightwatch get runs\" shows it", id)
				}
			}
			t.out, t.errOut = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return t.etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) error {
				t.store = st
				if err := t.run(ctx, id); ctx.Err() == nil {
					return err
				}
				return nil // whoever follows has had enough
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&t.follow, "follow", "f", false, "go on until the run has ended, over all its attempts; wait for one that has not begun, or that there is not yet")
	flags.IntVar(&t.attempt, "attempt", 0, "of that attempt alone, from 1 (default: the newest)")
	flags.IntVar(&t.tail, "tail", jobrunner.All, "at most that many of the last lines (default: all)")
	flags.IntVar(&t.shard, "shard", jobrunner.All, "of that shard alone, from 0, of a run that is split")
	flags.BoolVar(&t.timestamps, "timestamps", false, "each line after the time when it was written")
	argument(flags, "follow", "attempt", "tail", "shard", "timestamps")
	t.names.flags(flags)
	t.etcd.flags(flags)
	return cmd
}

func (t *tailing) check(cmd *cobra.Command) error {
	for _, number := range []struct {
		flag         string
		value, least int
	}{{"attempt", t.attempt, 1}, {"tail", t.tail, 0}, {"shard", t.shard, 0}} {
		if cmd.Flags().Changed(number.flag) && number.value < number.least {
			return usage("--%s: %d: want %d or more", number.flag, number.value, number.least)
		}
	}
	return nil
}

// run prints the log of the run with an id, or of the one that is meant when there is none.
func (t *tailing) run(ctx context.Context, id string) error {
	run, err := t.find(ctx, id)
	if t.follow && errors.Is(err, errNoRun) {
		run, err = t.firstRun(ctx)
	}
	if err != nil {
		return err
	}
	if run, err = t.ofShard(ctx, run); err != nil {
		return err
	}
	if !t.follow {
		return t.print(ctx, run)
	}
	return t.followRun(ctx, run)
}

// errNoRun says that a task has never run, or that its runs have left the history.
var errNoRun = errors.New("no run on record")

// find is the run that is meant.
func (t *tailing) find(ctx context.Context, id string) (*nightwatch.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, t.etcd.timeout)
	defer cancel()
	if id != "" {
		run, _, err := t.store.Run(ctx, t.task, id)
		if errors.Is(err, nightwatch.ErrNotFound) {
			return nil, fmt.Errorf("%s has no run %q on record; \"nightwatch get runs\" shows those it has", t.task, id)
		}
		return &run, err
	}
	runs, err := t.store.Runs(ctx, t.task)
	if err != nil {
		return nil, err
	}
	if run := newest(slices.Collect(maps.Values(runs))); run != nil {
		return run, nil
	}
	if err := known(ctx, t.store, t.task); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s has %w; -f waits for one", t.task, errNoRun)
}

// newest is the newest run that is under way; else the newest that began; else the newest.
func newest(runs []nightwatch.Run) *nightwatch.Run {
	var found *nightwatch.Run
	rank := func(r *nightwatch.Run) int {
		switch {
		case r.Phase == nightwatch.PhaseRunning:
			return 3
		case r.Live():
			return 2
		case !r.StartTime.IsZero():
			return 1
		}
		return 0
	}
	for i := range runs {
		r := &runs[i]
		if r.Shard != nil {
			continue
		}
		if found == nil || rank(r) > rank(found) || rank(r) == rank(found) && later(r, found) {
			found = r
		}
	}
	return found
}

func later(a, b *nightwatch.Run) bool {
	if c := a.CreateTime.Compare(b.CreateTime); c != 0 {
		return c > 0
	}
	return a.ID > b.ID
}

// ofShard is the shard of a run that is wanted, where shards are runs of their own.
func (t *tailing) ofShard(ctx context.Context, run *nightwatch.Run) (*nightwatch.Run, error) {
	switch {
	case run.Shards == nil && t.shard != jobrunner.All:
		return nil, usage("--shard: run %s is not split", run.ID)
	case run.Shards == nil || run.Runner == nightwatch.RunnerKubernetes:
		return run, nil
	case t.shard == jobrunner.All:
		return nil, usage("run %s is split into %d shards, which have a log each: choose one with --shard, from 0", run.ID, run.Shards.Count)
	case t.shard >= run.Shards.Count:
		return nil, usage("--shard: %d: run %s has %d shards, from 0", t.shard, run.ID, run.Shards.Count)
	}
	id := nightwatch.ShardRunID(run.ID, t.shard)
	t.shard = jobrunner.All
	if t.follow && run.Live() {
		return t.shardRun(ctx, run, id)
	}
	return t.find(ctx, id)
}

// began is the newest attempt of a run that began, 0 if none has.
func began(run *nightwatch.Run) int {
	switch {
	case run.Log == nil:
		return 0
	case run.Phase == nightwatch.PhaseRunning || run.Phase.Terminal():
		return run.Attempt
	}
	return run.Attempt - 1 // the next one waits
}

// print prints what there is now.
func (t *tailing) print(ctx context.Context, run *nightwatch.Run) error {
	attempt, err := t.attemptOf(run)
	if err != nil {
		return err
	}
	reading := &logReader{tailing: t, run: run, attempt: attempt}
	err = reading.read(ctx)
	var none *unavailable
	if errors.As(err, &none) {
		return t.fallBack(run, attempt, none)
	}
	return err
}

func (t *tailing) attemptOf(run *nightwatch.Run) (int, error) {
	newest := began(run)
	switch {
	case newest == 0 && run.Live():
		return 0, fmt.Errorf("run %s has not begun: %s; -f waits for it", run.ID, phaseText(run))
	case newest == 0:
		return 0, fmt.Errorf("run %s did not begin: %s", run.ID, phaseText(run))
	case t.attempt == 0:
		return newest, nil
	case t.attempt > newest:
		return 0, fmt.Errorf("--attempt: %d: run %s has come to attempt %d", t.attempt, run.ID, newest)
	}
	return t.attempt, nil
}

// phaseText is the phase with what there is to say of it.
func phaseText(run *nightwatch.Run) string {
	text := string(run.Phase)
	if run.Reason != "" {
		text += " (" + run.Reason + ")"
	}
	if run.Message != "" {
		text += ": " + run.Message
	}
	return text
}

// fallBack prints the end of the output that the record keeps, and why that is all.
func (t *tailing) fallBack(run *nightwatch.Run, attempt int, why error) error {
	switch {
	case attempt != outputOf(run):
		return fmt.Errorf("log of attempt %d of run %s: %w", attempt, run.ID, why)
	case run.Output == "":
		t.note("%v; its record has no output either", why)
	default:
		t.note("%v; this is the end of the output, as its record keeps it", why)
		text := run.Output
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		_, err := io.WriteString(t.out, text)
		return err
	}
	return nil
}

// outputOf is the attempt whose output the record keeps; 0 if nobody can say.
func outputOf(run *nightwatch.Run) int {
	if run.Phase.Terminal() {
		return run.Attempt
	}
	if n := len(run.Attempts); n > 0 && run.Attempts[n-1].Reason != nightwatch.ReasonNodeLost {
		return run.Attempts[n-1].Attempt
	}
	return 0
}

// note says something that is no output of the run.
func (t *tailing) note(format string, args ...any) {
	fmt.Fprintf(t.errOut, "nightwatch: "+format+"\n", args...)
}

// retryLog is the rest between two tries to reach a node whose run goes on.
const retryLog = time.Second

// followRun prints what comes until the run has ended.
func (t *tailing) followRun(ctx context.Context, run *nightwatch.Run) error {
	var reading *logReader
	var told string
	for {
		attempt := t.attempt
		if attempt == 0 {
			attempt = began(run)
		}
		if attempt == 0 || attempt > began(run) {
			if !run.Live() {
				_, err := t.attemptOf(run)
				return err
			}
			next, err := t.wait(ctx, run, func(r *nightwatch.Run) bool { return !r.Live() || began(r) >= max(t.attempt, 1) })
			if err != nil {
				return err
			}
			run = next
			continue
		}
		if reading == nil || reading.attempt != attempt {
			if reading != nil {
				t.note("attempt %d%s", attempt, onNode(run, attempt))
			}
			reading = &logReader{tailing: t, attempt: attempt}
		}
		reading.run = run
		over := run.Phase.Terminal() || attempt < run.Attempt
		err := reading.read(ctx)
		var none *unavailable
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whoever reads has had enough
		case unreachable(err): // etcd, which is waited for wherever the run is
			if told != err.Error() {
				told = err.Error()
				t.note("etcd cannot be asked which nodes there are: %v; waiting", err)
			}
			pause(ctx, retryLog)
			continue
		case err != nil && !errors.As(err, &none):
			return err
		case err == nil && (run.Phase.Terminal() || t.attempt != 0):
			return nil
		case none != nil && over && (run.Phase.Terminal() || t.attempt != 0):
			if reading.printed {
				t.note("the rest of it cannot be had: %v", none)
				return nil
			}
			return t.fallBack(run, attempt, none)
		case none != nil && none.Error() != told:
			told = none.Error()
			t.note("%v; waiting", none)
		}
		ended := err == nil
		session := run.Session
		next, err := t.waitFor(ctx, run, ended || over, func(r *nightwatch.Run) bool {
			return !r.Live() || began(r) > attempt || began(r) == attempt && r.Session != session
		})
		if err != nil {
			return err
		}
		if ended && !next.Live() && began(next) == attempt && next.Session == session {
			return nil
		}
		run = next
	}
}

// pause waits, no longer than ctx lets it.
func pause(ctx context.Context, length time.Duration) {
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
}

func onNode(run *nightwatch.Run, attempt int) string {
	if attempt == run.Attempt && run.Node != "" {
		return " on " + run.Node
	}
	return ""
}
