package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// podTries is how often the pods of a Job that has ended are asked for. Without them the outcome is what the Job says.
const podTries = 4

// outcome reads the pods of a Job that has ended and reports the end.
func (at *attempt) outcome(job *batchv1.Job, end *batchv1.JobCondition) (jobrunner.Outcome, error) {
	var pods []corev1.Pod
	for pace := (backoff{}); ; {
		err := at.call(at.work, at.work, func(ctx context.Context) error {
			list, err := at.cluster.client.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{
				LabelSelector: batchv1.ControllerUidLabel + "=" + string(job.UID),
			})
			if err == nil {
				pods = list.Items
			}
			return err
		})
		if err == nil {
			break
		}
		if errors.Is(err, errInterrupted) || at.work.Err() != nil {
			return jobrunner.Outcome{}, errInterrupted
		}
		if final(err) || pace.tries == podTries-1 {
			at.log.Warn("pods not read", "job", job.Namespace+"/"+job.Name, "error", err)
			break
		}
		if err := at.pause(at.work, pace.after(err), nil); err != nil {
			return jobrunner.Outcome{}, err
		}
	}
	if end.Type == batchv1.JobFailed && at.deleted(job, end, pods) {
		return at.gone(), nil
	}
	return outcomeOf(end, pods), nil
}

// deleted tells whether a Job failed because it was being deleted, or its namespace was: its pods go first then, and what
// is left of it calls that a failure.
func (at *attempt) deleted(job *batchv1.Job, end *batchv1.JobCondition, pods []corev1.Pod) bool {
	if job.DeletionTimestamp != nil {
		return !end.LastTransitionTime.Before(job.DeletionTimestamp)
	}
	if pod := lastPod(pods); end.Reason == batchv1.JobReasonDeadlineExceeded || pod != nil && pod.DeletionTimestamp == nil {
		return false
	}
	going := false
	err := at.call(at.work, at.work, func(ctx context.Context) error {
		namespace, err := at.cluster.client.CoreV1().Namespaces().Get(ctx, job.Namespace, metav1.GetOptions{})
		going = apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp != nil
		return err
	})
	if err != nil && !going {
		at.log.Debug("namespace not read", "namespace", job.Namespace, "error", err)
	}
	return going
}

// outcomeOf is how a Job ended whose last condition and pods these are.
func outcomeOf(end *batchv1.JobCondition, pods []corev1.Pod) jobrunner.Outcome {
	var out jobrunner.Outcome
	pod := lastPod(pods)
	ended := terminated(pod)
	if ended != nil {
		code := int(ended.ExitCode)
		out.ExitCode = &code
		var tail jobrunner.Tail
		_, _ = tail.Write([]byte(ended.Message)) // never fails
		out.Output = tail.String()
	}
	if end.Type == batchv1.JobComplete {
		out.Phase = nightwatch.PhaseSucceeded
		if out.ExitCode == nil || *out.ExitCode != 0 { // a pod that is gone by now, or the task's own policy
			out.ExitCode = new(int)
		}
		return out
	}
	out.Phase = nightwatch.PhaseFailed
	switch {
	case end.Reason == batchv1.JobReasonDeadlineExceeded:
		out.Reason, out.Message = nightwatch.ReasonTimeout, "the attempt took longer than its timeout"
	case pod != nil && word(pod.Status.Reason):
		out.Reason, out.Message = pod.Status.Reason, fmt.Sprintf("pod %s: %s", pod.Name, pod.Status.Message)
	case ended != nil && word(ended.Reason) && ended.Reason != "Error" && ended.Reason != "Completed":
		out.Reason, out.Message = ended.Reason, fmt.Sprintf("exit code %d: %s", ended.ExitCode, ended.Reason)
	case ended != nil:
		out.Reason, out.Message = nightwatch.ReasonExitCode, fmt.Sprintf("exit code %d", ended.ExitCode)
	default:
		out.Reason, out.Message = end.Reason, end.Message
	}
	out.Message = strings.TrimRight(out.Message, ": ")
	return out
}

var reasonWord = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{1,62}$`)

func word(reason string) bool { return reasonWord.MatchString(reason) }

// lastPod is the pod that tells how the Job ended: one that has ended rather than one that has not, then the newest.
func lastPod(pods []corev1.Pod) *corev1.Pod {
	var last *corev1.Pod
	over := func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	}
	for i := range pods {
		p := &pods[i]
		if last == nil || over(p) && !over(last) ||
			over(p) == over(last) && last.CreationTimestamp.Before(&p.CreationTimestamp) {
			last = p
		}
	}
	return last
}

// terminated is the end of a pod's container, of the one that failed if there are several; nil if it is not known.
func terminated(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	if pod == nil {
		return nil
	}
	var found *corev1.ContainerStateTerminated
	for i := range pod.Status.ContainerStatuses {
		t := pod.Status.ContainerStatuses[i].State.Terminated
		if t != nil && (found == nil || found.ExitCode == 0 && t.ExitCode != 0) {
			found = t
		}
	}
	return found
}
