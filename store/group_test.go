package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// answerer does by hand what the scheduler does with the requests of a group.
type answerer struct {
	t *testing.T
	*store.Store
}

// requested waits for a request, and gives its value.
func (a answerer) requested(task, id string) (request nightwatch.Request) {
	a.t.Helper()
	etcdtest.Eventually(a.t, patience, func() bool {
		value, revision := get(a.t, a.Client(), a.Keys().Request(task, id))
		return revision > 0 && json.Unmarshal([]byte(value), &request) == nil
	}, "request %s of %s", id, task)
	return request
}

// answer takes a request away with its verdict, and puts further keys in the same transaction.
func (a answerer) answer(task, id, verdict string, more ...clientv3.Op) {
	a.t.Helper()
	ops := append([]clientv3.Op{clientv3.OpDelete(a.Keys().Request(task, id)), clientv3.OpPut(a.Keys().Verdict(task, id), verdict)}, more...)
	if _, err := a.Client().Txn(within(a.t)).Then(ops...).Commit(); err != nil {
		a.t.Fatal(err)
	}
}

func (a answerer) run(task, id, phase string) clientv3.Op {
	return clientv3.OpPut(a.Keys().Run(task, id), `{"id":"`+id+`","phase":"`+phase+`"}`)
}

type groupEnd struct {
	ends []store.MemberRun
	err  error
}

func inBackground(do func() ([]store.MemberRun, error)) <-chan groupEnd {
	done := make(chan groupEnd, 1)
	go func() {
		ends, err := do()
		done <- groupEnd{ends, err}
	}()
	return done
}

func TestGroupSucceeds(t *testing.T) {
	server := etcdtest.Start(t)
	a := answerer{t, store.New(server.Client(t), "")}
	g := store.Group{ID: "g", By: "me", Members: []store.Member{
		{Task: "default/a", Params: map[string]json.RawMessage{"n": json.RawMessage("1")}}, {Task: "default/a", Overlap: "allow"}, {Task: "ops/b"},
	}}
	ctx := within(t)
	done := inBackground(func() ([]store.MemberRun, error) { return a.RunGroup(ctx, g) })
	if first, second := a.requested("default/a", "g-0"), a.requested("default/a", "g-1"); first.Action != "run" || string(first.Params["n"]) != "1" || first.By != "me" || second.Overlap != "allow" {
		t.Errorf("requests %+v, %+v", first, second)
	}
	a.requested("ops/b", "g-2")
	server.Restart(t)
	// One ends and leaves the history before anybody can have looked, one is seen at work, one is asked for twice.
	a.answer("default/a", "g-0", `{"accepted":true,"run":"req-g-0"}`, a.run("default/a", "req-g-0", "Assigned"))
	put(t, a.Client(), a.Keys().Run("default/a", "req-g-0"), `{"id":"req-g-0","phase":"Succeeded","result":7}`)
	del(t, a.Client(), a.Keys().Run("default/a", "req-g-0"))
	a.answer("default/a", "g-1", `{"accepted":true,"run":"req-g-1"}`, a.run("default/a", "req-g-1", "Running"))
	if err := a.StartGroup(ctx, g); err != nil {
		t.Error(err)
	}
	a.answer("ops/b", "g-2", `{"accepted":true,"run":"req-g-2"}`, a.run("ops/b", "req-g-2", "Succeeded"))
	put(t, a.Client(), a.Keys().Run("default/a", "req-g-1"), `{"id":"req-g-1","phase":"Succeeded"}`)
	got := next(t, done, "the end of the group")
	if got.err != nil || len(got.ends) != 3 {
		t.Fatalf("%+v, %v", got.ends, got.err)
	}
	for i, end := range got.ends {
		if want := g.Members[i].Task; end.Task != want || end.Err != nil || end.Record.ID != end.Run || end.Record.Phase != nightwatch.PhaseSucceeded {
			t.Errorf("%+v: want %s succeeded", end, want)
		}
	}
	if string(got.ends[0].Record.Result) != "7" {
		t.Errorf("%+v: the record at its end", got.ends[0])
	}
}

// A group that is waited for after its end is told the end, though its requests stand there again.
func TestGroupAskedForAgain(t *testing.T) {
	a := answerer{t, store.New(etcdtest.Start(t).Client(t), "")}
	g := store.Group{ID: "g", Members: []store.Member{{Task: "default/a"}}}
	if err := a.StartGroup(within(t), g); err != nil {
		t.Fatal(err)
	}
	a.answer("default/a", "g-0", `{"accepted":true,"run":"req-g-0"}`, a.run("default/a", "req-g-0", "Succeeded"))
	del(t, a.Client(), a.Keys().Run("default/a", "req-g-0"))
	if err := a.StartGroup(within(t), g); err != nil {
		t.Fatal(err)
	}
	if ends, err := a.WaitGroup(within(t), g); err != nil || ends[0].Record.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("%+v, %v: want it succeeded", ends, err)
	}
}

