package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Config is what a Runner is made of.
type Config struct {
	// REST says how to reach the cluster. It is copied. Required.
	REST *rest.Config
	// ContextName is the cluster's name in the record of the node. Default "default".
	ContextName string
	// QPS and Burst bound the requests that this runner sends, in requests a second. Default 50 and 100. What the API
	// server says by 429 and Retry-After is obeyed besides.
	QPS   float32
	Burst int
	// RequestTimeout bounds one request other than a watch. Default 10s.
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

func (c Config) withDefaults() Config {
	if c.ContextName == "" {
		c.ContextName = "default"
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

func (c Config) check() error {
	switch {
	case c.REST == nil:
		return errors.New("REST: missing")
	case c.QPS < 0 || c.Burst < 0:
		return fmt.Errorf("QPS %v, Burst %d: want positive numbers", c.QPS, c.Burst)
	}
	for name, d := range map[string]time.Duration{
		"RequestTimeout": c.RequestTimeout, "Relist": c.Relist, "Sweep": c.Sweep, "Keep": c.Keep,
	} {
		if d < 0 {
			return fmt.Errorf("%s %s: want a positive duration", name, d)
		}
	}
	return nil
}

// Runner runs attempts as Jobs of one Kubernetes cluster. It is safe for concurrent use.
type Runner struct {
	config Config
	http   *http.Client
	client kubernetes.Interface
	log    hclog.Logger
	jobs   *view

	mu       sync.Mutex
	cluster  string // uid of the kube-system namespace, once known
	reachErr error  // why it is not known
}

var (
	_ jobrunner.Runner    = (*Runner)(nil)
	_ jobrunner.Preparer  = (*Runner)(nil)
	_ jobrunner.Service   = (*Runner)(nil)
	_ jobrunner.Checker   = (*Runner)(nil)
	_ jobrunner.Clusterer = (*Runner)(nil)
)

// New makes a Runner. It does no I/O.
func New(config Config) (*Runner, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("kubernetes runner: %w", err)
	}
	config = config.withDefaults()
	r := &Runner{config: config, log: config.Logger, jobs: newView()}

	c := rest.CopyConfig(config.REST)
	c.QPS, c.Burst, c.RateLimiter = config.QPS, config.Burst, nil
	c.Timeout = 0 // it would end watches; every other request has a context of its own
	c.WarningHandler, c.WarningHandlerWithContext = nil, warnings{r.log}
	if c.UserAgent == "" {
		c.UserAgent = "nightwatch"
	}
	var err error
	if r.http, err = rest.HTTPClientFor(c); err != nil {
		return nil, fmt.Errorf("kubernetes runner: %w", err)
	}
	if c.ExecProvider != nil {
		r.http = &http.Client{Transport: newWithPlugin(r.http.Transport)}
	}
	if r.client, err = kubernetes.NewForConfigAndClient(c, r.http); err != nil {
		return nil, fmt.Errorf("kubernetes runner: %w", err)
	}
	return r, nil
}

// Name is nightwatch.RunnerKubernetes.
func (r *Runner) Name() string { return nightwatch.RunnerKubernetes }

// warnings logs what the API server warns of, such as a deprecated field.
type warnings struct{ log hclog.Logger }

func (w warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _, text string) {
	if code == 299 && text != "" {
		w.log.Debug("API server warns", "text", text)
	}
}
