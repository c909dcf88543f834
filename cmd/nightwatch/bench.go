package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/term"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/bench"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
)

// benchSettings are the flags of nightwatch bench.
type benchSettings struct {
	etcd     connection
	format   output
	tasks    int
	rate     float64
	duration time.Duration
	nodes    int
	runner   string
	kube     kube
}

func newBench() *cobra.Command {
	var s benchSettings
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how many runs a second this cluster does, and what one costs",
		Long: `Measure how many runs a second this cluster does, how late they are, and what one costs in etcd.

First the bench finds how many lives of runs etcd alone takes on these machines, with the same keys and sizes and no
scheduler. Then it adds nodes of its own to the cluster, puts tasks that only they may run, all due at one moment or, with
--rate, evenly, and removes them again with all that became of them. On a cluster without nodes its own lead; else the cluster's do.

With --runner kubernetes each run is a Job of a busybox that ends at once, in a namespace that comes and goes with the
bench, and how many Jobs a second a bare loop of creates makes is found as well, within the same --kube-api-qps. That takes
the rights to create and delete namespaces.

With authentication on it takes what a node's user may do, and to read and write below /nightwatch-bench- (--etcd-prefix
without its last /, and -bench-), where etcd is measured.

It loads etcd as much as it can: measure a cluster that others work with at a quiet hour.`,
		Example: `  nightwatch bench --tasks 20000 --nodes 3
  nightwatch bench --rate 1000 --tasks 10000 --duration 1m -o json
  nightwatch bench --tasks 20000 -o html > bench.html
  nightwatch bench --runner kubernetes --kube-context test --kube-api-qps 500 --kube-api-burst 500`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.format.check(); err != nil {
				return err
			}
			if name := typed(cmd.Flags(), kubeFlags...); name != "" && s.runner != nightwatch.RunnerKubernetes {
				return usage("--%s: want --runner kubernetes with it", name)
			}
			report, err := s.measure(cmd.Context(), cmd.ErrOrStderr())
			if report == nil {
				return err
			}
			// What was found is told even if not all could be removed again.
			return cmp.Or(failed(s.print(cmd.OutOrStdout(), report)), err)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&s.tasks, "tasks", 1000, "how many tasks")
	flags.Float64Var(&s.rate, "rate", 0, "runs a second that are offered evenly (default: all tasks are due at one moment, once)")
	flags.DurationVar(&s.duration, "duration", 30*time.Second, "how long runs are offered, with --rate")
	flags.IntVar(&s.nodes, "nodes", 1, "how many nodes the bench adds to run its tasks")
	flags.StringVar(&s.runner, "runner", nightwatch.RunnerHandler, "what the tasks are for: handler, process, http or kubernetes")
	argument(flags, "tasks", "rate", "duration", "nodes", "runner")
	s.kube.flags(flags)
	s.kube.limits(flags)
	s.format.html = true
	s.format.flags(flags)
	s.etcd.flags(flags)
	return cmd
}

func (s *benchSettings) print(out io.Writer, report *bench.Report) error {
	if s.format.format == formatHTML {
		return report.WriteHTML(out)
	}
	return s.format.print(out, report, func(out io.Writer) { benchTable(out, report) })
}

func (s *benchSettings) measure(ctx context.Context, progress io.Writer) (*bench.Report, error) {
	etcd, err := s.etcd.config(0, zap.NewNop())
	if err != nil {
		return nil, err
	}
	cfg := bench.Config{
		Dial: func() (*clientv3.Client, error) { return clientv3.New(etcd) },
		TLS:  etcd.TLS, Prefix: s.etcd.prefix, Tasks: s.tasks, Rate: s.rate, Duration: s.duration, Nodes: s.nodes,
	}
	if err := cfg.Check(); err != nil {
		return nil, usage("--%w", err)
	}
	switch s.runner {
	case nightwatch.RunnerHandler:
	case nightwatch.RunnerProcess:
		cfg.Task.Process = &nightwatch.ProcessSpec{Command: []string{"true"}}
		cfg.Runners = func() ([]jobrunner.Runner, error) {
			runner, err := newProcess(process.Config{})
			return []jobrunner.Runner{runner}, err
		}
	case nightwatch.RunnerHTTP:
		url, stop, err := answerAll()
		if err != nil {
			return nil, failed(err)
		}
		defer stop()
		cfg.Task.HTTP = &nightwatch.HTTPSpec{URL: url}
		cfg.Runners = func() ([]jobrunner.Runner, error) {
			loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			return []jobrunner.Runner{httpcall.New(httpcall.Config{Allow: loopback})}, nil
		}
	case nightwatch.RunnerKubernetes:
		cluster, err := s.kube.bench()
		if err != nil {
			return nil, err
		}
		cfg.Kubernetes = benchCluster{cluster}
		// A Job takes longer than the time between two runs may be.
		cfg.Task = nightwatch.Task{Image: "busybox", Command: []string{"true"}, Overlap: nightwatch.OverlapAllow}
		cfg.Runners = func() ([]jobrunner.Runner, error) {
			runner, err := cluster.Runner()
			return []jobrunner.Runner{runner}, err
		}
	default:
		return nil, usage("--runner: %q: want handler, process, http or kubernetes", s.runner)
	}
	if file, ok := progress.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		bar := progressBar{out: progress}
		cfg.Progress = bar.show
		defer bar.clear()
	}
	reachable, cancel := context.WithTimeout(ctx, s.etcd.timeout)
	defer cancel()
	if err := s.etcd.reach(reachable, etcd); err != nil {
		return nil, err
	}
	report, err := bench.Run(ctx, cfg)
	return report, s.etcd.failed(err)
}

