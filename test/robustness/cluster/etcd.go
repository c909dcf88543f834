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

// Etcd is an etcd that is a process of its own: it competes with nobody for the test's own time.
type Etcd struct {
	// Endpoint is host:port.
	Endpoint string

	cmd  *exec.Cmd
	done chan struct{}
}

// StartEtcd starts an etcd, which keeps all its history, and ends it with the test.
func StartEtcd(t testing.TB) *Etcd {
	t.Helper()
	binaries, err := kubetest.Build(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &Etcd{Endpoint: freeAddress(t.Fatal), done: make(chan struct{})}
	client, peer := "http://"+e.Endpoint, "http://"+freeAddress(t.Fatal)
	e.cmd = exec.Command(binaries.Etcd, "--name", "test", "--data-dir", t.TempDir(), "--unsafe-no-fsync", "--log-level", "error",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "test="+peer)
	var log tail
	e.cmd.Stdout, e.cmd.Stderr = &log, &log
	e.cmd.Env = []string{}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = e.cmd.Wait()
		close(e.done)
	}()
	t.Cleanup(func() {
		_ = e.cmd.Process.Signal(syscall.SIGKILL)
		<-e.done
	})
	probe := etcdtest.NewClient(t, e.Endpoint)
	etcdtest.Eventually(t, Patience, func() error {
		select {
		case <-e.done:
			t.Fatalf("etcd has ended: %s\n%s", e.cmd.ProcessState, log.String())
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		defer cancel()
		if _, err := probe.Get(ctx, "ready"); err != nil {
			return fmt.Errorf("%w\n%s", err, log.String())
		}
		return nil
	}, "etcd answers")
	return e
}
