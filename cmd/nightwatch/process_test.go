package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// patience is how long tests wait for something that a real node does at once.
const patience = 30 * time.Second

// program is a nightwatch in a process of its own.
type program struct {
	cmd      *exec.Cmd
	out, err text
	ended    chan struct{}
}

// text is a buffer that is read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// quickExit keeps the race detector from waiting a second at each exit for races to happen.
const quickExit = "GORACE=atexit_sleep_ms=0"

// environment is that of a machine without Kubernetes and without settings of ours, and then extra.
func environment(t testing.TB, extra ...string) []string {
	var env []string
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, "NIGHTWATCH_") && name != "KUBECONFIG" && name != "HOME" && name != "XDG_STATE_HOME" && name != "NOTIFY_SOCKET" {
			env = append(env, setting)
		}
	}
	return append(append(env, "HOME="+t.TempDir(), quickExit), extra...)
}

// start starts "nightwatch args…"; it is killed and waited for when the test ends.
func start(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command("nightwatch", args...), ended: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the code is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("nightwatch %s\n%s%s", strings.Join(args, " "), &p.out, &p.err)
		}
	})
	return p
}

// kill is kill -9, waited for.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks it to stop and returns the exit code.
func (p *program) stop(t testing.TB) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return p.code(t)
}

// code is the exit code of a program that ends by itself.
func (p *program) code(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// find waits until the output matches and returns the first group.
func (p *program) find(t testing.TB, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile("(?m)" + pattern)
	var found []string
	etcdtest.Eventually(t, patience, func() error {
		if found = expression.FindStringSubmatch(p.out.String() + p.err.String()); found != nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it has ended: %s", p.err.String())
		default:
			return errors.New("not yet")
		}
	}, "output %s", pattern)
	return found[len(found)-1]
}

// devProgram is a dev that is up.
type devProgram struct {
	*program
	etcd, http string
	client     *clientv3.Client
	store      *store.Store
}

func startDev(t testing.TB, dir string, env []string, more ...string) *devProgram {
	t.Helper()
	args := append([]string{"dev", "--data-dir", dir, "--etcd-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, more...)
	d := &devProgram{program: start(t, env, args...)}
	d.etcd = d.find(t, `^  etcd +([^,]+),`)
	d.http = d.find(t, `^  http +http://([^/]+)/`)
	d.client = etcdtest.NewClient(t, d.etcd)
	d.store = store.New(d.client, "")
	return d
}

// waitStatus waits for a status that satisfies want.
func (d *devProgram) waitStatus(t testing.TB, task string, want func(*nightwatch.Status) bool) *nightwatch.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, err := d.store.Wait(ctx, task, want)
	if err != nil {
		got, _ := json.Marshal(status)
		t.Fatalf("waiting for %s: %v: %s", task, err, got)
	}
	return status
}

func inPhase(phase nightwatch.Phase) func(*nightwatch.Status) bool {
	return func(s *nightwatch.Status) bool { return s != nil && s.Phase == phase }
}

// cli runs a command against the dev and returns what it prints and its exit code.
func (d *devProgram) cli(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd), args...)
	code = p.code(t)
	return p.out.String() + p.err.String(), code
}

// want is cli for commands that succeed.
func (d *devProgram) want(t testing.TB, args ...string) string {
	t.Helper()
	out, code := d.cli(t, args...)
	if code != 0 {
		t.Fatalf("nightwatch %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// fetch makes a request and returns the status and the answer's head.
func fetch(t testing.TB, method, url, body string, change func(*http.Request)) (int, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	if change != nil {
		change(request)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode, answer.Header
}
