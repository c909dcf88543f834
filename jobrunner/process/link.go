package process

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	// readyWithin is how long a guard has to say that it is one.
	readyWithin = 15 * time.Second
	// A guard that has left patience beats unanswered for hungAfter hangs. It takes both: a node that was stopped
	// itself wakes up to one old beat.
	hungAfter = 10 * time.Second
	patience  = 10
	// beatEvery is the longest time between beats, beatShare the share of the nearest deadline otherwise.
	beatEvery = 500 * time.Millisecond
	beatShare = 8
	// closeWithin is how long a guard has to kill everything and exit.
	closeWithin = 15 * time.Second
	// sweepWithin bounds the search for what a guard that died left behind.
	sweepWithin = 5 * time.Second
)

// link is the node's end of a guard. It owns three goroutines, which end with the guard.
type link struct {
	cmd    *exec.Cmd
	token  string
	logger hclog.Logger
	// stderr belongs to cmd until lost.
	stderr jobrunner.Tail

	// ready is closed when the guard has said that it is one; lost when it and all that it started are gone.
	ready, lost chan struct{}
	closing     atomic.Bool
	kick        chan struct{}

	writing sync.Mutex
	in      *os.File
	lines   *json.Encoder

	mu         sync.Mutex
	calls      map[int64]*call
	last       int64
	unanswered int
	answered   time.Time
	fault      error
}

// call is an attempt as the link sees it. Its two events never block whoever delivers them, nor does its output, of
// which the guard sends no more than window before it hears that some was taken.
type call struct {
	id       int64
	deadline func() time.Time
	events   chan event
	wrote    chan struct{} // told when there is output

	owed int // bytes taken that the guard has not been told of; of who takes them

	mu     sync.Mutex
	output []event
}

// write takes in output.
func (c *call) write(ev event) {
	c.mu.Lock()
	if last := len(c.output) - 1; last >= 0 && ev.Dropped == 0 {
		c.output[last].Wrote = append(c.output[last].Wrote, ev.Wrote...)
	} else {
		c.output = append(c.output, ev)
	}
	c.mu.Unlock()
	wake(c.wrote)
}

// take gives the output away.
func (c *call) take() []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	output := c.output
	c.output = nil
	return output
}

func startGuard(argv []string, env map[string]string, logger hclog.Logger) (*link, error) {
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer childOut.Close()
	l := &link{
		token: rand.Text(), logger: logger, in: in, lines: json.NewEncoder(in),
		ready: make(chan struct{}), lost: make(chan struct{}), kick: make(chan struct{}, 1),
		calls: map[int64]*call{}, answered: time.Now(),
	}
	l.cmd = exec.Command(argv[0], argv[1:]...)
	l.cmd.Stdin, l.cmd.Stdout, l.cmd.Stderr = childIn, childOut, &l.stderr
	l.cmd.Env, l.cmd.SysProcAttr = list(env), guardAttr()
	l.cmd.WaitDelay = time.Second
	if err := l.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go l.read(out)
	go l.beats()
	return l, nil
}

// marker is what NIGHTWATCH_GUARD says in the environment of an attempt's processes.
func (l *link) marker(id int64) string { return l.token + "." + strconv.FormatInt(id, 10) }

func (l *link) add(deadline func() time.Time) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	c := &call{id: l.last, deadline: deadline, events: make(chan event, 2), wrote: make(chan struct{}, 1)}
	if len(l.calls) == 0 {
		l.unanswered, l.answered = 0, time.Now()
	}
	l.calls[c.id] = c
	wake(l.kick)
	return c
}

func (l *link) remove(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, c.id)
}

func (l *link) end(c *call, grace time.Duration) {
	// An error means that the guard is going, and the attempt with it: the caller waits for lost anyway.
	_ = l.send(request{End: &endRequest{ID: c.id, Grace: grace}})
}

// took tells the guard that output was taken, when that is worth a message.
func (l *link) took(c *call, bytes int) {
	if c.owed += bytes; c.owed >= window/4 {
		_ = l.send(request{Took: &tookRequest{ID: c.id, Bytes: c.owed}})
		c.owed = 0
	}
}

