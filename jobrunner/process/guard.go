package process

import (
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// tidyEvery is the shortest time between two looks for orphans that have exited.
	tidyEvery = 100 * time.Millisecond
	// deadlineCheck bounds how long a guard trusts a timer, which stands still while the machine sleeps.
	deadlineCheck = time.Second
	// endWithin is how long a guard whose pipe is closed tries to kill what is left.
	endWithin = 5 * time.Second
)

// guard is the process that the node's processes belong to. Nothing that kills waits for anything that writes: the
// pipe to a node that is stopped may be full.
type guard struct {
	events  *outbox
	cgroups *cgroups
	// closing is closed when the pipe is.
	closing chan struct{}
	tidying chan struct{}
	wg      sync.WaitGroup

	// forking is held from before a fork until the new process is on record, and by whoever takes a child that is not
	// on record for an orphan.
	forking sync.Mutex

	mu       sync.Mutex
	children map[int64]*child
}

// GuardMain is the whole of a guard process, which speaks with its node over standard input and output. It returns the
// exit code when the node has closed the pipe and nothing of its attempts is left. A program that uses this package calls
// it, before anything else, when it is executed the way Config.Guard says.
func GuardMain() int {
	if os.Getenv(execName) != "" {
		return execMain()
	}
	return guardMain(openCgroups)
}

func guardMain(open func() *cgroups) int {
	// Handlers, not SIG_IGN: programs would inherit that. SIGPIPE is asked for so that writing to a dead node is an
	// error and not the end.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	exited := make(chan os.Signal, 1)
	signal.Notify(exited, syscall.SIGCHLD)
	if err := becomeSubreaper(); err != nil {
		_, _ = os.Stderr.WriteString("become child subreaper: " + err.Error() + "\n")
		return 1
	}
	g := &guard{
		cgroups: open(),
		events:  newOutbox(os.Stdout), closing: make(chan struct{}),
		tidying: make(chan struct{}, 1), children: map[int64]*child{},
	}
	go g.events.run()
	go g.tidyAfter(exited)
	g.events.put(event{Ready: protocol, Rooms: g.cgroups.rooms()})
	g.listen(os.Stdin)
	close(g.closing)
	g.finish()
	g.cgroups.close()
	return 0
}

// listen carries out what the node says until the pipe is closed. It never blocks on anything else.
func (g *guard) listen(in io.Reader) {
	lines := json.NewDecoder(in)
	for {
		var r request
		if lines.Decode(&r) != nil {
			return
		}
		switch {
		case r.Start != nil:
			c := newChild(r.Start)
			g.mu.Lock()
			g.children[c.id] = c
			g.mu.Unlock()
			g.wg.Go(func() { g.supervise(c) })
		case r.End != nil:
			if c := g.child(r.End.ID); c != nil {
				c.end(r.End.Grace)
			}
		case r.Took != nil:
			g.events.took(r.Took.ID, r.Took.Bytes)
		case r.Beat != nil:
			for id, deadline := range r.Beat.Deadlines {
				if c := g.child(id); c != nil {
					c.deadline.Store(deadline)
				}
			}
			g.events.put(event{Pong: true})
		}
	}
}

func (g *guard) child(id int64) *child {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.children[id]
}

func (g *guard) forget(c *child) {
	g.mu.Lock()
	delete(g.children, c.id)
	g.mu.Unlock()
	wake(g.tidying)
}

// leaders maps the first processes that are not reaped yet to their attempts.
func (g *guard) leaders() map[int]*child {
	g.mu.Lock()
	defer g.mu.Unlock()
	leaders := make(map[int]*child, len(g.children))
	for _, c := range g.children {
		if pid := int(c.pid.Load()); pid != 0 {
			leaders[pid] = c
		}
	}
	return leaders
}

// tidyAfter reaps orphans, some time after a child of the guard has exited.
func (g *guard) tidyAfter(exited <-chan os.Signal) {
	for {
		select {
		case <-exited:
		case <-g.tidying:
		}
		g.tidy()
		<-time.After(tidyEvery)
	}
}

// tidy reaps orphans that have exited and, when no attempt is left, kills those that have not. It returns how many
// were there.
func (g *guard) tidy() int {
	g.forking.Lock()
	defer g.forking.Unlock()
	procs := processes()
	leaders := g.leaders()
	for _, p := range procs {
		if p.ppid == os.Getpid() && p.dead && leaders[p.pid] == nil {
			_, _ = syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
		}
	}
	if len(leaders) > 0 {
		return 0
	}
	found := descendants(procs, os.Getpid())
	for _, p := range found {
		p.signal(syscall.SIGKILL)
	}
	return len(found)
}

// finish waits until every attempt has been killed, and then for whatever no attempt laid claim to.
func (g *guard) finish() {
	deadline := time.After(endWithin)
	ended := make(chan struct{})
	go func() {
		g.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-deadline:
		return
	}
	poll := backoff{}
	for g.tidy() > 0 {
		select {
		case <-deadline:
			return
		case <-poll.next():
		}
	}
	g.events.flush(time.Second)
}

// backoff is the pace at which a tree that is ending is looked at.
type backoff struct{ wait time.Duration }

func (b *backoff) next() <-chan time.Time {
	b.wait = min(max(2*b.wait, 2*time.Millisecond), 100*time.Millisecond)
	return time.After(b.wait)
}
