package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
)

// Group is runs of tasks that are asked for together, waited for together and, when one of them fails, ended together. It
// is a value: whoever has the same one, be it the same program after a crash, speaks of the same runs. A task may be a
// member more than once; its overlap policy holds between them as between any runs.
type Group struct {
	// ID names the group and its runs: the third member's, of "nightly", is run "req-nightly-2". Letters, digits, '.',
	// '_' and '-', at most 48. Asked for again within an hour (nightwatch.VerdictTTL) it is the same group.
	ID string
	// Members are 1 to 50.
	Members []Member
	// GoOn leaves the other members alone when one does not succeed. Default: they are canceled.
	GoOn bool
	// By says who asks, for people.
	By string
}

// Member is a task that a Group has a run of.
type Member struct {
	// Task is "<namespace>/<task>".
	Task string
	// Params are laid over the task's.
	Params map[string]json.RawMessage
	// Overlap stands in for the task's own policy.
	Overlap string
}

// MemberRun is how a member ended.
type MemberRun struct {
	Task, Run string
	// Record is the run's at its end, or the last that was seen of it; empty when there was none.
	Record nightwatch.Run
	// Err is nil when the run succeeded, else it says what became of it: an InvalidError when the request was refused,
	// ErrNotFound when its record had left the history before anybody looked.
	Err error
}

const (
	maxMembers = 50
	maxGroupID = 48
	// maxGroupBytes keeps the requests of a group within what etcd takes at once.
	maxGroupBytes = 1 << 20
)

// RunGroup starts a run of every member and waits until all have ended. The error is nil when all succeeded; the ends
// are there whatever the error, in the order of the members. When ctx ends first, members that have not ended are
// canceled, which RunGroup does not wait for, and the error is ctx's cause. It goes on over any trouble with etcd.
func (s *Store) RunGroup(ctx context.Context, g Group) ([]MemberRun, error) {
	if _, err := g.requests(); err != nil {
		return nil, err
	}
	err := persist(ctx, func() error { return s.StartGroup(ctx, g) })
	var ends []MemberRun
	if err == nil {
		ends, err = s.WaitGroup(ctx, g)
	}
	if ctx.Err() != nil {
		// If this program dies before, they go on: whoever runs the same group again waits for them.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		err = errors.Join(context.Cause(ctx), s.CancelGroup(last, g))
	}
	return ends, err
}

// StartGroup asks for a run of every member: for all, or for none. Repeating it is harmless.
func (s *Store) StartGroup(ctx context.Context, g Group) error {
	requests, err := g.requests()
	if err != nil {
		return err
	}
	if err := s.ask(ctx, g, "", requests); err != nil {
		return fmt.Errorf("start group %q: %w", g.ID, err)
	}
	return nil
}

// WaitGroup waits for a group that was started until all of its members have ended, as RunGroup does. When ctx ends
// first nothing is canceled.
func (s *Store) WaitGroup(ctx context.Context, g Group) ([]MemberRun, error) {
	if _, err := g.requests(); err != nil {
		return nil, err
	}
	type end struct {
		member int
		MemberRun
	}
	ended := make(chan end)
	for i, member := range g.Members {
		go func() {
			run, err := s.memberRun(ctx, member.Task, g.request(i))
			ended <- end{i, MemberRun{member.Task, nightwatch.RequestedRunID(g.request(i)), run, err}}
		}()
	}
	var canceling sync.WaitGroup
	defer canceling.Wait()
	canceled, stop := context.WithCancel(ctx)
	defer stop()
	var first error
	ends := make([]MemberRun, len(g.Members))
	for range g.Members {
		e := <-ended
		ends[e.member] = e.MemberRun
		if e.Err == nil || first != nil || ctx.Err() != nil {
			continue
		}
		first = fmt.Errorf("group %q: run %s of %s: %w", g.ID, e.Run, e.Task, e.Err)
		if !g.GoOn {
			canceling.Go(func() { _ = persist(canceled, func() error { return s.CancelGroup(canceled, g) }) })
		}
	}
	if ctx.Err() != nil {
		return ends, context.Cause(ctx)
	}
	return ends, first
}

// CancelGroup asks for the end of every member that has not ended. Repeating it is harmless.
func (s *Store) CancelGroup(ctx context.Context, g Group) error {
	requests, err := g.requests()
	if err != nil {
		return err
	}
	// Requests of a task are answered in their order: a run that has not begun yet is canceled as well.
	for i := range requests {
		requests[i] = nightwatch.Request{
			Action: nightwatch.ActionCancel, Run: nightwatch.RequestedRunID(g.request(i)), By: g.By, Note: "group " + g.ID + " is canceled",
		}
	}
	if err := s.ask(ctx, g, "-cancel", requests); err != nil {
		return fmt.Errorf("cancel group %q: %w", g.ID, err)
	}
	return nil
}

// request is the id of a member's request.
func (g Group) request(member int) string { return g.ID + "-" + strconv.Itoa(member) }

