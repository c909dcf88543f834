package suite

import (
	"strings"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// networkFaults are those of what is between nodes and etcd.
var networkFaults = []fault{
	{name: "partition", begin: (*suite).partition},
	{name: "drop-responses", begin: func(s *suite) (string, time.Duration, func()) {
		return s.cutOff((*etcdtest.Proxy).DropResponses, "")
	}},
	{name: "latency", begin: func(s *suite) (string, time.Duration, func()) {
		return s.slow(func(p *etcdtest.Proxy, on bool) {
			if on {
				p.Delay(200 * time.Millisecond)
			} else {
				p.Delay(0)
			}
		})
	}},
	{name: "bandwidth", begin: func(s *suite) (string, time.Duration, func()) {
		return s.slow(func(p *etcdtest.Proxy, on bool) {
			if on {
				p.Limit(64 << 10)
			} else {
				p.Limit(0)
			}
		})
	}},
	{name: "reset", begin: (*suite).reset},
}

// partition has a node and etcd not hear each other, or one of them not the other.
func (s *suite) partition() (string, time.Duration, func()) {
	ways := []struct {
		how  func(*etcdtest.Proxy)
		what string
	}{
		{(*etcdtest.Proxy).Pause, ", both ways"}, {(*etcdtest.Proxy).HoldRequests, ", what it says"}, {(*etcdtest.Proxy).HoldResponses, ", what it hears"},
		{(*etcdtest.Proxy).DropRequests, ", what it says, for good"},
	}
	way := ways[s.rand.IntN(len(ways))]
	return s.cutOff(way.how, way.what)
}

// cutOff does something to the network of a node, the scheduler or not, for less than its TTL, for more, or for much more.
func (s *suite) cutOff(how func(*etcdtest.Proxy), what string) (string, time.Duration, func()) {
	factor := []float64{0.5, 2, 5}[s.rand.IntN(3)]
	leads, worker, name := s.rand.IntN(2) == 0, s.worker(), s.leader()
	if !leads || name == "" {
		name = worker
	}
	if name == "" {
		return "", 0, nil
	}
	proxy := s.Proxy(name)
	how(proxy)
	s.harmed[name] = true
	return name + what, time.Duration(factor * float64(s.config.LeaseTTL)), func() {
		proxy.Resume()
		delete(s.harmed, name)
	}
}

// slow makes the way between etcd and all nodes a long or a narrow one.
func (s *suite) slow(how func(p *etcdtest.Proxy, on bool)) (string, time.Duration, func()) {
	for _, name := range names {
		how(s.Proxy(name), true)
	}
	return strings.Join(names, " "), 5 * time.Second, func() {
		for _, name := range names {
			how(s.Proxy(name), false)
		}
	}
}

// reset breaks the connections of all nodes, again and again.
func (s *suite) reset() (string, time.Duration, func()) {
	for range 5 {
		for _, name := range names {
			s.Proxy(name).Reset()
		}
		s.wait(time.Now().Add(500 * time.Millisecond))
	}
	return strings.Join(names, " "), 0, nil
}
