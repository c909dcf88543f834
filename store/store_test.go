package store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestBootstrap(t *testing.T) {
	server := etcdtest.Start(t)
	ctx := within(t)
	s := store.New(server.Client(t), "")
	if _, err := s.ClusterID(ctx); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("before the first node: %v, want ErrNotFound", err)
	}

	// Nodes that start at the same moment agree on one id.
	const nodes = 8
	var all sync.WaitGroup
	ids := make([]string, nodes)
	for i := range nodes {
		own := store.New(server.Client(t), "/nightwatch")
		all.Go(func() {
			id, err := own.Bootstrap(ctx)
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || len(id) != 16 {
			t.Fatalf("ids %q: want the same 16 digits from all", ids)
		}
	}
	_, version := get(t, s.Client(), s.Keys().MetaVersion())
	if again, err := s.Bootstrap(ctx); err != nil || again != ids[0] {
		t.Errorf("again: %q, %v, want %q", again, err, ids[0])
	}
	if _, now := get(t, s.Client(), s.Keys().MetaVersion()); now != version {
		t.Error("the second Bootstrap wrote")
	}
	if id, err := s.ClusterID(ctx); err != nil || id != ids[0] {
		t.Errorf("ClusterID: %q, %v", id, err)
	}

	if other, err := store.New(s.Client(), "/other").Bootstrap(ctx); err != nil || other == ids[0] {
		t.Errorf("another prefix: %q, %v: want an id of its own", other, err)
	}
}

func TestBootstrapRefusesOtherSchemas(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	tests := []struct {
		name             string
		version, cluster string // "" for none
	}{
		{name: "newer", version: "2", cluster: "x"},
		{name: "newer, half written", version: "2"},
		{name: "no version", cluster: "x"},
		{name: "no id", version: store.SchemaVersion},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := store.New(client, test.name)
			if test.version != "" {
				put(t, client, s.Keys().MetaVersion(), test.version)
			}
			if test.cluster != "" {
				put(t, client, s.Keys().MetaCluster(), test.cluster)
			}
			id, err := s.Bootstrap(within(t))
			if !errors.Is(err, nightwatch.ErrUnknownSchema) || id != "" {
				t.Fatalf("got %q, %v, want ErrUnknownSchema", id, err)
			}
			for key, want := range map[string]string{s.Keys().MetaVersion(): test.version, s.Keys().MetaCluster(): test.cluster} {
				if got, _ := get(t, client, key); got != want {
					t.Errorf("%s is %q now, was %q", key, got, want)
				}
			}
		})
	}
}

func TestTasks(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	ctx := within(t)
	if _, _, err := s.Task(ctx, "default/hello"); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("before: %v, want ErrNotFound", err)
	}
	if there, err := s.Delete(ctx, "default/hello"); err != nil || there {
		t.Errorf("delete before: %v, %v", there, err)
	}
	value := "# as written\nimage: alpine\n"
	revision, err := s.Put(ctx, "default/hello", []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	got, at, err := s.Task(ctx, "default/hello")
	if err != nil || string(got) != value || at != revision {
		t.Errorf("got %q at %d, %v, want it as it was put at %d", got, at, err, revision)
	}
	if there, err := s.Delete(ctx, "default/hello"); err != nil || !there {
		t.Errorf("delete: %v, %v", there, err)
	}
}

