package kubernetes

import (
	"maps"
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

// ContainerName is that of the one container of a Job's pod.
const ContainerName = "main"

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

// newJob is the Job of an attempt, under the name on record.
func newJob(a *jobrunner.Attempt, namespace, name string) *batchv1.Job {
	spec := a.Task.KubernetesJob()
	labels, annotations := labelsOf(a), annotationsOf(a)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels, Annotations: annotations},
		Spec: batchv1.JobSpec{
			// Whether another try follows is for the run to say, which counts and records its attempts.
			BackoffLimit: ptr.To[int32](0),
			// A pod that was told to go may run on for its grace period: the next one waits for its end.
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			// Losing a machine is not the task's failure.
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action: batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
				},
			}}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
				Spec: corev1.PodSpec{
					RestartPolicy:      corev1.RestartPolicyNever,
					ServiceAccountName: spec.ServiceAccountName,
					Containers: []corev1.Container{{
						Name:    ContainerName,
						Image:   spec.Image,
						Command: spec.Command,
						Args:    spec.Args,
						Env:     environment(spec.Env, a.Run),
						// The end of the log of a container that fails comes with its status, and so into the record.
						TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
					}},
				},
			},
		},
	}
	if timeout := time.Duration(a.Task.Timeout); timeout > 0 {
		job.Spec.ActiveDeadlineSeconds = ptr.To(int64((timeout + time.Second - 1) / time.Second))
	}
	return job
}

// newTombstone is the Job of an attempt that is never to run.
func newTombstone(a *jobrunner.Attempt, namespace, name string, keepUntil time.Time) *batchv1.Job {
	job := newJob(a, namespace, name)
	job.Spec.Suspend = ptr.To(true)
	job.Annotations = withKeep(job.Annotations, keepUntil)
	return job
}

// environment is what the attempt is told, and then the user's variables, sorted; ours win. They come first, so that a
// user's value can refer to them as $(NIGHTWATCH_RUN).
func environment(user map[string]string, run jobrunner.Run) []corev1.EnvVar {
	told := run.Environment()
	env := make([]corev1.EnvVar, 0, len(user)+len(told))
	ours := make(map[string]bool, len(told))
	for _, line := range told {
		name, value, _ := strings.Cut(line, "=")
		ours[name] = true
		// Kubernetes expands $(NAME) in values; what we tell is to arrive as it is.
		env = append(env, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(value, "$", "$$")})
	}
	for _, name := range slices.Sorted(maps.Keys(user)) {
		if !ours[name] {
			env = append(env, corev1.EnvVar{Name: name, Value: user[name]})
		}
	}
	return env
}