// benchCluster has what goes wrong with Kubernetes never be taken for an etcd that does not answer.
type benchCluster struct{ *kubernetes.Bench }

func (c benchCluster) Ceiling(ctx context.Context, namespace string, task *nightwatch.Task, count int, progress func(int)) (float64, error) {
	perSecond, err := c.Bench.Ceiling(ctx, namespace, task, count, progress)
	return perSecond, failed(err)
}

func (c benchCluster) Open(ctx context.Context, namespace string) error {
	return failed(c.Bench.Open(ctx, namespace))
}

func (c benchCluster) Close(ctx context.Context, namespace string) error {
	return failed(c.Bench.Close(ctx, namespace))
}

// reach finds out whether etcd answers.
func (c *connection) reach(ctx context.Context, cfg clientv3.Config) error {
	client, err := clientv3.New(cfg)
	if err != nil {
		return c.failed(fmt.Errorf("connect to etcd: %w", err))
	}
	defer client.Close()
	_, err = client.Get(ctx, c.prefix, clientv3.WithCountOnly())
	return c.failed(err)
}

// answerAll is an HTTP server on loopback that answers every request with 204.
func answerAll() (url string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen for the bench's requests: %w", err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		ReadHeaderTimeout: 10 * time.Second,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // the listener is ours
		}
	}()
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close()
		<-ended
	}, nil
}

func benchTable(out io.Writer, r *bench.Report) {
	fact := func(name, format string, args ...any) { fmt.Fprintf(out, name+"\t"+format+"\n", args...) }
	fact("OFFERED", "%s", r.Offered())
	fact("RUNS", "%d, %d missed, %d twice", r.Runs, r.Missed, r.Duplicated)
	if r.Runs == 0 {
		return // and nothing to say of them
	}
	fact("RATE", "%.0f runs/s, %.0f%% of the %.0f/s that etcd alone takes", r.RunsPerSecond, 100*r.Efficiency, r.CeilingPerSecond)
	l := r.LatenessMs
	fact("LATENESS", "p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms", l.P50, l.P99, l.P999, l.Max)
	if jobs := r.Kubernetes; jobs != nil {
		fact("JOBS", "%.0f/s, %.0f%% of the %.0f/s that a bare loop of creates makes", jobs.JobsPerSecond, 100*jobs.Efficiency, jobs.CeilingPerSecond)
		l := jobs.LatenessMs
		fact("JOBS' LATENESS", "p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms", l.P50, l.P99, l.P999, l.Max)
		fact("API SERVER A RUN", "%.2f requests", jobs.RequestsPerRun)
	}
	if r.KeysPerRun > 0 {
		fact("ETCD A RUN", "%.2f requests, %.1f keys, %.0f bytes", r.RequestsPerRun, r.KeysPerRun, r.BytesPerRun)
	} else {
		fact("ETCD A RUN", "unknown: its history has been compacted")
	}
	fact("DATABASE", "%.0f bytes a run", r.DatabaseBytesPerRun)
	fact("BENCH AND NODES", "%.2f CPU seconds for 1,000 runs, %d MiB at most", r.CPUSecondsPerThousand, r.MaxRSSBytes>>20)
	for _, p := range r.Processes {
		fact(processNames[p.Kind]+p.Name, "%.2f CPU seconds for 1,000 runs, %d MiB", p.CPUSecondsPerThousand, p.MiB())
	}
}

// processNames is what the table calls processes, before their names.
var processNames = map[string]string{bench.ProcessNode: "NODE ", bench.ProcessEtcd: "ETCD ", bench.ProcessAPIServer: "API SERVER "}

// progressBar shows on one line of a terminal how far a bench is.
type progressBar struct {
	out  io.Writer
	last time.Time
}

const barWidth = 30

func (b *progressBar) show(p bench.Progress) {
	if time.Since(b.last) < 100*time.Millisecond && p.Done < p.Total {
		return
	}
	b.last = time.Now()
	full := 0
	if p.Total > 0 {
		full = barWidth * p.Done / p.Total
	}
	fmt.Fprintf(b.out, "\r\x1b[K%-14s [%-*s] %d/%d", p.Step, barWidth, fill(full), p.Done, p.Total)
}

func fill(n int) string {
	bar := make([]byte, n)
	for i := range bar {
		bar[i] = '='
	}
	return string(bar)
}

func (b *progressBar) clear() { fmt.Fprint(b.out, "\r\x1b[K") }
