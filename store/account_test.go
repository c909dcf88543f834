package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

func encode(t *testing.T, value any) string {
	t.Helper()
	data, err := nightwatch.Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAccount(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	s := store.New(client, "")
	ctx, keys := within(t), s.Keys()
	const task = "default/hello"

	if _, err := s.Account(ctx, task); !errors.Is(err, nightwatch.ErrNotFound) || !strings.Contains(err.Error(), task) {
		t.Errorf("before: %v, want ErrNotFound that names the task", err)
	}

	// Neighbours whose keys begin alike, and one whose runs would stand below a task's that is named by half.
	for _, other := range []string{"default/hello-1", "hello/demo", "other/hello"} {
		put(t, client, keys.Task(other), `{}`)
		put(t, client, keys.Run(other, "rev-1"), `{"id":"rev-1"}`)
		put(t, client, keys.Of(store.Freezes)+other, `{}`)
	}
	value := `{"image":"a","schedule":"0 9 * * *","calendars":{"include":["open"],"exclude":["cn","lost"]}}`
	mod := put(t, client, keys.Task(task), value)
	parsed, err := nightwatch.ParseTask(task, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	since := time.Date(2026, time.November, 20, 10, 0, 0, 0, time.UTC)
	put(t, client, keys.Accepted(task), encode(t, nightwatch.Accepted{Key: task, Revision: mod, UID: mod, Since: since, Task: *parsed}))
	put(t, client, keys.Status(task), encode(t, nightwatch.Status{UID: mod, Phase: nightwatch.PhaseScheduled, Cursor: since}))
	ranges := nightwatch.Ledger{Ranges: []nightwatch.LedgerRange{{From: since, To: since, Count: 1, Outcome: nightwatch.PhaseMissed}}}
	put(t, client, keys.Ledger(task), encode(t, ranges))
	for _, calendar := range []string{"cn", "open", "unused"} {
		put(t, client, keys.AcceptedCalendar(calendar), encode(t, nightwatch.AcceptedCalendar{Revision: 3, Since: since, Calendar: nightwatch.Calendar{Days: []string{"Sat"}}}))
	}
	put(t, client, keys.Of(store.Freezes)+"default", `{"by":"ann","until":"2026-11-21T00:00:00Z"}`)
	put(t, client, keys.Of(store.Freezes)+store.FrozenCluster, `not even JSON`)
	put(t, client, keys.Node("n1"), encode(t, nightwatch.Node{Name: "n1", Session: "a"}))
	put(t, client, keys.Node("n2"), `not even JSON`)
	// The oldest nominal time comes first, whatever the ids; what cannot be read comes before all.
	for _, nominal := range []time.Duration{2 * time.Hour, 1500 * time.Millisecond, time.Hour, time.Second} {
		id := nightwatch.ScheduledRunID(since.Add(nominal))
		put(t, client, keys.Run(task, id), encode(t, nightwatch.Run{ID: id, Task: task, TaskUID: mod, NominalTime: since.Add(nominal)}))
	}
	last := put(t, client, keys.Run(task, "req-bad"), `not even JSON`)

	before := time.Now()
	a, err := s.Account(ctx, task)
	if err != nil {
		t.Fatal(err)
	}
	if a.Task != task || a.Revision != last || a.Now.Before(before) || a.Now.After(time.Now()) || a.Now.Location() != time.UTC {
		t.Errorf("task %q, revision %d (want %d), now %s", a.Task, a.Revision, last, a.Now)
	}
	if string(a.Value) != value || a.TaskRevision != mod {
		t.Errorf("value %q of revision %d", a.Value, a.TaskRevision)
	}
	if a.Accepted == nil || a.Accepted.Task.Times() == nil || !a.Accepted.Since.Equal(since) || a.Status == nil || a.Status.UID != mod {
		t.Errorf("accepted %+v, status %+v", a.Accepted, a.Status)
	}
	if !slices.Equal(a.Ledger.Ranges, ranges.Ranges) {
		t.Errorf("ledger %+v", a.Ledger)
	}
	if len(a.Freezes) != 2 || a.Freezes["default"].By != "ann" || a.Freezes["default"].Until.IsZero() {
		t.Errorf("freezes %+v", a.Freezes)
	}
	if _, there := a.Freezes[store.FrozenCluster]; !there {
		t.Error("a freeze whose value cannot be read is a freeze")
	}
	if len(a.FreezeErrors) != 1 || a.FreezeErrors[store.FrozenCluster] == "" {
		t.Errorf("freeze errors %q, want one of %s", a.FreezeErrors, store.FrozenCluster)
	}
	if len(a.Nodes) != 1 || a.Nodes[0].Name != "n1" {
		t.Errorf("nodes %+v", a.Nodes)
	}
	if _, missing := a.Times(); len(a.Calendars) != 2 || !slices.Equal(missing, []string{"lost"}) {
		t.Errorf("calendars %+v, missing %q", a.Calendars, missing)
	}
	var ids []string
	for _, r := range a.Runs {
		ids = append(ids, r.ID)
	}
	want := []string{"req-bad", "20261120T100001Z", "20261120T100001.500Z", "20261120T110000Z", "20261120T120000Z"}
	if !slices.Equal(ids, want) || a.Runs[0].Phase != nightwatch.PhaseFailed || a.Runs[0].Message == "" {
		t.Errorf("runs %q, the first %+v", ids, a.Runs[0])
	}

	del(t, client, keys.Task(task))
	if a, err := s.Account(ctx, task); err != nil || a.Value != nil || a.TaskRevision != 0 || a.Status == nil {
		t.Errorf("while it is being deleted: %+v, %v", a.Status, err)
	}
	del(t, client, keys.Status(task))
	if _, err := s.Account(ctx, task); !errors.Is(err, nightwatch.ErrNotFound) {
		t.Errorf("after: %v, want ErrNotFound", err)
	}
}

func TestAccountOfManyRuns(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := store.New(client, "")
	const runs = 1203
	first := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	put(t, client, s.Keys().Task("default/hello"), `{}`)
	for i := range runs {
		nominal := first.Add(time.Duration(i) * time.Minute)
		id := nightwatch.ScheduledRunID(nominal)
		put(t, client, s.Keys().Run("default/hello", id), fmt.Sprintf(`{"id":%q,"nominalTime":%q}`, id, nominal.Format(time.RFC3339)))
	}
	a, err := s.Account(within(t), "default/hello")
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Runs) != runs || !a.Runs[runs-1].NominalTime.Equal(first.Add((runs-1)*time.Minute)) {
		t.Errorf("%d runs", len(a.Runs))
	}
}

func TestAccountErrors(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := store.New(client, "")
	for _, row := range []struct{ name, key, task, want string }{
		{name: "half a name", task: "hello", want: "want tasks/<namespace>/<task>"},
		{name: "accepted", key: s.Keys().Accepted("ns/accepted"), task: "ns/accepted", want: s.Keys().Accepted("ns/accepted")},
		{name: "status", key: s.Keys().Status("ns/status"), task: "ns/status", want: s.Keys().Status("ns/status")},
		{name: "ledger", key: s.Keys().Ledger("ns/ledger"), task: "ns/ledger", want: s.Keys().Ledger("ns/ledger")},
	} {
		t.Run(row.name, func(t *testing.T) {
			put(t, client, s.Keys().Task(row.task), `{}`)
			if row.key != "" {
				put(t, client, row.key, `{"since":7,"cursor":7}`)
			}
			if _, err := s.Account(within(t), row.task); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want one that names %q", err, row.want)
			}
		})
	}
}

