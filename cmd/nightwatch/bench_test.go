package main

import (
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/bench"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestBenchTellsWhatItFound although it cannot remove its tasks.
func TestBenchTellsWhatItFound(t *testing.T) {
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	client := server.Client(t)
	p := start(t, environment(t), "bench", "--tasks", "10", "--endpoints", server.Endpoint())
	cleaning := <-client.Watch(t.Context(), store.NewKeys("").Of(store.Tasks), clientv3.WithPrefix(), clientv3.WithFilterPut())
	if err := cleaning.Err(); err != nil {
		t.Fatal(err)
	}
	server.EnableAuth(t) // it has no user
	if code := p.code(t); code != exitFailed || !strings.Contains(p.out.String(), "10, 0 missed, 0 twice") || !strings.Contains(p.err.String(), "nightwatch: ") {
		t.Errorf("exit code %d: %s%s", code, &p.out, &p.err)
	}
}

// TestBenchOfARestrictedUser has what a node's user may do, and what the README adds for a bench.
func TestBenchOfARestrictedUser(t *testing.T) {
	const beside = "/nightwatch-bench-"
	server := etcdtest.Start(t, etcdtest.WithElectionTimeout(time.Second))
	client := server.Client(t)
	if _, err := client.RoleAdd(t.Context(), "bench"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RoleGrantPermission(t.Context(), "bench", beside, clientv3.GetPrefixRangeEnd(beside), clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
		t.Fatal(err)
	}
	withUsers(t, server)
	measure := func() *program {
		return start(t, environment(t, "NIGHTWATCH_PASSWORD=s3cret"), "bench", "--tasks", "10", "--endpoints", server.Endpoint(), "--user", "node")
	}
	if p := measure(); p.code(t) != exitFailed || !strings.Contains(p.err.String(), "measure etcd: etcdserver: permission denied") {
		t.Errorf("without the grant: %s%s", &p.out, &p.err)
	}
	root, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Username: "root", Password: "root"})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.UserGrantRole(t.Context(), "node", "bench"); err != nil {
		t.Fatal(err)
	}
	if p := measure(); p.code(t) != 0 || !strings.Contains(p.out.String(), "10, 0 missed, 0 twice") {
		t.Errorf("with it: %s%s", &p.out, &p.err)
	}
}

func TestBenchWithoutRuns(t *testing.T) {
	var out strings.Builder
	benchTable(&out, &bench.Report{Tasks: 3, Nodes: 1, Runner: "handler", Missed: 3})
	if text := out.String(); !strings.Contains(text, "0, 3 missed") || strings.Contains(text, "compacted") {
		t.Error(text)
	}
}
