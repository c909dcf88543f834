package bench_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/bench"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, etcdtest.LeakOptions()...) }

func config(t *testing.T, server *etcdtest.Server) bench.Config {
	return bench.Config{
		Dial: func() (*clientv3.Client, error) {
			return clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
		},
		CeilingFor: 200 * time.Millisecond,
		Progress:   func(p bench.Progress) { t.Logf("%s: %d of %d", p.Step, p.Done, p.Total) },
	}
}

// measured runs a bench and looks at what must be so whatever the machine.
func measured(t *testing.T, cfg bench.Config, server *etcdtest.Server, runs int) *bench.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r, err := bench.Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Runs != runs || r.Missed != 0 || r.Duplicated != 0 {
		t.Errorf("%d runs, %d missed, %d duplicated: want %d runs", r.Runs, r.Missed, r.Duplicated, runs)
	}
	l := r.LatenessMs
	if l.P50 < 0 || l.P50 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || l.Max == 0 {
		t.Errorf("lateness: %+v", l)
	}
	if r.CeilingPerSecond <= 0 || r.RunsPerSecond <= 0 || r.Efficiency <= 0 {
		t.Errorf("rates: %+v", r)
	}
	// A run is put, claimed and finished: a record three times, a queue key and a lock there and gone, the status.
	if r.KeysPerRun < 8 || r.KeysPerRun > 20 || r.BytesPerRun < 1000 || r.RequestsPerRun <= 0 {
		t.Errorf("cost: %+v", r)
	}
	left, err := server.Client(t).Get(ctx, "/nightwatch", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range left.Kvs {
		switch key := string(kv.Key); key {
		case "/nightwatch/meta/version", "/nightwatch/meta/cluster", "/nightwatch/meta/clock":
		default:
			t.Errorf("left behind: %s", key)
		}
	}
	return r
}

func TestBurst(t *testing.T) {
	server := etcdtest.Start(t)
	cfg := config(t, server)
	cfg.Tasks, cfg.Nodes = 300, 2
	r := measured(t, cfg, server, 300)
	if r.RequestsPerRun > 2 {
		t.Errorf("%g requests a run, of 300 that were due at once", r.RequestsPerRun)
	}
}

// TestClusterWithNodes: they lead, and tell what they use.
func TestClusterWithNodes(t *testing.T) {
	server := etcdtest.Start(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(nightwatch.NodeHeader, "leads")
		metrics.ServeHTTP(w, r)
	}))
	defer web.Close()
	address := strings.TrimPrefix(web.URL, "http://")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var ended []chan error
	for _, cfg := range []node.Config{
		{Name: "leads", Address: address}, {Name: "hidden"}, {Name: "away", Address: "127.0.0.1:1"}, {Name: "same", Address: address},
	} {
		n, err := node.New(server.Client(t), cfg)
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		ended = append(ended, end)
		go func() { end <- n.Run(ctx) }()
	}
	st := store.New(server.Client(t), "")
	etcdtest.Eventually(t, time.Minute, func() bool {
		nodes, err := st.Nodes(ctx)
		return err == nil && len(nodes) == 4
	}, "the cluster has its nodes")
	cfg := config(t, server)
	cfg.Tasks = 50
	r, err := bench.Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	// The others do not tell, or answer as somebody else. All are of this process, and so is etcd.
	if len(r.Processes) != 2 || r.Processes[0].Kind != bench.ProcessNode || r.Processes[0].Name != "leads" ||
		r.Processes[1].Kind != bench.ProcessEtcd || !strings.HasSuffix(server.Endpoint(), r.Processes[1].Name) {
		t.Errorf("processes: %+v", r.Processes)
	}
	for _, p := range r.Processes {
		if p.CPUSecondsPerThousand <= 0 || p.MiB() == 0 {
			t.Errorf("process: %+v", p)
		}
	}
	if r.Runs != 50 || r.Missed > 0 {
		t.Errorf("%d runs, %d missed", r.Runs, r.Missed)
	}
	stop()
	for _, end := range ended {
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
}