func TestBadValuesAreNotWritten(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	ctx := within(t)
	run := nightwatch.Request{Action: nightwatch.ActionRun}
	tests := []struct {
		name  string
		write func() error
		field string
	}{
		{name: "field", field: "imagee", write: func() error {
			_, err := s.Put(ctx, "default/hello", []byte(`{"imagee":"a"}`))
			return err
		}},
		{name: "key", field: "key", write: func() error {
			_, err := s.Put(ctx, "hello", []byte(`{"image":"a"}`))
			return err
		}},
		{name: "large", field: "", write: func() error {
			_, err := s.Put(ctx, "default/hello", []byte(strings.Repeat("#", nightwatch.MaxValue+1)))
			return err
		}},
		{name: "request's id", field: "key", write: func() error { return s.Request(ctx, "default/hello", "a/b", run) }},
		{name: "no id", field: "key", write: func() error { return s.Request(ctx, "default/hello", "", run) }},
		{name: "request's task", field: "key", write: func() error { return s.Request(ctx, "hello", "a", run) }},
		{name: "freeze of nothing", field: "key", write: func() error { return s.Freeze(ctx, "", nightwatch.Freeze{}) }},
		{name: "freeze with a slash", field: "key", write: func() error { return s.Freeze(ctx, "default/", nightwatch.Freeze{}) }},
		{name: "freeze of no namespace", field: "key", write: func() error { return s.Freeze(ctx, "Default", nightwatch.Freeze{}) }},
		{name: "freeze of a run", field: "key", write: func() error { return s.Freeze(ctx, "default/hello/rev-1", nightwatch.Freeze{}) }},
		{name: "action", field: "action", write: func() error { return s.Request(ctx, "default/hello", "a", nightwatch.Request{}) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.write()
			var faults nightwatch.InvalidError
			var fault nightwatch.FieldError
			switch {
			case errors.As(err, &faults):
				fault = faults[0]
			case !errors.As(err, &fault):
				t.Fatalf("got %v, want a refusal that names the field", err)
			}
			if fault.Field != test.field {
				t.Errorf("got field %q: %v", fault.Field, err)
			}
		})
	}
	if events, _, err := store.List(ctx, s.Client(), s.Keys().Prefix()); err != nil || len(events) > 0 {
		t.Errorf("written all the same: %v, %v", events, err)
	}
}

func TestReads(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	ctx, keys := within(t), s.Keys()
	const task = "default/hello"
	if _, err := s.Status(ctx, task); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("status: %v, want ErrNotFound", err)
	}
	if _, err := s.Accepted(ctx, task); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("accepted: %v, want ErrNotFound", err)
	}
	if _, _, err := s.Run(ctx, task, "rev-1"); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("run: %v, want ErrNotFound", err)
	}
	put(t, s.Client(), keys.Status(task), `{"phase":"Running","uid":3}`)
	put(t, s.Client(), keys.Accepted(task), `{"revision":4,"uid":3,"task":{"image":"a","every":"30s"}}`)
	revision := put(t, s.Client(), keys.Run(task, "rev-1"), `{"id":"rev-1","phase":"Running"}`)
	put(t, s.Client(), keys.Run(task, "rev-2"), `not JSON`)

	if status, err := s.Status(ctx, task); err != nil || status.Phase != nightwatch.PhaseRunning || status.UID != 3 {
		t.Errorf("status: %+v, %v", status, err)
	}
	if accepted, err := s.Accepted(ctx, task); err != nil || accepted.Revision != 4 || accepted.Task.Times() == nil {
		t.Errorf("accepted: %+v, %v: want it compiled", accepted, err)
	}
	if run, at, err := s.Run(ctx, task, "rev-1"); err != nil || run.ID != "rev-1" || at != revision {
		t.Errorf("run: %+v at %d, %v", run, at, err)
	}
	if _, _, err := s.Run(ctx, task, "rev-2"); err == nil || !strings.Contains(err.Error(), keys.Run(task, "rev-2")) {
		t.Errorf("a record that is not JSON: %v: want the key in the error", err)
	}
	// One record that cannot be read hides no other.
	if runs, err := s.Runs(ctx, ""); err != nil || len(runs) != 1 {
		t.Errorf("runs: %+v, %v", runs, err)
	}
}

