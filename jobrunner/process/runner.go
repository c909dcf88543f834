package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Config says how processes are run.
type Config struct {
	// AllowCommands are the absolute paths of the programs that tasks may run; those of the shell and of python3 stand
	// for scripts. Default any. It is compared with the path that is executed, links not followed.
	AllowCommands []string
	// AllowNamespaces are the namespaces whose tasks may run processes. Default any.
	AllowNamespaces []string
	// AllowUsers are the users, by name or number, that processes may run as; the node's own user stands for tasks that
	// name none. Default: the node's own for those, and for those that name one any but root.
	AllowUsers []string
	// Environ is the node's environment, of which tasks get only what says where things are and how text and time
	// look (PATH, HOME, LANG, TZ and the like). Default os.Environ().
	Environ []string
	// Grace is the time between SIGTERM and SIGKILL. Default 10 s.
	Grace time.Duration
	// Guard is the argument vector that executes this binary again so that it calls GuardMain. Required.
	Guard []string
	// Python and Shell are the absolute paths of what runs scripts. Default the python3 that is found in the task's
	// PATH, and /bin/sh.
	Python, Shell string
}

// Runner is the runner "process". It is safe for concurrent use.
type Runner struct {
	cfg Config
	// turn is held while link changes; a channel, so that waiting for it can be given up.
	turn   chan struct{}
	link   *link
	logger hclog.Logger
	closed bool
}

var (
	_ jobrunner.Runner  = (*Runner)(nil)
	_ jobrunner.Service = (*Runner)(nil)
)

var errClosed = errors.New("the runner is closed")

// New checks cfg; it starts nothing.
func New(cfg Config) (*Runner, error) {
	if len(cfg.Guard) == 0 || cfg.Guard[0] == "" {
		return nil, errors.New("process: Guard is empty: want the command that executes this binary as the guard")
	}
	if cfg.Grace < 0 {
		return nil, fmt.Errorf("process: Grace %v: want a positive duration", cfg.Grace)
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Second
	}
	cfg.AllowCommands = slices.Clone(cfg.AllowCommands)
	for i, path := range cfg.AllowCommands {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("process: AllowCommands %q: want an absolute path", path)
		}
		cfg.AllowCommands[i] = filepath.Clean(path)
	}
	for _, name := range cfg.AllowUsers {
		if name == "" {
			return nil, errors.New("process: AllowUsers: empty: want the name or the number of a user")
		}
	}
	for _, interpreter := range []struct {
		field   string
		path    *string
		instead string
	}{{"Python", &cfg.Python, defaultPython}, {"Shell", &cfg.Shell, defaultShell}} {
		switch path := interpreter.path; {
		case *path == "":
			*path = interpreter.instead
		case !filepath.IsAbs(*path):
			return nil, fmt.Errorf("process: %s %q: want an absolute path", interpreter.field, *path)
		}
	}
	if cfg.Environ == nil {
		cfg.Environ = os.Environ()
	}
	return &Runner{cfg: cfg, turn: make(chan struct{}, 1)}, nil
}

// Name is "process".
func (r *Runner) Name() string { return nightwatch.RunnerProcess }

// Serve starts the guard, so that no attempt waits for that, waits for ctx to end and then closes the runner.
func (r *Runner) Serve(ctx context.Context, env jobrunner.Env) {
	r.turn <- struct{}{}
	r.logger = env.Logger
	<-r.turn
	if _, err := r.guard(ctx); err != nil && ctx.Err() == nil && env.Logger != nil {
		env.Logger.Warn("the next attempt tries again", "error", err)
	}
	<-ctx.Done()
	r.Close()
}

// Close stops the guard, which kills what is left of the attempts, and waits for it. Attempts in progress are
// Interrupted, and later ones start nothing. It is idempotent; whoever calls Serve need not call it.
func (r *Runner) Close() {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.closed = true
	if r.link != nil {
		r.link.close()
	}
}

// guard is a link to a guard that is ready, started if need be.
func (r *Runner) guard(ctx context.Context) (*link, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l, err := r.current()
	<-r.turn
	if err != nil {
		return nil, err
	}
	select {
	case <-l.ready:
		return l, nil
	case <-l.lost:
		if l.closing.Load() {
			return nil, errClosed
		}
		return nil, fmt.Errorf("start guard %q: %v", r.cfg.Guard, l.why())
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// current is called with the turn.
func (r *Runner) current() (*link, error) {
	if r.closed {
		return nil, errClosed
	}
	if r.link != nil && !r.link.isLost() {
		return r.link, nil
	}
	logger := r.logger
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	l, err := startGuard(r.cfg.Guard, inherited(r.cfg.Environ), logger)
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	r.link = l
	return l, nil
}
