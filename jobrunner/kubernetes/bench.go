package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Bench is what it takes to measure a Kubernetes cluster: runners whose requests are counted, namespaces of its own, and
// what a bare loop of creates reaches. Besides what a Runner does it wants the rights to create, get and delete namespaces,
// and to get service accounts in them. With the right to get /metrics it finds out what the API server uses. It is safe for
// concurrent use.
type Bench struct {
	config   Config
	client   kubernetes.Interface
	requests atomic.Int64
}

// NewBench makes a Bench of the one cluster in a configuration. It does no I/O.
func NewBench(config Config) (*Bench, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("kubernetes bench: %w", err)
	}
	if len(config.Clusters) != 1 {
		return nil, fmt.Errorf("kubernetes bench: %d clusters: want one", len(config.Clusters))
	}
	b := &Bench{}
	bare := rest.CopyConfig(config.Clusters[0].REST)
	bare.QPS, bare.Burst, bare.RateLimiter, bare.Timeout = config.QPS, config.Burst, nil, config.RequestTimeout
	var err error
	if b.client, err = kubernetes.NewForConfig(bare); err != nil {
		return nil, fmt.Errorf("kubernetes bench: %w", err)
	}
	counted := rest.CopyConfig(config.Clusters[0].REST)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, &b.requests} })
	config.Clusters[0].REST = counted
	b.config = config
	return b, nil
}

// counting counts requests.
type counting struct {
	next  http.RoundTripper
	count *atomic.Int64
}

// RoundTrip is http.RoundTripper's.
func (c counting) RoundTrip(request *http.Request) (*http.Response, error) {
	c.count.Add(1)
	return c.next.RoundTrip(request)
}

// WrappedRoundTripper is what client-go looks for, to close idle connections and the like.
func (c counting) WrappedRoundTripper() http.RoundTripper { return c.next }

// Runner makes a runner on the cluster.
func (b *Bench) Runner() (jobrunner.Runner, error) { return New(b.config) }

// Requests is how many requests the runners have made.
func (b *Bench) Requests() int64 { return b.requests.Load() }

// Address is that of the API server.
func (b *Bench) Address() string {
	address := b.config.Clusters[0].REST.Host
	if _, host, ok := strings.Cut(address, "://"); ok {
		return host
	}
	return address
}

// Metrics is what the API server tells of itself, in the text format of Prometheus, if the bench may get /metrics there.
func (b *Bench) Metrics(ctx context.Context) (io.ReadCloser, error) {
	body, err := b.client.Discovery().RESTClient().Get().AbsPath("/metrics").Stream(silent(ctx))
	if err != nil {
		return nil, fmt.Errorf("get /metrics of %s: %w", b.Address(), err)
	}
	return body, nil
}

const (
	// benchPoll is how often a namespace is looked at that comes or goes, for which it has benchComes and benchGoes.
	benchPoll  = 200 * time.Millisecond
	benchComes = time.Minute
	benchGoes  = 10 * time.Minute
	// bareFlying is how many creates of the bare loop are under way, bareFor after what time it ends.
	bareFlying = 64
	bareFor    = 30 * time.Second
)

// Open makes a namespace, and returns when pods can be created in it.
func (b *Bench) Open(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(silent(ctx), benchComes)
	defer cancel()
	_, err := b.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	for {
		_, err := b.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("wait for the service account of namespace %s: %w", namespace, err)
		}
		if sleep(ctx, benchPoll); ctx.Err() != nil {
			return fmt.Errorf("wait for the service account of namespace %s: %w", namespace, context.Cause(ctx))
		}
	}
}

// Close removes a namespace with all in it, and returns when it is gone. What takes more than ten minutes it leaves to the
// API server.
func (b *Bench) Close(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(silent(ctx), benchGoes)
	defer cancel()
	for {
		err := b.client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case final(err): // a conflict is not: it is being removed
			return fmt.Errorf("delete namespace %s: %w", namespace, err)
		}
		if sleep(ctx, benchPoll); ctx.Err() != nil {
			return fmt.Errorf("wait until namespace %s is gone: %w", namespace, context.Cause(ctx))
		}
	}
}

// Ceiling is how many Jobs a second a bare loop creates, with the QPS and burst of the runners: count of them, or as many as it
// can within half a minute, each as the runner makes it for a task. They are in a namespace of their own, which is
// removed. progress is told how many there are.
func (b *Bench) Ceiling(ctx context.Context, namespace string, task *nightwatch.Task, count int, progress func(int)) (perSecond float64, err error) {
	defer func() {
		err = errors.Join(err, b.Close(context.WithoutCancel(ctx), namespace))
	}()
	if err := b.Open(ctx, namespace); err != nil {
		return 0, err
	}
	jobs := b.client.BatchV1().Jobs(namespace)
	ctx, cancel := context.WithCancelCause(silent(ctx))
	defer cancel(nil)
	began := time.Now()
	var next, made atomic.Int64
	var group sync.WaitGroup
	for range bareFlying {
		group.Go(func() {
			for ctx.Err() == nil && time.Since(began) < bareFor {
				i := int(next.Add(1))
				if i > count {
					return
				}
				job, err := bareJob(namespace, i, task)
				if err == nil {
					_, err = jobs.Create(ctx, job, metav1.CreateOptions{})
				}
				if err != nil {
					cancel(fmt.Errorf("create Job: %w", err))
					return
				}
				progress(int(made.Add(1)))
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return float64(made.Load()) / time.Since(began).Seconds(), nil
}

// bareJob is the Job of a run, with another cluster's id, so that no node takes it for its own.
func bareJob(namespace string, i int, task *nightwatch.Task) (*batchv1.Job, error) {
	name := fmt.Sprintf("t%06d", i)
	nominal := time.Now().UTC().Truncate(time.Second)
	id := nominal.Format("20060102T150405Z")
	record := nightwatch.Run{
		ID: id, Task: namespace + "/" + name, Attempt: 1, Node: "bench", Runner: nightwatch.RunnerKubernetes, NominalTime: nominal,
	}
	a := &jobrunner.Attempt{
		Run:  jobrunner.Run{Namespace: namespace, Task: name, ID: id, Attempt: 1, NominalTime: nominal, Fence: 1},
		Task: task, Record: record, ClusterID: "bench",
	}
	return newJob(a, namespace, nightwatch.JobName(a.ClusterID, name, &record, false))
}
