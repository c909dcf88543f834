//go:build linux

package robustness

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// load is the tasks of a kind that run all the time.
type load struct {
	runner string
	tasks  int
	every  time.Duration
}

// full is two hundred runs a second.
var full = []load{
	{nightwatch.RunnerHandler, 64, 500 * time.Millisecond},
	{nightwatch.RunnerHTTP, 48, time.Second},
	{nightwatch.RunnerProcess, 16, time.Second},
	{nightwatch.RunnerKubernetes, 16, 5 * time.Second},
}

// loaded is a cluster under load.
type loaded struct {
	*matrix
	// share says how many of the tasks go on: of n, n>>share.
	share int
}

// put submits the tasks, whose every run is kept and waits for no other. Those that are suspended wait for nothing.
func (l *loaded) put(suspended func(i, tasks int) bool) {
	for _, kind := range full {
		work := cluster.Work{}
		if kind.runner == nightwatch.RunnerKubernetes {
			work.Lasts = 10 * time.Millisecond
		}
		for i := range kind.tasks {
			l.Put(fmt.Sprintf("%s/%s-%d", l.namespace, kind.runner, i), fmt.Sprintf(`{%s,"every":%q,"overlap":"allow","catchUp":{"mode":"all","max":1000},
				"history":{"succeeded":1000,"failed":1000,"skipped":1000},"suspend":%v}`, l.Work(kind.runner, work), nightwatch.Duration(kind.every), suspended(i, kind.tasks)))
		}
	}
}

// goOn waits until everything that is due within a time has been handed out.
func (l *loaded) goOn(long time.Duration) time.Time {
	until := time.Now().Add(long)
	l.Wait(l.namespace+"/"+full[0].runner+"-0", func(s *nightwatch.Status) bool { return s != nil && s.Cursor.After(until) })
	return until
}

// grow adds tasks for as long as the machine keeps up with them, and returns how late they are then.
func (l *loaded) grow() (to time.Time, late checker.Spread) {
	for l.share = 4; ; l.share-- {
		to, late = l.measure()
		switch {
		case late.P99 < comfortable && l.share > 0:
			continue
		case late.P99 > 2*comfortable && l.share < 4:
			l.share++ // that was too much
			return l.measure()
		}
		return to, late
	}
}

// comfortable is how late a few runs may be on a machine that could do more.
const comfortable = 250 * time.Millisecond

func (l *loaded) measure() (to time.Time, late checker.Spread) {
	l.put(func(i, tasks int) bool { return i >= tasks>>l.share })
	from := l.goOn(5 * time.Second)
	to = l.goOn(10 * time.Second)
	late = checker.Late(cluster.Index(l.t, l.History()).Occurrences(), from, to)
	l.t.Logf("at %.0f runs a second: %+v", float64(late.Count)/to.Sub(from).Seconds(), late)
	return to, late
}

// restart has a machine end, well, and starts it again. It may be drained before, by command, and takes part again after.
func (l *loaded) restart(name string, machines map[string][]*cluster.Node, drain bool) {
	t := l.t
	led := strings.HasPrefix(l.Leader(), name)
	began := time.Now()
	var ended sync.WaitGroup
	for _, n := range machines[name] {
		if drain {
			l.Run("drain", n.Name)
		}
		ended.Go(func() {
			if !n.Terminate() {
				t.Errorf("%s did not end well", n.Name)
			}
		})
	}
	ended.Wait()
	down := time.Since(began)
	machines[name] = l.machine(name)
	if drain {
		for _, n := range machines[name] {
			l.Until(n.Name+" is there", n.There)
			l.Run("uncordon", n.Name)
		}
	}
	ready(machines[name])
	t.Logf("machine %s, which led: %v, ended in %s and was back after %s; drained: %v", name, led, down, time.Since(began), drain)
}

// Three machines are restarted one after the other under load: nothing is lost, nothing runs twice, and nothing is later by
// more than a second than the latest when nobody restarts anything.
func TestRollingRestart(t *testing.T) {
	control, client := kube(t)
	l := &loaded{matrix: newMatrix(t, moment{}, control, client, cluster.StartEtcd(t, 1, false).Endpoint())}
	l.ttl = 10 * time.Second // so that no session is lost: there is no time to be won by that
	machines := map[string][]*cluster.Node{}
	for _, name := range []string{"a", "b", "c"} {
		machines[name] = l.machine(name)
		ready(machines[name])
	}
	quiet, before := l.grow()
	for _, name := range []string{"a", "b", "c"} {
		l.restart(name, machines, name == "b")
		l.goOn(2 * time.Second)
	}
	to := l.goOn(0)
	l.put(func(int, int) bool { return true })
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	h := l.Verify(checker.Bounds{Settled: true})
	occurrences := cluster.Index(t, h).Occurrences()
	for _, o := range occurrences {
		if ran := o.Starts == 1 && o.Phase == string(nightwatch.PhaseSucceeded); o.Places != 1 || !ran && (o.Starts > 0 || o.Phase != "") {
			t.Errorf("%s at %s: %+v", o.Task, o.Due, o)
		}
	}
	during := checker.Late(occurrences, quiet, to)
	t.Logf("late during the restarts: %+v", during)
	if during.Max > before.Max+time.Second {
		t.Errorf("late by %+v, and without restarts by %+v", during, before)
	}
}
