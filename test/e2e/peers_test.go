package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/election"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	etcdtest.Eventually(t, time.Minute, condition, "%s", what)
}

// leader is the name of the node that holds the scheduler role, "" when none does.
func (w *world) leader() string {
	name, _, err := election.Leader(w.t.Context(), w.client, w.store.Keys().Election())
	if err != nil {
		return ""
	}
	return name
}

const leaseTTL = 2 * time.Second

// The scheduler is killed while tasks are being put: each task that was put before, meanwhile and after has exactly
// one Job.
func TestKilledSchedulerLosesNothing(t *testing.T) {
	cluster, client := kube(t)
	w := newWorld(t)
	namespace := cluster.Namespace(t)
	nodes := map[string]*process{}
	for _, name := range []string{"a", "b", "c"} {
		nodes[name] = w.node(name, append(kubeFlags(cluster), "--lease-ttl", leaseTTL.String())...)
	}
	waitFor(t, "a scheduler", func() bool { return w.leader() != "" })

	const tasks = 60
	killed := make(chan string, 1)
	var putting sync.WaitGroup
	putting.Go(func() {
		for i := range tasks {
			if i == tasks/3 {
				first := w.leader()
				nodes[first].signal(syscall.SIGKILL)
				killed <- first
			}
			if _, err := w.client.Put(t.Context(), w.store.Keys().Task(fmt.Sprintf("%s/t%d", namespace, i)), `{"image":"alpine"}`); err != nil {
				t.Error(err)
				return
			}
		}
	})
	first := <-killed
	at := time.Now()
	waitFor(t, "another scheduler", func() bool { l := w.leader(); return l != "" && l != first })
	took := time.Since(at)
	t.Logf("another node held the role %s after the kill, lease TTL %s", took, leaseTTL)
	if took > leaseTTL+time.Second+2*time.Second { // with room for a busy machine
		t.Errorf("another scheduler took %s", took)
	}
	putting.Wait()
	for i := range tasks {
		w.wait(fmt.Sprintf("%s/t%d", namespace, i), 2*time.Minute, func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded == 1 })
	}
	var names, want []string
	for _, job := range jobsOf(t, client, namespace) {
		names = append(names, job.Name)
	}
	for i := range tasks {
		want = append(want, fmt.Sprintf("t%d", i))
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("%d Jobs for %d tasks: %v", len(names), tasks, names)
	}
}

func TestJobIsAdoptedWhenItsNodeIsKilled(t *testing.T) {
	cluster, client := kube(t)
	w := newWorld(t)
	namespace := cluster.Namespace(t)
	nodes := map[string]*process{}
	for _, name := range []string{"a", "b"} {
		nodes[name] = w.node(name, append(kubeFlags(cluster), "--lease-ttl", leaseTTL.String())...)
	}
	w.put(namespace+"/long", `{"image":"alpine","annotations":{"kwok-run":"8s"}}`)
	s := w.wait(namespace+"/long", time.Minute, func(s *nightwatch.Status) bool {
		return s != nil && s.LastRun != nil && s.LastRun.Job != nil && s.LastRun.Job.UID != ""
	})
	owner, uid := s.LastRun.Node, s.LastRun.Job.UID
	nodes[owner].signal(syscall.SIGKILL)
	s = w.wait(namespace+"/long", time.Minute, func(s *nightwatch.Status) bool { return s.Phase == nightwatch.PhaseSucceeded })
	if s.LastRun.Node == owner || s.LastRun.Attempt != 1 || s.LastRun.LostSessions != 1 || s.LastRun.Job.UID != uid {
		t.Errorf("%+v, Job %+v", s.LastRun, s.LastRun.Job)
	}
	if jobs := jobsOf(t, client, namespace); len(jobs) != 1 || string(jobs[0].UID) != uid {
		t.Errorf("%d Jobs", len(jobs))
	}
}

func TestGracefulStopHandsOverQuickly(t *testing.T) {
	w := newWorld(t)
	nodes := map[string]*process{}
	for _, name := range []string{"a", "b"} {
		nodes[name] = w.node(name, "--runners", "process", "--lease-ttl", "30s")
	}
	waitFor(t, "a scheduler", func() bool { return w.leader() != "" })
	first := w.leader()
	began := time.Now()
	var stopped sync.WaitGroup
	stopped.Go(func() { nodes[first].signal(syscall.SIGTERM) })
	waitFor(t, "the other leads", func() bool { l := w.leader(); return l != "" && l != first })
	t.Logf("handed over in %s", time.Since(began))
	if took := time.Since(began); took > 5*time.Second { // the lease would have taken 30 s
		t.Errorf("handing over took %s", took)
	}
	stopped.Wait()
	if code := nodes[first].cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	w.put("default/hello", `{"process":{"command":["echo","hello"]}}`)
	w.wait("default/hello", 30*time.Second, phase(nightwatch.PhaseSucceeded))
}

func TestNodeNameHeld(t *testing.T) {
	w := newWorld(t)
	first := w.node("n1", "--lease-ttl", "2s", "--advertise", "vm1.example:7420")
	second := w.spawn("n1", "--lease-ttl", "2s")
	<-second.done
	if code := second.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if said := second.log.String(); !strings.Contains(said, "vm1.example:7420") {
		t.Errorf("it said %s", said)
	}
	first.signal(syscall.SIGKILL)
	w.node("n1", "--lease-ttl", "2s")
}

// A process of a node that is killed has ended before the run goes to another node.
func TestKilledNodeLeavesNoProcess(t *testing.T) {
	w := newWorld(t)
	nodes := map[string]*process{}
	for _, name := range []string{"a", "b"} {
		nodes[name] = w.node(name, "--runners", "process", "--lease-ttl", leaseTTL.String())
	}
	file := t.TempDir() + "/log"
	// Each attempt appends when it starts and every 20 ms while it lives; attempts must not interleave.
	w.put("default/ticker", fmt.Sprintf(`{"process":{"shell":"i=0; while [ $i -lt 150 ]; do echo $NIGHTWATCH_ATTEMPT >> %s; i=$((i+1)); sleep 0.02; done"}}`, file))
	s := w.wait("default/ticker", 30*time.Second, phase(nightwatch.PhaseRunning))
	waitFor(t, "it writes", func() bool { return len(readLines(file)) > 5 })
	nodes[s.LastRun.Node].signal(syscall.SIGKILL)
	s = w.wait("default/ticker", time.Minute, func(s *nightwatch.Status) bool { return s.Phase == nightwatch.PhaseSucceeded })
	if s.LastRun.Attempt != 2 || s.LastRun.LostSessions != 1 {
		t.Errorf("%+v", s.LastRun)
	}
	lines := readLines(file)
	if !slices.IsSorted(lines) || lines[0] != "1" || lines[len(lines)-1] != "2" {
		t.Errorf("attempts interleave: %v", lines)
	}
}
