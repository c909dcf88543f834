package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// SchemaVersion is the version of keys and values that this binary reads and writes.
const SchemaVersion = "1"

// callTimeout bounds every request to etcd that has no deadline of its own.
const callTimeout = 5 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, callTimeout)
}

// Store reads and writes the keys of one cluster. It is safe for concurrent use and never closes its client.
type Store struct {
	client *clientv3.Client
	keys   Keys
	group  committer
}

// New is a Store for the keys below prefix (see NewKeys). It does no I/O.
func New(client *clientv3.Client, prefix string) *Store {
	return &Store{client: client, keys: NewKeys(prefix), group: committer{client: client, taken: newTable()}}
}

// Keys makes and parses the keys of this cluster.
func (s *Store) Keys() Keys { return s.keys }

// Client is the client given to New.
func (s *Store) Client() *clientv3.Client { return s.client }

// Bootstrap writes the schema version and the cluster's random id where they are not there yet, and returns the id.
// It fails with nightwatch.ErrUnknownSchema where the version is not ours. Repeating it is harmless.
func (s *Store) Bootstrap(ctx context.Context) (clusterID string, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	version, cluster := s.keys.MetaVersion(), s.keys.MetaCluster()
	_, err = s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(version), "=", 0), clientv3.Compare(clientv3.CreateRevision(cluster), "=", 0)).
		Then(clientv3.OpPut(version, SchemaVersion), clientv3.OpPut(cluster, newClusterID())).
		Commit()
	if err != nil {
		return "", fmt.Errorf("write %s: %w", version, err)
	}
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(version), clientv3.OpGet(cluster)).Commit()
	if err != nil {
		return "", fmt.Errorf("read %s: %w", version, err)
	}
	found, id := firstValue(got, 0), firstValue(got, 1)
	if string(found) != SchemaVersion {
		return "", fmt.Errorf("%s is %q, this is a binary for %q: %w", version, found, SchemaVersion, nightwatch.ErrUnknownSchema)
	}
	if len(id) == 0 {
		return "", fmt.Errorf("%s is missing while %s is there: %w", cluster, version, nightwatch.ErrUnknownSchema)
	}
	return string(id), nil
}

func firstValue(response *clientv3.TxnResponse, i int) []byte {
	if kvs := response.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
		return kvs[0].Value
	}
	return nil
}

// newClusterID is 64 random bits, in hexadecimal so that it can be a Kubernetes label.
func newClusterID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	return fmt.Sprintf("%x", id)
}

// ClusterID reads the cluster's id: nightwatch.ErrNotFound before any node has started.
func (s *Store) ClusterID(ctx context.Context) (string, error) {
	value, _, err := s.get(ctx, s.keys.MetaCluster())
	return string(value), err
}

// Put writes a task under "<namespace>/<task>" after checking it, and returns the revision, which is what
// Status.ObservedRevision will show once the cluster has seen it. A value that is refused is not written.
func (s *Store) Put(ctx context.Context, task string, value []byte) (int64, error) {
	if _, err := nightwatch.ParseTask(task, value); err != nil {
		return 0, err
	}
	return s.put(ctx, s.keys.Task(task), string(value))
}

// Delete removes a task; the cluster cancels its live runs and cleans up. It tells whether the task was there.
func (s *Store) Delete(ctx context.Context, task string) (bool, error) {
	return s.remove(ctx, s.keys.Task(task))
}

// Request asks for one action, under an id that makes it idempotent for an hour. The verdict comes by WaitVerdict.
func (s *Store) Request(ctx context.Context, task, id string, request nightwatch.Request) error {
	if _, _, err := nightwatch.ParseTaskName(task); err != nil {
		return err
	}
	if err := nightwatch.CheckRequestID(id); err != nil {
		return err
	}
	value, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	if _, err := nightwatch.ParseRequest(value); err != nil {
		return err
	}
	_, err = s.put(ctx, s.keys.Request(task, id), string(value))
	return err
}

// Freeze keeps a task ("<namespace>/<task>"), a namespace or, by FrozenCluster, everything from starting.
func (s *Store) Freeze(ctx context.Context, what string, freeze nightwatch.Freeze) error {
	if err := checkFrozen(what); err != nil {
		return err
	}
	value, err := json.Marshal(freeze)
	if err != nil {
		return fmt.Errorf("encode freeze: %w", err)
	}
	_, err = s.put(ctx, s.keys.Of(Freezes)+what, string(value))
	return err
}

