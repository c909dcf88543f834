package node

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/runlog"
	"github.com/nightwatch-go/nightwatch/store"
)

// Config says what a node is. Its zero value is a node that can run Go handlers and be the scheduler.
type Config struct {
	// Prefix is where the cluster's keys live. Default "/nightwatch/".
	Prefix string
	// Name is unique in the cluster: lower-case letters, digits, '-' and '.', at most 63. Default the host name.
	Name string
	// Labels are what tasks select nodes by (runsOn).
	Labels map[string]string
	// Capacity is how many places the node has for runs, of which most take one each. Default 64.
	Capacity int
	// Capacities are how many of these places runs of one kind may take at once, by runner ("process") or by handler
	// ("handler/resize"). Default for every kind: all of them.
	Capacities map[string]int
	// Runners are the ways to run things, beside Go handlers, which every node has.
	Runners []jobrunner.Runner
	// Secrets are what {fromFile: NAME} in a task stands for on this node: jobrunner.SecretsIn(dir), or some store of
	// your own. Nil: attempts of such tasks are refused.
	Secrets jobrunner.Secrets
	// DisabledHandlers are names of handlers that are switched off on this node: whether registered or not, they are not
	// announced, and their tasks run on other nodes or wait. Default none.
	DisabledHandlers []string
	// Logger is told what happens. Nil is silence.
	Logger hclog.Logger
	// Registerer takes the node's metrics. Nil means none.
	Registerer prometheus.Registerer
	// LeaseTTL is how long the cluster waits for a silent node before its runs go to another: 2 s to 1 min, whole
	// seconds. Default 5 s.
	LeaseTTL time.Duration
	// DrainTimeout is how long a stopping node waits for processes, requests and handlers that run. Kubernetes Jobs
	// are handed to another node at once. Default 30 s.
	DrainTimeout time.Duration
	// NoScheduler keeps the node from campaigning for the scheduler role.
	NoScheduler bool
	// ColdStandby has the node keep no view of all keys while it does not lead, which spares the memory and the processor time
	// of a standby. When it is to lead it reads them first: a second for each 30,000 tasks or so, in which nobody leads.
	ColdStandby bool
	// Logs keeps what runs on this node write; the node runs it. Nil keeps it in memory while a run is under way, and
	// after that the last 2 KiB in its record.
	Logs *runlog.Logs
	// Address is host:port of the node's HTTP listener as others reach it, for people and peers to find; the node
	// itself opens none. Default empty.
	Address string
	// CallbackURL is where others reach Node.Callbacks, less jobrunner.CallbackPath: "https://n1.example". Default
	// http:// and Address; with neither, tasks that want to be called back are refused.
	CallbackURL string
	// Version is the version that the node announces. Default "embedded".
	Version string
}

// Limits and defaults of Config.
const (
	DefaultCapacity     = 64
	DefaultLeaseTTL     = 5 * time.Second
	DefaultDrainTimeout = 30 * time.Second

	minLeaseTTL = 2 * time.Second
	maxLeaseTTL = time.Minute
	maxCapacity = 1_000_000
)

// withDefaults checks c and fills it in.
func (c Config) withDefaults() (Config, error) {
	c.Prefix = store.NewKeys(c.Prefix).Prefix()
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("name: the host has none: %w", err)
		}
		c.Name = strings.ToLower(host)
	}
	if err := nightwatch.CheckNodeName(c.Name); err != nil {
		return c, err
	}
	if faults := nightwatch.CheckLabels("labels", c.Labels); len(faults) > 0 {
		return c, faults[0]
	}
	if c.Capacity == 0 {
		c.Capacity = DefaultCapacity
	}
	if c.Capacity < 0 || c.Capacity > maxCapacity {
		return c, fmt.Errorf("capacity: %d: want 1 to %d", c.Capacity, maxCapacity)
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = DefaultLeaseTTL
	}
	if c.LeaseTTL < minLeaseTTL || c.LeaseTTL > maxLeaseTTL || c.LeaseTTL%time.Second != 0 {
		return c, fmt.Errorf("lease TTL: %s: want whole seconds, %s to %s", c.LeaseTTL, minLeaseTTL, maxLeaseTTL)
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	if c.DrainTimeout < 0 {
		return c, fmt.Errorf("drain timeout: %s: want 0 or more", c.DrainTimeout)
	}
	if slices.Contains(c.DisabledHandlers, "") {
		return c, errors.New("disabled handlers: one is empty: want the name of a handler")
	}
	var names []string
	for _, runner := range c.Runners {
		name := runner.Name()
		if slices.Contains(names, name) || name == nightwatch.RunnerHandler {
			return c, fmt.Errorf("runners: %s is there twice", name)
		}
		names = append(names, name)
	}
	if c.Address != "" {
		if err := nightwatch.CheckNodeAddress(c.Address); err != nil {
			return c, fmt.Errorf("address: %w", err)
		}
		if c.CallbackURL == "" {
			c.CallbackURL = "http://" + c.Address
		}
	}
	if err := c.checkCapacities(append(names, nightwatch.RunnerHandler)); err != nil {
		return c, err
	}
	c.Capacities = maps.Clone(c.Capacities)
	if c.Logs == nil {
		logs, err := runlog.New(runlog.Config{})
		if err != nil {
			return c, err
		}
		c.Logs = logs
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Version == "" {
		c.Version = "embedded"
	}
	return c, nil
}

// checkCapacities refuses what would limit nothing, and leave whoever set it believing otherwise.
func (c *Config) checkCapacities(runners []string) error {
	slices.Sort(runners)
	for _, kind := range slices.Sorted(maps.Keys(c.Capacities)) {
		runner, name, ofHandler := strings.Cut(kind, "/")
		switch n := c.Capacities[kind]; {
		case ofHandler && (runner != nightwatch.RunnerHandler || name == ""):
			return fmt.Errorf("capacities: %q: want a runner, or handler/<name>", kind)
		case !slices.Contains(runners, runner):
			return fmt.Errorf("capacities: %q: the node has no such runner: want %s or handler/<name>", kind, strings.Join(runners, ", "))
		case n < 1 || n > c.Capacity:
			return fmt.Errorf("capacities: %s: %d: want 1 to %d, the node's capacity", kind, n, c.Capacity)
		}
	}
	return nil
}