func TestStanding(t *testing.T) {
	s := store.New(etcdtest.Start(t).Client(t), "")
	ctx := within(t)
	const task, id = "default/hello", "rev-5"
	queue := s.Keys().Queue("n1", task, id)
	standing := func() store.Standing {
		t.Helper()
		got, err := s.Standing(ctx, task, id, queue)
		if (err == nil) != (got.Revision != 0) || err != nil && !errors.Is(err, nightwatch.ErrNotFound) {
			t.Errorf("%+v, %v", got, err)
		}
		return got
	}
	check := func(when string, frozen bool, locked int64) {
		t.Helper()
		if got := standing(); got.Frozen != frozen || got.Locked != locked {
			t.Errorf("%s: got %+v", when, got)
		}
	}
	if got := standing(); got.Queued != 0 {
		t.Errorf("nothing there: %+v", got)
	}
	check("nothing there", false, 0)
	for _, other := range []string{"default/hello-1", "default/hell", "other", "default-1", "other/hello"} {
		if err := s.Freeze(ctx, other, nightwatch.Freeze{By: "me"}); err != nil {
			t.Fatal(err)
		}
		put(t, s.Client(), s.Keys().LocksOf(other)+"1", "")
	}
	check("others frozen and locked", false, 0)
	for _, what := range []string{task, "default", store.FrozenCluster} {
		if err := s.Freeze(ctx, what, nightwatch.Freeze{}); err != nil {
			t.Fatal(err)
		}
		check(what+" frozen", true, 0)
		if there, err := s.Unfreeze(ctx, what); err != nil || !there {
			t.Fatalf("unfreeze: %v, %v", there, err)
		}
		if there, err := s.Unfreeze(ctx, what); err != nil || there {
			t.Fatalf("unfreeze again: %v, %v", there, err)
		}
	}
	first := put(t, s.Client(), s.Keys().LocksOf(task)+"694d", "")
	put(t, s.Client(), s.Keys().LocksOf(task)+"1234", "")
	put(t, s.Client(), s.Keys().LocksOf(task)+"694d", "again")
	check("locked", false, first)
	if err := s.Freeze(ctx, "default", nightwatch.Freeze{}); err != nil {
		t.Fatal(err)
	}
	check("locked and frozen", true, first)
	created := put(t, s.Client(), queue, "{}")
	put(t, s.Client(), queue, "{}")
	seen := put(t, s.Client(), s.Keys().Run(task, id), `{"id":"rev-5","phase":"Running"}`)
	if got := standing(); got.Queued != created || got.Revision != seen || got.Run.ID != id || got.Run.Phase != nightwatch.PhaseRunning || got.Locked != first || !got.Frozen {
		t.Errorf("%+v", got)
	}
	put(t, s.Client(), s.Keys().Run(task, id), "{")
	if got, err := s.Standing(ctx, task, id, queue); err == nil {
		t.Errorf("garbage: %+v", got)
	}
}

// A call whose context has no deadline is given up by itself when nobody answers.
func TestCallsEndWithTheirContext(t *testing.T) {
	server := etcdtest.Start(t)
	proxy := server.Proxy(t)
	s := store.New(etcdtest.NewClient(t, proxy.Endpoint()), "")
	if _, err := s.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	proxy.Pause()
	defer proxy.Resume()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.ClusterID(ctx)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if err == nil || errors.Is(err, nightwatch.ErrNotFound) {
			t.Errorf("got %v, want the context's error", err)
		}
	case <-within(t).Done():
		t.Error("the call outlives its context")
	}
}

func TestFreezes(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := store.New(client, "")
	freezes := s.Keys().Of(store.Freezes)
	until := time.Date(2026, time.November, 21, 0, 0, 0, 0, time.UTC)
	put(t, client, freezes+"team-a/hello", `{"until":"tomorrow"}`)
	put(t, client, freezes+"team-a", `{"by":"ann","until":"2026-11-21T00:00:00Z"}`)
	put(t, client, freezes+"team-a-b", `{}`)
	put(t, client, freezes+store.FrozenCluster, "")
	for _, row := range []struct {
		what string
		want []string
	}{
		{what: "team-a/hello", want: []string{store.FrozenCluster, "team-a", "team-a/hello"}},
		{what: "team-a/other", want: []string{store.FrozenCluster, "team-a"}},
		{what: "team-a", want: []string{store.FrozenCluster, "team-a"}},
		{what: "team", want: []string{store.FrozenCluster}},
		{what: store.FrozenCluster, want: []string{store.FrozenCluster}},
	} {
		t.Run(row.what, func(t *testing.T) {
			found, err := s.Freezes(within(t), row.what)
			if err != nil {
				t.Fatal(err)
			}
			if tails := slices.Sorted(maps.Keys(found)); !slices.Equal(tails, row.want) {
				t.Errorf("freezes %q, want %q", tails, row.want)
			}
			if f, there := found["team-a"]; there && (f.By != "ann" || !f.Until.Equal(until)) {
				t.Errorf("team-a: %+v", f)
			}
		})
	}
}
