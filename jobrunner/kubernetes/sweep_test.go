package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func often(c *Config) { c.Sweep = 200 * time.Millisecond }

// waitSeen waits until the runner's view has the Job.
func (p *place) waitSeen(names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.eventually("Job "+name+" is in the view", func(context.Context) error {
			if p.runner.clusters[0].jobs.get(key(nightwatch.Job{Namespace: p.namespace, Name: name})) == nil {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}
}

func TestSweepOnTimer(t *testing.T) {
	t.Parallel()
	p := newPlace(t, often)
	// The records are there first, as in life.
	made := map[string]*run{}
	for _, name := range []string{"there", "vanished", "replaced", "ended", "retried", "tombstone", "strange"} {
		made[name] = p.attempt(name, forever)
	}
	for name, r := range made {
		job := jobOf(p.t, r.Attempt, p.namespace, name)
		switch name {
		case "tombstone":
			job = newTombstone(r.Attempt, p.namespace, name, time.Now().Add(time.Hour))
		case "strange":
			delete(job.Annotations, AnnotationRun)
		}
		p.create(job)
	}
	p.waitSeen("there")
	p.records.delete(made["vanished"].Record)
	p.records.delete(made["tombstone"].Record)
	p.records.delete(made["strange"].Record)
	change := func(name string, change func(*nightwatch.Run)) {
		record := made[name].Record
		change(&record)
		p.records.set(record)
	}
	change("replaced", func(r *nightwatch.Run) { r.TaskUID++ })
	change("ended", func(r *nightwatch.Run) { r.Phase = nightwatch.PhaseFailed })
	change("retried", func(r *nightwatch.Run) { r.Attempt++ })
	for _, name := range []string{"vanished", "replaced", "ended", "retried"} {
		p.eventually(name+" is swept", func(context.Context) error { return p.absent(name) })
	}
	jobs := p.jobs()
	for _, name := range []string{"there", "tombstone", "strange"} {
		if job, ok := jobs[name]; !ok || job.DeletionTimestamp != nil {
			t.Errorf("%s was swept", name)
		}
	}
}

func TestSweepOnDeletedRecord(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ours, others := p.attempt("ours", forever), p.attempt("others", forever)
	others.Record.Node = "n2"
	p.create(jobOf(p.t, ours.Attempt, p.namespace, "ours"))
	p.create(jobOf(p.t, others.Attempt, p.namespace, "others"))
	p.waitSeen("ours", "others")
	for _, r := range []*run{others, ours} {
		p.records.delete(r.Record)
		p.gone <- jobrunner.RunName{Task: r.Record.Task, Run: r.Record.ID}
	}
	p.eventually("our Job is removed", func(context.Context) error { return p.absent("ours") })
	if job := p.jobs()["others"]; job.Name == "" || job.DeletionTimestamp != nil {
		t.Error("the Job of another node was removed at once")
	}
}

// A Job that ended after it was seen, and before the record was read, is not a Job that lives on after its run.
func TestSweepOfStaleView(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", forever).start()
	seen := strip(r.running())
	record := r.Record
	record.Phase = nightwatch.PhaseSucceeded
	p.records.set(record)
	if _, err := p.client.BatchV1().Jobs(p.namespace).Patch(t.Context(), "hello", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"changed":"since"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s := newSweeper(p.runner.clusters[0], jobrunner.Env{ClusterID: p.clusterID, Node: "n1", Lookup: p.records.lookup})
	if s.sweep(t.Context(), seen) {
		t.Error("taken for settled")
	}
	if job := p.jobs()["hello"]; job.Name == "" || job.DeletionTimestamp != nil {
		t.Error("the Job was removed")
	}
	now := p.jobs()["hello"]
	if !s.sweep(t.Context(), strip(&now)) {
		t.Error("not settled though seen anew")
	}
	p.eventually("the Job is removed", func(context.Context) error { return p.absent("hello") })
	expect(t, r.outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)
}

// A Job that was claimed later than all that etcd knows of is left alone, for as long as that is so.
func TestSweepUnderARestoredEtcd(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.attempt("hello", forever)
	p.create(jobOf(p.t, r.Attempt, p.namespace, "hello"))
	p.waitSeen("hello")
	p.records.delete(r.Record)
	seen := p.runner.clusters[0].jobs.get(key(nightwatch.Job{Namespace: p.namespace, Name: "hello"}))
	revision, trouble := r.Run.Fence-1, error(nil)
	s := newSweeper(p.runner.clusters[0], jobrunner.Env{
		ClusterID: p.clusterID, Node: "n1", Lookup: p.records.lookup, Revision: func(context.Context) (int64, error) { return revision, trouble },
	})
	if s.sweep(t.Context(), seen) {
		t.Error("taken for settled")
	}
	if revision, trouble = 0, errors.New("no answer"); s.sweep(t.Context(), seen) {
		t.Error("taken for settled, though nobody can tell")
	}
	if job := p.jobs()["hello"]; job.Name == "" || job.DeletionTimestamp != nil {
		t.Fatal("the Job was removed")
	}
	if revision, trouble = r.Run.Fence, nil; !s.sweep(t.Context(), seen) {
		t.Error("not settled")
	}
	p.eventually("the Job is removed", func(context.Context) error { return p.absent("hello") })
}

func TestSuperfluous(t *testing.T) {
	t.Parallel()
	live := &batchv1.Job{}
	live.UID = "u1"
	over := live.DeepCopy()
	over.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	timed := over.DeepCopy()
	timed.Spec.TTLSecondsAfterFinished = new(int32(60))
	announced := live.DeepCopy()
	announced.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}}
	id := identity{clusterID: "c", task: "default/hello", taskUID: 7, run: "rev-7", attempt: 2}
	record := func(change func(*nightwatch.Run)) *nightwatch.Run {
		r := &nightwatch.Run{TaskUID: 7, Phase: nightwatch.PhaseRunning, Attempt: 2, Job: &nightwatch.Job{UID: "u1"}}
		change(r)
		return r
	}
	for _, test := range []struct {
		name string
		job  *batchv1.Job
		run  *nightwatch.Run
		want bool
	}{
		{"no record", over, nil, true},
		{"no record, live", live, nil, true},
		{"no record, with a time to live", timed, nil, false},
		{"under way", live, record(func(*nightwatch.Run) {}), false},
		{"between create and record", live, record(func(r *nightwatch.Run) { r.Job.UID = "" }), false},
		{"before the claim", live, record(func(r *nightwatch.Run) { r.Job = nil }), false},
		{"other life of the task", over, record(func(r *nightwatch.Run) { r.TaskUID = 8 }), true},
		{"ended with its run", over, record(func(r *nightwatch.Run) { r.Phase = nightwatch.PhaseSucceeded }), false},
		{"lives on after its run", live, record(func(r *nightwatch.Run) { r.Phase = nightwatch.PhaseCanceled }), true},
		{"not quite ended", announced, record(func(*nightwatch.Run) {}), false},
		{"earlier attempt, ended", over, record(func(r *nightwatch.Run) { r.Attempt = 3 }), false},
		{"earlier attempt, live", live, record(func(r *nightwatch.Run) { r.Attempt = 3 }), true},
		{"second Job of the attempt", live, record(func(r *nightwatch.Run) { r.Job.UID = "u2" }), true},
		{"record from a backup", live, record(func(r *nightwatch.Run) { r.Attempt = 1; r.Job.UID = "u0" }), false},
	} {
		if why := superfluous(test.job, id, test.run); (why != "") != test.want {
			t.Errorf("%s: %q", test.name, why)
		}
	}
}