// One that fails, or is refused, has the others canceled, one that has not begun as well; or not.
func TestGroupFails(t *testing.T) {
	for _, tt := range []struct {
		name, verdict, phase string
		goOn                 bool
		message              string
	}{
		{name: "failed", verdict: `{"accepted":true}`, phase: "Failed", message: `group "g": run req-g-0 of default/a: Failed, ExitCode, exit code 3`},
		{name: "refused", verdict: `{"errors":[{"field":"key","reason":"there is no task"}]}`, message: `group "g": run req-g-0 of default/a: key: there is no task`},
		{name: "skipped, the others go on", verdict: `{"accepted":true}`, phase: "Skipped", goOn: true, message: "Skipped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := answerer{t, store.New(etcdtest.Start(t).Client(t), "")}
			g := store.Group{ID: "g", GoOn: tt.goOn, Members: []store.Member{{Task: "default/a"}, {Task: "default/b"}}}
			ctx := within(t)
			done := inBackground(func() ([]store.MemberRun, error) { return a.RunGroup(ctx, g) })
			a.requested("default/a", "g-0")
			var failed []clientv3.Op
			if tt.phase != "" {
				failed = append(failed, clientv3.OpPut(a.Keys().Run("default/a", "req-g-0"), `{"id":"req-g-0","phase":"`+tt.phase+`","reason":"ExitCode","message":"exit code 3"}`))
			}
			a.answer("default/a", "g-0", tt.verdict, failed...)
			rest := "Succeeded"
			if !tt.goOn {
				rest = "Canceled"
				if r := a.requested("default/b", "g-1-cancel"); r.Action != "cancel" || r.Run != "req-g-1" {
					t.Errorf("%+v", r)
				}
			}
			a.answer("default/b", "g-1", `{"accepted":true}`, a.run("default/b", "req-g-1", rest))
			got := next(t, done, "the end of the group")
			if got.err == nil || !strings.Contains(got.err.Error(), tt.message) || got.ends[0].Err == nil || string(got.ends[1].Record.Phase) != rest {
				t.Errorf("%+v, %v: want %q", got.ends, got.err, tt.message)
			}
			if _, asked := get(t, a.Client(), a.Keys().Request("default/b", "g-1-cancel")); tt.goOn == (asked > 0) {
				t.Errorf("a cancel stands there: %v", asked > 0)
			}
		})
	}
}

func TestGroupEndsWithItsContext(t *testing.T) {
	a := answerer{t, store.New(etcdtest.Start(t).Client(t), "")}
	g := store.Group{ID: "g", Members: []store.Member{{Task: "default/a"}, {Task: "default/b"}}}
	cause := errors.New("closing time")
	for _, tt := range []struct {
		name     string
		do       func(context.Context, store.Group) ([]store.MemberRun, error)
		canceled bool
	}{{"wait", a.WaitGroup, false}, {"run", a.RunGroup, true}} {
		if err := a.StartGroup(within(t), g); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(within(t))
		done := inBackground(func() ([]store.MemberRun, error) { return tt.do(ctx, g) })
		cancel(cause)
		got := next(t, done, "the end of "+tt.name)
		if !errors.Is(got.err, cause) {
			t.Errorf("%s: %v", tt.name, got.err)
		}
		if _, asked := get(t, a.Client(), a.Keys().Request("default/b", "g-1-cancel")); (asked > 0) != tt.canceled {
			t.Errorf("%s: a cancel stands there: %v", tt.name, asked > 0)
		}
	}
}

// Whoever comes too late is told so, and does not wait.
func TestGroupThatIsGone(t *testing.T) {
	server := etcdtest.Start(t)
	a := answerer{t, store.New(server.Client(t), "")}
	g := store.Group{ID: "g", Members: []store.Member{{Task: "default/a"}}}
	if _, err := a.WaitGroup(within(t), g); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("never asked for: %v", err)
	}
	a.answer("default/a", "g-0", `{"accepted":true}`, a.run("default/a", "req-g-0", "Succeeded"))
	del(t, a.Client(), a.Keys().Run("default/a", "req-g-0"))
	if ends, err := a.WaitGroup(within(t), g); err != nil || ends[0].Record.Phase != nightwatch.PhaseSucceeded {
		t.Errorf("in the past of its key: %+v, %v", ends, err)
	}
	server.Compact(t)
	if _, err := a.WaitGroup(within(t), g); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("compacted: %v", err)
	}
}

func TestGroupIsChecked(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	many := make([]store.Member, 51)
	for i := range many {
		many[i].Task = "default/a"
	}
	large := map[string]json.RawMessage{"x": json.RawMessage(`"` + strings.Repeat("x", 60<<10) + `"`)}
	heavy := make([]store.Member, 20)
	for i := range heavy {
		heavy[i] = store.Member{Task: "default/a", Params: large}
	}
	one := []store.Member{{Task: "default/a"}}
	for field, g := range map[string]store.Group{
		`ID: "":`:                    {Members: one},
		`ID: "a/b":`:                 {ID: "a/b", Members: one},
		"ID: \"xxx":                  {ID: strings.Repeat("x", 49), Members: one},
		"Members: 0: want 1 to 50":   {ID: "g"},
		"Members: 51: want 1 to 50":  {ID: "g", Members: many},
		"bytes of requests":          {ID: "g", Members: heavy},
		`Members[1].Task: key: "x"`:  {ID: "g", Members: []store.Member{{Task: "default/a"}, {Task: "x"}}},
		`Members[0]: overlap: "all"`: {ID: "g", Members: []store.Member{{Task: "default/a", Overlap: "all"}}},
		"Members[0]: json":           {ID: "g", Members: []store.Member{{Task: "default/a", Params: map[string]json.RawMessage{"x": json.RawMessage("{")}}}},
	} {
		_, runErr := s.RunGroup(within(t), g)
		_, waitErr := s.WaitGroup(within(t), g)
		for _, err := range []error{runErr, waitErr, s.StartGroup(within(t), g), s.CancelGroup(within(t), g)} {
			var invalid nightwatch.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), field) {
				t.Errorf("%v: want %s", err, field)
			}
		}
	}
}