// checkFrozen refuses what would freeze nothing, and leave whoever asked for it believing otherwise.
func checkFrozen(what string) error {
	if what == FrozenCluster {
		return nil
	}
	if what != "" && !strings.Contains(what, "/") {
		what += "/any"
	}
	_, _, err := nightwatch.ParseTaskName(what)
	return err
}

// Unfreeze ends a freeze. It tells whether there was one.
func (s *Store) Unfreeze(ctx context.Context, what string) (bool, error) {
	return s.remove(ctx, s.keys.Of(Freezes)+what)
}

// Freezes reads the freezes that cover a task ("<namespace>/<task>"), a namespace or, by FrozenCluster, everything, by
// their tails. One whose value is not as it should be tells what can be read of it.
func (s *Store) Freezes(ctx context.Context, what string) (map[string]nightwatch.Freeze, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	keys := s.keys.Freezes(what)
	var reads []clientv3.Op
	for _, key := range keys {
		reads = append(reads, clientv3.OpGet(key))
	}
	response, err := s.client.Txn(ctx).Then(reads...).Commit()
	if err != nil {
		return nil, fmt.Errorf("read the freezes of %s: %w", what, err)
	}
	freezes := map[string]nightwatch.Freeze{}
	for i, key := range keys {
		if kvs := response.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			_, tail, _ := s.keys.Parse(key)
			freezes[tail], _ = nightwatch.ParseFreeze(kvs[0].Value) // whatever the value says, the key is what freezes
		}
	}
	return freezes, nil
}

// Cordon keeps a node from being given runs, from now on and whether it is alive or not.
func (s *Store) Cordon(ctx context.Context, node string, cordon nightwatch.Cordon) error {
	if err := nightwatch.CheckNodeName(node); err != nil {
		return err
	}
	value, err := json.Marshal(cordon)
	if err != nil {
		return fmt.Errorf("encode cordon: %w", err)
	}
	_, err = s.put(ctx, s.keys.Cordon(node), string(value))
	return err
}

// Uncordon ends a cordon. It tells whether there was one.
func (s *Store) Uncordon(ctx context.Context, node string) (bool, error) {
	return s.remove(ctx, s.keys.Cordon(node))
}

