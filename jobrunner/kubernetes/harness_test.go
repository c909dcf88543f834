package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(kubetest.TestingM{M: m}) }

// patience is for how long a test waits for what must happen.
const patience = 90 * time.Second

// place is a namespace of a real cluster with a runner that is served, and the records of runs.
type place struct {
	t         *testing.T
	namespace string
	clusterID string
	client    *kubernetes.Clientset
	runner    *Runner
	records   *records
	gone      chan jobrunner.RunName
}

type setting func(*Config)

func through(wrap func(http.RoundTripper) http.RoundTripper) setting {
	return func(c *Config) { c.Clusters[0].REST.Wrap(wrap) }
}

var clusterIDs atomic.Int64

func newPlace(t *testing.T, settings ...setting) *place {
	t.Helper()
	cluster := kubetest.Shared(t)
	p := &place{
		t: t, namespace: cluster.Namespace(t), clusterID: fmt.Sprintf("test%d", clusterIDs.Add(1)),
		client: kubernetes.NewForConfigOrDie(cluster.Config), records: &records{runs: map[string]*nightwatch.Run{}},
		gone: make(chan jobrunner.RunName, 1),
	}
	p.runner = p.newRunner(settings...)
	return p
}

// newRunner makes one that is served until the test ends.
func (p *place) newRunner(settings ...setting) *Runner {
	p.t.Helper()
	config := Config{Clusters: reach("test", kubetest.Shared(p.t)), QPS: 1000, Burst: 1000, Sweep: time.Hour}
	for _, set := range settings {
		set(&config)
	}
	r, err := New(config)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(p.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Serve(ctx, jobrunner.Env{ClusterID: p.clusterID, Node: "n1", Lookup: p.records.lookup, Gone: p.gone})
	}()
	p.t.Cleanup(func() { stop(); <-done })
	p.eventually("the runner is ready", func(context.Context) error { return ready(r) })
	return r
}

// reach is a cluster under a name.
func reach(name string, cluster *kubetest.Cluster) []Cluster {
	return []Cluster{{Name: name, REST: rest.CopyConfig(cluster.Config)}}
}

// ready is nil when all clusters of a runner are well.
func ready(r *Runner) error {
	for _, check := range r.Checks() {
		if check.Err != nil {
			return fmt.Errorf("%s: %w", check.Name, check.Err)
		}
	}
	return nil
}

// reached is how many clusters of a runner are known.
func reached(r *Runner) (n int) {
	for _, c := range r.Clusters() {
		if c.UID != "" {
			n++
		}
	}
	return n
}

// records are runs as etcd would keep them.
type records struct {
	mu   sync.Mutex
	runs map[string]*nightwatch.Run
}

func (r *records) lookup(_ context.Context, task, run string) (*nightwatch.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.runs[task+"/"+run]; found != nil {
		copied := *found
		return &copied, nil
	}
	return nil, nightwatch.ErrNotFound
}

func (r *records) set(run nightwatch.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs[run.Task+"/"+run.ID] = &run
}

func (r *records) delete(run nightwatch.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, run.Task+"/"+run.ID)
}

// run is one attempt under way.
type run struct {
	p *place
	*jobrunner.Attempt
	ctx  context.Context
	end  context.CancelCauseFunc
	lost atomic.Bool // its record is another's now
	done chan jobrunner.Outcome
}

// attempt makes an attempt of a new task, claimed and prepared. How its pod fares is in annotations like "run", "exit".
func (p *place) attempt(name string, pod map[string]string) *run {
	task := &nightwatch.Task{Image: "busybox", Command: []string{"sleep"}, Args: []string{"60"}, Annotations: map[string]string{}}
	for key, value := range pod {
		task.Annotations["kwok-"+key] = value
	}
	record := nightwatch.Run{
		ID: "rev-7", Task: p.namespace + "/" + name, TaskUID: 7, TaskRevision: 7, Phase: nightwatch.PhaseRunning,
		Attempt: 1, Node: "n1", Runner: nightwatch.RunnerKubernetes, CreateTime: time.Now(), NominalTime: time.Now(),
	}
	p.runner.Prepare(&record, p.clusterID)
	p.records.set(record)
	return p.claim(task, record)
}

func (p *place) claim(task *nightwatch.Task, record nightwatch.Run) *run {
	ctx, end := context.WithCancelCause(p.t.Context())
	r := &run{p: p, ctx: ctx, end: end, done: make(chan jobrunner.Outcome, 1)}
	namespace, name, _ := strings.Cut(record.Task, "/")
	r.Attempt = &jobrunner.Attempt{
		Run: jobrunner.Run{
			Namespace: namespace, Task: name, ID: record.ID, Attempt: record.Attempt, NominalTime: record.NominalTime,
			Fence: 42, IdempotencyKey: record.IdempotencyKey(p.clusterID),
		},
		Task: task, Record: record, ClusterID: p.clusterID,
		Deadline: func() time.Time { return time.Now().Add(5 * time.Second) },
		Save: func(_ context.Context, change func(*nightwatch.Run)) error {
			if r.lost.Load() {
				return nightwatch.ErrRefused
			}
			p.records.mu.Lock()
			defer p.records.mu.Unlock()
			change(p.records.runs[record.Task+"/"+record.ID])
			return nil
		},
	}
	p.t.Cleanup(func() { end(nil) })
	return r
}

