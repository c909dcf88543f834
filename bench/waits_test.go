package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/store"
)

// shortly has the bench wait no longer than this for what does not come.
func shortly(t *testing.T, lengths map[*time.Duration]time.Duration) {
	t.Helper()
	for length, short := range lengths {
		before := *length
		t.Cleanup(func() { *length = before })
		*length = short
	}
}

func small(server *etcdtest.Server) Config {
	return Config{
		Dial: func() (*clientv3.Client, error) {
			return clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
		},
		Tasks: 20, CeilingFor: 100 * time.Millisecond,
	}
}

// TestNobodyLeads: the cluster has a node, so that those of the bench do not lead, and that node does not lead either.
func TestNobodyLeads(t *testing.T) {
	shortly(t, map[*time.Duration]time.Duration{&stall: time.Second})
	server := etcdtest.Start(t)
	if _, err := server.Client(t).Put(t.Context(), "/nightwatch/nodes/n1", `{"name":"n1","session":"1"}`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := Run(ctx, small(server))
	if err == nil || !strings.Contains(err.Error(), "no progress for 1s: nobody has accepted a task: is a scheduler leading?") {
		t.Error(err)
	}
	left, err := server.Client(t).Get(t.Context(), "/nightwatch/tasks/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || left.Count > 0 {
		t.Errorf("%d tasks are left, %v", left.Count, err)
	}
}

// unwell is a runner that never has what it needs.
type unwell struct{}

func (unwell) Name() string { return "process" }
func (unwell) Run(context.Context, *jobrunner.Attempt) jobrunner.Outcome {
	panic("nothing is given to it")
}
func (unwell) Checks() []jobrunner.Check {
	return []jobrunner.Check{{Name: "disk", Err: errors.New("out of paper")}}
}

func TestNodesThatDoNotBecomeReady(t *testing.T) {
	shortly(t, map[*time.Duration]time.Duration{&stall: 3 * time.Second})
	cfg := small(etcdtest.Start(t))
	cfg.Nodes = 2
	cfg.Runners = func() ([]jobrunner.Runner, error) { return []jobrunner.Runner{unwell{}}, nil }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := Run(ctx, cfg)
	if err == nil || err.Error() != "wait for the bench's nodes: no progress for 3s: process/disk: out of paper" {
		t.Error(err)
	}
}

// TestMissedRun: what is waited for in vain takes no part in the rate.
func TestMissedRun(t *testing.T) {
	shortly(t, map[*time.Duration]time.Duration{&silence: 8 * time.Second})
	server := etcdtest.Start(t)
	st := store.New(server.Client(t), "")
	type result struct {
		report *Report
		err    error
	}
	results := make(chan result, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		report, err := Run(ctx, small(server))
		results <- result{report, err}
	}()
	var frozen string
	etcdtest.Eventually(t, time.Minute, func() bool {
		names, err := st.TaskNames(ctx, "")
		if err == nil && len(names) > 0 {
			frozen = names[0]
		}
		return frozen != ""
	}, "the tasks are put")
	if err := st.Freeze(ctx, frozen, nightwatch.Freeze{}); err != nil {
		t.Fatal(err)
	}
	got := <-results
	if got.err != nil {
		t.Fatal(got.err)
	}
	if r := got.report; r.Runs != 19 || r.Missed != 1 || r.RunsPerSecond < 19.0/5 {
		t.Errorf("%d runs, %d missed, %g a second", r.Runs, r.Missed, r.RunsPerSecond)
	}
}

// TestCleaningUpThatDoesNotEnd is told as what it is, not as an etcd that does not answer.
func TestCleaningUpThatDoesNotEnd(t *testing.T) {
	shortly(t, map[*time.Duration]time.Duration{&cleanTimeout: time.Second})
	client := etcdtest.Start(t).Client(t)
	cfg, err := Config{Tasks: 1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Config: cfg, id: "0", client: client, store: store.New(client, ""), keys: store.NewKeys("")}
	if _, err := client.Put(t.Context(), b.keys.Status(b.task(0)), "{}"); err != nil {
		t.Fatal(err)
	}
	err = b.clean(t.Context())
	if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the tasks of namespace bench-0 are not removed after 1.005s") {
		t.Error(err)
	}
}

// TestTimesOfAnEvenLoad counts what the tasks' own schedules have between two moments.
func TestTimesOfAnEvenLoad(t *testing.T) {
	from := time.UnixMilli(1_800_000_000_000)
	for _, row := range []struct {
		tasks  int
		rate   float64
		length time.Duration
	}{{20, 40, 2 * time.Second}, {20, 8, 2 * time.Second}, {7, 3, 10 * time.Second}, {1, 1, time.Second}, {1000, 333, 1500 * time.Millisecond}} {
		b := &bench{Config: Config{Tasks: row.tasks, Rate: row.rate}}
		for i := range row.tasks {
			to := from.Add(row.length)
			task := nightwatch.Task{Handler: &nightwatch.HandlerSpec{Name: "x"}}
			due := b.due(i, from, to, &task)
			value, err := nightwatch.Encode(task)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := nightwatch.ParseTask("a/b", value)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := parsed.Times().Between(from.Add(-time.Hour), to.Add(time.Hour), 1000)
			if len(all) != due {
				t.Errorf("%+v: task %d is due %d times, not %d", row, i, len(all), due)
			}
		}
	}
}
