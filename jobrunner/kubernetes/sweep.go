package kubernetes

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// sweeper deletes Jobs that nothing needs any more. It is woken by the deletion of run records, and looks through all
// Jobs on a timer for what was missed: each Job soon after it was first seen, then ever more seldom while its record is
// there, so that the reads stay few however many Jobs there are.
type sweeper struct {
	cluster *cluster
	env     jobrunner.Env
	log     hclog.Logger
	gone    chan jobrunner.RunName
	checks  map[types.UID]*check
}

// check is when a Job's record is read next, and the time between the last read and that one.
type check struct {
	due time.Time
	gap time.Duration
}

// checkLast is the longest time between two reads of a Job's record.
const checkLast = time.Hour

func newSweeper(c *cluster, env jobrunner.Env) *sweeper {
	return &sweeper{cluster: c, env: env, log: c.log, gone: make(chan jobrunner.RunName, 64), checks: map[types.UID]*check{}}
}

// tell passes on that a run's record was deleted. Should too many come at once, the timer finds the rest.
func (s *sweeper) tell(run jobrunner.RunName) {
	select {
	case s.gone <- run:
	default:
	}
}

func (s *sweeper) run(ctx context.Context) {
	if s.env.Lookup == nil {
		return
	}
	timer := time.NewTimer(jittered(s.cluster.config.Sweep))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case run := <-s.gone:
			for _, job := range s.cluster.jobs.of(run) {
				// Its node does it now; should that node be gone, or not manage, whoever's timer comes first.
				if job.Annotations[AnnotationNode] != s.env.Node || !s.sweep(ctx, job) {
					s.checks[job.UID] = &check{gap: s.cluster.config.Sweep}
				}
			}
		case <-timer.C:
			s.pass(ctx, time.Now())
			timer.Reset(jittered(s.cluster.config.Sweep))
		}
	}
}

// pass looks at all Jobs whose time has come.
func (s *sweeper) pass(ctx context.Context, now time.Time) {
	jobs := s.cluster.jobs.all()
	there := make(map[types.UID]bool, len(jobs))
	for _, job := range jobs {
		there[job.UID] = true
		c := s.checks[job.UID]
		if c == nil {
			c = &check{due: now, gap: s.cluster.config.Sweep}
			s.checks[job.UID] = c
		}
		if now.Before(c.due) || ctx.Err() != nil {
			continue
		}
		if s.sweep(ctx, job) {
			c.due, c.gap = now.Add(jittered(c.gap)), min(2*c.gap, checkLast)
		}
	}
	for uid := range s.checks {
		if !there[uid] {
			delete(s.checks, uid)
		}
	}
}

// sweep deletes a Job if nothing needs it. It returns false if it could not find out, or could not delete it.
func (s *sweeper) sweep(ctx context.Context, job *batchv1.Job) bool {
	id, ok := identify(job)
	if !ok || id.clusterID != s.env.ClusterID || job.DeletionTimestamp != nil {
		return true
	}
	if kept(job, time.Now()) {
		return false // its time comes between two checks
	}
	// The Job was seen before this read begins. Its record was made before it and is never made again, so that no record
	// now means no record ever.
	ctx, cancel := context.WithTimeout(ctx, s.cluster.config.RequestTimeout)
	defer cancel()
	run, err := s.env.Lookup(ctx, id.task, id.run)
	if errors.Is(err, nightwatch.ErrNotFound) {
		run, err = nil, nil
	}
	if err != nil {
		s.log.Debug("run not read", "task", id.task, "run", id.run, "error", err)
		return false
	}
	why := superfluous(job, id, run)
	if why == "" {
		return true
	}
	if ahead, err := s.ahead(ctx, job); ahead || err != nil {
		s.log.Debug("Job left alone", "job", job.Namespace+"/"+job.Name, "ahead", ahead, "error", err)
		return false
	}
	// If another Job has this name by now, it is not the one that was judged.
	options := metav1.DeleteOptions{
		PropagationPolicy: ptr.To(metav1.DeletePropagationBackground), Preconditions: &metav1.Preconditions{UID: ptr.To(job.UID)},
	}
	if finished(job) == nil {
		options.PropagationPolicy = ptr.To(metav1.DeletePropagationForeground)
	}
	if run != nil && run.TaskUID == id.taskUID {
		// Nor may it have changed since: it lived when it was seen, and may have ended, and its run with it, before the
		// record was read. Then it stays as long as the record does.
		options.Preconditions.ResourceVersion = ptr.To(job.ResourceVersion)
	}
	err = s.cluster.client.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, options)
	switch {
	case err == nil:
		s.log.Info("Job removed", "job", job.Namespace+"/"+job.Name, "task", id.task, "run", id.run, "why", why)
		return true
	case apierrors.IsNotFound(err):
		return true
	case !apierrors.IsConflict(err):
		s.log.Warn("Job not removed", "job", job.Namespace+"/"+job.Name, "why", why, "error", err)
	}
	return false
}

// ahead tells whether a Job was claimed at a revision that etcd has yet to reach: it was restored from a backup, and that the
// Job has no record, or another one, says nothing. If its occurrence is caught up with, the new run adopts it.
func (s *sweeper) ahead(ctx context.Context, job *batchv1.Job) (bool, error) {
	fence, err := strconv.ParseInt(job.Annotations[AnnotationFence], 10, 64)
	if err != nil || s.env.Revision == nil {
		return false, nil //nolint:nilerr // no number: a tombstone, or somebody else's doing
	}
	revision, err := s.env.Revision(ctx)
	return err == nil && fence > revision, err
}

// superfluous says why a Job that was seen before its run was read is not needed any more, or "" if it may be. run is nil
// when there is no record.
func superfluous(job *batchv1.Job, id identity, run *nightwatch.Run) string {
	switch {
	case finished(job) != nil && job.Spec.TTLSecondsAfterFinished != nil:
		return "" // its task leaves it to Kubernetes
	case run == nil:
		return "its run has no record"
	case run.TaskUID != id.taskUID:
		return "it is of another life of the task"
	case finished(job) != nil:
		return "" // goes with its record
	case run.Phase.Terminal():
		return "its run has ended"
	case run.Attempt > id.attempt:
		return "its attempt is over"
	case run.Attempt == id.attempt && run.Job != nil && run.Job.UID != "" && run.Job.UID != string(job.UID):
		return "its attempt has another Job"
	}
	return ""
}
