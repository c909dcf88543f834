package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// verdictTimeout is how long a command waits for the cluster's answer to a request: longer than a new scheduler takes. It
// is changed by tests.
var verdictTimeout = 30 * time.Second

// asking is what commands that make a request have in common.
type asking struct {
	etcd  connection
	names naming
	out   output
	id    string
	note  string
	// complete, if not nil, adds to the request what only the cluster knows.
	complete func(ctx context.Context, st *store.Store, task string) error
}

func (a *asking) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.id, "id", "", "id of the request; the same id again within the hour does nothing twice (default: a new one)")
	flags.StringVar(&a.note, "note", "", "why, for people to read")
	argument(flags, "id", "note")
	a.names.flags(flags)
	a.out.flags(flags)
	a.etcd.flags(flags)
}

// telling says for people what an accepted request does.
type telling func(out io.Writer, task string, verdict nightwatch.Verdict)

// say is a telling by a format for the run's id.
func say(format string) telling {
	return func(out io.Writer, _ string, verdict nightwatch.Verdict) { fmt.Fprintf(out, format+"\n", verdict.Run) }
}

// ask makes the request, waits for the verdict and prints it, by tell if it was accepted.
func (a *asking) ask(cmd *cobra.Command, argument string, request *nightwatch.Request, tell telling) error {
	if err := a.out.check(); err != nil {
		return err
	}
	task, err := a.names.task(argument)
	if err != nil {
		return err
	}
	id := a.id
	if id == "" {
		id = newRequestID()
	} else if err := nightwatch.CheckRequestID(id); err != nil {
		return usage("--id: %w", err)
	}
	request.By, request.Note = whoami(), a.note
	return a.etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) error {
		if err := a.put(ctx, st, task, id, request); err != nil {
			return err
		}
		waitCtx, cancel := context.WithTimeoutCause(ctx, verdictTimeout, errNoVerdict)
		defer cancel()
		verdict, err := st.WaitVerdict(waitCtx, task, id)
		if errors.Is(err, errNoVerdict) {
			err = a.unanswered(ctx, st, task, id)
		}
		if err != nil {
			return err
		}
		if err := a.out.print(cmd.OutOrStdout(), verdict, func(out io.Writer) {
			if verdict.Accepted {
				tell(out, task, verdict)
			}
		}); err != nil {
			return err
		}
		if !verdict.Accepted {
			return fmt.Errorf("%s: refused: %w", task, nightwatch.InvalidError(verdict.Errors))
		}
		return nil
	})
}

var errNoVerdict = errors.New("no verdict")

// unanswered says why nothing was heard of a request: nobody has answered it, or etcd is away.
func (a *asking) unanswered(ctx context.Context, st *store.Store, task, id string) error {
	ctx, cancel := context.WithTimeout(ctx, a.etcd.timeout)
	defer cancel()
	key := st.Keys().Verdict(task, id)
	if _, err := st.Client().Get(ctx, key, clientv3.WithCountOnly()); err != nil {
		return fmt.Errorf("the request was put, and its verdict cannot be read: get %s: %w", key, err)
	}
	return fmt.Errorf("%w on %s within %s: is a node running? The request stays and is answered when one is", errNoVerdict, st.Keys().Request(task, id), verdictTimeout)
}

func (a *asking) put(ctx context.Context, st *store.Store, task, id string, request *nightwatch.Request) error {
	ctx, cancel := context.WithTimeout(ctx, a.etcd.timeout)
	defer cancel()
	if a.complete != nil {
		if err := a.complete(ctx, st, task); err != nil {
			return err
		}
	}
	err := st.Request(ctx, task, id, *request)
	var invalid nightwatch.InvalidError
	if errors.As(err, &invalid) {
		return usageError{err}
	}
	return err
}

// newRequestID sorts by time and is in lower case, as names in Kubernetes are.
func newRequestID() string {
	return time.Now().UTC().Format("20060102t150405") + "-" + strings.ToLower(rand.Text()[:6])
}

