package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestPrefix(t *testing.T) {
	for given, want := range map[string]string{
		"":          "/nightwatch/",
		"/a/":       "/a/",
		"/a":        "/a/",
		"team":      "team/",
		"/":         "/",
		"/a/b c/ü":  "/a/b c/ü/",
		"/team-1//": "/team-1//",
	} {
		if got := store.NewKeys(given).Prefix(); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}

// The layout is public API: people script against it.
func TestKeys(t *testing.T) {
	const task = "default/hello"
	k := store.NewKeys("/p")
	tests := []struct {
		got, want string
		kind      store.Kind
		tail      string
	}{
		{got: k.Task(task), want: "/p/tasks/default/hello", kind: store.Tasks, tail: task},
		{got: k.Accepted(task), want: "/p/accepted/default/hello", kind: store.Accepted, tail: task},
		{got: k.Status(task), want: "/p/status/default/hello", kind: store.Statuses, tail: task},
		{got: k.Status("hello"), want: "/p/status/hello", kind: store.Statuses, tail: "hello"},
		{got: k.Ledger(task), want: "/p/ledger/default/hello", kind: store.Ledgers, tail: task},
		{got: k.Run(task, "rev-1"), want: "/p/runs/default/hello/rev-1", kind: store.Runs, tail: task + "/rev-1"},
		{got: k.RunsOf(task), want: "/p/runs/default/hello/", kind: store.Runs, tail: task + "/"},
		{got: k.Request(task, "x"), want: "/p/requests/default/hello/x", kind: store.Requests, tail: task + "/x"},
		{got: k.Verdict(task, "x"), want: "/p/verdicts/default/hello/x", kind: store.Verdicts, tail: task + "/x"},
		{got: k.Queue("n1", task, "rev-1"), want: "/p/queue/n1/default/hello/rev-1", kind: store.Queue, tail: "n1/default/hello/rev-1"},
		{got: k.QueueOf("n1"), want: "/p/queue/n1/", kind: store.Queue, tail: "n1/"},
		{got: k.Node("n1"), want: "/p/nodes/n1", kind: store.Nodes, tail: "n1"},
		{got: k.Election(), want: "/p/election/scheduler", kind: store.Election, tail: "scheduler"},
		{got: k.Mutex(task), want: "/p/locks/default/hello", kind: store.Locks, tail: task},
		{got: k.LocksOf(task), want: "/p/locks/default/hello/", kind: store.Locks, tail: task + "/"},
		{got: k.MetaVersion(), want: "/p/meta/version", kind: store.Meta, tail: "version"},
		{got: k.MetaCluster(), want: "/p/meta/cluster", kind: store.Meta, tail: "cluster"},
		{got: k.MetaClock(), want: "/p/meta/clock", kind: store.Meta, tail: "clock"},
		{got: k.Freezes(task)[0], want: "/p/freeze/default/hello", kind: store.Freezes, tail: task},
		{got: k.Freezes(task)[1], want: "/p/freeze/default", kind: store.Freezes, tail: "default"},
		{got: k.Freezes(task)[2], want: "/p/freeze/_cluster", kind: store.Freezes, tail: "_cluster"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
		if !strings.HasPrefix(test.got, k.Of(test.kind)) {
			t.Errorf("%s is not below %s", test.got, k.Of(test.kind))
		}
		kind, tail, ok := k.Parse(test.got)
		if !ok || kind != test.kind || tail != test.tail {
			t.Errorf("Parse(%s) = %s, %s, %v", test.got, kind, tail, ok)
		}
	}
	if n := len(k.Freezes(task)); n != 3 {
		t.Errorf("%d freeze keys", n)
	}
}

func TestParseOutside(t *testing.T) {
	k := store.NewKeys("/team")
	for _, key := range []string{"", "/", "/team", "/team-1/tasks/a/b", "/tea", "/teamtasks/a/b", "x/team/tasks/a/b", "/team/tasks"} {
		if kind, tail, ok := k.Parse(key); ok {
			t.Errorf("Parse(%q) = %s, %q", key, kind, tail)
		}
	}
}

func TestSplitLast(t *testing.T) {
	tests := []struct {
		tail, task, last string
		ok               bool
	}{
		{tail: "a/b/c", task: "a/b", last: "c", ok: true},
		{tail: "a/b/", task: "a/b", last: "", ok: true},
		{tail: "a/b", task: "a", last: "b", ok: true},
		{tail: "a", task: "", last: "a"},
		{tail: "", task: "", last: ""},
	}
	for _, test := range tests {
		task, last, ok := store.SplitLast(test.tail)
		if task != test.task || last != test.last || ok != test.ok {
			t.Errorf("SplitLast(%q) = %q, %q, %v", test.tail, task, last, ok)
		}
	}
}

// Prefixes, namespaces, tasks and nodes whose names begin alike do not touch each other.
func TestNeighbours(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	ctx := within(t)
	team, team1 := store.New(client, "team"), store.New(client, "team-1")
	for _, s := range []*store.Store{team, team1} {
		for _, task := range []string{"a/b", "a/b-1", "a-1/b"} {
			if _, err := s.Put(ctx, task, []byte(`{"image":"i"}`)); err != nil {
				t.Fatal(err)
			}
			put(t, client, s.Keys().Run(task, "rev-1"), `{"id":"rev-1"}`)
			put(t, client, s.Keys().Status(task), `{"phase":"Running"}`)
		}
		put(t, client, s.Keys().Node("n"), `{"name":"n"}`)
	}
	if there, err := team.Delete(ctx, "a/b"); err != nil || !there {
		t.Fatalf("delete: %v, %v", there, err)
	}
	check := func(what string, got []string, err error, want ...string) {
		t.Helper()
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
	}
	names, err := team.TaskNames(ctx, "")
	check("tasks of team", names, err, "a-1/b", "a/b-1")
	names, err = team.TaskNames(ctx, "a")
	check("tasks of team in a", names, err, "a/b-1")
	names, err = team1.TaskNames(ctx, "a")
	check("tasks of team-1 in a", names, err, "a/b", "a/b-1")
	runs, err := team.Runs(ctx, "a/b")
	check("runs of a/b", keysOf(runs), err, "a/b/rev-1")
	runs, err = team.Runs(ctx, "a")
	check("runs of a", keysOf(runs), err, "a/b-1/rev-1", "a/b/rev-1")
	statuses, err := team.Statuses(ctx, "a-1")
	check("statuses of a-1", keysOf(statuses), err, "a-1/b")
	nodes, err := team.Nodes(ctx)
	check("nodes of team", keysOf(nodes), err, "n")
}

func keysOf[T any](m map[string]T) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}
