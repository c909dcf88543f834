package main

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// A task whose pool is not there waits, and everybody who is asked says for what; when the pool comes it runs.
func TestPoolThatIsNotThere(t *testing.T) {
	d := startDev(t, t.TempDir(), environment(t))
	if _, err := d.store.Put(t.Context(), "default/demo", []byte(`{"process":{"shell":"true"},"pool":"reports"}`)); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/demo", func(s *nightwatch.Status) bool {
		return s != nil && s.Phase == nightwatch.PhasePending && s.Reason == nightwatch.ReasonPoolMissing
	})
	want := `pool "reports" is not there: put /nightwatch/pools/reports`
	for _, args := range [][]string{{"status", "demo"}, {"why", "demo"}, {"describe", "demo"}, {"get", "runs", "demo", "-o", "yaml"}} {
		if out := d.want(t, args...); !strings.Contains(out, want) {
			t.Errorf("%v does not say %q:\n%s", args, want, out)
		}
	}
	pools := func() []string {
		lines := strings.Split(strings.TrimSpace(d.want(t, "get", "pools")), "\n")
		return strings.Fields(lines[len(lines)-1])[:5]
	}
	if got := strings.Join(pools(), " "); got != "reports - - 0 1" {
		t.Errorf("get pools: %s", got)
	}
	if _, err := d.client.Put(t.Context(), "/nightwatch/pools/reports", `{"slots":1}`); err != nil {
		t.Fatal(err)
	}
	d.waitStatus(t, "default/demo", inPhase(nightwatch.PhaseSucceeded))
	if got := strings.Join(pools(), " "); got != "reports 1 - 0 0" {
		t.Errorf("get pools: %s", got)
	}
}
