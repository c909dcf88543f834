package suite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// Config says what a run of the suite is.
type Config struct {
	Binaries cluster.Binaries
	// Seed is where the choice of faults begins.
	Seed uint64
	// Duration is for how long there are faults.
	Duration time.Duration
	// Faults are names of faults. Default all of them.
	Faults []string
	// Dir is the folder for what is left of the run. It is made. Default a new one among the temporary ones.
	Dir string
	// LeaseTTL is the nodes'. etcd grants none below 2 s.
	LeaseTTL time.Duration
	// Members is how many etcd has. There are faults that need three. Default 1.
	Members int
	// Churn is how many operations a second the clients do at all times, in all. Default 4.
	Churn int64
	// Kubernetes is a control plane. Default none: there are no Jobs then, and no faults of them.
	Kubernetes *kubetest.Cluster
}

const (
	// calm is how long there is nothing but tasks at first.
	calm = 5 * time.Second
	// heal is how long after the last fault everything is to be on time.
	heal = 30 * time.Second
	// after is for how long that is watched.
	after = 5 * time.Second
	// slack is how late a task may be on a busy machine that lost a session to its load, beside the lease's own time.
	slack = 3 * time.Second
)

// suite is one run.
type suite struct {
	*cluster.Cluster
	t         testing.TB
	config    Config
	rand      *rand.Rand
	etcd      *cluster.Etcd
	jobs      kubernetes.Interface // nil without Kubernetes
	kubeAPI   *kubeAPI             // the same
	namespace string

	nodes  map[string]*cluster.Node // by name; not those that are down
	harmed map[string]bool          // nodes to which something is done at the moment
	active []ongoing
	// membersDown says that some members of etcd do not answer, etcdDown that none does: whatever asks it would wait.
	membersDown, etcdDown bool
	broken                []checker.Violation
	churn                 *churn
	rest                  time.Time // the faults' time is over
}

// names are those of nodes. The embedders' begin with "platform".
var names = []string{"a", "b", coldNode, "platform-a", "platform-b"}

// coldNode keeps no view of the cluster while another node leads.
const coldNode = "c"

