package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestVerdictThatMayNotBeRead: who may ask and not read the answer is told so at once.
func TestVerdictThatMayNotBeRead(t *testing.T) {
	server := etcdtest.Start(t)
	client := server.Client(t)
	var errs []error
	try := func(_ any, err error) { errs = append(errs, err) }
	requests := store.NewKeys("").Of(store.Requests)
	try(client.RoleAdd(t.Context(), "asks"))
	try(client.RoleGrantPermission(t.Context(), "asks", requests, clientv3.GetPrefixRangeEnd(requests), clientv3.PermissionType(clientv3.PermReadWrite)))
	try(client.UserAdd(t.Context(), "ann", "s3cret"))
	try(client.UserGrantRole(t.Context(), "ann", "asks"))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	server.EnableAuth(t)
	p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+server.Endpoint()), "run", "hello", "--user", "ann:s3cret")
	if code := p.code(t); code != exitFailed || !strings.Contains(p.err.String(), "permission denied") || strings.Contains(p.err.String(), "is a node running") {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
}

// TestVerdictWithoutEtcd: that etcd went away after the request was put is another answer than that nobody gave a verdict.
func TestVerdictWithoutEtcd(t *testing.T) {
	defer func(before time.Duration) { verdictTimeout = before }(verdictTimeout)
	verdictTimeout = 3 * time.Second
	server := etcdtest.Start(t)
	client := server.Client(t)
	proxy := server.Proxy(t)
	run := func(id, endpoint string, meanwhile func()) (int, string) {
		t.Helper()
		var out, errOut text
		code := make(chan int, 1)
		go func() {
			code <- execute(t.Context(), []string{"run", "hello", "--id", id, "--endpoints", endpoint, "--command-timeout", "1s"}, strings.NewReader(""), &out, &errOut)
		}()
		etcdtest.Eventually(t, patience, func() bool {
			got, err := client.Get(t.Context(), store.NewKeys("").Request("default/hello", id))
			return err == nil && len(got.Kvs) == 1
		}, "the request is put")
		meanwhile()
		return <-code, errOut.String()
	}
	if code, text := run("one", proxy.Endpoint(), proxy.Refuse); code != exitUnreachable || !strings.Contains(text, "cluster not reachable") || strings.Contains(text, "no verdict") {
		t.Errorf("without etcd: exit code %d: %s", code, text)
	}
	if code, text := run("two", server.Endpoint(), func() {}); code != exitFailed || !strings.Contains(text, "no verdict on /nightwatch/requests/default/hello/two within 3s: is a node running?") {
		t.Errorf("without a node: exit code %d: %s", code, text)
	}
}
