package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/store"
)

// Results of applying one task.
const (
	resultCreated     = "created"
	resultUpdated     = "updated"
	resultUnchanged   = "unchanged"
	resultResubmitted = "resubmitted"
)

type applied struct {
	Task   string `json:"task"`
	Result string `json:"result"`
	// Revision is what the task's key has now.
	Revision int64 `json:"revision"`
}

func newApply() *cobra.Command {
	var etcd connection
	var names naming
	var format output
	var files []string
	var resubmit bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Put tasks from files, those that differ from what is there",
		Long: `Put tasks from files into etcd, those that differ from what is there.

Each task needs its name in the file; its namespace is the file's, else that of --namespace. Nothing is put unless every
task of every file is valid. A task that is there already and means the same is left alone, so that a task without a
schedule does not run again; --resubmit puts it anyway.`,
		Example: `  nightwatch apply -f hello.yaml
  nightwatch apply -f - --resubmit < hello.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAll(&format, &names); err != nil {
				return err
			}
			documents, err := readDocuments(files, cmd.InOrStdin(), names.namespace)
			if err != nil {
				return failed(err)
			}
			if err := refused(documents); err != nil {
				return failed(err)
			}
			var results []applied
			err = etcd.with(cmd.Context(), func(ctx context.Context, st *store.Store) (err error) {
				results, err = applyAll(ctx, st, documents, resubmit, etcd.timeout)
				return err
			})
			// What was done is told even if the rest was not.
			if printErr := format.print(cmd.OutOrStdout(), results, func(out io.Writer) {
				for _, r := range results {
					fmt.Fprintf(out, "%s %s\n", r.Task, r.Result)
				}
			}); err == nil {
				err = failed(printErr)
			}
			return err
		},
	}
	fileFlag(cmd, &files)
	cmd.Flags().BoolVar(&resubmit, "resubmit", false, "put tasks that are unchanged too, by which those without a schedule run again")
	argument(cmd.Flags(), "resubmit")
	names.flags(cmd.Flags())
	format.flags(cmd.Flags())
	etcd.flags(cmd.Flags())
	return cmd
}

// applyAll puts documents one after the other, each with a timeout of its own, and returns what was done, also with an
// error.
func applyAll(ctx context.Context, st *store.Store, documents []document, resubmit bool, timeout time.Duration) ([]applied, error) {
	var results []applied
	for _, d := range documents {
		taskCtx, cancel := context.WithTimeout(ctx, timeout)
		result, err := applyTask(taskCtx, st, d, resubmit)
		cancel()
		if err != nil {
			return results, fmt.Errorf("%s: %w", d.key, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// applyTask puts a document if it differs from what stands under its key, and only over that.
func applyTask(ctx context.Context, st *store.Store, d document, resubmit bool) (applied, error) {
	for {
		old, seen, err := st.Task(ctx, d.key)
		if err != nil && !errors.Is(err, nightwatch.ErrNotFound) {
			return applied{}, err
		}
		result := resultCreated
		if seen != 0 {
			result = resultUpdated
			if stored, err := nightwatch.ParseTask(d.key, old); err == nil && canonical(stored) == canonical(d.task) {
				if !resubmit {
					return applied{d.key, resultUnchanged, seen}, nil
				}
				result = resultResubmitted
			}
		}
		key := st.Keys().Task(d.key)
		var txn store.Txn
		txn.Seen(key, seen)
		txn.Put(key, d.value)
		response, err := st.Commit(ctx, &txn)
		if errors.Is(err, nightwatch.ErrRefused) {
			continue // somebody else put it at this moment: compare with theirs
		}
		if err != nil {
			return applied{}, fmt.Errorf("put %s: %w", key, err)
		}
		return applied{d.key, result, response.Header.Revision}, nil
	}
}
