package jobrunner

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are a node's, over all of its sessions.
type Metrics struct {
	running *prometheus.GaugeVec
	runs    *prometheus.CounterVec
}

// NewMetrics registers the metrics of runs on registerer; with nil they count for nobody.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	make := promauto.With(registerer)
	return &Metrics{
		running: make.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nightwatch_runs_running", Help: "Attempts under way on this node.",
		}, []string{"runner"}),
		runs: make.NewCounterVec(prometheus.CounterOpts{
			Name: "nightwatch_runs_finished_total", Help: "Attempts that ended on this node, by outcome; Interrupted means that another node goes on.",
		}, []string{"runner", "outcome"}),
	}
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
