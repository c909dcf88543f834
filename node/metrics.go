package node

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// register puts the node's metrics on the registry that it was given, all or none.
func (n *Node) register() error {
	if n.cfg.Registerer == nil {
		return nil
	}
	for i, collector := range n.collectors() {
		if err := n.cfg.Registerer.Register(collector); err != nil {
			for _, done := range n.collectors()[:i] {
				n.cfg.Registerer.Unregister(done)
			}
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// unregister makes room for another node on the same registry.
func (n *Node) unregister() {
	if n.cfg.Registerer == nil {
		return
	}
	for _, collector := range n.collectors() {
		n.cfg.Registerer.Unregister(collector)
	}
}

func (n *Node) collectors() []prometheus.Collector {
	all := append(n.metrics.Collectors(), checkMetrics{n})
	for _, runner := range n.cfg.Runners {
		if c, ok := runner.(prometheus.Collector); ok {
			all = append(all, c)
		}
	}
	if n.scheduler != nil {
		all = append(all, n.scheduler.Metrics()...)
	}
	return all
}

// checkMetrics shows a node's checks as metrics.
type checkMetrics struct{ n *Node }

var checkDesc = prometheus.NewDesc("nightwatch_check_healthy", "1 while the readiness check of this name holds, else 0.", []string{"check"}, nil)

// Describe is prometheus.Collector's.
func (c checkMetrics) Describe(descs chan<- *prometheus.Desc) { descs <- checkDesc }

// Collect is prometheus.Collector's.
func (c checkMetrics) Collect(metrics chan<- prometheus.Metric) {
	for _, check := range c.n.Checks() {
		healthy := 1.0
		if check.Err != nil {
			healthy = 0
		}
		metrics <- prometheus.MustNewConstMetric(checkDesc, prometheus.GaugeValue, healthy, check.Name)
	}
}
