package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/failpoint"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// Node is a node that is a process of its own.
type Node struct {
	// Name is what the cluster knows it by.
	Name string
	// Points are its crash points.
	Points failpoint.Points

	c       *Cluster
	cmd     *exec.Cmd
	began   time.Time
	ended   time.Time // once done is closed
	console string    // address; empty for none
	log     tail
	done    chan struct{} // closed when the process has ended
}

// Nightwatch starts "nightwatch node".
func (c *Cluster) Nightwatch(name string, flags ...string) *Node {
	c.t.Helper()
	console := freeAddress(c.t.Fatal)
	args := []string{"node", "--name", name, "--endpoints", c.reaches(name), "--etcd-prefix", c.prefix, "--listen", console, "--log-level", "debug"}
	n := c.spawn(name, c.binaries.nightwatch, append(args, flags...))
	n.console = console
	return n
}

// Platform starts an embedder's program, which has the handler "effect".
func (c *Cluster) Platform(name string, flags ...string) *Node {
	c.t.Helper()
	args := []string{"-name", name, "-endpoint", c.reaches(name), "-prefix", c.prefix, "-effects", c.effects}
	return c.spawn(name, c.binaries.platform, append(args, flags...))
}

// Proxy is what stands between etcd and the node of this name, in all its lives from the next on.
func (c *Cluster) Proxy(node string) *etcdtest.Proxy {
	c.t.Helper()
	if c.proxies[node] == nil {
		c.proxies[node] = etcdtest.StartProxy(c.t, strings.Split(c.endpoint, ",")...)
	}
	return c.proxies[node]
}

// reaches is where a node finds etcd.
func (c *Cluster) reaches(node string) string {
	if proxy := c.proxies[node]; proxy != nil {
		return proxy.Endpoint()
	}
	return c.endpoint
}

// Run runs a command of nightwatch to its end, which must be a good one, and returns what it says.
func (c *Cluster) Run(args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.binaries.nightwatch, append(args, "--endpoints", c.endpoint, "--etcd-prefix", c.prefix)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("nightwatch %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (c *Cluster) spawn(name, binary string, args []string) *Node {
	c.t.Helper()
	n := &Node{Name: name, Points: failpoint.Points{Address: freeAddress(c.t.Fatal)}, c: c, done: make(chan struct{})}
	n.cmd = exec.Command(binary, args...)
	var log io.Writer = &n.log
	if c.Logs != "" {
		file, err := os.OpenFile(filepath.Join(c.Logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			c.t.Fatal(err)
		}
		defer file.Close() // the process has one of its own
		log = file
	}
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.Env = append(os.Environ(), n.Points.Environment()...)
	n.cmd.Env = append(n.cmd.Env, "XDG_STATE_HOME="+c.t.TempDir())
	if err := n.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	n.began = time.Now()
	go func() {
		_ = n.cmd.Wait()
		n.ended = time.Now()
		close(n.done)
	}()
	c.t.Cleanup(func() {
		n.end(syscall.SIGKILL)
		if c.t.Failed() && c.Logs == "" {
			c.t.Logf("the end of what %s said:\n%s", name, n.log.String())
		}
	})
	return n
}

// Ready waits until the node takes runs.
func (n *Node) Ready() *Node {
	n.c.t.Helper()
	etcdtest.Eventually(n.c.t, Patience, func() error {
		if n.Ended() {
			n.c.t.Fatalf("%s has ended: %s", n.Name, n.cmd.ProcessState)
		}
		return n.AskReady()
	}, "%s is ready", n.Name)
	return n
}

// AskReady says why the node takes no runs yet.
func (n *Node) AskReady() error {
	if n.console != "" {
		return n.askConsole()
	}
	if !n.There() {
		return errors.New("it has no key")
	}
	return nil
}

// There tells whether the cluster knows the node.
func (n *Node) There() bool {
	nodes, err := n.c.Store.Nodes(n.c.t.Context())
	_, there := nodes[n.Name]
	return err == nil && there
}

func (n *Node) askConsole() error {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + n.console + "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz: %s", response.Status)
	}
	return nil
}

// Kill ends the process by SIGKILL and waits until it is gone.
func (n *Node) Kill() {
	from := time.Now()
	n.end(syscall.SIGKILL)
	n.c.Record(checker.Fault{Kind: checker.FaultKill, Target: n.Name, From: from, To: time.Now()})
}

// Destroy is Kill of what never was a node of the cluster.
func (n *Node) Destroy() { n.end(syscall.SIGKILL) }

// Terminate asks the process to end by SIGTERM and waits until it has. It tells whether it did so by itself and well.
func (n *Node) Terminate() bool {
	ended := n.AskToEnd()
	<-n.done
	return ended()
}

// AskToEnd asks the process to end by SIGTERM. Once it has Ended, ended tells whether it did so well. One that has just
// begun, and does not hear of signals yet, may be ended by this one.
func (n *Node) AskToEnd() (ended func() bool) {
	from := time.Now()
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	return func() bool {
		n.c.Record(checker.Fault{Kind: checker.FaultTerminate, Target: n.Name, From: from, To: time.Now()})
		status, _ := n.cmd.ProcessState.Sys().(syscall.WaitStatus)
		return n.cmd.ProcessState.Success() || from.Sub(n.began) < time.Second && status.Signaled() && status.Signal() == syscall.SIGTERM
	}
}

// Stop stops the process, as SIGSTOP does; its children go on. When it is to go on again, so it does.
func (n *Node) Stop() (goOn func()) {
	_ = n.cmd.Process.Signal(syscall.SIGSTOP)
	from := time.Now()
	return func() {
		n.c.Record(checker.Fault{Kind: checker.FaultStop, Target: n.Name, From: from, To: time.Now()})
		_ = n.cmd.Process.Signal(syscall.SIGCONT)
	}
}

// SetClock has the process's clock be off by as much, until it is right again.
func (n *Node) SetClock(off time.Duration) (right func()) {
	n.c.t.Helper()
	from := time.Now()
	points := []string{"schedulerClock", "jobrunnerClock"}
	for _, point := range points {
		etcdtest.Eventually(n.c.t, Patience, func() error { // it may just have begun
			return n.Points.Return(n.c.t.Context(), point, int(off.Milliseconds()))
		}, "the clock of %s is set", n.Name)
	}
	return func() {
		for _, point := range points {
			if err := n.Points.Clear(n.c.t.Context(), point); err != nil && !n.Ended() {
				n.c.t.Fatal(err)
			}
		}
		n.c.Record(checker.Fault{Kind: checker.FaultClock, Target: n.Name, Off: off, From: from, To: time.Now()})
	}
}

// Ended tells whether the process has.
func (n *Node) Ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// Lasted tells whether the process has not ended before so much time had passed since its start.
func (n *Node) Lasted(long time.Duration) bool { return !n.Ended() || n.ended.Sub(n.began) >= long }

func (n *Node) end(signal syscall.Signal) {
	_ = n.cmd.Process.Signal(signal)
	<-n.done
}

// Record adds to what was done to the cluster.
func (c *Cluster) Record(f checker.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, f)
}

// tail keeps the end of what a process says.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() > 2*tailSize {
		t.buf.Next(t.buf.Len() - tailSize)
	}
	return t.buf.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(t.buf.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

// freeAddress is one on which nobody listens, from below the range that systems give out by themselves: while a node is
// down no client's own port takes its place.
func freeAddress(fatal func(...any)) string {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15000+rand.IntN(15000)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	fatal("no free port")
	return ""
}
