package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// roleGrace is for how long refusals for want of rights are doubted, from the first of them on. See unauthorized.
const roleGrace = 5 * time.Second

// lateCreate is for how long an API server may be at a create that it did not answer: its --request-timeout by default.
// Meanwhile what refuses another one may be the first, which counts against a quota before it is there to be seen.
const lateCreate = time.Minute

// start makes or finds the attempt's Job and puts its uid on record.
func (at *attempt) start() (*batchv1.Job, error) {
	if at.job.UID != "" {
		// The attempt's one Job has been made. Whatever became of it, there will be no other.
		job, err := at.get(at.ctx)
		if errors.Is(err, errGone) {
			return nil, refused{at.gone()}
		}
		if err != nil {
			return nil, err
		}
		return job, at.record(job)
	}
	job, _, err := at.occupy(at.ctx, func(namespace, name string) (*batchv1.Job, error) { return newJob(at.Attempt, namespace, name) })
	if err != nil {
		return nil, err
	}
	// If we die here, the Job runs and the record has its name without its uid: the next owner creates the same name,
	// is told AlreadyExists, knows the Job by its labels and annotations and goes on from here.

	// gofail: var kubernetesAfterCreate struct{}
	return job, at.record(job)
}

// record puts the Job's uid on record. It is called even if it is there: the call frees the task's mutex.
func (at *attempt) record(job *batchv1.Job) error {
	return at.save(func(j *nightwatch.Job) { j.UID = string(job.UID) })
}

// occupy creates the Job that build makes, under the name on record, or finds the attempt's Job there. If the name is
// taken by anything else it does the same with the hashed name. created says that build's Job was made by this call. That
// build makes none is a refusal only if the attempt's Job is not there: the task may have been another one when it was made.
func (at *attempt) occupy(ctx context.Context, build func(namespace, name string) (*batchv1.Job, error)) (job *batchv1.Job, created bool, err error) {
	for {
		want, unfit := build(at.job.Namespace, at.job.Name)
		job, created, err = at.createOrGet(ctx, want)
		switch {
		case err != nil:
			return nil, false, err
		case job == nil:
			return nil, false, refused{jobrunner.Outcome{
				Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonStartRefused, Message: fmt.Sprintf("make Job: %v", unfit),
			}}
		}
		if id, ok := identify(job); created || ok && id == at.id {
			return job, created, nil
		}
		_, task, _ := strings.Cut(at.Record.Task, "/")
		hashed := nightwatch.JobName(at.ClusterID, task, &at.Record, true)
		if at.job.Name == hashed {
			return nil, false, refused{jobrunner.Outcome{
				Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonJobNameTaken,
				Message: fmt.Sprintf("Job %s/%s exists and is not this attempt's, and so does a Job with the task's plain name: delete or rename them",
					at.job.Namespace, at.job.Name),
			}}
		}
		at.log.Info("Job name is taken", "job", at.job.Namespace+"/"+at.job.Name, "instead", hashed)
		// If we die here, nothing of this attempt exists under either name. A process that still holds the old record
		// finds the old name taken, as we did, and cannot record the new one.
		if err := at.save(func(j *nightwatch.Job) { j.Name = hashed }); err != nil {
			return nil, false, err
		}
		// If we die here, the next owner creates the new name.
	}
}

// createOrGet creates the Job, or returns whatever has its name. Where one may be there it looks for that first, and goes on
// only when it is told that there is none. Without a Job to create that is all: nil, if there is none.
func (at *attempt) createOrGet(ctx context.Context, want *batchv1.Job) (job *batchv1.Job, created bool, err error) {
	jobs := at.cluster.client.BatchV1().Jobs(at.job.Namespace)
	var unauthorizedSince time.Time
	// The node's stop does not cut off a create: its answer would be unknown, where a moment later it is on record.
	err = at.retryOn(ctx, at.firm, "create Job", func(ctx context.Context) error {
		mayExist := at.Adopt || !at.unsure.IsZero()
		if mayExist {
			found, err := jobs.Get(ctx, at.job.Name, metav1.GetOptions{})
			switch {
			case err == nil:
				job = found
				return nil
			case !apierrors.IsNotFound(err):
				return unheeded(err) // to give up would leave a Job alone that may be there
			}
		}
		if want == nil {
			return nil
		}
		if at.late() {
			return errLate // what is not there yet is not to be, and what may come finds its name taken: see end
		}
		// Strict: an API server older than a field refuses it then, and does not run a Job without it.
		// gofail: var kubernetesBeforeCreate struct{}
		made, err := jobs.Create(ctx, want, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		if err == nil {
			job, created = made, true
			return nil
		}
		if !answered(err) {
			at.unsure = time.Now()
			return err
		}
		if !final(err) {
			return err
		}
		// The name may be taken though the refusal is about something else: admission comes first, and a quota may be
		// used up by the very Job that is to be adopted.
		found, getErr := jobs.Get(ctx, at.job.Name, metav1.GetOptions{})
		switch {
		case getErr == nil:
			job = found
			return nil
		case apierrors.IsAlreadyExists(err): // and deleted since, or not to be read for the moment
			return passing{getErr}
		case !final(getErr), mayExist && !apierrors.IsNotFound(getErr):
			return unheeded(getErr)
		case !at.unsure.IsZero() && time.Since(at.unsure) < lateCreate:
			return passing{err}
		case unauthorized(err):
			if unauthorizedSince.IsZero() {
				unauthorizedSince = time.Now()
			}
			if time.Since(unauthorizedSince) < roleGrace {
				return passing{err}
			}
		}
		return err
	})
	if final(err) {
		return nil, false, refused{jobrunner.Outcome{
			Phase: nightwatch.PhaseFailed, Reason: nightwatch.ReasonStartRefused,
			Message: fmt.Sprintf("create Job %s/%s: %v", at.job.Namespace, at.job.Name, err),
		}}
	}
	return job, created, err
}
