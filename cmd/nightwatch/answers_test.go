package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestEachAnswerHasItsTime reads more than etcd gives within --command-timeout, with each of its answers well within that.
func TestEachAnswerHasItsTime(t *testing.T) {
	server := etcdtest.Start(t)
	st := store.New(server.Client(t), "")
	for i := range 16 {
		if err := st.Cordon(t.Context(), fmt.Sprintf("n%d", i), nightwatch.Cordon{}); err != nil {
			t.Fatal(err)
		}
	}
	proxy := server.Proxy(t)
	proxy.Delay(100 * time.Millisecond) // each answer takes twice that, and there is one for each node
	p := start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+proxy.Endpoint()), "get", "nodes", "--command-timeout", "2s")
	if code := p.code(t); code != 0 || !strings.Contains(p.out.String(), "n15") {
		t.Errorf("exit code %d: %s%s", code, &p.out, &p.err)
	}
	proxy.Pause()
	p = start(t, environment(t, "NIGHTWATCH_ENDPOINTS="+proxy.Endpoint()), "get", "nodes", "--command-timeout", "1s")
	if code := p.code(t); code != exitUnreachable {
		t.Errorf("without answers: exit code %d: %s%s", code, &p.out, &p.err)
	}
}
