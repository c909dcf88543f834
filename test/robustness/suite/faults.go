package suite

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// fault is something that is done to the cluster.
type fault struct {
	name string
	// kubernetes says that it needs a control plane.
	kubernetes bool
	// members says that it needs an etcd of several.
	members bool
	// disks says that it needs an etcd whose disks can be filled.
	disks bool
	// begin does it, to what it names: nothing if it is "". After the time that it returns, end undoes it.
	begin func(s *suite) (target string, long time.Duration, end func())
}

// faults are all that there are.
var faults = slices.Concat(processFaults, networkFaults, etcdFaults, userFaults)

// Names are those of the faults.
func Names() []string {
	var all []string
	for _, f := range faults {
		all = append(all, f.name)
	}
	return all
}

// choose finds the faults that were asked for and can be.
func (s *suite) choose() ([]fault, error) {
	var chosen []fault
	for _, name := range s.config.Faults {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no fault %q: there are %s", name, strings.Join(Names(), ", "))
		}
		if f := faults[i]; (!f.kubernetes || s.jobs != nil) && (!f.members || s.config.Members > 1) && (!f.disks || s.etcd.Disks) {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("the faults %s need Kubernetes, an etcd of three members, or root", strings.Join(s.config.Faults, ", "))
	}
	return chosen, nil
}

// The faults after which it is measured how long the scheduler role takes to go to another node.
const (
	killScheduler    = "kill-scheduler"
	restartScheduler = "restart-scheduler"
)

// processFaults are those of the nodes' processes.
var processFaults = []fault{
	{name: killScheduler, begin: func(s *suite) (string, time.Duration, func()) { return s.kill(s.leader()) }},
	{name: "kill-worker", begin: func(s *suite) (string, time.Duration, func()) { return s.kill(s.worker()) }},
	{name: "kill-all", begin: (*suite).killAll},
	{name: "pause-scheduler", begin: func(s *suite) (string, time.Duration, func()) { return s.pause(s.leader()) }},
	{name: "pause-worker", begin: func(s *suite) (string, time.Duration, func()) { return s.pause(s.worker()) }},
	{name: restartScheduler, begin: (*suite).handOver},
	{name: "restart-rolling", begin: (*suite).restart},
	{name: "clock", begin: (*suite).setClock},
	{name: "same-name", begin: (*suite).sameName},
}

// kill kills a node. It is started again before its lease is over, or after.
func (s *suite) kill(nodes ...string) (string, time.Duration, func()) {
	long := s.some(2 * s.config.LeaseTTL)
	nodes = slices.DeleteFunc(nodes, func(name string) bool { return name == "" })
	for _, name := range nodes {
		s.nodes[name].Kill()
		delete(s.nodes, name)
	}
	return strings.Join(nodes, " "), long, func() {
		for _, name := range nodes {
			s.start(name)
		}
	}
}

func (s *suite) killAll() (string, time.Duration, func()) {
	var nodes []string
	for _, name := range names {
		if s.nodes[name] != nil && !s.harmed[name] {
			nodes = append(nodes, name)
		}
	}
	return s.kill(nodes...)
}

// pause stops a node for less than its TTL, for more, or for much more.
func (s *suite) pause(name string) (string, time.Duration, func()) {
	factor := []float64{0.5, 2, 10}[s.rand.IntN(3)]
	if name == "" {
		return "", 0, nil
	}
	goOn := s.nodes[name].Stop()
	s.harmed[name] = true
	return name, time.Duration(factor * float64(s.config.LeaseTTL)), func() {
		goOn()
		delete(s.harmed, name)
	}
}

// askToEnd asks a node to end, well. ended waits until it has.
func (s *suite) askToEnd(name string) (ended func()) {
	n := s.nodes[name]
	delete(s.nodes, name)
	well := n.AskToEnd()
	return func() {
		s.until("the end of "+name, n.Ended)
		if !well() {
			s.violated(endsWell, name, "SIGTERM did not end it well")
		}
	}
}

// handOver has the scheduler end, well, and starts it again later.
func (s *suite) handOver() (string, time.Duration, func()) {
	name, long := s.leader(), s.some(2*s.config.LeaseTTL)
	if name == "" {
		return "", 0, nil
	}
	ended := s.askToEnd(name)
	return name, long, func() {
		ended()
		s.start(name)
	}
}

// restart has one node after the other end, well, and starts it again.
func (s *suite) restart() (string, time.Duration, func()) {
	var restarted []string
	for _, name := range names {
		pause := s.some(time.Second)
		if s.nodes[name] == nil || s.harmed[name] {
			continue
		}
		s.askToEnd(name)()
		s.start(name)
		s.until(name+" is ready", func() bool { return !s.etcdDown && s.nodes[name] != nil && s.nodes[name].AskReady() == nil })
		restarted = append(restarted, name)
		s.wait(time.Now().Add(pause))
	}
	return strings.Join(restarted, " "), 0, nil
}

// sameName starts a second process by the name of a node. It is to wait for the name, and is killed before it would give up.
func (s *suite) sameName() (string, time.Duration, func()) {
	name, long := s.pick(func(string) bool { return true }), s.some(2*s.config.LeaseTTL)
	if name == "" {
		return "", 0, nil
	}
	second := s.process(name)
	s.harmed[name] = true
	return name, long, func() {
		if !second.Lasted(2 * s.config.LeaseTTL) { // then it may give up; what else is done to the cluster may have kept us
			s.violated(staysUp, name, "a second process of that name did not wait for it")
		}
		second.Destroy()
		delete(s.harmed, name)
	}
}

// known is how long it may take until a node knows that its clock is off: it hears the scheduler's once a second, and believes
// it the second time.
const known = 4 * time.Second

// setClock has the clock of a node be off. Nothing else is done until the node knows, as it must not be elected after that.
// The scheduler's own clock is the cluster's: one that is ahead makes runs early, and when it is right again nothing is due
// until it is as late as it was: so that its is ahead by seconds only.
func (s *suite) setClock() (string, time.Duration, func()) {
	off := []time.Duration{5 * time.Second, time.Hour, -5 * time.Second, -time.Hour}[s.rand.IntN(4)]
	leads, worker, name, long := s.rand.IntN(2) == 0 && off < time.Minute, s.worker(), s.leader(), s.some(5*time.Second)
	if name == "" || len(s.active) > 0 {
		return "", 0, nil // it might be elected before it knows
	}
	if !leads {
		name = worker
	}
	if name == "" {
		return "", 0, nil
	}
	right := s.nodes[name].SetClock(off)
	s.harmed[name] = true
	s.wait(time.Now().Add(known))
	return fmt.Sprintf("%s, by %s", name, off), long, func() {
		right()
		delete(s.harmed, name)
	}
}
