package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdctl"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/store"
)

// binary is the nightwatch under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "nightwatch-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "nightwatch")
		build := exec.Command("go", "build", "-o", binary, "github.com/nightwatch-go/nightwatch/cmd/nightwatch")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build nightwatch: %v\n%s", err, out)
			return 1
		}
		return kubetest.Run(m)
	}())
}

// world is one etcd, and the nodes on it.
type world struct {
	t      testing.TB
	etcd   *etcdtest.Server
	client *clientv3.Client
	store  *store.Store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	server := etcdtest.Start(t)
	client := server.Client(t)
	return &world{t: t, etcd: server, client: client, store: store.New(client, "")}
}

// process is a nightwatch node that is a process of its own.
type process struct {
	t       testing.TB
	name    string
	address string
	cmd     *exec.Cmd
	log     *safeBuffer
	done    chan struct{}
	err     error
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// spawn starts "nightwatch node" without waiting for it to be ready.
func (w *world) spawn(name string, flags ...string) *process {
	w.t.Helper()
	p := &process{t: w.t, name: name, address: freeAddress(w.t), log: &safeBuffer{}, done: make(chan struct{})}
	args := append([]string{"node", "--name", name, "--endpoints", w.etcd.Endpoint(), "--listen", p.address, "--log-level", "debug"}, flags...)
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), "KUBECONFIG=/nonexistent", "XDG_STATE_HOME="+w.t.TempDir())
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	w.t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		if w.t.Failed() {
			lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
			w.t.Logf("the end of what %s said:\n%s", name, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	return p
}

// node starts a node and waits until it is ready.
func (w *world) node(name string, flags ...string) *process {
	w.t.Helper()
	p := w.spawn(name, flags...)
	p.waitReady()
	return p
}

func (p *process) waitReady() {
	p.t.Helper()
	etcdtest.Eventually(p.t, 30*time.Second, func() error {
		status, body, err := get(p.address, "/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	}, "%s is ready", p.name)
}

// signal sends a signal and, for SIGKILL and SIGTERM, waits for the end.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	if s == syscall.SIGKILL || s == syscall.SIGTERM {
		<-p.done
	}
}

func get(address, path string) (int, string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + address + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// etcdctl runs the stock etcdctl on the world's etcd.
func (w *world) etcdctl(args ...string) string {
	w.t.Helper()
	return etcdctl.Run(w.t, w.etcd.Endpoint(), args...)
}

// put submits a task as a user does.
func (w *world) put(task, value string) {
	w.t.Helper()
	w.etcdctl("put", "/nightwatch/tasks/"+task, value)
}

func (w *world) wait(task string, timeout time.Duration, done func(*nightwatch.Status) bool) *nightwatch.Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), timeout)
	defer cancel()
	status, err := w.store.Wait(ctx, task, done)
	if err != nil {
		text, _ := json.MarshalIndent(status, "", "  ")
		w.t.Fatalf("%s: %v; its status is %s", task, err, text)
	}
	return status
}

func phase(want nightwatch.Phase) func(*nightwatch.Status) bool {
	return func(s *nightwatch.Status) bool { return s != nil && s.Phase == want }
}

func gone(s *nightwatch.Status) bool { return s == nil }
