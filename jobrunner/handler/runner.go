package handler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Runner is the runner "handler". It is safe for concurrent use.
type Runner struct {
	// Grace is how long a function may take to return after its context has ended. Set it before the first Run.
	// Default 10 s.
	Grace time.Duration
	// Disabled are names that are switched off: they may be registered, but are not among Names, and a run that asks for
	// one is refused. Set it before anything else is called. Default none.
	Disabled []string

	changed chan struct{}

	mu       sync.Mutex
	handlers map[string]*Func
}

var _ jobrunner.Runner = (*Runner)(nil)

// New makes a runner without handlers.
func New() *Runner {
	return &Runner{Grace: 10 * time.Second, changed: make(chan struct{}, 1), handlers: map[string]*Func{}}
}

// Name is "handler".
func (r *Runner) Name() string { return nightwatch.RunnerHandler }

// Handle registers fn under a name, which no other may have at the moment. remove takes it away again; calls in progress
// go on, and a later registration of the same name is not touched.
func (r *Runner) Handle(name string, fn Func) (remove func(), err error) {
	switch {
	case name == "":
		return nil, errors.New("register handler: the name is empty")
	case fn == nil:
		return nil, fmt.Errorf("register handler %q: the function is nil", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handlers[name] != nil {
		return nil, fmt.Errorf("register handler %q: the name is taken", name)
	}
	registered := &fn
	r.handlers[name] = registered
	r.tell()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.handlers[name] == registered {
			delete(r.handlers, name)
			r.tell()
		}
	}, nil
}

// Names are the names registered now, sorted, without those that are switched off.
func (r *Runner) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.handlers)), r.disabled)
}

func (r *Runner) disabled(name string) bool { return slices.Contains(r.Disabled, name) }

// Changed receives after Names has changed: once for any number of changes that nobody has received yet. It has one
// receiver.
func (r *Runner) Changed() <-chan struct{} { return r.changed }

func (r *Runner) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *Runner) handler(name string) Func {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fn := r.handlers[name]; fn != nil {
		return *fn
	}
	return nil
}
