package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Prepare fixes the namespace and name of the attempt's Job, and its cluster when that is known. A record that names
// a Job of this attempt already, because a session before had claimed it, is left as it is.
func (r *Runner) Prepare(run *nightwatch.Run, clusterID string) {
	namespace, task, _ := strings.Cut(run.Task, "/")
	name := nightwatch.JobName(clusterID, task, run, false)
	if run.Job != nil && (run.Job.Name == name || run.Job.Name == nightwatch.JobName(clusterID, task, run, true)) {
		return
	}
	run.Job = &nightwatch.Job{Cluster: r.cluster(&nightwatch.Run{Cluster: run.Cluster}).known(), Namespace: namespace, Name: name}
}

// maxJob bounds what is sent to the API server in one Job, whose store refuses more than 1.5 MiB. A task and a request
// are bounded by themselves, but each container is told the params.
const maxJob = 1 << 20

// newJob is the Job of an attempt, under the name on record: the task's template, what its short form lays over it, and
// what the system says.
func newJob(a *jobrunner.Attempt, namespace, name string) (*batchv1.Job, error) {
	spec := a.Task.KubernetesJob()
	template, err := merge(&spec)
	if err != nil {
		return nil, err
	}
	withDefaults(&template.Spec, a.Task.Delivery == nightwatch.AtMostOnce)
	if timeout := time.Duration(a.Task.Timeout); timeout > 0 {
		seconds := int64((timeout + time.Second - 1) / time.Second)
		template.Spec.ActiveDeadlineSeconds = ptr.To(min(seconds, ptr.Deref(template.Spec.ActiveDeadlineSeconds, seconds)))
	}
	if indexed(a) {
		index(&template.Spec, a.Record.Shards.Count, a.Task.Retry)
		tell(&template.Spec.Template.Spec, a.Run, shardVariables(a.Task.ShardParams)...)
	} else {
		tell(&template.Spec.Template.Spec, a.Run, alone(a.Record.Shard, a.Task.ShardParams)...)
	}
	job := &batchv1.Job{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	job.Namespace, job.Name = namespace, name
	job.Spec.Template.Namespace = ""
	labels, annotations := labelsOf(a), annotationsOf(a)
	for _, meta := range []*metav1.ObjectMeta{&job.ObjectMeta, &job.Spec.Template.ObjectMeta} {
		meta.Labels, meta.Annotations = over(meta.Labels, labels), over(meta.Annotations, annotations)
	}
	if size := job.Size(); size > maxJob {
		return nil, fmt.Errorf("%d bytes: want at most %d; every container is told the params", size, maxJob)
	}
	return job, nil
}

// withDefaults says what the task has not.
func withDefaults(spec *batchv1.JobSpec, atMostOnce bool) {
	pod := &spec.Template.Spec
	if pod.RestartPolicy == "" {
		pod.RestartPolicy = corev1.RestartPolicyNever
	}
	// Whether another try follows is for the run to say, which counts and records its attempts. A limit for each index
	// wants none for all.
	if spec.BackoffLimit == nil && spec.BackoffLimitPerIndex == nil {
		spec.BackoffLimit = ptr.To[int32](0)
	}
	// A pod that was told to go may run on for its grace period: the next one waits for its end.
	if spec.PodReplacementPolicy == nil {
		spec.PodReplacementPolicy = ptr.To(batchv1.Failed)
	}
	// Losing a machine is not the task's failure; but what replaces the pod starts the program again, and Kubernetes has
	// such a policy only where pods are not started again by other ways.
	if spec.PodFailurePolicy == nil && !atMostOnce &&
		pod.RestartPolicy == corev1.RestartPolicyNever && *spec.PodReplacementPolicy == batchv1.Failed {
		spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
				{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
			},
		}}}
	}
}

// newTombstone is the Job of an attempt that is never to run: the one that it would have, so that whoever looks at Jobs
// before they are made lets both in or neither, but suspended, and without pods should somebody resume it. If no such Job can
// be made it has what makes it known as the attempt's, and nothing of what the task would run.
func newTombstone(a *jobrunner.Attempt, namespace, name string, keepUntil time.Time) *batchv1.Job {
	job, err := newJob(a, namespace, name)
	if err != nil {
		job = &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labelsOf(a), Annotations: annotationsOf(a)}}
		job.Spec.Template.Spec.Containers = []corev1.Container{{Name: nightwatch.MainContainer, Image: noImage}}
		withDefaults(&job.Spec, true)
	}
	job.Finalizers, job.Annotations = nil, withKeep(job.Annotations, keepUntil)
	job.Spec.Suspend, job.Spec.Parallelism = ptr.To(true), ptr.To[int32](0)
	return job
}

// tell puts what the attempt is told before the variables of every container, so that a value of the user's can refer to
// it as $(NIGHTWATCH_RUN). Of each name ours counts.
func tell(pod *corev1.PodSpec, run jobrunner.Run, more ...corev1.EnvVar) {
	told := more
	ours := map[string]bool{}
	for _, variable := range more {
		ours[variable.Name] = true
	}
	for _, line := range run.Environment() {
		name, value, _ := strings.Cut(line, "=")
		ours[name] = true
		// Kubernetes expands $(NAME) in values; what we tell is to arrive as it is.
		told = append(told, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(value, "$", "$$")})
	}
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			user := slices.DeleteFunc(containers[i].Env, func(v corev1.EnvVar) bool { return ours[v.Name] })
			containers[i].Env = slices.Concat(told, user)
		}
	}
}
