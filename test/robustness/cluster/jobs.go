package cluster

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	batch "k8s.io/client-go/kubernetes/typed/batch/v1"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// What nightwatch says of a Job, in its annotations.
const (
	annotationTask    = "nightwatch.dev/task"
	annotationTaskUID = "nightwatch.dev/task-uid"
	annotationRun     = "nightwatch.dev/run"
	annotationAttempt = "nightwatch.dev/attempt"
)

// WatchJobs records what becomes of the Jobs in a namespace, which has none yet, as long as the test lasts.
func (c *Cluster) WatchJobs(client kubernetes.Interface, namespace string) {
	c.t.Helper()
	jobs := client.BatchV1().Jobs(namespace)
	ctx, cancel := context.WithCancel(c.stopped)
	var recorded sync.WaitGroup
	recorded.Go(func() { c.recordJobs(ctx, jobs) })
	c.t.Cleanup(func() {
		cancel()
		recorded.Wait()
	})
	c.listJobs = func(ctx context.Context) error {
		_, err := c.sawJobs(ctx, jobs)
		return err
	}
}

// recordJobs follows Jobs. A watch ends with its API server, and after some time by itself.
func (c *Cluster) recordJobs(ctx context.Context, jobs batch.JobInterface) {
	for ctx.Err() == nil {
		c.watchJobs(ctx, jobs)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (c *Cluster) watchJobs(ctx context.Context, jobs batch.JobInterface) {
	since, err := c.sawJobs(ctx, jobs)
	if err != nil {
		return
	}
	events, err := jobs.Watch(ctx, metav1.ListOptions{ResourceVersion: since})
	if err != nil {
		return
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		if job, ok := e.Object.(*batchv1.Job); ok {
			c.sawJob(job, e.Type == watch.Deleted, false)
		}
	}
}

// sawJobs records what is new of all Jobs that are there.
func (c *Cluster) sawJobs(ctx context.Context, jobs batch.JobInterface) (resourceVersion string, err error) {
	c.mu.Lock()
	gone, heard := maps.Clone(c.jobsThere), c.jobsHeard
	c.mu.Unlock()
	list, err := jobs.List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for i := range list.Items {
		c.sawJob(&list.Items[i], false, true)
		delete(gone, string(list.Items[i].UID))
	}
	c.jobsGone(gone, heard)
	return list.ResourceVersion, nil
}

// sawJob records what is new of a Job. What a list tells of may be old: the API server says when it was, in whole seconds.
func (c *Cluster) sawJob(job *batchv1.Job, deleted, listed bool) {
	taskUID, _ := strconv.ParseInt(job.Annotations[annotationTaskUID], 10, 64) // a Job of somebody else has none
	attempt, _ := strconv.Atoi(job.Annotations[annotationAttempt])
	event := checker.JobEvent{
		Namespace: job.Namespace, Name: job.Name, UID: string(job.UID), Task: job.Annotations[annotationTask], TaskUID: taskUID,
		Run: job.Annotations[annotationRun], Attempt: attempt, Suspended: job.Spec.Suspend != nil && *job.Spec.Suspend,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tell := func(what string, at time.Time) {
		if seen := event.UID + what; !c.jobsSeen[seen] {
			c.jobsSeen[seen] = true
			event.Event, event.Time = what, time.Now()
			if listed && event.Time.Sub(at) > 2*time.Second {
				event.Time = at
			}
			c.jobs = append(c.jobs, event)
		}
	}
	tell(checker.JobCreated, job.CreationTimestamp.Time)
	if c.jobsHeard = time.Now(); !c.jobsSeen[event.UID+checker.JobDeleted] {
		c.jobsThere[event.UID] = event
	}
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			event.Succeeded = condition.Type == batchv1.JobComplete
			tell(checker.JobFinished, condition.LastTransitionTime.Time)
		}
	}
	if deleted {
		tell(checker.JobDeleted, time.Time{})
		delete(c.jobsThere, event.UID)
	}
}

// jobsGone records what went while nobody watched: after Jobs were last heard of.
func (c *Cluster) jobsGone(gone map[string]checker.JobEvent, heard time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, event := range gone {
		if seen := uid + checker.JobDeleted; !c.jobsSeen[seen] {
			c.jobsSeen[seen] = true
			event.Event, event.Time = checker.JobDeleted, heard
			c.jobs = append(c.jobs, event)
		}
		delete(c.jobsThere, uid)
	}
}

// Jobs are those seen so far, by when they were created.
func (c *Cluster) Jobs() []checker.JobEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	var created []checker.JobEvent
	for _, e := range c.jobs {
		if e.Event == checker.JobCreated {
			created = append(created, e)
		}
	}
	return created
}