func TestEvenLoad(t *testing.T) {
	server := etcdtest.Start(t)
	cfg := config(t, server)
	cfg.Tasks, cfg.Rate, cfg.Duration = 20, 40, 2*time.Second
	// None is skipped or missed because the machine is slow.
	cfg.Task = nightwatch.Task{Overlap: nightwatch.OverlapAllow, CatchUp: nightwatch.CatchUp{Mode: nightwatch.CatchUpAll}}
	r := measured(t, cfg, server, 80)
	// The first three runs of a task write eight keys each, and the fourth ten, with the record that leaves the history for
	// the ledger. Nothing runs before the load, whose costs would be counted with theirs.
	if r.KeysPerRun < 8 || r.KeysPerRun > 12 {
		t.Errorf("%g keys a run, want about 8.5", r.KeysPerRun)
	}
	// Runs are due for as long as was asked for, however that lies to the tasks' period of 2.5 s.
	cfg.Rate = 8
	if r := measured(t, cfg, server, 16); r.RunsPerSecond > 8 {
		t.Errorf("%g runs a second", r.RunsPerSecond)
	}
}

// TestEvenLoadBesideANodeThatIsSilent counts the first runs however long it takes to measure what there was before.
func TestEvenLoadBesideANodeThatIsSilent(t *testing.T) {
	server := etcdtest.Start(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	n, err := node.New(server.Client(t), node.Config{Name: "silent", Address: silent.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- n.Run(ctx) }()
	st := store.New(server.Client(t), "")
	etcdtest.Eventually(t, time.Minute, func() bool {
		nodes, err := st.Nodes(ctx)
		return err == nil && len(nodes) == 1
	}, "the cluster has its node")
	cfg := config(t, server)
	cfg.Tasks, cfg.Rate, cfg.Duration = 20, 40, 2*time.Second
	// None is skipped or missed because the machine is slow.
	cfg.Task = nightwatch.Task{Overlap: nightwatch.OverlapAllow, CatchUp: nightwatch.CatchUp{Mode: nightwatch.CatchUpAll}}
	r, err := bench.Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Runs != 80 || r.Missed > 0 {
		t.Errorf("%d runs, %d missed", r.Runs, r.Missed)
	}
	stop()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// TestNodesThatEnd ends with what ended them.
func TestNodesThatEnd(t *testing.T) {
	server := etcdtest.Start(t)
	if _, err := server.Client(t).Put(t.Context(), "/nightwatch/meta/version", "999"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := bench.Run(ctx, config(t, server))
	if !errors.Is(err, nightwatch.ErrUnknownSchema) || ctx.Err() != nil {
		t.Errorf("%v (%v)", err, ctx.Err())
	}
}

func TestRefusedConfig(t *testing.T) {
	for name, cfg := range map[string]bench.Config{
		"tasks: -1: want 1 to 100000":                                                     {Tasks: -1},
		"rate: -1: want more than 0, or 0 for all at once":                                {Rate: -1},
		"tasks: 5 at 100 runs a second are due oftener than every 100ms: want 11 or more": {Tasks: 5, Rate: 100},
		"duration: 1ms: want 1s or more":                                                  {Duration: time.Millisecond},
		"nodes: 101: want 1 to 100":                                                       {Nodes: 101},
		"rate: NaN: want more than 0, or 0 for all at once":                               {Rate: math.NaN()},
		"rate: +Inf: want more than 0, or 0 for all at once":                              {Rate: math.Inf(1)},
		"rate: 0.1: not one run is due in 2s: want 0.5 or more":                           {Rate: 0.1, Duration: 2 * time.Second},
	} {
		if _, err := bench.Run(t.Context(), cfg); err == nil || err.Error() != name {
			t.Errorf("%v: want %s", err, name)
		}
	}
}