// Run runs the suite and leaves what came of it in the folder. That something was violated is in what it returns; what
// keeps it from finding out fails the test.
func Run(t testing.TB, config Config) *Verdict {
	t.Helper()
	config.Members = max(config.Members, 1)
	if config.Churn == 0 {
		config.Churn = 4
	}
	if len(config.Faults) == 0 {
		config.Faults = Names()
	}
	var err error
	if config.Dir == "" {
		config.Dir, err = os.MkdirTemp("", "nightwatch-robustness-") //nolint:usetesting // it is to outlive the test
	} else {
		err = os.MkdirAll(config.Dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d, lease TTL %s, faults for %s, in %s", config.Seed, config.LeaseTTL, config.Duration, config.Dir)
	s := &suite{
		t: t, config: config, namespace: "suite",
		nodes: map[string]*cluster.Node{}, harmed: map[string]bool{},
	}
	s.etcd = cluster.StartEtcd(t, config.Members, slices.Contains(config.Faults, diskFull))
	s.Cluster = cluster.New(t, config.Binaries, s.etcd.Endpoint(), "/suite/")
	s.Logs = config.Dir
	if config.Kubernetes != nil {
		client, err := kubernetes.NewForConfig(config.Kubernetes.Config)
		if err != nil {
			t.Fatal(err)
		}
		s.jobs, s.namespace = client, config.Kubernetes.Namespace(t)
		if s.kubeAPI, err = startKubeAPI(t, config.Kubernetes.Config, config.Dir); err != nil {
			t.Fatal(err)
		}
		s.WatchJobs(client, s.namespace)
	}
	choice, err := s.choose()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		s.Proxy(name)
		s.start(name)
	}
	for _, name := range names {
		s.nodes[name].Ready()
	}
	tasks := s.tasks()
	for _, task := range tasks {
		s.Put(task.name, task.value)
	}
	s.churn = startChurn(s)
	s.wait(time.Now().Add(calm))
	began := time.Now()
	s.rest = began.Add(config.Duration)
	s.storm(choice)
	s.churn.stop()
	s.logf("the last fault is over after %s", time.Since(began).Round(time.Second))
	s.wait(time.Now().Add(heal + after))
	settled := s.settle(tasks)

	h := s.History()
	if len(h.Effects) == 0 || s.jobs != nil && len(h.Jobs) == 0 {
		t.Fatalf("%d effects, %d Jobs: nothing can be said of them", len(h.Effects), len(h.Jobs))
	}
	h.Operations = s.churn.operations
	if err := h.Write(config.Dir); err != nil {
		t.Fatal(err)
	}
	bounds := checker.Bounds{
		Late: s.longest() + heal, Heal: heal, OnTime: config.LeaseTTL + slack, Settled: settled,
	}
	v, err := judge(config, h, bounds, s.broken)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// longest is for how long one fault may keep a run from starting.
func (s *suite) longest() time.Duration { return 10 * s.config.LeaseTTL }

// start starts a node, anew after its end.
func (s *suite) start(name string) { s.nodes[name] = s.process(name) }

// process is a new one that is to be a node.
func (s *suite) process(name string) *cluster.Node {
	ttl := s.config.LeaseTTL.String()
	if strings.HasPrefix(name, "platform") {
		return s.Platform(name, "-lease-ttl", ttl)
	}
	flags := []string{"--lease-ttl", ttl, "--runners", "process,http", "--http-allow", "127.0.0.0/8", "--drain-timeout", drains.String()}
	if s.jobs != nil {
		flags[3] += ",kubernetes"
		flags = append(flags, "--kubeconfig", s.kubeAPI.Kubeconfig, "--kube-api-qps", "200", "--kube-api-burst", "400")
	}
	if name == coldNode {
		flags = append(flags, "--cold-standby") // so that terms of both kinds follow on each other
	}
	return s.Nightwatch(name, flags...)
}

// storm lets faults come until their time is over, each once before any comes again, and ends with the last of them.
func (s *suite) storm(choice []fault) {
	for i := 0; ; i++ {
		// However much the fault before has drawn, this one is the seed's.
		s.rand = rand.New(rand.NewPCG(s.config.Seed, uint64(i)))
		if i%len(choice) == 0 {
			s.rand.Shuffle(len(choice), func(a, b int) { choice[a], choice[b] = choice[b], choice[a] })
		}
		at := s.moment()
		if at.After(s.rest) {
			break
		}
		s.wait(at)
		for late := at.Add(spread); !s.inject(choice[i%len(choice)]) && time.Now().Before(late); {
			s.wait(time.Now().Add(50 * time.Millisecond)) // such as for a scheduler
		}
	}
	for len(s.active) > 0 {
		s.wait(s.active[0].until)
	}
}

// moment is when the next fault comes: from 3 s before to 1 s after a time at which one of the tasks is due that are due
// once a minute.
func (s *suite) moment() time.Time {
	const before, past = 3 * time.Second, time.Second
	due := time.Now().Add(before).Truncate(spread).Add(spread)
	return due.Add(s.some(before+past) - before)
}

// ongoing is a fault that has begun.
type ongoing struct {
	record checker.Fault
	until  time.Time
	end    func()
}

// inject tells whether there was something that the fault could be done to.
func (s *suite) inject(f fault) bool {
	record := checker.Fault{Kind: f.name, From: time.Now()}
	target, long, end := f.begin(s)
	if target == "" {
		return false
	}
	record.Target = target
	s.logf("%s: %s, from %s, for %s", f.name, target, record.From.UTC().Format("15:04:05.000"), long.Round(time.Millisecond))
	if end == nil {
		end = func() {}
	}
	s.active = append(s.active, ongoing{record, time.Now().Add(long), end})
	slices.SortStableFunc(s.active, func(a, b ongoing) int { return a.until.Compare(b.until) })
	return true
}

// wait waits, and ends the faults whose time is over meanwhile.
func (s *suite) wait(until time.Time) {
	for {
		next, ends := until, len(s.active) > 0 && !s.active[0].until.After(until)
		if ends {
			next = s.active[0].until
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-s.t.Context().Done():
			timer.Stop()
			s.t.Fatal("interrupted")
		}
		s.look()
		if !ends {
			return
		}
		over := s.active[0]
		s.active = s.active[1:]
		over.end()
		over.record.To = time.Now()
		s.Record(over.record)
	}
}

// until waits for a condition, as wait does.
func (s *suite) until(what string, condition func() bool) {
	if !s.met(condition) {
		s.t.Fatalf("not within %s: %s", cluster.Patience, what)
	}
}

// met waits for a condition, as wait does, and tells whether it came to be.
func (s *suite) met(condition func() bool) bool {
	for patience := time.Now().Add(cluster.Patience); !condition(); {
		if time.Now().After(patience) {
			return false
		}
		s.wait(time.Now().Add(50 * time.Millisecond))
	}
	return true
}

// look finds nodes that have ended by themselves, and starts them again.
func (s *suite) look() {
	for _, name := range names {
		if n := s.nodes[name]; n != nil && n.Ended() {
			s.violated(staysUp, name, "the process ended by itself")
			s.start(name)
		}
	}
}

// What no history tells of.
const (
	staysUp     = "stays-up"      // no process ends by itself
	endsWell    = "ends-well"     // one that is asked to end does so, and well
	comesToRest = "comes-to-rest" // what is under way ends, when nothing more is due
)

var unseen = []string{staysUp, endsWell, comesToRest}

func (s *suite) violated(invariant, about, detail string) {
	s.broken = append(s.broken, checker.Violation{
		Invariant: invariant, About: about, Detail: detail + ", seen at " + time.Now().UTC().Format(time.RFC3339),
	})
}

// settle has nothing be due any more, and waits until what is under way has ended. It tells whether it has.
func (s *suite) settle(tasks []task) bool {
	for _, task := range tasks {
		s.Put(task.name, strings.TrimSuffix(task.value, "}")+`,"suspend":true}`)
	}
	answered := s.met(s.churn.answered)
	if !answered {
		s.violated(comesToRest, "the clients", "not every request was answered")
	}
	s.churn.clear()
	cleared := s.met(func() bool {
		statuses, err := s.Store.Statuses(s.t.Context(), "")
		return err == nil && len(statuses) == len(tasks)
	})
	if !cleared {
		s.violated(comesToRest, "the clients", "statuses of tasks that were deleted are there")
	}
	err := s.Settle()
	if err != nil {
		s.violated(comesToRest, "the tasks", err.Error())
	}
	return answered && cleared && err == nil
}

// leader is the name of the node that holds the scheduler role and can be harmed, "" if there is none.
func (s *suite) leader() string {
	name := s.leads()
	if s.nodes[name] == nil || s.harmed[name] {
		return ""
	}
	return name
}

func (s *suite) leads() string {
	if s.etcdDown {
		return ""
	}
	return s.Leader()
}

// worker is the name of a node that can be harmed and does not hold the scheduler role, "" if there is none.
func (s *suite) worker() string {
	leader := s.leads()
	return s.pick(func(name string) bool { return name != leader })
}

// pick is one of the nodes that can be harmed, "" if there is none.
func (s *suite) pick(from func(name string) bool) string {
	var all []string
	for _, name := range names {
		if s.nodes[name] != nil && !s.harmed[name] && from(name) {
			all = append(all, name)
		}
	}
	// The generator moves on by the same, whatever there is to be chosen from.
	n := s.rand.IntN(60)
	if len(all) == 0 {
		return ""
	}
	return all[n%len(all)]
}

// some is a random time below a bound.
func (s *suite) some(below time.Duration) time.Duration {
	return time.Duration(s.rand.Int64N(int64(below)))
}

func (s *suite) logf(format string, args ...any) {
	s.t.Logf("%s %s", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// runners are those of the tasks.
func (s *suite) runners() []string {
	all := []string{nightwatch.RunnerHTTP, nightwatch.RunnerHandler, nightwatch.RunnerProcess}
	if s.jobs != nil {
		all = append(all, nightwatch.RunnerKubernetes)
	}
	return all
}
