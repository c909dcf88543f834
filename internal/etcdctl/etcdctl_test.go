package etcdctl_test

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch/internal/etcdctl"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// A put and a get of the stock client, arguments passed as they are.
func TestRun(t *testing.T) {
	endpoint := etcdtest.Start(t).Endpoint()

	value := `{"image":"alpine","args":["a b", "--c"]}`
	if out := etcdctl.Run(t, endpoint, "put", "/k", "--", value); out != "OK\n" {
		t.Errorf("put printed %q", out)
	}
	if out := etcdctl.Run(t, endpoint, "get", "/k", "--print-value-only"); out != value+"\n" {
		t.Errorf("get printed %q", out)
	}
}

// A call that etcdctl refuses returns what it said.
func TestTryReturnsWhatEtcdctlSaid(t *testing.T) {
	_, err := etcdctl.Try(t, "127.0.0.1:1", "get")
	if err == nil || !strings.Contains(err.Error(), "get command needs one argument") {
		t.Errorf("got error %v", err)
	}
}

// Settings of the caller's environment do not reach etcdctl.
func TestEnvironmentHasNoSay(t *testing.T) {
	t.Setenv("ETCDCTL_ENDPOINTS", "127.0.0.1:1")
	t.Setenv("ETCDCTL_USER", "nobody:wrong")
	cmd := etcdctl.Command(t.Context(), t, "127.0.0.1:2", "version")
	for _, pair := range cmd.Env {
		if strings.HasPrefix(pair, "ETCDCTL_") && pair != "ETCDCTL_ENDPOINTS=127.0.0.1:2" {
			t.Errorf("environment has %s", pair)
		}
	}
}
