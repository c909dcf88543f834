package cluster

import (
	"context"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

// What nightwatch says of a Job, in its annotations.
const (
	annotationTask    = "nightwatch.dev/task"
	annotationTaskUID = "nightwatch.dev/task-uid"
	annotationRun     = "nightwatch.dev/run"
	annotationAttempt = "nightwatch.dev/attempt"
)

// WatchJobs records what becomes of the Jobs in a namespace, which has none yet.
func (c *Cluster) WatchJobs(client kubernetes.Interface, namespace string) {
	c.t.Helper()
	jobs := client.BatchV1().Jobs(namespace)
	before, err := jobs.List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	events, err := jobs.Watch(c.stopped, metav1.ListOptions{ResourceVersion: before.ResourceVersion})
	if err != nil {
		c.t.Fatal(err)
	}
	var recorded sync.WaitGroup
	recorded.Go(func() {
		for e := range events.ResultChan() {
			if job, ok := e.Object.(*batchv1.Job); ok {
				c.sawJob(job, e.Type == watch.Deleted)
			}
		}
	})
	c.t.Cleanup(func() {
		events.Stop()
		recorded.Wait()
	})
	c.listJobs = func(ctx context.Context) error {
		list, err := jobs.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			c.sawJob(&list.Items[i], false)
		}
		return nil
	}
}

// sawJob records what is new of a Job.
func (c *Cluster) sawJob(job *batchv1.Job, deleted bool) {
	taskUID, _ := strconv.ParseInt(job.Annotations[annotationTaskUID], 10, 64) // a Job of somebody else has none
	attempt, _ := strconv.Atoi(job.Annotations[annotationAttempt])
	event := checker.JobEvent{
		Namespace: job.Namespace, Name: job.Name, UID: string(job.UID), Task: job.Annotations[annotationTask], TaskUID: taskUID,
		Run: job.Annotations[annotationRun], Attempt: attempt, Time: time.Now(),
		Suspended: job.Spec.Suspend != nil && *job.Spec.Suspend,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tell := func(what string) {
		if seen := event.UID + what; !c.jobsSeen[seen] {
			c.jobsSeen[seen] = true
			event.Event = what
			c.jobs = append(c.jobs, event)
		}
	}
	tell(checker.JobCreated)
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			event.Succeeded = condition.Type == batchv1.JobComplete
			tell(checker.JobFinished)
		}
	}
	if deleted {
		tell(checker.JobDeleted)
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
