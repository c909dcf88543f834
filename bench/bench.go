package bench

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// Config says what is measured. Its zero value, with Dial, is a burst of 1,000 tasks for a handler.
type Config struct {
	// Dial makes clients of etcd: one for the bench itself, and one for each of its nodes.
	Dial func() (*clientv3.Client, error)
	// TLS is what members of etcd are asked with how much processor time they took. Default none: by plain HTTP.
	TLS *tls.Config
	// Prefix is the cluster's. Default "/nightwatch/".
	Prefix string
	// Tasks is how many tasks are put. Default 1,000; at most 100,000.
	Tasks int
	// Rate is how many runs a second are offered, evenly. Default 0: all tasks are due at one moment, once.
	Rate float64
	// Duration is how long runs are offered at Rate. Default 30 s.
	Duration time.Duration
	// Nodes is how many nodes of its own the bench adds to the cluster; only they run its tasks. Default 1.
	Nodes int
	// Task is what is run, its times left out. Default the bench's own handler.
	Task nightwatch.Task
	// Runners makes the runners of a node that Task needs. Default none.
	Runners func() ([]jobrunner.Runner, error)
	// Kubernetes is the cluster that Task's Jobs are made on. Default none: Task is for another runner.
	Kubernetes Kubernetes
	// CeilingFor is for how long etcd is measured before the load. Default 3 s.
	CeilingFor time.Duration
	// Progress is told how far the bench is. Default nobody.
	Progress func(Progress)
}

// Progress is how far a bench is.
type Progress struct {
	// Step is what it does; Done of Total is how much of it is done.
	Step        string
	Done, Total int
}

const (
	defaultTasks = 1000
	maxTasks     = 100_000
	// minPeriod is the shortest interval that a task of an even load has.
	minPeriod = 100 * time.Millisecond
	// capacity is how many runs a node of the bench takes at once.
	capacity = 4096
	// poll is how often a condition is asked for that something measured depends on, slowPoll any other.
	poll     = 20 * time.Millisecond
	slowPoll = 200 * time.Millisecond
)

// These are changed by tests.
var (
	// silence is how long nothing may happen before what is missing is given up.
	silence = 30 * time.Second
	// stall is how long what the bench waits for may make no progress.
	stall = 2 * time.Minute
	// cleanTimeout bounds what is asked of etcd to leave nothing behind.
	cleanTimeout = time.Minute
)

// Check refuses what cannot be measured, with the name of the field first.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c Config) withDefaults() (Config, error) {
	if c.Tasks == 0 {
		c.Tasks = defaultTasks
	}
	if c.Tasks < 1 || c.Tasks > maxTasks {
		return c, fmt.Errorf("tasks: %d: want 1 to %d", c.Tasks, maxTasks)
	}
	if c.Rate < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0) {
		return c, fmt.Errorf("rate: %g: want more than 0, or 0 for all at once", c.Rate)
	}
	if c.Rate > 0 && float64(c.Tasks)/c.Rate < minPeriod.Seconds() {
		return c, fmt.Errorf("tasks: %d at %g runs a second are due oftener than every %s: want %d or more", c.Tasks, c.Rate, minPeriod,
			int(c.Rate*minPeriod.Seconds())+1)
	}
	if c.Duration == 0 {
		c.Duration = 30 * time.Second
	}
	if c.Duration < time.Second {
		return c, fmt.Errorf("duration: %s: want 1s or more", c.Duration)
	}
	c.Duration = c.Duration.Truncate(time.Millisecond) // as times of tasks are
	if c.Rate > 0 && c.Rate*c.Duration.Seconds() < 1 {
		return c, fmt.Errorf("rate: %g: not one run is due in %s: want %g or more", c.Rate, c.Duration, 1/c.Duration.Seconds())
	}
	if c.Nodes == 0 {
		c.Nodes = 1
	}
	if c.Nodes < 1 || c.Nodes > 100 {
		return c, fmt.Errorf("nodes: %d: want 1 to 100", c.Nodes)
	}
	if c.CeilingFor == 0 {
		c.CeilingFor = 3 * time.Second
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	c.Prefix = store.NewKeys(c.Prefix).Prefix()
	return c, nil
}