// All of an account is of one moment, however often its keys change meanwhile.
func TestAccountIsOfOneRevision(t *testing.T) {
	client := etcdtest.Start(t).Client(t)
	s := store.New(client, "")
	const task = "default/hello"
	step := func(n int) {
		value := fmt.Sprint(n)
		_, err := client.Txn(within(t)).Then(
			clientv3.OpPut(s.Keys().Task(task), value),
			clientv3.OpPut(s.Keys().Status(task), encode(t, nightwatch.Status{Message: value})),
			clientv3.OpPut(s.Keys().Run(task, "rev-1"), encode(t, nightwatch.Run{ID: "rev-1", Message: value})),
		).Commit()
		if err != nil {
			t.Error(err)
		}
	}
	step(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 200 {
			step(n)
		}
	}()
	for reads, busy := 0, true; busy; reads++ {
		select {
		case <-done:
			busy = false
		default:
		}
		a, err := s.Account(within(t), task)
		if err != nil {
			t.Fatal(err)
		}
		if value := string(a.Value); a.Status.Message != value || a.Runs[0].Message != value {
			t.Fatalf("read %d: task %s, status %s, run %s", reads, value, a.Status.Message, a.Runs[0].Message)
		}
	}
}

// compacting makes etcd forget the past before each of its first transactions.
type compacting struct {
	clientv3.KV
	t     *testing.T
	times int
}

func (c *compacting) Txn(ctx context.Context) clientv3.Txn {
	if c.times > 0 {
		c.times--
		response, err := c.Put(ctx, "/elsewhere", "")
		if err == nil {
			_, err = c.Compact(ctx, response.Header.Revision)
		}
		if err != nil {
			c.t.Error(err)
		}
	}
	return c.KV.Txn(ctx)
}

func TestAccountWhileCompacting(t *testing.T) {
	server := etcdtest.Start(t)
	for _, row := range []struct {
		name  string
		times int
		err   error
	}{
		{name: "now and then", times: 2},
		{name: "all the time", times: 3, err: rpctypes.ErrCompacted},
	} {
		t.Run(row.name, func(t *testing.T) {
			client := server.Client(t)
			s := store.New(client, "")
			put(t, client, s.Keys().Task("default/hello"), `{}`)
			client.KV = &compacting{KV: client.KV, t: t, times: row.times}
			if _, err := s.Account(within(t), "default/hello"); !errors.Is(err, row.err) {
				t.Errorf("got %v, want %v", err, row.err)
			}
		})
	}
}
