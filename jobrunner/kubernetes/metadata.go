package kubernetes

import (
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Prefix is that of every label and annotation that nightwatch writes, but for LabelManagedBy.
const Prefix = nightwatch.KubernetesPrefix

// Labels of Jobs and their pods. LabelRun is left out if the run's id cannot be the value of a label.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by" // "nightwatch"
	LabelClusterID = Prefix + "cluster-id"
	LabelNamespace = Prefix + "namespace" // the task's
	LabelTask      = Prefix + "task"      // without its namespace
	LabelRun       = Prefix + "run"
)

// Annotations of Jobs and their pods.
const (
	AnnotationTask           = Prefix + "task" // <namespace>/<task>
	AnnotationTaskUID        = Prefix + "task-uid"
	AnnotationRun            = Prefix + "run"
	AnnotationAttempt        = Prefix + "attempt"
	AnnotationNode           = Prefix + "node" // the node that created the Job
	AnnotationNominalTime    = Prefix + "nominal-time"
	AnnotationFence          = Prefix + "fence"
	AnnotationIdempotencyKey = Prefix + "idempotency-key"
	AnnotationOwner          = Prefix + "owner"
	AnnotationDescription    = Prefix + "description"
	// AnnotationKeepUntil, on Jobs only, is the time (RFC 3339) before which a tombstone is not swept.
	AnnotationKeepUntil = Prefix + "keep-until"
)

// reserved are the keys that a user's labels and annotations cannot take, whether or not they are set.
var reserved = map[string]bool{
	LabelClusterID: true, LabelNamespace: true, AnnotationTask: true, AnnotationTaskUID: true, AnnotationRun: true,
	AnnotationAttempt: true, AnnotationNode: true, AnnotationNominalTime: true, AnnotationFence: true,
	AnnotationIdempotencyKey: true, AnnotationOwner: true, AnnotationDescription: true, AnnotationKeepUntil: true,
}

// keyName and labelValue are what Kubernetes accepts after a key's prefix and as a label's value.
var (
	keyName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`)
)

// labelsOf are those of a Job and of its pods.
func labelsOf(a *jobrunner.Attempt) map[string]string {
	m := prefixed(a.Task.Labels, func(value string) bool { return labelValue.MatchString(value) })
	m[LabelManagedBy] = "nightwatch"
	m[LabelClusterID] = a.ClusterID
	m[LabelNamespace], m[LabelTask], _ = strings.Cut(a.Record.Task, "/")
	if labelValue.MatchString(a.Record.ID) {
		m[LabelRun] = a.Record.ID
	}
	return m
}

// annotationsOf are those of a Job and of its pods.
func annotationsOf(a *jobrunner.Attempt) map[string]string {
	m := prefixed(a.Task.Annotations, func(string) bool { return true })
	m[AnnotationTask] = a.Record.Task
	m[AnnotationTaskUID] = strconv.FormatInt(a.Record.TaskUID, 10)
	m[AnnotationRun] = a.Record.ID
	m[AnnotationAttempt] = strconv.Itoa(a.Record.Attempt)
	m[AnnotationNode] = a.Record.Node
	m[AnnotationFence] = strconv.FormatInt(a.Run.Fence, 10)
	m[AnnotationIdempotencyKey] = a.Record.IdempotencyKey(a.ClusterID)
	if !a.Record.NominalTime.IsZero() {
		m[AnnotationNominalTime] = a.Record.NominalTime.UTC().Format(time.RFC3339Nano)
	}
	if a.Task.Owner != "" {
		m[AnnotationOwner] = a.Task.Owner
	}
	if a.Task.Description != "" {
		m[AnnotationDescription] = a.Task.Description
	}
	return m
}

// prefixed puts a user's keys under our prefix: "team" becomes "nightwatch.dev/team", and "example.com/team", as a key
// has one '/' only, "nightwatch.dev/example.com_team". Keys that are ours and those that Kubernetes would refuse are left
// out: they are no reason not to run the task.
func prefixed(user map[string]string, valid func(string) bool) map[string]string {
	m := make(map[string]string, len(user)+12)
	for key, value := range user {
		name := strings.ReplaceAll(key, "/", "_")
		if keyName.MatchString(name) && !reserved[Prefix+name] && valid(value) {
			m[Prefix+name] = value
		}
	}
	return m
}

// identity says which attempt of which run a Job belongs to.
type identity struct {
	clusterID string
	task      string // <namespace>/<task>
	taskUID   int64
	run       string
	attempt   int
}

func (id identity) name() jobrunner.RunName { return jobrunner.RunName{Task: id.task, Run: id.run} }

func identityOf(run *nightwatch.Run, clusterID string) identity {
	return identity{clusterID: clusterID, task: run.Task, taskUID: run.TaskUID, run: run.ID, attempt: run.Attempt}
}

// identify reads the identity off a Job; ok is false when it has none.
func identify(job *batchv1.Job) (id identity, ok bool) {
	id.clusterID = job.Labels[LabelClusterID]
	id.task, id.run = job.Annotations[AnnotationTask], job.Annotations[AnnotationRun]
	var err, err2 error
	id.taskUID, err = strconv.ParseInt(job.Annotations[AnnotationTaskUID], 10, 64)
	id.attempt, err2 = strconv.Atoi(job.Annotations[AnnotationAttempt])
	_, _, nameErr := nightwatch.ParseTaskName(id.task)
	ok = err == nil && err2 == nil && nameErr == nil && id.clusterID != "" && nightwatch.ValidRunID(id.run)
	return id, ok
}

// withKeep is annotations with the time until which a tombstone is kept.
func withKeep(annotations map[string]string, until time.Time) map[string]string {
	m := maps.Clone(annotations)
	m[AnnotationKeepUntil] = until.UTC().Format(time.RFC3339)
	return m
}

// kept tells whether a Job is a tombstone that must stay yet.
func kept(job *batchv1.Job, now time.Time) bool {
	text, ok := job.Annotations[AnnotationKeepUntil]
	if !ok {
		return false
	}
	until, err := time.Parse(time.RFC3339, text)
	return err != nil || now.Before(until) // what cannot be read is not ours to remove
}