// Cordons reads all cordons, by the name of the node. One whose value is not as it should be tells what can be read of it.
func (s *Store) Cordons(ctx context.Context) (map[string]nightwatch.Cordon, error) {
	prefix := s.keys.Of(Cordons)
	events, _, err := List(ctx, s.client, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	cordons := make(map[string]nightwatch.Cordon, len(events))
	for _, event := range events {
		cordons[event.Key[len(prefix):]], _ = nightwatch.ParseCordon(event.Value) // whatever the value says, the key is what cordons
	}
	return cordons, nil
}

// Queued names the runs that a node has or is to have, as "<namespace>/<task>/<run>", in order.
func (s *Store) Queued(ctx context.Context, node string) ([]string, error) {
	prefix := s.keys.QueueOf(node)
	events, _, err := List(ctx, s.client, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	runs := make([]string, len(events))
	for i, event := range events {
		runs[i] = event.Key[len(prefix):]
	}
	return runs, nil
}

// Task reads the value that a user put, with its revision: nightwatch.ErrNotFound when there is none.
func (s *Store) Task(ctx context.Context, task string) (value []byte, revision int64, err error) {
	return s.get(ctx, s.keys.Task(task))
}

// Status reads the state of a task: nightwatch.ErrNotFound when there is none.
func (s *Store) Status(ctx context.Context, task string) (nightwatch.Status, error) {
	var status nightwatch.Status
	_, err := s.read(ctx, s.keys.Status(task), &status)
	return status, err
}

// Accepted reads the last accepted value of a task: nightwatch.ErrNotFound when there is none.
func (s *Store) Accepted(ctx context.Context, task string) (nightwatch.Accepted, error) {
	var accepted nightwatch.Accepted
	_, err := s.read(ctx, s.keys.Accepted(task), &accepted)
	return accepted, err
}

// Run reads the record of a run and the ModRevision of its key: nightwatch.ErrNotFound when there is none.
func (s *Store) Run(ctx context.Context, task, id string) (nightwatch.Run, int64, error) {
	var run nightwatch.Run
	revision, err := s.read(ctx, s.keys.Run(task, id), &run)
	return run, revision, err
}

// Revision is etcd's, by a linearizable read.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	revision, err := revisionNow(ctx, s.client, s.keys.MetaVersion())
	if err != nil {
		return 0, fmt.Errorf("read the revision: %w", err)
	}
	return revision, nil
}

// TaskNames lists the tails of all keys under tasks/, or of those of one namespace.
func (s *Store) TaskNames(ctx context.Context, namespace string) ([]string, error) {
	prefix := s.keys.Of(Tasks)
	events, _, err := List(ctx, s.client, prefix+under(namespace))
	names := make([]string, len(events))
	for i, event := range events {
		names[i] = event.Key[len(prefix):]
	}
	return names, err
}

// Statuses reads the states of all tasks, or of those of one namespace, by "<namespace>/<task>".
func (s *Store) Statuses(ctx context.Context, namespace string) (map[string]nightwatch.Status, error) {
	found, err := listOf[nightwatch.Status](ctx, s, Statuses, under(namespace))
	maps.DeleteFunc(found, func(tail string, _ nightwatch.Status) bool { return !TaskTail(tail) })
	return found, err
}

// Calendars reads the states of all calendars, by name.
func (s *Store) Calendars(ctx context.Context) (map[string]nightwatch.CalendarStatus, error) {
	found, err := listOf[nightwatch.CalendarStatus](ctx, s, Statuses, calendarTail)
	states := make(map[string]nightwatch.CalendarStatus, len(found))
	for tail, state := range found {
		name, _ := CalendarOf(tail)
		states[name] = state
	}
	return states, err
}

// Runs reads the records of all runs, of one namespace's, or of one task's ("<namespace>/<task>"), by
// "<namespace>/<task>/<run>".
func (s *Store) Runs(ctx context.Context, of string) (map[string]nightwatch.Run, error) {
	return listOf[nightwatch.Run](ctx, s, Runs, under(of))
}

// Nodes reads the nodes that are alive, by name.
func (s *Store) Nodes(ctx context.Context) (map[string]nightwatch.Node, error) {
	return listOf[nightwatch.Node](ctx, s, Nodes, "")
}

func under(part string) string {
	if part == "" {
		return ""
	}
	return part + "/"
}

func listOf[T any](ctx context.Context, s *Store, kind Kind, below string) (map[string]T, error) {
	prefix := s.keys.Of(kind)
	events, _, err := List(ctx, s.client, prefix+below)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix+below, err)
	}
	found := make(map[string]T, len(events))
	for _, event := range events {
		var value T
		if json.Unmarshal(event.Value, &value) == nil {
			found[event.Key[len(prefix):]] = value
		}
	}
	return found, nil
}

func (s *Store) put(ctx context.Context, key, value string) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	response, err := s.client.Put(ctx, key, value)
	if err != nil {
		return 0, fmt.Errorf("put %s: %w", key, err)
	}
	return response.Header.Revision, nil
}

func (s *Store) remove(ctx context.Context, key string) (bool, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	response, err := s.client.Delete(ctx, key)
	if err != nil {
		return false, fmt.Errorf("delete %s: %w", key, err)
	}
	return response.Deleted > 0, nil
}

func (s *Store) get(ctx context.Context, key string) ([]byte, int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	response, err := s.client.Get(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("get %s: %w", key, err)
	}
	if len(response.Kvs) == 0 {
		return nil, 0, fmt.Errorf("get %s: %w", key, nightwatch.ErrNotFound)
	}
	return response.Kvs[0].Value, response.Kvs[0].ModRevision, nil
}

func (s *Store) read(ctx context.Context, key string, into any) (int64, error) {
	value, revision, err := s.get(ctx, key)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(value, into); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	return revision, nil
}

// errUnknown marks errors after which a write may or may not have happened.
func errUnknown(err error) error {
	if err == nil || errors.Is(err, nightwatch.ErrOutcomeUnknown) {
		return err
	}
	return fmt.Errorf("%w: %w", nightwatch.ErrOutcomeUnknown, err)
}
