//go:build linux

package robustness

import (
	"fmt"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// BenchmarkHandOver asks the scheduler to end, time after time, in a cluster of three nodes that does nothing else: of four
// tasks one is due every 25 ms. "effect" is until something began that was due later and that the next term made, "silence"
// the longest time until then in which nothing began, "gone" until nobody held the role.
func BenchmarkHandOver(b *testing.B) {
	etcd := cluster.StartEtcd(b, 1, false)
	c := cluster.New(b, binaries, etcd.Endpoints[0], "/handover/")
	nodes := map[string]*cluster.Node{}
	start := func(name string) {
		nodes[name] = c.Nightwatch(name, "--lease-ttl", leaseTTL.String(), "--http-allow", "127.0.0.0/8").Ready()
	}
	for _, name := range []string{"a", "b", "c"} {
		start(name)
	}
	probe := func(i int) string { return fmt.Sprintf("default/probe-%d", i) }
	for i := range 4 {
		c.Put(probe(i), fmt.Sprintf(`{%s,"every":"100ms","offset":"%dms"}`, c.Work(nightwatch.RunnerHTTP, cluster.Work{}), 10+25*i))
	}
	goesOn := func() {
		from := time.Now()
		c.Wait(probe(0), func(s *nightwatch.Status) bool { return s != nil && s.Cursor.After(from.Add(time.Second)) })
	}
	for b.Loop() {
		goesOn() // the one that was started is a warm standby
		leader := c.Leader()
		if nodes[leader] == nil || !nodes[leader].Terminate() {
			b.Fatalf("%q did not end well", leader)
		}
		goesOn()
		start(leader)
	}
	h := c.History()
	x := cluster.Index(b, h)
	var effect, silence, gone []time.Duration
	for _, t := range x.Takeovers(x.Occurrences(), h.Faults) {
		effect, silence, gone = append(effect, t.Effect), append(silence, t.Silence), append(gone, t.Gone)
	}
	if len(effect) < b.N {
		b.Errorf("%d of %d were seen", len(effect), b.N)
	}
	b.ReportMetric(0, "ns/op")
	for name, times := range map[string][]time.Duration{"effect": effect, "silence": silence, "gone": gone} {
		s := checker.SpreadOf(times)
		for q, at := range map[string]time.Duration{"p50": s.P50, "p99": s.P99, "max": s.Max} {
			b.ReportMetric(float64(at.Microseconds())/1000, name+"-"+q+"-ms")
		}
	}
}
