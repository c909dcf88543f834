package jobrunner

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are a node's, over all of its sessions.
type Metrics struct {
	running *prometheus.GaugeVec
	runs    *prometheus.CounterVec
}

// NewMetrics makes the metrics of runs.
func NewMetrics() *Metrics {
	return &Metrics{
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nightwatch_runs_running", Help: "Attempts under way on this node.",
		}, []string{"runner"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nightwatch_runs_finished_total", Help: "Attempts that ended on this node, by outcome; Interrupted means that another node goes on.",
		}, []string{"runner", "outcome"}),
	}
}

// Collectors are the metrics, for a registry of the caller's choice.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.running, m.runs}
}

func (m *Metrics) started(runner string) {
	if m != nil {
		m.running.WithLabelValues(runner).Inc()
	}
}

func (m *Metrics) ended(runner string, outcome Outcome) {
	if m == nil {
		return
	}
	word := string(outcome.Phase)
	if word == "" {
		word = "Interrupted"
	}
	m.running.WithLabelValues(runner).Dec()
	m.runs.WithLabelValues(runner, word).Inc()
}
