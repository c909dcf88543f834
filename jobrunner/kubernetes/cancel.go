package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// endPoll is how often a Job that is ending is looked at when nothing is heard of it.
const endPoll = 2 * time.Second

// end carries out the wish that the attempt end, or that it never begin, and returns when that is so.
func (at *attempt) end() (jobrunner.Outcome, error) {
	at.startBy = time.Time{}
	if !at.Adopt && at.job.UID == "" && at.unsure.IsZero() {
		// This node is the first that may create the Job, and has not tried.
		return at.stopped(), nil
	}
	if err := at.locate(at.work); err != nil {
		return jobrunner.Outcome{}, err
	}
	// Deleted, the Job would make room for a create that is still on its way.
	if at.Adopt || !at.unsure.IsZero() || at.job.UID == "" {
		return at.suspend()
	}
	return at.remove()
}

// remove deletes the Job and waits until it is gone with its pods.
func (at *attempt) remove() (jobrunner.Outcome, error) {
	wake, forget := at.subscribe()
	defer forget()
	for {
		job, err := at.get(at.work)
		if errors.Is(err, errGone) {
			return at.stopped(), nil
		}
		if err != nil {
			return jobrunner.Outcome{}, err
		}
		if job.DeletionTimestamp == nil {
			if condition := finished(job); condition != nil {
				return at.outcome(job, condition, nil)
			}
			// If we die after this, the record still has the uid: the next owner waits, as we do, until that is gone.
			err := at.retry(at.work, "delete Job", func(ctx context.Context) error {
				err := at.cluster.client.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{
					PropagationPolicy: ptr.To(metav1.DeletePropagationForeground),
					// Of the version that was seen: one that has ended since is to be reported as it ended.
					Preconditions: &metav1.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion},
				})
				return settled(err)
			})
			if err != nil {
				return jobrunner.Outcome{}, err
			}
			continue
		}
		if err := at.pause(at.work, endPoll, wake); err != nil {
			return jobrunner.Outcome{}, err
		}
	}
}

// suspend makes sure that nothing of the attempt runs or ever will, by a Job of its name that is suspended, and deletes
// nothing: a create that is still under way, in a frozen process or on the wire, must find the name taken.
func (at *attempt) suspend() (jobrunner.Outcome, error) {
	keepUntil := time.Now().Add(at.runner.config.Keep)
	if at.job.UID == "" {
		job, created, err := at.occupy(at.work, func(namespace, name string) (*batchv1.Job, error) {
			return newTombstone(at.Attempt, namespace, name, keepUntil), nil
		})
		if errors.As(err, new(refused)) {
			// There is no Job of this attempt, and what refuses this one refuses that as well: a name that is taken, a
			// namespace that is missing, a quota, a policy. Should that change, or the task be another one than when the
			// create was sent, the sweep ends what is let in.
			return at.stopped(), nil
		}
		if err != nil {
			return jobrunner.Outcome{}, err
		}
		// If we die here, the next owner finds the tombstone under the name on record and takes it for its own.
		if err := at.record(job); err != nil {
			return jobrunner.Outcome{}, err
		}
		if created {
			return at.stopped(), nil
		}
	}
	return at.quiet(keepUntil)
}

// quiet suspends the Job that is there and waits until it has no pods.
func (at *attempt) quiet(keepUntil time.Time) (jobrunner.Outcome, error) {
	wake, forget := at.subscribe()
	defer forget()
	for {
		job, err := at.get(at.work)
		if errors.Is(err, errGone) {
			// Its uid is on record, so nobody creates it again.
			return at.stopped(), nil
		}
		if err != nil {
			return jobrunner.Outcome{}, err
		}
		if condition := finished(job); condition != nil {
			return at.outcome(job, condition, nil)
		}
		_, keeps := job.Annotations[AnnotationKeepUntil]
		switch {
		case !keeps || !ptr.Deref(job.Spec.Suspend, false):
			if err := at.patch(job, keepUntil); err != nil {
				return jobrunner.Outcome{}, err
			}
			continue
		case atRest(job):
			return at.stopped(), nil
		}
		if err := at.pause(at.work, endPoll, wake); err != nil {
			return jobrunner.Outcome{}, err
		}
	}
}

// patch suspends the version of the Job that was seen; if it has changed since, nothing happens.
func (at *attempt) patch(job *batchv1.Job, keepUntil time.Time) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid": job.UID, "resourceVersion": job.ResourceVersion,
			"annotations": map[string]string{AnnotationKeepUntil: keepUntil.UTC().Format(time.RFC3339)},
		},
		"spec": map[string]any{"suspend": true},
	})
	if err != nil {
		return err
	}
	return at.retry(at.work, "suspend Job", func(ctx context.Context) error {
		_, err := at.cluster.client.BatchV1().Jobs(job.Namespace).Patch(ctx, job.Name, types.MergePatchType, body, metav1.PatchOptions{})
		return settled(err)
	})
}

// settled is nil if a conditional change was made or has become pointless, which reading the Job anew will show. What is
// refused for good is asked for again all the same: as long as the Job lives, the attempt has not ended.
func settled(err error) error {
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil
	}
	return unheeded(err)
}

// atRest tells whether the Job controller has seen that the Job is suspended and has ended all of its pods. Zero pods
// alone would not do: the controller may not have seen the change yet, and be about to create one.
func atRest(job *batchv1.Job) bool {
	if job.Status.Active != 0 || ptr.Deref(job.Status.Terminating, 0) != 0 {
		return false
	}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobSuspended {
			return c.Status == "True"
		}
	}
	return false
}

func (at *attempt) subscribe() (wake <-chan struct{}, forget func()) {
	return at.cluster.jobs.subscribe(key(at.job))
}

func key(job nightwatch.Job) types.NamespacedName {
	return types.NamespacedName{Namespace: job.Namespace, Name: job.Name}
}
