package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// process is a program that runs until it is killed. Its goroutine ends with it.
type process struct {
	name string
	log  string // path of the file that has what it writes
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and been waited for
	err  error         // how it ended; to be read after done
}

// startProcess starts a program whose working and home folder is dir, with nothing of the caller's environment: some of
// these programs take settings from it. Its log is appended to dir/name.log.
func startProcess(dir, name, path string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir, "TZ=UTC"}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = childAttr()

	started := make(chan error, 1)
	go func() {
		defer log.Close()
		unlock := lockThread()
		defer unlock()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// runChild runs a command to its end, as [exec.Cmd.Run] does.
func runChild(cmd *exec.Cmd) error {
	unlock := lockThread()
	defer unlock()
	return cmd.Run()
}

// lockThread keeps the calling goroutine on its thread until unlock. To the kernel a child's parent is the thread that
// started it: a child that is to die with its parent must be started from a thread that lives as long as the child.
func lockThread() (unlock func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// kill ends the process and waits for it. It can be called again, and on one that has ended by itself.
func (p *process) kill() {
	// An error says that it has ended already.
	_ = p.cmd.Process.Kill()
	<-p.done
}

// exited returns an error if the process has ended.
func (p *process) exited() error {
	select {
	case <-p.done:
		if p.err == nil {
			return fmt.Errorf("%s ended: exit status 0", p.name)
		}
		return fmt.Errorf("%s ended: %w", p.name, p.err)
	default:
		return nil
	}
}

// tailSize is how much of a log an error shows, in bytes.
const tailSize = 4 << 10

// tail returns the last lines of the log.
func (p *process) tail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	if len(content) > tailSize {
		content = content[len(content)-tailSize:]
		if _, rest, ok := strings.Cut(string(content), "\n"); ok {
			content = []byte(rest)
		}
	}
	return strings.TrimSpace(string(content))
}