// requests are those for the members' runs, or what is wrong with the group.
func (g Group) requests() ([]nightwatch.Request, error) {
	var faults nightwatch.InvalidError
	add := func(field, format string, args ...any) {
		faults = append(faults, nightwatch.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	if nightwatch.CheckRequestID(g.ID) != nil || len(g.ID) > maxGroupID {
		add("ID", "%.60q: want letters, digits, '.', '_' and '-', at most %d", g.ID, maxGroupID)
	}
	if n := len(g.Members); n == 0 || n > maxMembers {
		add("Members", "%d: want 1 to %d", n, maxMembers)
		return nil, faults
	}
	requests, size := make([]nightwatch.Request, len(g.Members)), 0
	for i, member := range g.Members {
		field := fmt.Sprintf("Members[%d]", i)
		if _, _, err := nightwatch.ParseTaskName(member.Task); err != nil {
			add(field+".Task", "%v", err)
		}
		requests[i] = nightwatch.Request{Action: nightwatch.ActionRun, Params: member.Params, Overlap: member.Overlap, By: g.By}
		value, err := json.Marshal(requests[i])
		if err == nil {
			size += len(value)
			_, err = nightwatch.ParseRequest(value)
		}
		if err != nil {
			add(field, "%v", err)
		}
	}
	if size > maxGroupBytes {
		add("Members", "%d bytes of requests: want at most %d", size, maxGroupBytes)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return requests, nil
}

// ask puts a request for each member in one transaction.
func (s *Store) ask(ctx context.Context, g Group, suffix string, requests []nightwatch.Request) error {
	var txn Txn
	for i, request := range requests {
		value, err := json.Marshal(request)
		if err != nil {
			return err
		}
		txn.Put(s.keys.Request(g.Members[i].Task, g.request(i)+suffix), value)
	}
	_, err := s.Commit(ctx, &txn)
	return err
}

// persist does something that may be repeated until it is done, ctx ends, or etcd refuses it for good.
func persist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || certain(err) {
			return err
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// memberRun waits for the end of a run that was asked for. The error is nil when it succeeded.
func (s *Store) memberRun(ctx context.Context, task, request string) (run nightwatch.Run, err error) {
	for {
		done, err := s.followRun(ctx, task, request, &run)
		switch {
		case done && err == nil && run.Phase != nightwatch.PhaseSucceeded:
			words := slices.DeleteFunc([]string{string(run.Phase), run.Reason, run.Message}, func(word string) bool { return word == "" })
			return run, errors.New(strings.Join(words, ", "))
		case done:
			return run, err
		case ctx.Err() != nil:
			return run, context.Cause(ctx)
		case errors.Is(err, rpctypes.ErrPermissionDenied):
			return run, err
		case err == nil:
			continue
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
		}
	}
}

// followRun looks for a run, and follows what it finds. Once it is done, run is the run at its end, or the error says why
// there is none; else it is to be called again.
func (s *Store) followRun(ctx context.Context, task, request string, run *nightwatch.Run) (done bool, err error) {
	at, done, err := s.findRun(ctx, task, request, run)
	if done || err != nil {
		return done, err
	}
	watchCtx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), lookAgain)
	defer cancel()
	for changes := range s.client.Watch(watchCtx, at.key, clientv3.WithRev(at.from)) {
		switch err := changes.Err(); {
		case at.gone && errors.Is(err, rpctypes.ErrCompacted):
			return true, errGone
		case err != nil:
			return false, fmt.Errorf("watch %s: %w", at.key, err)
		}
		for _, event := range changes.Events {
			switch {
			case at.key == s.keys.Request(task, request):
				return false, nil
			case event.Type == clientv3.EventTypeDelete:
				return true, errGone
			case decodeRun(event.Kv.Value, run) == nil && run.Phase.Terminal():
				return true, nil
			}
		}
	}
	if watchCtx.Err() != nil {
		return false, nil
	}
	return false, fmt.Errorf("watch %s: closed", at.key)
}

var errGone = fmt.Errorf("its record has left the history: %w", nightwatch.ErrNotFound)

// sight is the key that tells what becomes of a run, from a revision on. Of a run that is gone that is the past.
type sight struct {
	key  string
	from int64
	gone bool
}

// findRun reads where a run that was asked for stands. Unless it is done, as followRun has it, at says what to watch.
func (s *Store) findRun(ctx context.Context, task, request string, run *nightwatch.Run) (at sight, done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	record, verdict, asked := s.keys.Run(task, nightwatch.RequestedRunID(request)), s.keys.Verdict(task, request), s.keys.Request(task, request)
	response, err := s.client.Txn(ctx).Then(clientv3.OpGet(record), clientv3.OpGet(asked), clientv3.OpGet(verdict)).Commit()
	if err != nil {
		return at, false, fmt.Errorf("get %s: %w", record, err)
	}
	next := response.Header.Revision + 1
	if value := firstValue(response, 0); value != nil {
		if err := decodeRun(value, run); err != nil {
			return at, false, fmt.Errorf("read %s: %w", record, err)
		}
		return sight{key: record, from: next}, run.Phase.Terminal(), nil
	}
	// The run, the verdict and the end of the request are one transaction of the scheduler's. A request beside its verdict
	// was asked for once more, to which the answer is the same.
	answers := response.Responses[2].GetResponseRange().Kvs
	if len(answers) == 0 {
		if firstValue(response, 1) != nil {
			return sight{key: asked, from: next}, false, nil
		}
		return at, true, fmt.Errorf("it was not asked for, or %w", errGone)
	}
	var answer nightwatch.Verdict
	switch err := json.Unmarshal(answers[0].Value, &answer); {
	case err != nil:
		return at, false, fmt.Errorf("read %s: %w", verdict, err)
	case !answer.Accepted:
		return at, true, nightwatch.InvalidError(answer.Errors)
	}
	return sight{key: record, from: answers[0].ModRevision, gone: true}, false, nil
}

func decodeRun(value []byte, into *nightwatch.Run) error {
	var run nightwatch.Run
	err := json.Unmarshal(value, &run)
	if err == nil {
		*into = run
	}
	return err
}
