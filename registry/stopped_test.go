package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/registry"
)

// stoppedEndpoint is set for the child process of TestStoppedProcess.
const stoppedEndpoint = "REGISTRY_TEST_STOPPED_ENDPOINT"

// A process is stopped past its deadline while somebody else keeps its lease alive, so that etcd has nothing to tell it.
// The first thing it is asked when it goes on is whether it is alive.
func TestStoppedProcess(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), stoppedEndpoint+"="+server.Endpoint())
	child.Stderr = os.Stderr
	ask, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = ask.Close()
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(answers)
	line := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the child said nothing: %v", lines.Err())
		}
		return lines.Text()
	}
	lease, err := strconv.ParseInt(line(), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(ask)
	if got := line(); got != "true" {
		t.Fatalf("alive: %s at the start", got)
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The signal takes effect after Signal returns: a line sent too early would be answered before the stop.
	etcdtest.Eventually(t, 5*time.Second, func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child.Process.Pid))
		if err != nil {
			return err
		}
		if state := status[bytes.LastIndexByte(status, ')')+2]; state != 'T' {
			return fmt.Errorf("state %c", state)
		}
		return nil
	}, "the child is stopped")
	fmt.Fprintln(ask) // read as soon as it wakes
	renewed, until := time.NewTicker(200*time.Millisecond), time.NewTimer(2500*time.Millisecond)
	defer renewed.Stop()
	for stopped := true; stopped; {
		select {
		case <-renewed.C:
			if _, err := client.KeepAliveOnce(t.Context(), clientv3.LeaseID(lease)); err != nil {
				t.Fatal(err)
			}
		case <-until.C:
			stopped = false
		}
	}
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got := line(); got != "false" {
			t.Fatalf("alive: %s after having been stopped past its deadline", got)
		}
		fmt.Fprintln(ask)
	}
	etcdtest.Eventually(t, 10*time.Second, func() bool {
		got, err := client.TimeToLive(t.Context(), clientv3.LeaseID(lease))
		return err == nil && got.TTL == -1
	}, "it revokes the lease that others kept")
}

// holdSession is the child: it says its lease, then for each line it reads whether its session is alive.
func holdSession(endpoint string) int {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer client.Close()
	ctx := context.Background()
	s, err := registry.NewSession(ctx, client, registry.SessionConfig{TTL: 2 * time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.ID())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(s.Alive())
	}
	return 0
}
