package kubernetes

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of all clusters of a Runner.
type metrics struct {
	runner   *Runner
	requests *prometheus.CounterVec
	waiting  *prometheus.CounterVec
	jobs     *prometheus.Desc
}

func newMetrics(r *Runner) *metrics {
	return &metrics{
		runner: r,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nightwatch_kubernetes_requests_total",
			Help: "Requests to the API server of a cluster, by verb and status code; code 0 means that there was no answer.",
		}, []string{"cluster", "verb", "code"}),
		waiting: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nightwatch_kubernetes_paced_seconds_total",
			Help: "Time that requests to a cluster waited for their turn, by QPS and burst or because the API server asked for it.",
		}, []string{"cluster"}),
		jobs: prometheus.NewDesc("nightwatch_kubernetes_jobs", "Jobs of this nightwatch cluster that this node knows of.", []string{"cluster"}, nil),
	}
}

// Describe is prometheus.Collector's.
func (r *Runner) Describe(descs chan<- *prometheus.Desc) {
	r.metrics.requests.Describe(descs)
	r.metrics.waiting.Describe(descs)
	descs <- r.metrics.jobs
}

// Collect is prometheus.Collector's.
func (r *Runner) Collect(found chan<- prometheus.Metric) {
	r.metrics.requests.Collect(found)
	r.metrics.waiting.Collect(found)
	for _, c := range r.clusters {
		found <- prometheus.MustNewConstMetric(r.metrics.jobs, prometheus.GaugeValue, float64(c.jobs.len()), c.name)
	}
}

// clusterMetrics are the metrics of one cluster.
type clusterMetrics struct {
	requests *prometheus.CounterVec
	waiting  prometheus.Counter
}

func (m *metrics) of(cluster string) clusterMetrics {
	return clusterMetrics{m.requests.MustCurryWith(prometheus.Labels{"cluster": cluster}), m.waiting.WithLabelValues(cluster)}
}

func (m clusterMetrics) waited(d time.Duration) { m.waiting.Add(d.Seconds()) }

func (m clusterMetrics) requested(request *http.Request, response *http.Response) {
	code := 0
	if response != nil {
		code = response.StatusCode
	}
	m.requests.WithLabelValues(verb(request), strconv.Itoa(code)).Inc()
}

// verb is what RBAC calls a request.
func verb(request *http.Request) string {
	query := request.URL.Query()
	switch {
	case request.Method == http.MethodPost:
		return "create"
	case request.Method == http.MethodDelete:
		return "delete"
	case request.Method == http.MethodPatch:
		return "patch"
	case query.Has("watch"):
		return "watch"
	case query.Has("limit") || query.Has("labelSelector"):
		return "list"
	}
	return "get"
}
