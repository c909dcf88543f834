package process

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// drainWithin is how long the guard waits for the end of the output of a tree that is gone: somebody outside of the tree
// may have been handed the pipe.
const drainWithin = time.Second

// child is an attempt as the guard sees it.
type child struct {
	id     int64
	spec   *startRequest
	marker string
	// deadline is a time of the boot clock; once it has passed the attempt is over, whatever is said later.
	deadline atomic.Int64
	// pid is that of the first process from its fork until it is reaped. It is reaped last, so that neither its number
	// nor its group's can mean anything else before.
	pid    atomic.Int64
	exited chan struct{}
	ends   chan time.Duration
	// out is read until its end by collect, which hands on what is written and then gives the end of it to output.
	out     *os.File
	written io.Writer
	output  chan string
	leader  leader
	// cgroup is the attempt's control groups, limitedBy what keeps its limits.
	cgroup    *cgroup
	limitedBy string
	// step is the other end of what executes the program when limits have to be set in between; else nil.
	step *execStep
}

var errLate = errors.New("past the deadline")

func newChild(spec *startRequest) *child {
	c := &child{
		id: spec.ID, spec: spec, exited: make(chan struct{}),
		ends: make(chan time.Duration, 1), output: make(chan string, 1),
	}
	c.deadline.Store(spec.Deadline)
	for _, entry := range spec.Env {
		if isMarker(entry) {
			c.marker = entry
		}
	}
	return c
}

// end asks for the end of the attempt. Of two requests that nobody has seen yet the shorter counts.
func (c *child) end(grace time.Duration) {
	for {
		select {
		case c.ends <- grace:
			return
		case earlier := <-c.ends:
			grace = min(grace, earlier)
		}
	}
}

func (c *child) late() bool { return bootNow() >= c.deadline.Load() }

// untilDeadline is when to ask whether c is late.
func (c *child) untilDeadline() time.Duration {
	return min(max(time.Duration(c.deadline.Load()-bootNow()), 0), deadlineCheck)
}

// supervise is the life of an attempt.
func (g *guard) supervise(c *child) {
	if err := g.launch(c); err != nil {
		g.forget(c)
		if errors.Is(err, errLate) {
			g.events.put(event{ID: c.id, Late: true})
		} else {
			g.events.put(event{ID: c.id, Refused: err.Error()})
		}
		return
	}
	g.events.put(event{ID: c.id, Started: int(c.pid.Load())})
	by, grace := g.watch(c)
	g.end(c, grace)
	_ = c.out.SetReadDeadline(time.Now().Add(drainWithin))
	state, err := c.leader.reap()
	c.pid.Store(0)
	x := &exit{By: by, Output: <-c.output, Code: -1, OOM: c.cgroup.outOfMemory(), Refused: c.step.refusal()}
	x.Usage.LimitedBy = c.limitedBy
	if err == nil {
		status := state.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			x.Signal = int(status.Signal())
		} else {
			x.Code = status.ExitStatus()
		}
		x.Usage.User, x.Usage.System, x.Usage.MaxRSS = state.UserTime(), state.SystemTime(), maxRSS(state)
	}
	if user, system, known := c.cgroup.cpuTime(); known {
		x.Usage.User, x.Usage.System = user, system
	}
	c.cgroup.remove()
	g.forget(c)
	g.events.end(event{ID: c.id, Exited: x})
}

// collect hands the output on, and keeps the end of it, until there is no more. Secrets are masked before anything of it
// is cut or dropped.
func (c *child) collect(stopFeeding func()) {
	var tail jobrunner.Tail
	clean := jobrunner.NewMask(c.spec.Secrets).Writer(io.MultiWriter(&tail, c.written))
	_, _ = io.Copy(clean, c.out)
	_ = clean.Close()
	c.out.Close()
	stopFeeding()
	c.output <- tail.String()
}

// watch waits for the end of the first process or for a reason to end it.
func (g *guard) watch(c *child) (by string, grace time.Duration) {
	for {
		select {
		case <-c.exited:
			return byItself, c.spec.Grace
		default:
		}
		select {
		case <-c.exited:
		case grace := <-c.ends:
			select {
			case <-c.exited:
				return byItself, grace
			default:
				return byRequest, grace
			}
		case <-g.closing:
			return byClose, 0
		case <-time.After(c.untilDeadline()):
			if c.late() {
				return byDeadline, 0
			}
		}
	}
}

// end returns when nothing of the tree is left: SIGTERM, and SIGKILL when the grace or the deadline has passed, or the
// pipe is closed.
func (g *guard) end(c *child, grace time.Duration) {
	if !g.remains(c) {
		return
	}
	over := time.Now().Add(grace)
	poll := backoff{}
	if grace > 0 {
		g.signal(c, syscall.SIGTERM)
		g.signal(c, syscall.SIGCONT)
		for time.Now().Before(over) && !c.late() {
			select {
			case <-g.closing:
				over = time.Now()
			case shorter := <-c.ends:
				if t := time.Now().Add(shorter); t.Before(over) {
					over = t
				}
			case <-poll.next():
			}
			if !g.remains(c) {
				return
			}
		}
	}
	poll = backoff{}
	for {
		g.signal(c, syscall.SIGKILL)
		if !g.remains(c) {
			return
		}
		<-poll.next()
	}
}

// remains tells whether anything of the tree is alive.
func (g *guard) remains(c *child) bool {
	select {
	case <-c.exited:
		return len(g.tree(c)) > 0 || c.cgroup.occupied()
	default:
		return true
	}
}

// signal reaches the group in one go, so that no fork escapes, and then what has left the group. SIGKILL goes to all
// that is in the control groups first.
func (g *guard) signal(c *child, sig syscall.Signal) {
	if sig == syscall.SIGKILL {
		c.cgroup.kill()
	}
	pid := int(c.pid.Load())
	_ = syscall.Kill(-pid, sig)
	for _, p := range g.tree(c) {
		if p.pgrp != pid {
			p.signal(sig)
		}
	}
}

// tree is what is alive of the attempt: what its control groups hold, and what is known by its descent or its mark.
func (g *guard) tree(c *child) []proc {
	members, procs := c.cgroup.members(), processes()
	found := tree(procs, os.Getpid(), int(c.pid.Load()), g.leaders(), func(p proc) bool {
		return c.marker != "" && p.hasEnv(c.marker)
	})
	for _, p := range found {
		delete(members, p.pid)
	}
	for _, p := range procs {
		if members[p.pid] && !p.dead {
			found = append(found, p)
		}
	}
	return found
}
