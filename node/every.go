package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/robfig/cron/v3"

	"github.com/nightwatch-go/nightwatch/schedule"
)

// Every registers leader-only periodic work: while this node holds the scheduler role, and only then, fn is called at
// the times of spec (a cron expression of 5 or 6 fields or a descriptor such as "@every 30s", in UTC unless it says
// otherwise). A call that is still going when the next is due makes that one skipped; a panic is logged. ctx ends
// with the term, and fn has to end with it: after 5 seconds the role goes to another node all the same. Functions may
// come and go at any time; the function that Every returns takes fn away.
func (n *Node) Every(spec, name string, fn func(ctx context.Context) error) (remove func(), err error) {
	times, err := schedule.Parse(schedule.Spec{Expressions: []string{spec}})
	if err != nil {
		return nil, fmt.Errorf("every %s: %w", name, err)
	}
	if fn == nil || name == "" {
		return nil, errors.New("every: want a name and a function")
	}
	return n.periodic.add(&function{name: name, times: times, call: fn}), nil
}

// function is one piece of leader-only work.
type function struct {
	name  string
	times *schedule.Schedule
	call  func(context.Context) error
	// job is call in its chain. It is one for all terms: a call that outlives its term makes those of the next skipped.
	job cron.Job
}

// Next makes a function a cron.Schedule whose times are ours; the zero time means never again.
func (f *function) Next(after time.Time) time.Time {
	next, _ := f.times.Next(after)
	return next
}

// periodic are the functions of a node, and the cron that calls them while the node leads.
type periodic struct {
	log hclog.Logger

	mu        sync.Mutex
	functions map[*function]cron.EntryID
	cron      *cron.Cron // nil while the node does not lead
	ctx       context.Context
}

func (p *periodic) add(f *function) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.functions == nil {
		p.functions = map[*function]cron.EntryID{}
	}
	log := p.log.With("function", f.name)
	// Recover stands inside: after a panic that passes through it SkipIfStillRunning would skip for ever.
	f.job = cron.NewChain(cron.SkipIfStillRunning(cronLogger{log}), cron.Recover(cronLogger{log})).Then(cron.FuncJob(func() {
		p.mu.Lock()
		ctx := p.ctx
		p.mu.Unlock()
		if err := f.call(ctx); err != nil && ctx.Err() == nil {
			log.Error("periodic function", "error", err)
		}
	}))
	p.functions[f] = 0
	p.schedule(f)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.cron != nil {
			p.cron.Remove(p.functions[f])
		}
		delete(p.functions, f)
	}
}

// schedule is called with p.mu held.
func (p *periodic) schedule(f *function) {
	if p.cron != nil {
		p.functions[f] = p.cron.Schedule(f, f.job)
	}
}

// functionGrace is how long the scheduler role waits for functions that ignore that their context has ended.
const functionGrace = 5 * time.Second

// run calls the functions until ctx ends, and waits for those under way, but not for ever: a function that ignores its
// context must not keep the cluster without a scheduler.
func (p *periodic) run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.cron = cron.New(cron.WithLocation(time.UTC), cron.WithLogger(cronLogger{p.log}))
	for f := range p.functions {
		p.schedule(f)
	}
	p.cron.Start()
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	stopped := p.cron.Stop()
	p.cron = nil
	p.mu.Unlock()
	timer := time.NewTimer(functionGrace)
	defer timer.Stop()
	select {
	case <-stopped.Done():
	case <-timer.C:
		p.log.Error("a periodic function ignores its context: the role is given up without waiting for it", "waited", functionGrace)
	}
}

// cronLogger has robfig/cron write to hclog.
type cronLogger struct{ log hclog.Logger }

// Info is routine: debug for us.
func (l cronLogger) Info(msg string, keysAndValues ...any) {
	l.log.Debug(strings.ToLower(msg), keysAndValues...)
}

// Error is an error.
func (l cronLogger) Error(err error, msg string, keysAndValues ...any) {
	l.log.Error(strings.ToLower(msg), append([]any{"error", err}, keysAndValues...)...)
}
