package kubernetes

import (
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// view is what is known of the Jobs of this nightwatch cluster. It may lag behind; it says when to look, never what is.
type view struct {
	mu      sync.Mutex
	jobs    map[types.NamespacedName]*batchv1.Job
	runs    map[jobrunner.RunName]map[types.NamespacedName]bool
	waiting map[types.NamespacedName]map[chan struct{}]bool

	listed bool      // completely, at least once
	heard  time.Time // when the API server last said anything
	err    error     // of the latest list or watch; nil once it has answered again
}

func newView() *view {
	return &view{
		jobs:    map[types.NamespacedName]*batchv1.Job{},
		runs:    map[jobrunner.RunName]map[types.NamespacedName]bool{},
		waiting: map[types.NamespacedName]map[chan struct{}]bool{},
	}
}

// get is the Job as it was last seen, or nil. It must not be changed.
func (v *view) get(key types.NamespacedName) *batchv1.Job {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.jobs[key]
}

// all is every Job.
func (v *view) all() []*batchv1.Job {
	v.mu.Lock()
	defer v.mu.Unlock()
	jobs := make([]*batchv1.Job, 0, len(v.jobs))
	for _, job := range v.jobs {
		jobs = append(jobs, job)
	}
	return jobs
}

// of is every Job of a run.
func (v *view) of(run jobrunner.RunName) []*batchv1.Job {
	v.mu.Lock()
	defer v.mu.Unlock()
	var jobs []*batchv1.Job
	for key := range v.runs[run] {
		jobs = append(jobs, v.jobs[key])
	}
	return jobs
}

// subscribe makes wake receive after each change of the Job of that name, until forget is called. Changes that come
// quickly one after the other may wake once.
func (v *view) subscribe(key types.NamespacedName) (wake <-chan struct{}, forget func()) {
	c := make(chan struct{}, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waiting[key] == nil {
		v.waiting[key] = map[chan struct{}]bool{}
	}
	v.waiting[key][c] = true
	return c, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if delete(v.waiting[key], c); len(v.waiting[key]) == 0 {
			delete(v.waiting, key)
		}
	}
}

// put takes a Job that was seen, stripped already.
func (v *view) put(job *batchv1.Job) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.putLocked(job)
}

func (v *view) putLocked(job *batchv1.Job) {
	key := types.NamespacedName{Namespace: job.Namespace, Name: job.Name}
	v.removeLocked(key)
	v.jobs[key] = job
	if id, ok := identify(job); ok {
		if v.runs[id.name()] == nil {
			v.runs[id.name()] = map[types.NamespacedName]bool{}
		}
		v.runs[id.name()][key] = true
	}
}

// remove forgets a Job that was seen to be deleted.
func (v *view) remove(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.removeLocked(key)
}

func (v *view) removeLocked(key types.NamespacedName) {
	for c := range v.waiting[key] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	old := v.jobs[key]
	if old == nil {
		return
	}
	delete(v.jobs, key)
	if id, ok := identify(old); ok {
		if delete(v.runs[id.name()], key); len(v.runs[id.name()]) == 0 {
			delete(v.runs, id.name())
		}
	}
}

// replace takes a complete list.
func (v *view) replace(jobs map[types.NamespacedName]*batchv1.Job, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key := range v.jobs {
		if jobs[key] == nil {
			v.removeLocked(key)
		}
	}
	for key, job := range jobs {
		if old := v.jobs[key]; old == nil || old.UID != job.UID || old.ResourceVersion != job.ResourceVersion {
			v.putLocked(job)
		}
	}
	v.listed, v.heard, v.err = true, now, nil
}

// hear notes that the API server has answered.
func (v *view) hear(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard, v.err = now, nil
}

// fail notes that it has not.
func (v *view) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

// answers tells whether the API server has said anything lately, a refusal included.
func (v *view) answers(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err == nil || final(v.err) || now.Sub(v.heard) <= errorGrace
}

// len is how many Jobs there are.
func (v *view) len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.jobs)
}

const (
	// silence is how long a watch may say nothing. The API server sends a bookmark about once a minute.
	silence = 150 * time.Second
	// errorGrace is for how long errors are no reason to call the view stale.
	errorGrace = 10 * time.Second
)

// fresh is nil if the view is complete and not older than it may be.
func (v *view) fresh(now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := now.Sub(v.heard)
	switch {
	case !v.listed && v.err != nil:
		return v.err
	case !v.listed:
		return errors.New("not listed yet")
	case v.err != nil && age > errorGrace:
		return fmt.Errorf("nothing heard for %s: %w", age.Round(time.Second), v.err)
	case age > silence+errorGrace:
		return fmt.Errorf("nothing heard for %s", age.Round(time.Second))
	}
	return nil
}

// strip keeps of a Job what this package reads.
func strip(job *batchv1.Job) *batchv1.Job {
	out := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name, UID: job.UID, ResourceVersion: job.ResourceVersion,
			DeletionTimestamp: job.DeletionTimestamp,
			Labels:            map[string]string{LabelClusterID: job.Labels[LabelClusterID]},
			Annotations:       map[string]string{},
		},
		Spec: batchv1.JobSpec{TTLSecondsAfterFinished: job.Spec.TTLSecondsAfterFinished},
		Status: batchv1.JobStatus{
			Conditions: job.Status.Conditions, Active: job.Status.Active, Ready: job.Status.Ready,
			Succeeded: job.Status.Succeeded, Failed: job.Status.Failed, StartTime: job.Status.StartTime,
			CompletedIndexes: job.Status.CompletedIndexes, FailedIndexes: job.Status.FailedIndexes,
		},
	}
	for _, key := range []string{
		AnnotationTask, AnnotationTaskUID, AnnotationRun, AnnotationAttempt, AnnotationNode, AnnotationFence, AnnotationKeepUntil,
	} {
		if value, ok := job.Annotations[key]; ok {
			out.Annotations[key] = value
		}
	}
	return out
}
