package registry_test

import (
	"context"
	"os"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/registry"
)

const prefix = "/nightwatch/nodes/"

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(stoppedEndpoint); endpoint != "" {
		os.Exit(holdSession(endpoint))
	}
	goleak.VerifyTestMain(m, etcdtest.LeakOptions()...)
}

// newSession starts a session that is closed, as far as that goes, when the test ends.
func newSession(t *testing.T, client *clientv3.Client, ttl time.Duration) *registry.Session {
	t.Helper()
	s, err := registry.NewSession(t.Context(), client, registry.SessionConfig{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = s.Close(ctx) // some tests have no etcd by now
	})
	return s
}

func testNode(name string) nightwatch.Node {
	return nightwatch.Node{Name: name, Address: "10.0.0.7:7420", Version: "test", Runners: []string{"process"}, Capacity: 4}
}

// readKey returns the key, nil if it is not there.
func readKey(t *testing.T, client *clientv3.Client, key string) *clientv3.GetResponse {
	t.Helper()
	got, err := client.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// within fails the test if the channel is not closed in time.
func within(t *testing.T, timeout time.Duration, done <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("not within %s: %s", timeout, what)
	}
}
