package kubernetes

import (
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// An attempt whose Job is not in the view is looked for by GET: soon at first, as the watch lags behind a create by
// little, then ever more seldom.
const (
	lookFirst = time.Second
	lookLast  = 30 * time.Second
)

// follow waits until the Job has ended and reports how.
func (at *attempt) follow(job *batchv1.Job) (jobrunner.Outcome, error) {
	wake, forget := at.subscribe()
	defer forget()
	podWake, forgetPods := at.cluster.ended.follow(job.UID)
	defer forgetPods()
	waits, parts := waiting{at: at}, shards{at: at}
	seen := func() *batchv1.Job {
		if seen := at.cluster.jobs.get(key(at.job)); seen != nil && seen.UID == job.UID {
			return seen
		}
		return nil
	}
	look := lookFirst
	for {
		if condition := finished(job); condition != nil {
			return at.outcome(job, condition, podWake)
		}
		now := seen()
		if now == nil && look > 0 {
			if err := at.pause(at.ctx, look, wake); err != nil {
				return jobrunner.Outcome{}, err
			}
			now = seen()
		}
		if now != nil {
			if finished(now) == nil {
				// The view is listed anew from time to time: what a watch has missed shows then.
				rest, err := waits.look(now)
				if err != nil {
					return jobrunner.Outcome{}, err
				}
				most, err := parts.tell(now, false)
				if err != nil {
					return jobrunner.Outcome{}, err
				}
				if err := at.pause(at.ctx, min(rest, most), wake); err != nil {
					return jobrunner.Outcome{}, err
				}
				look = 0 // should it be missing now, it is because it has been there
			} else {
				job = now
			}
			continue
		}
		// That it is not in the view proves nothing.
		look = min(max(2*look, lookFirst), lookLast)
		now, err := at.get(at.ctx)
		if errors.Is(err, errGone) {
			return at.gone(), nil
		}
		if err != nil {
			return jobrunner.Outcome{}, err
		}
		job = now
	}
}

// finished is the condition that ended the Job, nil while it has not. FailureTarget and SuccessCriteriaMet are only
// announcements: pods may still run.
func finished(job *batchv1.Job) *batchv1.JobCondition {
	return condition(job, batchv1.JobComplete, batchv1.JobFailed)
}

// condition is the first that holds of the Job's conditions of these types, or nil.
func condition(job *batchv1.Job, types ...batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Status == corev1.ConditionTrue && slices.Contains(types, c.Type) {
			return c
		}
	}
	return nil
}

// gone is the end of an attempt whose Job somebody has deleted.
func (at *attempt) gone() jobrunner.Outcome {
	return jobrunner.Outcome{
		Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonJobGone,
		Message: fmt.Sprintf("Job %s/%s (uid %s) was deleted before it had ended, and not by nightwatch", at.job.Namespace, at.job.Name, at.job.UID),
	}
}
