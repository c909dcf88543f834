package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

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
schedule does not run again; --resubmit puts it anyway. Many are put at a time: 128 of them, and when one cannot be put,
those beside it are, and none after.`,
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
			results := []applied{}
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

// pageSize is how many tasks are read in one request and put at a time: as many operations as etcd takes in one.
const pageSize = 128

// applyAll puts documents, a page at a time, and returns in their order what was done, also with an error, which is that of
// the first document that could not be put. Those of the same page are put all the same, later pages are not. The timeout
// is for each answer of etcd.
func applyAll(ctx context.Context, st *store.Store, documents []document, resubmit bool, timeout time.Duration) ([]applied, error) {
	results := []applied{}
	for page := range slices.Chunk(documents, pageSize) {
		stored, err := readPage(ctx, st, page, timeout)
		if err != nil {
			return results, fmt.Errorf("%s: %w", page[0].key, err)
		}
		done, errs := make([]applied, len(page)), make([]error, len(page))
		var group sync.WaitGroup
		for i, d := range page {
			// The store has those of the same moment share requests, and each hears of its own fault.
			group.Go(func() {
				taskCtx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				done[i], errs[i] = applyTask(taskCtx, st, d, stored[i], resubmit)
			})
		}
		group.Wait()
		var first error
		for i, err := range errs {
			if err == nil {
				results = append(results, done[i])
			} else if first == nil {
				first = fmt.Errorf("%s: %w", page[i].key, err)
			}
		}
		if first != nil {
			return results, first
		}
	}
	return results, nil
}

// keptTask is what stands under a task's key. Its zero value says that nobody has looked, revision 0 of one that has been read
// that there is nothing.
type keptTask struct {
	read     bool
	value    []byte
	revision int64
}

// readPage reads what stands under the keys of documents, in one request. If one of the keys may not be read, none is.
func readPage(ctx context.Context, st *store.Store, page []document, timeout time.Duration) ([]keptTask, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stored := make([]keptTask, len(page))
	gets := make([]clientv3.Op, len(page))
	for i, d := range page {
		gets[i] = clientv3.OpGet(st.Keys().Task(d.key))
	}
	response, err := st.Client().Txn(ctx).Then(gets...).Commit()
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return stored, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", st.Keys().Task(page[0].key), err)
	}
	for i, r := range response.Responses {
		stored[i].read = true
		if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
			stored[i].value, stored[i].revision = kvs[0].Value, kvs[0].ModRevision
		}
	}
	return stored, nil
}

// applyTask puts a document if it differs from what stands under its key, and only over that.
func applyTask(ctx context.Context, st *store.Store, d document, stored keptTask, resubmit bool) (applied, error) {
	for ; ; stored.read = false {
		if !stored.read {
			value, revision, err := st.Task(ctx, d.key)
			if err != nil && !errors.Is(err, nightwatch.ErrNotFound) {
				return applied{}, err
			}
			stored = keptTask{true, value, revision}
		}
		result := resultCreated
		if stored.revision != 0 {
			result = resultUpdated
			if old, err := nightwatch.ParseTask(d.key, stored.value); err == nil && canonical(old) == canonical(d.task) {
				if !resubmit {
					return applied{d.key, resultUnchanged, stored.revision}, nil
				}
				result = resultResubmitted
			}
		}
		key := st.Keys().Task(d.key)
		var txn store.Txn
		txn.Seen(key, stored.revision)
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
