package scheduler

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nightwatch-go/nightwatch"
)

// metrics are the scheduler's.
type metrics struct {
	leading      prometheus.Gauge
	tasks        prometheus.Gauge
	waiting      prometheus.Gauge
	transactions *prometheus.CounterVec
	runs         *prometheus.CounterVec
	lateness     prometheus.Histogram
}

func newMetrics() *metrics {
	return &metrics{
		leading: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nightwatch_scheduler_leading", Help: "1 while this node holds the scheduler role.",
		}),
		tasks: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nightwatch_scheduler_tasks", Help: "Tasks in this node's view of the cluster.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nightwatch_scheduler_tasks_waiting", Help: "Tasks with a run that waits for a node, while this node leads.",
		}),
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nightwatch_scheduler_transactions_total", Help: "Transactions sent to etcd as the scheduler, by result: done, refused, failed.",
		}, []string{"result"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nightwatch_scheduler_runs_total", Help: "Run records that this node wrote as the scheduler, by the phase written.",
		}, []string{"phase"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nightwatch_scheduler_lateness_seconds", Help: "From an occurrence's nominal time to the decision that makes its run.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600},
		}),
	}
}

// Metrics are what the scheduler has to tell Prometheus, for a registry of the caller's choice.
func (s *Scheduler) Metrics() []prometheus.Collector {
	m := s.metrics
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nightwatch_watch_age_seconds", Help: "How long ago the watch on the cluster's keys was last heard.",
	}, func() float64 { return s.health.age().Seconds() })
	return []prometheus.Collector{m.leading, m.tasks, m.waiting, m.transactions, m.runs, m.lateness, age}
}

func (m *metrics) transaction(err error) {
	switch {
	case err == nil:
		m.transactions.WithLabelValues("done").Inc()
	case errors.Is(err, nightwatch.ErrRefused):
		m.transactions.WithLabelValues("refused").Inc()
	default:
		m.transactions.WithLabelValues("failed").Inc()
	}
}

// observe counts what a plan is about to do.
func (m *metrics) observe(now time.Time, p *plan) {
	for id, r := range p.runs {
		if !p.writes(p.keys.Run(p.t.name, id)) {
			continue
		}
		m.runs.WithLabelValues(string(r.run.Phase)).Inc()
		if !r.present() && r.run.Shard == nil && r.run.Backfill == "" && p.def != nil && p.def.Task.Recurring() {
			m.lateness.Observe(max(now.Sub(later(r.run.NominalTime, r.run.NotBefore)), 0).Seconds())
		}
	}
}
