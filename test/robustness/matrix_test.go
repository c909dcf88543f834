//go:build linux

package robustness

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// moment is when a node dies while it has runs.
type moment struct {
	name string
	// points of the node at which its runs are held.
	points []string
	// hold says that what runs goes on until it is ended from outside.
	hold bool
	// first is what the first attempts wrote, in the end.
	first []string
	// come tells whether all runs of the node have come to this moment.
	come func(m *matrix) bool
}

var moments = []moment{
	{
		name: "claimed", points: []string{"afterClaim"},
		come: func(m *matrix) bool {
			return m.all(func(c *cell) bool { return c.run().Phase == nightwatch.PhaseRunning }) && m.reached("afterClaim")
		},
	},
	{
		// The effect is there, and the record does not say so.
		name: "made", points: []string{"beforeSave"}, hold: true, first: []string{checker.EffectStart},
		come: func(m *matrix) bool {
			return m.all(func(c *cell) bool { return c.began() && !c.saved() }) && m.reached("beforeSave")
		},
	},
	{
		name: "running", hold: true, first: []string{checker.EffectStart},
		come: func(m *matrix) bool { return m.all(func(c *cell) bool { return c.began() && c.saved() }) },
	},
	{
		name: "ended", points: []string{"afterEffect"}, first: []string{checker.EffectStart, checker.EffectEnd},
		come: func(m *matrix) bool {
			return m.all((*cell).ended) && m.reached("afterEffect")
		},
	},
}

// runners and deliveries are the other two sides of the matrix.
var (
	matrixRunners = []string{nightwatch.RunnerKubernetes, nightwatch.RunnerProcess, nightwatch.RunnerHTTP, nightwatch.RunnerHandler}
	deliveries    = []string{nightwatch.AtLeastOnce, nightwatch.AtMostOnce}
)

// A node is killed at every moment of a run's life that matters, with runs of all runners and both deliveries in its
// hands; it is the scheduler as well, or it is not. What the tasks wrote themselves, the records and the Jobs tell what
// became of each.
func TestNodeDiesAtEveryMoment(t *testing.T) {
	control, client := kube(t)
	etcd := etcdtest.Start(t, etcdtest.WithElectionTimeout(stockElection))
	for _, at := range moments {
		for _, leads := range []bool{true, false} {
			name := at.name + "/of a worker"
			if leads {
				name = at.name + "/of the scheduler"
			}
			t.Run(name, func(t *testing.T) { newMatrix(t, at, control, client, etcd.Endpoint()).run(leads) })
		}
	}
}

// matrix is the cells of one moment.
type matrix struct {
	*cluster.Cluster
	t         *testing.T
	at        moment
	client    kubernetes.Interface
	namespace string
	flags     []string
	ttl       time.Duration
	prelude   string // shell commands with which processes begin
	cells     []*cell
	victims   []*cluster.Node
}

// cell is one task, which runs once.
type cell struct {
	m                      *matrix
	runner, delivery, task string
}

func newMatrix(t *testing.T, at moment, control *kubetest.Cluster, client kubernetes.Interface, etcd string) *matrix {
	m := &matrix{
		Cluster: cluster.New(t, binaries, etcd, "/"+strings.ReplaceAll(t.Name(), "/", "-")+"/"), t: t, at: at, client: client,
		namespace: control.Namespace(t), ttl: leaseTTL,
		flags: []string{
			"--runners", "kubernetes,process,http", "--http-allow", "127.0.0.0/8",
			"--kubeconfig", control.Kubeconfig, "--kube-api-qps", "200", "--kube-api-burst", "400",
		},
	}
	m.WatchJobs(client, m.namespace)
	for _, runner := range matrixRunners {
		for _, delivery := range deliveries {
			m.cells = append(m.cells, &cell{m, runner, delivery, m.namespace + "/" + runner + "-" + delivery})
		}
	}
	return m
}

// machine starts the nodes of a machine: nightwatch, and an embedder with the handler.
func (m *matrix) machine(name string) []*cluster.Node {
	labels := "machine=" + name
	return []*cluster.Node{
		m.Nightwatch(name, append(m.flags, "--lease-ttl", m.ttl.String(), "--labels", labels)...),
		m.Platform(name+"-platform", "-lease-ttl", m.ttl.String(), "-labels", labels),
	}
}

func ready(nodes []*cluster.Node) {
	for _, n := range nodes {
		n.Ready()
	}
}

