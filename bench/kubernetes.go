package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/nightwatch-go/nightwatch"
)

// Kubernetes is a cluster that Jobs are made on.
type Kubernetes interface {
	// Ceiling is how many Jobs for a task a bare loop of creates makes in a second: as many of them as count says, or fewer if
	// that takes long. Their namespace comes and goes with the call. progress is told how many there are.
	Ceiling(ctx context.Context, namespace string, task *nightwatch.Task, count int, progress func(made int)) (perSecond float64, err error)
	// Open makes a namespace that is ready for Jobs; Close removes it, and returns when it is gone.
	Open(ctx context.Context, namespace string) error
	Close(ctx context.Context, namespace string) error
	// Requests is how many the runners have made of the API server.
	Requests() int64
	// Address is that of the API server, and Metrics what it tells of itself, in the text format of Prometheus.
	Address() string
	Metrics(ctx context.Context) (io.ReadCloser, error)
}

// Jobs is what a bench found of runs that are Kubernetes Jobs.
type Jobs struct {
	// JobsPerSecond counts from the moment that the first run was due to the one at which the last had its Job on record.
	JobsPerSecond float64 `json:"jobsPerSecond"`
	// CeilingPerSecond is what a bare loop of creates reached right before; Efficiency is the share of it.
	CeilingPerSecond float64 `json:"ceilingPerSecond"`
	Efficiency       float64 `json:"efficiency"`
	// LatenessMs is from nominal time until the record had the Job.
	LatenessMs Lateness `json:"latenessMs"`
	// RequestsPerRun is how many requests of the API server were made for a run during the load. The delete of a Job that is
	// still there at its end is not among them.
	RequestsPerRun float64 `json:"requestsPerRun"`
}

// measureKubernetes finds the ceiling of Jobs, by as many as the load will have or as can be made in half a minute.
func (b *bench) measureKubernetes(ctx context.Context) (perSecond float64, err error) {
	count := b.Tasks
	if b.Rate > 0 {
		count = int(math.Ceil(b.Rate * b.Duration.Seconds()))
	}
	perSecond, err = b.Kubernetes.Ceiling(ctx, b.namespace()+"-bare", &b.Task, count, func(made int) {
		b.Progress(Progress{"measure Jobs", made, count})
	})
	if err != nil {
		return 0, fmt.Errorf("measure Kubernetes: %w", err)
	}
	return perSecond, nil
}

func (b *bench) jobsReport(from time.Time, requests int64) *Jobs {
	seen, _ := b.jobs.count()
	j := &Jobs{LatenessMs: b.jobs.lateness()}
	if seen > 0 {
		j.JobsPerSecond = round(float64(seen) / b.jobs.end().Sub(from).Seconds())
		j.RequestsPerRun = round(float64(requests) / float64(seen))
	}
	return j
}
