package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
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
	// out is read until its end by collect, which then gives what it kept to output.
	out    *os.File
	output chan string
	leader leader
}

var errLate = errors.New("past the deadline")

func newChild(spec *startRequest) *child {
	c := &child{
		id: spec.ID, spec: spec, exited: make(chan struct{}),
		ends: make(chan time.Duration, 1), output: make(chan string, 1),
	}
	c.deadline.Store(spec.Deadline)
	for _, entry := range spec.Env {
		if len(entry) > len(markerName) && entry[:len(markerName)+1] == markerName+"=" {
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
	x := &exit{By: by, Output: <-c.output, Code: -1}
	if err == nil {
		status := state.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			x.Signal = int(status.Signal())
		} else {
			x.Code = status.ExitStatus()
		}
	}
	g.forget(c)
	g.events.put(event{ID: c.id, Exited: x})
}

// launch starts the first process, from a thread that lives as long as that process: PR_SET_PDEATHSIG is about the
// thread that forked.
func (g *guard) launch(c *child) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := g.fork(c)
		started <- err
		if err == nil {
			c.leader.await()
			close(c.exited)
		}
	}()
	return <-started
}

func (g *guard) fork(c *child) error {
	stdin, feed, err := input(c.spec.Stdin)
	if err != nil {
		return err
	}
	defer stdin.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		feed()
		return err
	}
	defer childOut.Close()
	attr := &os.ProcAttr{
		Dir: c.spec.Dir, Env: c.spec.Env, Files: []*os.File{stdin, childOut, childOut}, Sys: childAttr(),
	}
	g.forking.Lock()
	defer g.forking.Unlock()
	if err = g.mayStart(c); err == nil {
		c.leader.process, err = os.StartProcess(c.spec.Path, c.spec.Args, attr)
		err = explain(err, c.spec.Dir)
	}
	if err != nil {
		out.Close()
		feed()
		return err
	}
	c.pid.Store(int64(c.leader.process.Pid))
	c.out = out
	go c.collect(feed)
	return nil
}

// mayStart is asked last before the effect.
func (g *guard) mayStart(c *child) error {
	select {
	case <-g.closing:
		return errLate
	default:
	}
	if c.late() {
		return errLate
	}
	return nil
}

// explain names the directory when it is that which is missing, and not the program.
func explain(err error, dir string) error {
	if err == nil || dir == "" {
		return err
	}
	if info, statErr := os.Stat(dir); statErr != nil {
		return fmt.Errorf("change to directory: %w", statErr)
	} else if !info.IsDir() {
		return fmt.Errorf("change to directory %s: %w", dir, syscall.ENOTDIR)
	}
	return err
}

// input is a reader of data for a program's standard input, and what ends the feeding of it.
func input(data []byte) (stdin *os.File, stop func(), err error) {
	if len(data) == 0 {
		stdin, err = os.Open(os.DevNull)
		return stdin, func() {}, err
	}
	stdin, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	go func() {
		// A program need not read what it is given.
		_, _ = w.Write(data)
		w.Close()
	}()
	return stdin, func() { w.Close() }, nil
}

// collect keeps the end of the output until there is no more of it.
func (c *child) collect(stopFeeding func()) {
	var tail jobrunner.Tail
	_, _ = io.Copy(struct{ io.Writer }{&tail}, c.out)
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
		return len(g.tree(c)) > 0
	default:
		return true
	}
}

// signal reaches the group in one go, so that no fork escapes, and then what has left the group.
func (g *guard) signal(c *child, sig syscall.Signal) {
	pid := int(c.pid.Load())
	_ = syscall.Kill(-pid, sig)
	for _, p := range g.tree(c) {
		if p.pgrp != pid {
			p.signal(sig)
		}
	}
}

func (g *guard) tree(c *child) []proc {
	return tree(processes(), os.Getpid(), int(c.pid.Load()), g.leaders(), func(p proc) bool {
		return c.marker != "" && p.hasEnv(c.marker)
	})
}
