//go:build linux

package robustness

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// binaries are the programs under test, with their crash points.
var binaries cluster.Binaries

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "nightwatch-robustness-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if binaries, err = cluster.Build(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return kubetest.Run(m)
	}())
}

// kube is the control plane that the tests share.
func kube(t *testing.T) (*kubetest.Cluster, kubernetes.Interface) {
	t.Helper()
	cluster := kubetest.Shared(t)
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return cluster, client
}

const (
	// leaseTTL is the shortest that there is.
	leaseTTL = 2 * time.Second
	// stockElection is etcd's own election timeout.
	stockElection = time.Second
)
