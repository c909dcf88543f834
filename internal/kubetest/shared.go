package kubetest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"
)

// shared is the cluster of this test binary. A binary has one, and testing gives no other place to keep it.
var shared struct {
	mu      sync.Mutex
	running bool // inside Run
	tried   bool
	cluster *Cluster
	err     error
}

// sharedTimeout bounds a build and a start. A build with empty caches on two cores takes 5 minutes, so that one from a
// test may also need a longer -timeout.
const sharedTimeout = 20 * time.Minute

// Shared returns the cluster of this test binary, and starts it for the first test that asks. If it does not start,
// that test and every later one fails. TestMain must call [Run].
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.running {
		t.Fatal("kubetest: Shared needs a TestMain that calls kubetest.Run, which stops the cluster")
	}
	if !shared.tried {
		shared.tried = true
		// The cluster outlives the test that asks for it first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), sharedTimeout)
		defer cancel()
		shared.cluster, shared.err = Start(ctx, Options{Log: os.Stderr})
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// Run runs the tests and then stops the shared cluster, if any test asked for it. It returns the code to exit with.
func Run(m *testing.M) int {
	shared.mu.Lock()
	shared.running = true
	shared.mu.Unlock()
	defer stopShared()
	return m.Run()
}

func stopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster != nil {
		shared.cluster.Stop()
	}
	shared.running, shared.tried, shared.cluster, shared.err = false, false, nil, nil
}

// TestingM is a [testing.M] whose Run is [Run]. It lets goleak look when the cluster has stopped:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(kubetest.TestingM{M: m}) }
type TestingM struct{ *testing.M }

// Run calls [Run].
func (m TestingM) Run() int { return Run(m.M) }