// next is the same attempt in the hands of a session that took it over.
func (r *run) next() *run {
	r.p.t.Helper()
	record, err := r.p.records.lookup(r.ctx, r.Record.Task, r.Record.ID)
	if err != nil {
		r.p.t.Fatal(err)
	}
	r.lost.Store(true)
	r.p.runner.Prepare(record, r.p.clusterID)
	next := r.p.claim(r.Task, *record)
	next.Adopt = true
	return next
}

func (r *run) start() *run {
	r.p.t.Helper()
	return r.startOn(r.p.runner)
}

func (r *run) startOn(runner *Runner) *run {
	go func() { r.done <- runner.Run(r.ctx, r.Attempt) }()
	return r
}

func (r *run) outcome() jobrunner.Outcome {
	r.p.t.Helper()
	select {
	case out := <-r.done:
		return out
	case <-time.After(patience):
		job, err := r.p.client.BatchV1().Jobs(r.p.namespace).Get(r.p.t.Context(), r.job().Name, metav1.GetOptions{})
		r.p.t.Fatalf("%s has not ended; the view is %v; its Job (%v): %+v; pods: %+v", r.Record.Task, ready(r.p.runner), err, job.Status, r.p.pods())
		return jobrunner.Outcome{}
	}
}

// job is what the record says.
func (r *run) job() nightwatch.Job {
	r.p.t.Helper()
	record, err := r.p.records.lookup(r.ctx, r.Record.Task, r.Record.ID)
	if err != nil {
		r.p.t.Fatal(err)
	}
	return *record.Job
}

// running waits until the attempt's Job has a pod that runs, and its uid is on record.
func (r *run) running() *batchv1.Job {
	r.p.t.Helper()
	var job *batchv1.Job
	r.p.eventually("pod of "+r.Record.Task+" runs", func(ctx context.Context) (err error) {
		if r.job().UID == "" {
			return errors.New("no uid on record")
		}
		if job, err = r.p.client.BatchV1().Jobs(r.p.namespace).Get(ctx, r.job().Name, metav1.GetOptions{}); err != nil {
			return err
		}
		if job.Status.Active != 1 || job.Status.Ready == nil || *job.Status.Ready != 1 {
			return fmt.Errorf("status %+v", job.Status)
		}
		return nil
	})
	return job
}

func (p *place) eventually(what string, check func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(30 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("wait until %s: %v", what, err)
		case <-ticker.C:
		}
	}
}

func (p *place) jobs() map[string]batchv1.Job {
	p.t.Helper()
	list, err := p.client.BatchV1().Jobs(p.namespace).List(p.t.Context(), metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	jobs := map[string]batchv1.Job{}
	for _, job := range list.Items {
		jobs[job.Name] = job
	}
	return jobs
}

func (p *place) pods() []corev1.Pod {
	p.t.Helper()
	list, err := p.client.CoreV1().Pods(p.namespace).List(p.t.Context(), metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return list.Items
}

// create makes a Job outside of the runner.
func (p *place) create(job *batchv1.Job) *batchv1.Job {
	p.t.Helper()
	job.Namespace = p.namespace
	made, err := p.client.BatchV1().Jobs(p.namespace).Create(p.t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// stranger makes a Job that has nothing to do with nightwatch.
func (p *place) stranger(name string) *batchv1.Job {
	p.t.Helper()
	job := jobOf(p.t, p.attempt("stranger", map[string]string{"run": kubetest.RunForever}).Attempt, p.namespace, name)
	job.Labels = nil
	maps.DeleteFunc(job.Annotations, func(key, _ string) bool { return !strings.Contains(key, "kwok") })
	return p.create(job)
}

// jobOf is the Job of an attempt whose task can be made one.
func jobOf(t *testing.T, a *jobrunner.Attempt, namespace, name string) *batchv1.Job {
	t.Helper()
	job, err := newJob(a, namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func (p *place) absent(name string) error {
	_, err := p.client.BatchV1().Jobs(p.namespace).Get(p.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("Job %s is there (%v)", name, err)
}

// wire lets a test see each request and answer it, or its response.
type wire struct {
	next http.RoundTripper
	do   func(next http.RoundTripper, request *http.Request) (*http.Response, error)
}

func (w wire) RoundTrip(request *http.Request) (*http.Response, error) { return w.do(w.next, request) }

func intercept(do func(next http.RoundTripper, request *http.Request) (*http.Response, error)) setting {
	return through(func(next http.RoundTripper) http.RoundTripper { return wire{next, do} })
}

func creates(request *http.Request) bool {
	return request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/jobs")
}

func expect(t *testing.T, got jobrunner.Outcome, phase nightwatch.Phase, reason string) {
	t.Helper()
	if got.Phase != phase || got.Reason != reason {
		t.Fatalf("outcome %+v: want %s %s", got, phase, reason)
	}
}