func newRun() *cobra.Command {
	var a asking
	var request nightwatch.Request
	var params []string
	cmd := &cobra.Command{
		Use:   "run TASK",
		Short: "Run a task now, beside its schedule, and print the run's id",
		Example: `  nightwatch run backup
  nightwatch run team-a/report --param day=2026-11-20 --param rows=100 --overlap allow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Action = nightwatch.ActionRun
			var err error
			if request.Params, err = parseParams(params); err != nil {
				return err
			}
			return a.ask(cmd, args[0], &request, say("%s"))
		},
	}
	paramFlag(cmd, &params)
	overlapFlag(cmd, &request.Overlap)
	a.flags(cmd)
	return cmd
}

func newCancel() *cobra.Command {
	var a asking
	var request nightwatch.Request
	var shards string
	cmd := &cobra.Command{
		Use:   "cancel TASK",
		Short: "Cancel a live run of a task or some of its shards, or a backfill",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Action = nightwatch.ActionCancel
			var err error
			if request.Shards, err = parseShards(shards); err != nil {
				return err
			}
			return a.ask(cmd, args[0], &request, say("canceling %s"))
		},
	}
	cmd.Flags().StringVar(&request.Run, "run", "", "id of the run, or the name of a backfill (default: the oldest live run)")
	argument(cmd.Flags(), "run")
	shardFlag(cmd, &shards, "(default: all)")
	a.flags(cmd)
	return cmd
}

func overlapFlag(cmd *cobra.Command, overlap *string) {
	cmd.Flags().StringVar(overlap, "overlap", "", "skip, queue-one, queue-all, replace or allow, instead of the task's own, should a run of it be live")
	argument(cmd.Flags(), "overlap")
}

func paramFlag(cmd *cobra.Command, params *[]string) {
	cmd.Flags().StringArrayVar(params, "param", nil, "key=value laid over the task's params; a value that is JSON counts as that, any other as a string; repeatable")
	argument(cmd.Flags(), "param")
}

func newRetry() *cobra.Command {
	var a asking
	var request nightwatch.Request
	var params []string
	var shards string
	var failed bool
	cmd := &cobra.Command{
		Use:   "retry TASK",
		Short: "Run a dead letter again, or some of its shards, and print the new run's id",
		Example: `  nightwatch retry report
  nightwatch retry import --failed-shards
  nightwatch retry import --run 20261120T141500Z --shard 1,3`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Action = nightwatch.ActionRetry
			var err error
			if request.Shards, err = parseShards(shards); err != nil {
				return err
			}
			if failed {
				if request.Shards != "" {
					return usage("want --shard or --failed-shards, not both")
				}
				request.Shards = nightwatch.FailedShards
			}
			if request.Params, err = parseParams(params); err != nil {
				return err
			}
			return a.ask(cmd, args[0], &request, say("%s"))
		},
	}
	cmd.Flags().StringVar(&request.Run, "run", "", "id of the run (default: the newest dead letter)")
	shardFlag(cmd, &shards, "(default: a whole run)")
	cmd.Flags().BoolVar(&failed, "failed-shards", false, "only the shards of the run that did not succeed")
	argument(cmd.Flags(), "failed-shards")
	paramFlag(cmd, &params)
	overlapFlag(cmd, &request.Overlap)
	argument(cmd.Flags(), "run")
	a.flags(cmd)
	return cmd
}

func newDrop() *cobra.Command {
	var a asking
	var request nightwatch.Request
	cmd := &cobra.Command{
		Use:   "drop TASK",
		Short: "Put a dead letter aside: it is not shown as one any longer",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Action = nightwatch.ActionDrop
			return a.ask(cmd, args[0], &request, say("dropped %s"))
		},
	}
	cmd.Flags().StringVar(&request.Run, "run", "", "id of the run (default: the newest dead letter)")
	argument(cmd.Flags(), "run")
	a.flags(cmd)
	return cmd
}

func parseParams(pairs []string) (map[string]json.RawMessage, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	params := make(map[string]json.RawMessage, len(pairs))
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usage("--param: %q: want key=value", pair)
		}
		if _, twice := params[name]; twice {
			return nil, usage("--param: %s is there twice", name)
		}
		raw := json.RawMessage(value)
		if !json.Valid(raw) {
			quoted, err := json.Marshal(value)
			if err != nil {
				return nil, usage("--param: %s: %w", name, err)
			}
			raw = quoted
		}
		params[name] = raw
	}
	return params, nil
}
