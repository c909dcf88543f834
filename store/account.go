package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
)

// accountTries is how often Account starts over when the revision that it reads at is compacted meanwhile.
const accountTries = 3

// Account reads all there is of a task ("<namespace>/<task>"), as it stood at one revision: nightwatch.ErrNotFound
// when neither the task nor a status of it is there. Its Now is this machine's clock.
func (s *Store) Account(ctx context.Context, task string) (ledger.Account, error) {
	if _, _, err := nightwatch.ParseTaskName(task); err != nil {
		return ledger.Account{}, err
	}
	for try := 1; ; try++ {
		account, err := s.account(ctx, task)
		if errors.Is(err, rpctypes.ErrCompacted) && try < accountTries {
			continue
		}
		if err != nil {
			return ledger.Account{}, fmt.Errorf("read the account of %s: %w", task, err)
		}
		return account, nil
	}
}

func (s *Store) account(ctx context.Context, task string) (ledger.Account, error) {
	// The runs come first, since they may fill several pages; all else is read at the revision of the first.
	a := ledger.Account{Task: task}
	prefix := s.keys.RunsOf(task)
	events, revision, err := List(ctx, s.client, prefix)
	if err != nil {
		return a, err
	}
	a.Now, a.Revision = time.Now().UTC(), revision
	for _, event := range events {
		a.Runs = append(a.Runs, readRun(task, event.Key[len(prefix):], event.Value))
	}
	slices.SortStableFunc(a.Runs, func(x, y nightwatch.Run) int {
		return cmp.Or(x.NominalTime.Compare(y.NominalTime), cmp.Compare(x.ID, y.ID))
	})
	if err := s.readTask(ctx, &a); err != nil {
		return a, err
	}
	return a, s.readCalendars(ctx, &a)
}

// readRun reads a run record. One that is none, or another run's, still claims its key: it is a failed run without a
// time.
func readRun(task, id string, value []byte) nightwatch.Run {
	var run nightwatch.Run
	if json.Unmarshal(value, &run) != nil || run.ID != id {
		return nightwatch.Run{ID: id, Task: task, Phase: nightwatch.PhaseFailed, Message: "the record cannot be read"}
	}
	run.Log = nil // an account is for showing around, and who has the token may read the log
	return run
}

// readTask reads what there is beside runs and calendars, at the account's revision.
func (s *Store) readTask(ctx context.Context, a *ledger.Account) error {
	freezes := s.keys.Freezes(a.Task)
	keys := append([]string{s.keys.Task(a.Task), s.keys.Accepted(a.Task), s.keys.Status(a.Task), s.keys.Ledger(a.Task)}, freezes...)
	found, err := s.readAt(ctx, a.Revision, keys, clientv3.OpGet(s.keys.Of(Nodes), clientv3.WithPrefix(), clientv3.WithRev(a.Revision)))
	if err != nil {
		return err
	}
	if kvs := found[0]; len(kvs) > 0 {
		a.Value, a.TaskRevision = kvs[0].Value, kvs[0].ModRevision
	}
	var accepted nightwatch.Accepted
	if there, err := decodeFirst(found[1], &accepted); err != nil {
		return err
	} else if there {
		a.Accepted = &accepted
	}
	var status nightwatch.Status
	if there, err := decodeFirst(found[2], &status); err != nil {
		return err
	} else if there {
		a.Status = &status
	}
	if a.TaskRevision == 0 && a.Status == nil {
		return nightwatch.ErrNotFound
	}
	if _, err := decodeFirst(found[3], &a.Ledger); err != nil {
		return err
	}
	a.Freezes, a.FreezeErrors = map[string]nightwatch.Freeze{}, map[string]string{}
	for i, kvs := range found[4 : 4+len(freezes)] {
		if len(kvs) > 0 {
			_, tail, _ := s.keys.Parse(freezes[i])
			freeze, err := nightwatch.ParseFreeze(kvs[0].Value)
			a.Freezes[tail] = freeze // whatever the value says, the key is what freezes
			if err != nil {
				a.FreezeErrors[tail] = err.Error()
			}
		}
	}
	for _, kv := range found[len(keys)] {
		var node nightwatch.Node
		if json.Unmarshal(kv.Value, &node) == nil {
			a.Nodes = append(a.Nodes, node)
		}
	}
	return nil
}

// readCalendars reads those that the version in force uses, at the account's revision.
func (s *Store) readCalendars(ctx context.Context, a *ledger.Account) error {
	a.Calendars = map[string]nightwatch.AcceptedCalendar{}
	if a.Accepted == nil {
		return nil
	}
	for _, name := range a.Accepted.Task.Calendars.Names() { // one by one: each may be half a megabyte
		found, err := s.readAt(ctx, a.Revision, []string{s.keys.AcceptedCalendar(name)})
		if err != nil {
			return err
		}
		var calendar nightwatch.AcceptedCalendar
		if there, err := decodeFirst(found[0], &calendar); err != nil {
			return err
		} else if there {
			a.Calendars[name] = calendar
		}
	}
	return nil
}

// readAt reads keys, and further reads, in one transaction; the answers are in their order.
func (s *Store) readAt(ctx context.Context, revision int64, keys []string, further ...clientv3.Op) ([][]*mvccpb.KeyValue, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var reads []clientv3.Op
	for _, key := range keys {
		reads = append(reads, clientv3.OpGet(key, clientv3.WithRev(revision)))
	}
	response, err := s.client.Txn(ctx).Then(append(reads, further...)...).Commit()
	if err != nil {
		return nil, err
	}
	found := make([][]*mvccpb.KeyValue, len(response.Responses))
	for i, answer := range response.Responses {
		found[i] = answer.GetResponseRange().Kvs
	}
	return found, nil
}

// decodeFirst reads the value of a key, which may be absent.
func decodeFirst(kvs []*mvccpb.KeyValue, into any) (there bool, err error) {
	if len(kvs) == 0 {
		return false, nil
	}
	if err := json.Unmarshal(kvs[0].Value, into); err != nil {
		return false, fmt.Errorf("%s: %w", kvs[0].Key, err)
	}
	return true, nil
}