// send writes a line. A guard that does not take it is killed.
func (l *link) send(r request) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.in.SetWriteDeadline(time.Now().Add(hungAfter))
	if err == nil {
		err = l.lines.Encode(r)
	}
	if err != nil && !l.closing.Load() {
		l.kill(fmt.Errorf("write to the guard: %w", err))
	}
	return err
}

// kill ends the guard without ceremony, and with it, by the kernel's doing, the first processes of its attempts.
func (l *link) kill(why error) {
	l.mu.Lock()
	if l.fault == nil {
		l.fault = why
	}
	l.mu.Unlock()
	_ = l.cmd.Process.Kill()
}

// close lets the guard end everything and waits until it is gone.
func (l *link) close() {
	l.closing.Store(true)
	l.in.Close()
	late := time.AfterFunc(closeWithin, func() { l.kill(errors.New("the guard did not exit")) })
	defer late.Stop()
	<-l.lost
}

func (l *link) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// why says what became of the guard, once it is lost.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// read delivers the guard's events until it is gone.
func (l *link) read(out *os.File) {
	late := time.AfterFunc(readyWithin, func() { l.kill(fmt.Errorf("it did not say %q: is this a guard?", protocol)) })
	defer late.Stop()
	lines := json.NewDecoder(out)
	var rooms []string
	var err error
	for {
		var ev event
		if err = lines.Decode(&ev); err != nil {
			break
		}
		switch {
		case ev.Ready != "":
			if ev.Ready != protocol {
				l.kill(fmt.Errorf("it speaks %q, this node %q", ev.Ready, protocol))
			} else if late.Stop() {
				rooms = ev.Rooms
				close(l.ready)
			}
		case ev.Pong:
			l.mu.Lock()
			l.unanswered, l.answered = 0, time.Now()
			l.mu.Unlock()
		default:
			l.mu.Lock()
			c := l.calls[ev.ID]
			l.mu.Unlock()
			switch {
			case c == nil:
			case len(ev.Wrote) > 0 || ev.Dropped > 0:
				c.write(ev)
			default:
				c.events <- ev
			}
		}
	}
	out.Close()
	if late.Stop() && !l.closing.Load() {
		err = fmt.Errorf("it did not say %q: is this a guard? (%w)", protocol, err)
	} else {
		err = nil
	}
	_ = l.cmd.Process.Kill()
	waitErr := l.cmd.Wait()
	l.in.Close()
	// If we die here, what the guard left has already lost its first processes; see "Not promised".
	if waitErr != nil {
		sweep(l.token, rooms)
	}
	l.mu.Lock()
	if l.fault == nil {
		l.fault = errors.Join(err, waitErr, errorOf(l.stderr.String()))
	}
	fault := l.fault
	l.mu.Unlock()
	if !l.closing.Load() {
		l.logger.Error("guard of processes lost", "pid", l.cmd.Process.Pid, "error", fault)
	}
	close(l.lost)
}

// beats tells the guard the newest deadlines, and notices when it does not answer.
func (l *link) beats() {
	timer := time.NewTimer(beatEvery)
	defer timer.Stop()
	for {
		select {
		case <-l.lost:
			return
		case <-l.kick:
		case <-timer.C:
		}
		timer.Reset(l.beat())
	}
}

// beat sends the deadlines of all attempts and returns when to do so again.
func (l *link) beat() time.Duration {
	l.mu.Lock()
	calls := slices.Collect(maps.Values(l.calls))
	hung := l.unanswered >= patience && time.Since(l.answered) > hungAfter
	if len(calls) > 0 {
		l.unanswered++
	}
	l.mu.Unlock()
	if len(calls) == 0 || l.closing.Load() {
		return beatEvery
	}
	if hung {
		l.kill(fmt.Errorf("the guard has not answered for %v", hungAfter))
		return beatEvery
	}
	next, deadlines := beatEvery, make(map[int64]int64, len(calls))
	for _, c := range calls {
		deadline := c.deadline()
		deadlines[c.id] = bootDeadline(deadline)
		next = min(next, time.Until(deadline)/beatShare)
	}
	_ = l.send(request{Beat: &beat{Deadlines: deadlines}})
	return max(next, beatEvery/25)
}

func errorOf(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// wake leaves a token in a channel of capacity one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
