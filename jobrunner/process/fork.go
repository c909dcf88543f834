package process

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// launch starts the first process, from a thread that lives as long as that process: PR_SET_PDEATHSIG is about the
// thread that forked. The thread ends then, whatever it has given up.
func (g *guard) launch(c *child) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := g.fork(c)
		started <- err
		if err == nil {
			c.leader.await()
			close(c.exited)
		}
	}()
	return <-started
}

// contain chooses what keeps the limits of c, and makes its control groups.
func (g *guard) contain(c *child) (err error) {
	if l := c.spec.Limits; l != (limits{}) {
		m := g.cgroups.means()
		m.rlimits = hasRlimits
		m.ownUser = c.spec.As != nil && c.spec.As.UID != 0 && int(c.spec.As.UID) != os.Geteuid()
		if c.limitedBy, err = l.keeper(m); err != nil {
			return err
		}
	}
	c.cgroup, err = g.cgroups.group(c.id, c.spec.Limits, c.limitedBy)
	return err
}

// fork returns when the process is on record, or was not started.
func (g *guard) fork(c *child) (err error) {
	g.forking.Lock()
	defer g.forking.Unlock()
	if err := g.contain(c); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.cgroup.remove()
			c.step.refusal()
		}
	}()
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
		Dir: c.spec.Dir, Env: c.spec.Env, Files: []*os.File{stdin, childOut, childOut}, Sys: childAttr(c.spec.As),
	}
	path, args := c.spec.Path, c.spec.Args
	if c.limitedBy == keptByRlimit {
		if c.step, err = newExecStep(c.spec); err == nil {
			path, args = c.step.prepare(attr)
			defer c.step.started()
		}
	}
	if err == nil {
		c.leader.process, err = g.startProcess(c, path, args, attr)
	}
	if err != nil {
		out.Close()
		feed()
		return err
	}
	c.pid.Store(int64(c.leader.process.Pid))
	c.out, c.written = out, g.events.open(c.id)
	go c.collect(feed)
	return nil
}

// startProcess is what in fork belongs to this thread, and to the process as a whole: nothing makes files meanwhile.
func (g *guard) startProcess(c *child, path string, args []string, attr *os.ProcAttr) (*os.Process, error) {
	if err := dropAmbient(); err != nil {
		return nil, err
	}
	leave, err := c.cgroup.enter(attr.Sys)
	if err != nil {
		return nil, err
	}
	if c.spec.Umask != nil {
		defer syscall.Umask(syscall.Umask(*c.spec.Umask))
	}
	var process *os.Process
	if err = g.mayStart(c); err == nil {
		process, err = os.StartProcess(path, args, attr)
		err = explain(err, c.spec.Dir)
	}
	if leaveErr := leave(); err == nil && leaveErr != nil {
		_ = process.Kill()
		_, _ = process.Wait()
		err = leaveErr
	}
	return process, err
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