// bench is one measurement under way.
type bench struct {
	Config
	id      string
	client  *clientv3.Client
	store   *store.Store
	keys    store.Keys
	effects *effects
	jobs    *effects // the same runs, when the record had its Job
	nodes   []string
	others  map[string]nightwatch.Node // that were there before
	sources []source                   // of what other processes use
}

// Run measures, and returns what it found. It leaves nothing behind but what every cluster has (see Left behind), whether it
// succeeds or not, as long as etcd and the cluster answer within a minute. With a report the error is about that alone.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	client, err := cfg.Dial()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var id [4]byte
	_, _ = rand.Read(id[:])
	b := &bench{
		Config: cfg, id: fmt.Sprintf("%x", id), client: client, store: store.New(client, cfg.Prefix), keys: store.NewKeys(cfg.Prefix),
		effects: newEffects(), jobs: newEffects(),
	}
	b.Progress(Progress{Step: "measure etcd", Total: 1})
	ceiling, err := Ceiling(ctx, client, b.Prefix[:len(b.Prefix)-1]+"-bench-"+b.id, b.CeilingFor)
	if err != nil {
		return nil, err
	}
	jobCeiling := 0.0
	if b.Kubernetes != nil {
		if jobCeiling, err = b.measureKubernetes(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.Kubernetes.Close(context.WithoutCancel(ctx), b.namespace())) }()
		if err := b.Kubernetes.Open(ctx, b.namespace()); err != nil {
			return nil, err
		}
	}
	alive, stop, err := b.startNodes(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	defer func() { err = errors.Join(err, b.clean(ctx)) }()
	if report, err = b.load(alive); err != nil {
		if alive.Err() != nil {
			err = context.Cause(alive)
		}
		return nil, err
	}
	report.CeilingPerSecond = round(ceiling)
	report.Efficiency = round(report.RunsPerSecond / ceiling)
	if jobs := report.Kubernetes; jobs != nil {
		jobs.CeilingPerSecond = round(jobCeiling)
		jobs.Efficiency = round(jobs.JobsPerSecond / jobCeiling)
	}
	return report, nil
}

// namespace is that of the bench's tasks.
func (b *bench) namespace() string { return "bench-" + b.id }

func (b *bench) task(i int) string { return fmt.Sprintf("%s/t%06d", b.namespace(), i) }

// value is that of a task, with its times.
func (b *bench) value(times func(*nightwatch.Task)) ([]byte, error) {
	task := b.Task
	if b.ownHandler() {
		task.Handler = &nightwatch.HandlerSpec{Name: b.namespace()}
	}
	task.RunsOn = "bench=" + b.id
	times(&task)
	return json.Marshal(task)
}

// ownHandler tells whether the tasks are for the bench's own handler.
func (b *bench) ownHandler() bool {
	return b.Task.Image == "" && b.Task.Kubernetes == nil && b.Task.Process == nil && b.Task.HTTP == nil && b.Task.Handler == nil
}

// startNodes adds the bench's nodes to the cluster. Where there are no others, they lead it too. Should one of them end
// before it is stopped, its error ends the context.
func (b *bench) startNodes(ctx context.Context) (alive context.Context, stop func() error, err error) {
	if b.others, err = b.store.Nodes(ctx); err != nil {
		return nil, nil, err
	}
	alive, failed := context.WithCancelCause(ctx)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.sources = b.findSources()
	var ended []chan error
	stop = func() error {
		cancel()
		failed(nil)
		var errs []error
		for _, c := range ended {
			errs = append(errs, <-c)
		}
		return errors.Join(errs...)
	}
	var started []*node.Node
	for i := range b.Nodes {
		name := fmt.Sprintf("bench-%s-%d", b.id, i+1)
		n, end, err := b.startNode(running, name, len(b.others) > 0, failed)
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		started, ended, b.nodes = append(started, n), append(ended, end), append(b.nodes, name)
	}
	if err := patiently(alive, slowPoll, func() (int, string, error) { return readiness(started) }); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("wait for the bench's nodes: %w", err), stop())
	}
	return alive, stop, nil
}

