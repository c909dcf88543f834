package kubernetes

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Config is what a Runner is made of.
type Config struct {
	// Clusters are those that Jobs can be run on; the first takes what asks for none. At least one.
	Clusters []Cluster
	// QPS and Burst bound the requests to each cluster, in requests a second. Default 50 and 100. What the API server says
	// by Retry-After is obeyed besides.
	QPS   float32
	Burst int
	// RequestTimeout bounds one request other than a watch, from when its turn has come. Default 10s.
	RequestTimeout time.Duration
	// Relist is how often all Jobs are listed anew, whatever the watch says; the time varies by a fifth. Default 5m.
	Relist time.Duration
	// Sweep is how often Jobs are looked through for those whose run is gone; the time varies by a fifth. Default 1m.
	Sweep time.Duration
	// Keep is how long the suspended Job of a run that changed hands stays after its end. Default 1h; less is safe
	// only where no process is ever frozen for that long.
	Keep time.Duration
	// Logger: nil is silence.
	Logger hclog.Logger
}

// Cluster says how to reach one Kubernetes cluster.
type Cluster struct {
	// Name is what tasks and the record of the node call it; unique among the clusters. Default "default".
	Name string
	// REST is how to reach it. It is copied. Required.
	REST *rest.Config
	// Labels are what tasks select clusters by.
	Labels map[string]string
}

func (c Config) withDefaults() Config {
	c.Clusters = append([]Cluster(nil), c.Clusters...)
	for i := range c.Clusters {
		if c.Clusters[i].Name == "" {
			c.Clusters[i].Name = "default"
		}
	}
	if c.QPS == 0 {
		c.QPS = 50
	}
	if c.Burst == 0 {
		c.Burst = 100
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.RequestTimeout, 10 * time.Second}, {&c.Relist, 5 * time.Minute}, {&c.Sweep, time.Minute}, {&c.Keep, time.Hour}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return c
}

// check is of a configuration with its defaults.
func (c Config) check() error {
	if len(c.Clusters) == 0 {
		return errors.New("Clusters: want at least one")
	}
	if c.QPS < 0 || c.Burst < 0 {
		return fmt.Errorf("QPS %v, Burst %d: want positive numbers", c.QPS, c.Burst)
	}
	for name, d := range map[string]time.Duration{
		"RequestTimeout": c.RequestTimeout, "Relist": c.Relist, "Sweep": c.Sweep, "Keep": c.Keep,
	} {
		if d < 0 {
			return fmt.Errorf("%s %s: want a positive duration", name, d)
		}
	}
	names := map[string]bool{}
	for _, cluster := range c.Clusters {
		if err := nightwatch.CheckClusterName(cluster.Name); err != nil {
			return fmt.Errorf("name of a cluster: %w", err)
		}
		faults := nightwatch.CheckLabels("Labels", cluster.Labels)
		switch {
		case names[cluster.Name]:
			return fmt.Errorf("cluster %s: is there twice", cluster.Name)
		case cluster.REST == nil:
			return fmt.Errorf("cluster %s: REST: missing", cluster.Name)
		case len(faults) > 0:
			return fmt.Errorf("cluster %s: %w", cluster.Name, faults[0])
		}
		names[cluster.Name] = true
	}
	return nil
}

// Runner runs attempts as Jobs of Kubernetes clusters. It is safe for concurrent use.
type Runner struct {
	config   Config
	clusters []*cluster
	metrics  *metrics
}

var (
	_ jobrunner.Runner    = (*Runner)(nil)
	_ jobrunner.Preparer  = (*Runner)(nil)
	_ jobrunner.Service   = (*Runner)(nil)
	_ jobrunner.Checker   = (*Runner)(nil)
	_ jobrunner.Clusterer = (*Runner)(nil)
	_ jobrunner.Chooser   = (*Runner)(nil)
	_ jobrunner.LogReader = (*Runner)(nil)
)

// New makes a Runner. It does no I/O.
func New(config Config) (*Runner, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("kubernetes runner: %w", err)
	}
	r := &Runner{config: config}
	r.metrics = newMetrics(r)
	for _, one := range config.Clusters {
		c, err := newCluster(one, &r.config, r.metrics)
		if err != nil {
			return nil, fmt.Errorf("kubernetes runner: cluster %s: %w", one.Name, err)
		}
		r.clusters = append(r.clusters, c)
	}
	return r, nil
}

// Name is nightwatch.RunnerKubernetes.
func (r *Runner) Name() string { return nightwatch.RunnerKubernetes }
