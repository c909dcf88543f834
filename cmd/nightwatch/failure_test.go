package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
)

func TestUnreachableKeepsWhatWasSaid(t *testing.T) {
	c := connection{endpoints: []string{freeAddress(t)}, timeout: time.Second}
	for _, row := range []struct {
		name    string
		err     error
		code    int
		has     []string
		without string
	}{
		{name: "no answer", err: context.DeadlineExceeded, code: exitUnreachable, has: []string{"cluster not reachable at", "connection refused"}, without: "deadline"},
		{
			name: "no answer to what", err: fmt.Errorf("list /nightwatch/tasks/: %w", context.DeadlineExceeded), code: exitUnreachable,
			has: []string{"cluster not reachable at", "connection refused", "(list /nightwatch/tasks/: context deadline exceeded)"},
		},
		{name: "etcd says why", err: fmt.Errorf("put x: %w", rpctypes.ErrNoLeader), code: exitUnreachable, has: []string{"put x: etcdserver: no leader"}, without: "refused"},
		{name: "of another kind", err: failed(fmt.Errorf("wait for x: %w", context.DeadlineExceeded)), code: exitFailed, has: []string{"wait for x"}, without: "not reachable"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := c.failed(row.err)
			if exitCode(err) != row.code || row.without != "" && strings.Contains(err.Error(), row.without) {
				t.Errorf("exit code %d: %v", exitCode(err), err)
			}
			for _, text := range row.has {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v: lacks %q", err, text)
				}
			}
		})
	}
}

// TestKubernetesThatDoesNotAnswer is no etcd that does not answer.
func TestKubernetesThatDoesNotAnswer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cluster, err := kubernetes.NewBench(kubernetes.Config{
		Clusters: []kubernetes.Cluster{{Name: "silent", REST: &rest.Config{Host: "http://" + silent.Addr().String()}}}, QPS: 1, Burst: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	c := connection{endpoints: []string{freeAddress(t)}, timeout: time.Second}
	err = c.failed(errors.Join(benchCluster{cluster}.Open(ctx, "bench-1")))
	if exitCode(err) != exitFailed || !strings.Contains(err.Error(), "create namespace bench-1") {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}
