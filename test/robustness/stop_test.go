//go:build linux

package robustness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// family is shell commands that start a child, and one that leaves the session and the process group, before the process
// itself goes on; each writes its number into the file.
const family = `
setsid sh -c 'echo $$ >> %[1]s; exec sleep 3600' &
sh -c 'echo $$ >> %[1]s; exec sleep 3600' &
echo $$ >> %[1]s`

// A node that is stopped, for less than its TTL and for much more, with Jobs, processes, requests and handlers under way:
// its processes end with their children at the deadline, another node takes over, and when it wakes up it changes nothing
// and is of use again.
func TestNodeIsStopped(t *testing.T) {
	control, client := kube(t)
	etcd := etcdtest.Start(t, etcdtest.WithElectionTimeout(stockElection))
	for _, row := range []struct {
		name  string
		ttls  float64
		leads bool
	}{{"half its TTL", 0.5, true}, {"twice its TTL/a worker", 2, false}, {"twice its TTL/the scheduler", 2, true}, {"ten times its TTL", 10, true}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := newMatrix(t, moments[slices.IndexFunc(moments, func(m moment) bool { return m.name == "running" })], control, client, etcd.Endpoint())
			pids := t.TempDir() + "/pids"
			m.prelude = fmt.Sprintf(family, pids)
			m.begin(row.leads)
			m.put()
			m.Until("every run goes on", func() bool { return m.at.come(m) })
			m.complete(row.leads)
			var first []int
			m.Until("two processes have their children", func() bool {
				first = numbers(t, pids)
				return len(first) == 6
			})

			goOn := m.stop()
			woken := time.NewTimer(time.Duration(row.ttls * float64(leaseTTL)))
			if row.ttls > 1 {
				m.end()
				for _, pid := range first {
					if err := syscall.Kill(pid, 0); err == nil {
						t.Errorf("process %d is alive, and its run has gone on elsewhere", pid)
					}
				}
			}
			<-woken.C
			goOn()
			m.Release()
			m.useful()
			m.end()
			for _, c := range m.cells {
				c.verifyLoosely()
			}
			m.Verify(checker.Bounds{})
		})
	}
}

// A node is stopped right before it does something to a run, and does it after others have taken over: it comes too late.
func TestLateActsChangeNothing(t *testing.T) {
	control, client := kube(t)
	etcd := etcdtest.Start(t, etcdtest.WithElectionTimeout(stockElection))
	for _, point := range []string{
		"beforeClaim", "afterClaim", "kubernetesBeforeCreate", "kubernetesAfterCreate", "beforeSave", "afterEffect", "schedulerBeforeCommit",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			leads := point == "schedulerBeforeCommit"
			m := newMatrix(t, moment{}, control, client, etcd.Endpoint())
			m.begin(leads)
			for _, victim := range m.victims {
				if strings.HasPrefix(point, "kubernetes") && victim.Name == "b-platform" {
					continue // it makes no Jobs
				}
				// Long enough to be stopped in, and over before it is woken.
				if err := victim.Points.Delay(t.Context(), point, late); err != nil {
					t.Fatal(err)
				}
			}
			m.put()
			m.Until("somebody is at "+point, func() bool { return m.anybodyAt(point) })
			goOn := m.stop()
			woken := time.NewTimer(late)
			m.complete(leads)
			m.end()
			<-woken.C
			goOn()
			m.useful()
			for _, c := range m.cells {
				c.verifyLoosely()
			}
			m.Verify(checker.Bounds{})
		})
	}
}

// late is how long a node that is to be late waits at its point.
const late = 6 * time.Second

// stop stops the nodes of machine b.
func (m *matrix) stop() (goOn func()) {
	var all []func()
	for _, victim := range m.victims {
		all = append(all, victim.Stop())
	}
	return func() {
		for _, one := range all {
			one()
		}
	}
}

func (m *matrix) anybodyAt(point string) bool {
	return slices.ContainsFunc(m.victims, func(n *cluster.Node) bool {
		reached, err := n.Points.Reached(m.t.Context(), point)
		return err == nil && reached > 0
	})
}

// useful waits until machine b, which has woken up, runs something again.
func (m *matrix) useful() {
	for _, runner := range []string{nightwatch.RunnerProcess, nightwatch.RunnerHandler} {
		task := m.namespace + "/again-" + runner
		m.Put(task, fmt.Sprintf(`{%s,"runsOn":"machine=b"}`, m.Work(runner, cluster.Work{})))
		m.Wait(task, func(s *nightwatch.Status) bool { return s != nil && s.Phase == nightwatch.PhaseSucceeded })
	}
}

// verifyLoosely knows only what must be whatever the moment was.
func (c *cell) verifyLoosely() {
	run := c.run()
	jobs := 0
	for _, e := range c.m.Jobs() {
		if e.Task == c.task {
			jobs++
		}
	}
	second := c.wrote(2)
	switch {
	case c.runner == nightwatch.RunnerKubernetes && (run.Phase != nightwatch.PhaseSucceeded || run.Attempt != 1 || jobs != 1):
	case c.delivery == nightwatch.AtMostOnce && len(second) > 0:
	case c.delivery == nightwatch.AtMostOnce && run.Reason == nightwatch.ReasonNodeLost, run.Phase == nightwatch.PhaseSucceeded:
		return
	}
	c.m.t.Errorf("%s: %d Jobs, the second attempt wrote %v; %+v", c.task, jobs, second, run)
}

func numbers(t *testing.T, file string) []int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all []int
	for field := range strings.FieldsSeq(string(data)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}
