package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
)

// Etcd is an etcd that is a process of its own: it competes with nobody for the test's own time, and can be killed.
type Etcd struct {
	// Endpoint is host:port.
	Endpoint string

	t       testing.TB
	program string
	args    []string
	cmd     *exec.Cmd
	done    chan struct{}
	log     tail
}

// StartEtcd starts an etcd, which keeps all its history, and ends it with the test. What it has said is written, but not
// synced to disk, before it is answered: it survives the death of the process.
func StartEtcd(t testing.TB) *Etcd {
	t.Helper()
	binaries, err := kubetest.Build(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &Etcd{Endpoint: freeAddress(t.Fatal), t: t, program: binaries.Etcd}
	client, peer := "http://"+e.Endpoint, "http://"+freeAddress(t.Fatal)
	e.args = []string{"--name", "test", "--data-dir", t.TempDir(), "--unsafe-no-fsync", "--log-level", "error",
		"--grpc-keepalive-min-time", "1s", // etcdtest.NewClient looks after its connections every 2 s
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "test=" + peer}
	e.Start()
	t.Cleanup(e.Kill)
	probe := etcdtest.NewClient(t, e.Endpoint)
	etcdtest.Eventually(t, Patience, func() error {
		select {
		case <-e.done:
			t.Fatalf("etcd has ended: %s\n%s", e.cmd.ProcessState, e.log.String())
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		defer cancel()
		if _, err := probe.Get(ctx, "ready"); err != nil {
			return fmt.Errorf("%w\n%s", err, e.log.String())
		}
		return nil
	}, "etcd answers")
	_ = probe.Close() // an idle one would look after its connection more often than etcd bears
	return e
}

// Start starts the process, anew after Kill, on the same data and at the same address. It does not wait until it answers.
func (e *Etcd) Start() {
	e.t.Helper()
	e.cmd = exec.Command(e.program, e.args...)
	e.cmd.Stdout, e.cmd.Stderr = &e.log, &e.log
	e.cmd.Env = []string{}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	done := make(chan struct{})
	e.done = done
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(done)
	}(e.cmd)
}

// Kill ends the process by SIGKILL and waits until it is gone.
func (e *Etcd) Kill() {
	_ = e.cmd.Process.Signal(syscall.SIGKILL)
	<-e.done
}