// readiness is how many checks of nodes pass, and what the others say.
func readiness(nodes []*node.Node) (passed int, missing string, err error) {
	var texts []string
	for _, n := range nodes {
		for _, check := range n.Checks() {
			if check.Err == nil {
				passed++
			} else if text := check.Name + ": " + check.Err.Error(); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return passed, strings.Join(texts, "; "), nil
}

// startNode starts a node, which runs until ctx ends. failed is called if it does not run so long.
func (b *bench) startNode(ctx context.Context, name string, follows bool, failed context.CancelCauseFunc) (*node.Node, chan error, error) {
	client, err := b.Dial()
	if err != nil {
		return nil, nil, err
	}
	cfg := node.Config{
		Prefix: b.Prefix, Name: name, Labels: map[string]string{"bench": b.id}, Capacity: capacity, NoScheduler: follows, Version: "bench",
	}
	if b.Runners != nil {
		if cfg.Runners, err = b.Runners(); err != nil {
			_ = client.Close()
			return nil, nil, err
		}
	}
	n, err := node.New(client, cfg)
	if err == nil {
		_, err = n.Handle(b.namespace(), func(_ context.Context, run jobrunner.Run) error {
			b.effects.note(run.Namespace+"/"+run.Task, run.NominalTime, time.Now())
			return nil
		})
	}
	if err != nil {
		_ = client.Close()
		return nil, nil, err
	}
	end := make(chan error, 1)
	go func() {
		err := n.Run(ctx)
		if ctx.Err() == nil {
			failed(fmt.Errorf("node %s has ended: %w", name, err))
			err = nil // told by that
		}
		end <- errors.Join(err, client.Close())
	}()
	return n, end, nil
}

// until polls a condition until it holds or ctx ends.
func until(ctx context.Context, every time.Duration, condition func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// patiently polls until nothing is missing or ctx ends, and gives up when there has been no progress for a long time.
func patiently(ctx context.Context, every time.Duration, look func() (progress int, missing string, err error)) error {
	best, since := -1, time.Now()
	return until(ctx, every, func() (bool, error) {
		progress, missing, err := look()
		switch {
		case err != nil || missing == "":
			return true, err
		case progress > best:
			best, since = progress, time.Now()
		case time.Since(since) > stall:
			return false, fmt.Errorf("no progress for %s: %s", stall, missing)
		}
		return false, nil
	})
}

// clean removes the tasks, and waits until the cluster has removed what it knows of them.
func (b *bench) clean(ctx context.Context) error {
	limit := cleanTimeout + time.Duration(b.Tasks)*5*time.Millisecond
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	err := b.remove(ctx)
	if err != nil && ctx.Err() != nil {
		// Not that it took too long to answer one question, which would read as if etcd were away.
		return fmt.Errorf("the tasks of namespace %s are not removed after %s: is a scheduler leading?", b.namespace(), limit)
	}
	return err
}

func (b *bench) remove(ctx context.Context) error {
	indexes := make([]int, b.Tasks)
	for i := range indexes {
		indexes[i] = i
	}
	for part := range slices.Chunk(indexes, maxOps) {
		ops := make([]clientv3.Op, len(part))
		for k, i := range part {
			ops[k] = clientv3.OpDelete(b.keys.Task(b.task(i)))
		}
		if _, err := b.client.Txn(ctx).Then(ops...).Commit(); err != nil {
			return fmt.Errorf("remove the bench's tasks: %w", err)
		}
	}
	err := until(ctx, slowPoll, func() (bool, error) {
		left, err := b.count(ctx, b.keys.Of(store.Statuses)+b.namespace()+"/")
		b.Progress(Progress{"clean up", b.Tasks - left, b.Tasks})
		return left == 0, err
	})
	if err != nil {
		return fmt.Errorf("wait until the tasks of namespace %s are removed: %w", b.namespace(), err)
	}
	return nil
}

// maxOps is how many operations etcd takes in a transaction.
const maxOps = 128

// count is how many keys there are below a prefix.
func (b *bench) count(ctx context.Context, prefix string) (int, error) {
	response, err := b.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", prefix, err)
	}
	return int(response.Count), nil
}
