package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// A drain waits for what runs and tells of it, as /readyz and get nodes do; uncordon ends it.
func TestDrainANode(t *testing.T) {
	server := etcdtest.Start(t)
	address := freeAddress(t)
	start(t, environment(t), "node", "--endpoints", server.Endpoint(), "--name", "n1", "--listen", address, "--runners", "process",
		"--capacity-of", "process=1")
	becomesReady(t, address)
	d := &devProgram{etcd: server.Endpoint(), client: server.Client(t)}
	d.store = store.New(d.client, "")
	release := filepath.Join(t.TempDir(), "go")
	task := `{"process":{"shell":"until [ -e ` + release + ` ]; do sleep 0.05; done"}}`
	for _, name := range []string{"default/first", "default/second"} {
		if _, err := d.store.Put(t.Context(), name, []byte(task)); err != nil {
			t.Fatal(err)
		}
		if name == "default/first" {
			d.waitStatus(t, name, inPhase(nightwatch.PhaseRunning))
		}
	}
	d.waitStatus(t, "default/second", func(s *nightwatch.Status) bool { return s != nil && s.Reason == nightwatch.ReasonNoCapacity })
	drain := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd), "drain", "n1", "--by", "ann", "--note", "new kernel", "--timeout", "5m")
	drain.find(t, `^waiting for n1: 1 run \(default/first/rev-\d+\)$`)
	if _, text, err := read(t, "http://"+address+"/readyz"); err != nil || !strings.Contains(text, "[-]cordon failed: the node is drained: cordons/n1, by ann: new kernel") {
		t.Errorf("%v: %s", err, text)
	}
	if out, code := d.cli(t, "get", "nodes"); code != 0 || !strings.Contains(out, "draining") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := drain.code(t); code != 0 || !strings.HasSuffix(drain.out.String(), "n1 drained\n") {
		t.Errorf("exit code %d: %s%s", code, &drain.out, &drain.err)
	}
	if out, code := d.cli(t, "get", "nodes"); code != 0 || !strings.Contains(out, "drained") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := d.cli(t, "uncordon", "n1"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	becomesReady(t, address)
	for _, name := range []string{"default/first", "default/second"} {
		d.waitStatus(t, name, inPhase(nightwatch.PhaseSucceeded))
	}
}

// Somebody who takes the cordon back ends the wait of whoever drains.
func TestDrainIsTakenBack(t *testing.T) {
	server := etcdtest.Start(t)
	d := &devProgram{etcd: server.Endpoint(), client: server.Client(t)}
	if _, err := d.client.Put(t.Context(), "/nightwatch/nodes/n1", `{"name":"n1","session":"1","version":"v1","capacity":64}`); err != nil {
		t.Fatal(err)
	}
	drain := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+d.etcd), "drain", "n1")
	drain.find(t, `^waiting for n1: it has not answered yet$`)
	if out, code := d.cli(t, "uncordon", "n1"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code := drain.code(t); code != exitFailed || !strings.Contains(drain.err.String(), "somebody has taken cordons/n1 back") {
		t.Errorf("exit code %d: %s", code, &drain.err)
	}
}
