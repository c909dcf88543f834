package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
)

// Etcd is an etcd whose members are processes of their own: they compete with nobody for the test's own time, and can be
// killed.
type Etcd struct {
	// Endpoints are the members', host:port.
	Endpoints []string
	// Disks says that the members' disks can be filled.
	Disks bool

	t       testing.TB
	program string
	members []*member
}

type member struct {
	args []string
	data string // folder
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	log  tail
}

// StartEtcd starts an etcd of so many members, which keeps ten minutes of its history, and ends it with the test. What it has said is
// written, but not synced to disk, before it is answered: it survives the death of processes. With disks each member has
// a disk of its own, in memory, where that can be: that takes root.
func StartEtcd(t testing.TB, members int, disks bool) *Etcd {
	t.Helper()
	binaries, err := kubetest.Build(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &Etcd{t: t, program: binaries.Etcd, Disks: disks}
	var peers []string
	for i := range members {
		e.Endpoints = append(e.Endpoints, freeAddress(t.Fatal))
		peers = append(peers, "http://"+freeAddress(t.Fatal))
		data := t.TempDir()
		e.Disks = e.Disks && mountDisk(t, data)
		e.members = append(e.members, &member{data: data, args: []string{
			"--name", fmt.Sprintf("m%d", i), "--data-dir", data, "--unsafe-no-fsync", "--log-level", "error",
			"--quota-backend-bytes", strconv.Itoa(8 << 30),
			"--auto-compaction-mode", "periodic", "--auto-compaction-retention", "10m", // that of hours is more than that
			"--grpc-keepalive-min-time", "1s", // etcdtest.NewClient looks after its connections every 2 s
			"--listen-client-urls", "http://" + e.Endpoints[i], "--advertise-client-urls", "http://" + e.Endpoints[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
		}})
	}
	for i := range peers {
		peers[i] = fmt.Sprintf("m%d=%s", i, peers[i])
	}
	for i, m := range e.members {
		m.args = append(m.args, "--initial-cluster", strings.Join(peers, ","))
		e.Start(i)
		t.Cleanup(func() { e.Kill(i) })
	}
	for i, m := range e.members {
		probe := etcdtest.NewClient(t, e.Endpoints[i])
		etcdtest.Eventually(t, Patience, func() error {
			select {
			case <-m.done:
				t.Fatalf("etcd has ended: %s\n%s", m.cmd.ProcessState, m.log.String())
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), Patience)
			defer cancel()
			if _, err := probe.Get(ctx, "ready"); err != nil {
				return fmt.Errorf("%w\n%s", err, m.log.String())
			}
			return nil
		}, "etcd answers")
		_ = probe.Close() // an idle one would look after its connection more often than etcd bears
	}
	return e
}

// Endpoint is the members', with commas between them.
func (e *Etcd) Endpoint() string { return strings.Join(e.Endpoints, ",") }

// Start starts a member, anew after Kill, on the same data and at the same address. It does not wait until it answers.
func (e *Etcd) Start(i int) {
	e.t.Helper()
	m := e.members[i]
	m.cmd = exec.Command(e.program, m.args...)
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.cmd.Env = []string{}
	if err := m.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	done := make(chan struct{})
	m.done = done
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(done)
	}(m.cmd)
}

// Kill ends a member by SIGKILL and waits until it is gone.
func (e *Etcd) Kill(i int) {
	_ = e.members[i].cmd.Process.Signal(syscall.SIGKILL)
	<-e.members[i].done
}

// Stop stops a member, as SIGSTOP does.
func (e *Etcd) Stop(i int) { _ = e.members[i].cmd.Process.Signal(syscall.SIGSTOP) }

// Continue has a member go on that was stopped.
func (e *Etcd) Continue(i int) { _ = e.members[i].cmd.Process.Signal(syscall.SIGCONT) }

// Fill leaves a member no room on its disk: it ends as soon as it is to write more.
func (e *Etcd) Fill(i int) {
	if err := fillDisk(e.members[i].data); err != nil {
		e.t.Fatal(err)
	}
}

// Empty makes room on the disk of a member, and starts it anew.
func (e *Etcd) Empty(i int) {
	if err := emptyDisk(e.members[i].data); err != nil {
		e.t.Fatal(err)
	}
	e.Kill(i)
	e.Start(i)
}