func (m *matrix) run(leads bool) {
	m.begin(leads)
	for _, victim := range m.victims {
		for _, point := range m.at.points {
			if err := victim.Points.Hold(m.t.Context(), point); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	m.put()
	m.Until("every run has come to the moment", func() bool { return m.at.come(m) })
	m.complete(leads)
	if led := strings.HasPrefix(m.Leader(), "b"); led != leads {
		m.t.Fatalf("%s leads", m.Leader())
	}
	uids := map[string]string{} // of Jobs, before
	for _, job := range m.Jobs() {
		uids[job.Task] = job.UID
	}
	for _, victim := range m.victims {
		victim.Kill()
	}
	m.end()
	for _, c := range m.cells {
		c.verify(uids[c.task])
	}
	m.Verify(checker.Bounds{})
}

// begin starts machine b, which is to be harmed, and before it machine a if b is not to lead.
func (m *matrix) begin(leads bool) {
	if !leads {
		ready(m.machine("a"))
	}
	m.victims = m.machine("b")
	ready(m.victims)
	m.Until("a scheduler", func() bool { return m.Leader() != "" })
}

// put submits what runs on b, or on c.
func (m *matrix) put() {
	for _, c := range m.cells {
		c.put()
	}
}

// complete starts the machines that are missing beside b: c, which takes over the runs, and a, if it is not there yet.
func (m *matrix) complete(leads bool) {
	others := m.machine("c")
	if leads {
		others = append(others, m.machine("a")...)
	}
	ready(others)
}

// end waits until every run has ended.
func (m *matrix) end() {
	for _, c := range m.cells {
		if c.runner == nightwatch.RunnerKubernetes && m.at.hold {
			c.letGo()
		}
	}
	for _, c := range m.cells {
		m.Wait(c.task, func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded+s.Counts.Failed == 1 })
	}
}

func (m *matrix) all(condition func(c *cell) bool) bool {
	for _, c := range m.cells {
		if !condition(c) {
			return false
		}
	}
	return true
}

// reached tells whether each of the nodes that are to die has somebody at the point.
func (m *matrix) reached(point string) bool {
	for _, victim := range m.victims {
		if n, err := victim.Points.Reached(m.t.Context(), point); err != nil || n == 0 {
			return false
		}
	}
	return true
}

func (c *cell) put() {
	work := cluster.Work{Lasts: 10 * time.Millisecond, Prelude: c.m.prelude}
	if c.m.at.hold {
		work.Hold = 1
	}
	c.m.Put(c.task, fmt.Sprintf(`{%s,"delivery":%q,"runsOn":"machine notin (a)"}`, c.m.Work(c.runner, work), c.delivery))
}

// run is the cell's only one, as its record has it now.
func (c *cell) run() nightwatch.Run {
	runs, err := c.m.Store.Runs(c.m.t.Context(), c.task)
	if err != nil {
		c.m.t.Fatal(err)
	}
	for _, run := range runs {
		return run
	}
	return nightwatch.Run{}
}

// wrote is what an attempt has written, beats left out.
func (c *cell) wrote(attempt int) []string {
	var events []string
	for _, e := range c.m.Effects() {
		if e.Task == c.task && e.Attempt == attempt && e.Event != checker.EffectBeat {
			events = append(events, e.Event)
		}
	}
	return events
}

// began tells whether the effect exists.
func (c *cell) began() bool {
	if c.runner == nightwatch.RunnerKubernetes {
		return slices.ContainsFunc(c.m.Jobs(), func(e checker.JobEvent) bool { return e.Task == c.task })
	}
	return len(c.wrote(1)) > 0
}

// saved tells whether the record knows that it does.
func (c *cell) saved() bool {
	run := c.run()
	return run.Fence != 0 && (c.runner != nightwatch.RunnerKubernetes || run.Job.UID != "")
}

func (c *cell) ended() bool {
	if c.runner == nightwatch.RunnerKubernetes {
		return slices.ContainsFunc(c.m.History().Jobs, func(e checker.JobEvent) bool { return e.Task == c.task && e.Event == checker.JobFinished })
	}
	return slices.Contains(c.wrote(1), checker.EffectEnd)
}

// letGo has the pods of a held Job succeed.
func (c *cell) letGo() {
	pods := c.m.client.CoreV1().Pods(c.m.namespace)
	selector := metav1.ListOptions{LabelSelector: "nightwatch.dev/task=" + strings.TrimPrefix(c.task, c.m.namespace+"/")}
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{kubetest.AnnotationRun: "10ms"}}})
	c.m.Until("the pod of "+c.task+" is let go", func() bool {
		list, err := pods.List(c.m.t.Context(), selector)
		if err != nil || len(list.Items) == 0 {
			return false
		}
		_, err = pods.Patch(c.m.t.Context(), list.Items[0].Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err == nil
	})
}

// verify compares what became of the cell with what the runner and the delivery promise.
func (c *cell) verify(jobBefore string) {
	t := c.m.t
	runs, err := c.m.Store.Runs(t.Context(), c.task)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 1 {
		t.Errorf("%s: %d records", c.task, len(runs))
	}
	run := c.run()
	if run.LostSessions != 1 || !strings.HasPrefix(run.Node, "c") && run.Phase == nightwatch.PhaseSucceeded {
		t.Errorf("%s: %+v", c.task, run)
	}
	jobs := 0
	for _, job := range c.m.Jobs() {
		if job.Task == c.task {
			jobs++
		}
	}
	first, second := c.wrote(1), c.wrote(2)
	first = slices.DeleteFunc(first, func(event string) bool { return event == checker.EffectCut })
	complete := []string{checker.EffectStart, checker.EffectEnd}
	switch {
	case c.runner == nightwatch.RunnerKubernetes:
		// The Job outlives the node and is adopted; if there is none yet, it is the same attempt that makes it.
		if run.Phase != nightwatch.PhaseSucceeded || run.Attempt != 1 || jobs != 1 || jobBefore != "" && run.Job.UID != jobBefore {
			t.Errorf("%s: %d Jobs, %q before; %+v, Job %+v", c.task, jobs, jobBefore, run, run.Job)
		}
		return
	case c.delivery == nightwatch.AtMostOnce:
		if run.Phase != nightwatch.PhaseFailed || run.Reason != nightwatch.ReasonNodeLost || run.Attempt != 1 || len(second) > 0 {
			t.Errorf("%s: %+v, and the second attempt wrote %v", c.task, run, second)
		}
	default:
		if run.Phase != nightwatch.PhaseSucceeded || run.Attempt != 2 || !slices.Equal(second, complete) {
			t.Errorf("%s: %+v, and the second attempt wrote %v", c.task, run, second)
		}
	}
	if !slices.Equal(first, c.m.at.first) {
		t.Errorf("%s: the first attempt wrote %v, want %v", c.task, first, c.m.at.first)
	}
}
