package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// cluster is one Kubernetes cluster of a Runner. Each has a client, a pace, a view and a sweep of its own, so that what
// befalls one does no harm to runs on others.
type cluster struct {
	name   string
	labels map[string]string
	config *Config
	http   *http.Client
	client kubernetes.Interface
	pace   *pace
	jobs   *view
	ended  *ended
	looks  *rate.Limiter // at what pods wait for
	log    hclog.Logger

	mu       sync.Mutex
	uid      string // of the kube-system namespace, once known
	reachErr error  // why it is not known
}

func newCluster(config Cluster, common *Config, metrics *metrics) (*cluster, error) {
	c := &cluster{
		name: config.Name, labels: config.Labels, config: common, jobs: newView(), ended: newEnded(), looks: rate.NewLimiter(looksASecond, 2*looksASecond), log: common.Logger,
		pace: newPace(common.QPS, common.Burst, metrics.of(config.Name)),
	}
	if len(common.Clusters) > 1 {
		c.log = c.log.With("cluster", c.name)
	}
	to := rest.CopyConfig(config.REST)
	to.QPS, to.RateLimiter = -1, nil // see pace
	to.Timeout = 0                   // it would end watches; every other request has a context of its own
	to.WarningHandler, to.WarningHandlerWithContext = nil, warnings{c.log}
	to.Wrap(c.pace.wrap)
	// What is sent is JSON, in which an API server finds the fields that it does not know. Answers come as they are read fastest.
	to.ContentType, to.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	if to.UserAgent == "" {
		to.UserAgent = "nightwatch"
	}
	var err error
	if c.http, err = rest.HTTPClientFor(to); err != nil {
		return nil, err
	}
	if to.ExecProvider != nil {
		c.http = &http.Client{Transport: newWithPlugin(c.http.Transport)}
	}
	if c.client, err = kubernetes.NewForConfigAndClient(to, c.http); err != nil {
		return nil, err
	}
	return c, nil
}

// call makes one request other than a watch: it waits for its turn, and then for the answer, the latter for no longer
// than a request may take.
func (c *cluster) call(ctx context.Context, request func(context.Context) error) error {
	over, err := c.pace.turn(ctx)
	if err != nil {
		return err
	}
	defer over()
	ctx, cancel := context.WithTimeout(ctx, c.config.RequestTimeout)
	defer cancel()
	return request(ctx)
}

// identify finds out the cluster's uid, by one request, as call makes it, unless it is known. A cluster has no id of its
// own; that of kube-system lives as long as the cluster does.
func (c *cluster) identify(ctx context.Context) (string, error) {
	if uid := c.known(); uid != "" {
		return uid, nil
	}
	namespace, err := c.client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.reachErr = fmt.Errorf("identify cluster %s: %w", c.name, err)
		return "", c.reachErr
	}
	c.uid, c.reachErr = string(namespace.UID), nil
	return c.uid, nil
}

func (c *cluster) known() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uid
}

// check is nil while the cluster is known and the view of its Jobs is complete and fresh.
func (c *cluster) check(now time.Time) error {
	c.mu.Lock()
	uid, reachErr := c.uid, c.reachErr
	c.mu.Unlock()
	if uid == "" && reachErr != nil {
		return reachErr
	}
	if err := c.jobs.fresh(now); err != nil {
		return fmt.Errorf("watch Jobs of cluster %s: %w", c.name, err)
	}
	if uid == "" {
		return errors.New("not identified yet")
	}
	return nil
}

// Clusters are those of this runner. One that does not answer has no uid: the node that reaches it will do its runs.
func (r *Runner) Clusters() []jobrunner.Cluster {
	now := time.Now()
	all := make([]jobrunner.Cluster, len(r.clusters))
	for i, c := range r.clusters {
		all[i] = jobrunner.Cluster{Name: c.name, Labels: c.labels}
		if c.jobs.answers(now) {
			all[i].UID = c.known()
		}
	}
	return all
}

// Checks are those of the clusters, by their names.
func (r *Runner) Checks() []jobrunner.Check {
	now := time.Now()
	all := make([]jobrunner.Check, len(r.clusters))
	for i, c := range r.clusters {
		all[i] = jobrunner.Check{Name: c.name, Err: c.check(now)}
	}
	return all
}

// Suits tells whether the cluster that a run was given to is the one that a version of its task asks for.
func (r *Runner) Suits(run *nightwatch.Run, task *nightwatch.Task) bool {
	c := r.cluster(run)
	switch {
	case task.Kubernetes == nil || task.Kubernetes.Cluster == "" && task.Kubernetes.ClusterSelector == "":
		return c == r.clusters[0]
	case task.Kubernetes.Cluster != "":
		return c.name == task.Kubernetes.Cluster
	}
	return task.ClusterSelector().Matches(c.labels)
}

// cluster is the one that a run's Job is or will be in.
func (r *Runner) cluster(run *nightwatch.Run) *cluster {
	var named, there *cluster
	for _, c := range r.clusters {
		if c.name == run.Cluster {
			named = c
		}
		if there == nil && run.Job != nil && run.Job.Cluster != "" && c.known() == run.Job.Cluster {
			there = c
		}
	}
	switch {
	case there != nil && (named == nil || named.known() != run.Job.Cluster):
		return there
	case named != nil:
		return named
	}
	return r.clusters[0]
}

// warnings logs what the API server warns of, such as a deprecated field, or gives it to whoever is listening.
type warnings struct{ log hclog.Logger }

func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	if code == 299 && text != "" {
		if heard, ok := ctx.Value(listenerKey{}).(*[]string); ok {
			*heard = append(*heard, text)
		}
		w.log.Debug("API server warns", "text", text)
	}
}
