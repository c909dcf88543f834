package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	// podLag is for how long the pods of a Job that has ended are waited for when the watch has not brought them yet:
	// they ended before it did.
	podLag = time.Second
	// podTries is how often they are asked for then. Without them the outcome is what the Job says.
	podTries = 4
)

// outcome reports the end of a Job, with what its pods tell. wake receives when one of them is seen.
func (at *attempt) outcome(job *batchv1.Job, end *batchv1.JobCondition, wake <-chan struct{}) (jobrunner.Outcome, error) {
	pods, err := at.pods(job, wake)
	if err != nil {
		return jobrunner.Outcome{}, err
	}
	if end.Type == batchv1.JobFailed && at.deleted(job, end, pods) {
		return at.gone(), nil
	}
	out := outcomeOf(end, pods)
	if indexed(at.Attempt) {
		parts := shards{at: at}
		if _, err := parts.tell(job, true); err != nil {
			return jobrunner.Outcome{}, err
		}
		if end.Reason == batchv1.JobReasonFailedIndexes {
			out = shardsFailed(out, parts.said.Failed, at.Record.Shards.Count)
		}
	}
	return out, nil
}

// pods are those of a Job that has ended: as the watch brought them, if it brought all, or else by request.
func (at *attempt) pods(job *batchv1.Job, wake <-chan struct{}) ([]corev1.Pod, error) {
	want := int(min(max(job.Status.Succeeded+job.Status.Failed, 1), maxEnded))
	for late := time.Now().Add(podLag); ; {
		pods, hopeful := at.cluster.ended.of(job.UID)
		if len(pods) >= want {
			return pods, nil
		}
		rest := time.Until(late)
		if !hopeful || rest <= 0 || job.Status.Succeeded+job.Status.Failed == 0 {
			break
		}
		if err := at.pause(at.work, rest, wake); err != nil {
			return nil, err
		}
	}
	for pace := (backoff{}); ; {
		pods, err := at.listPods(job)
		if err == nil {
			return pods, nil
		}
		if errors.Is(err, errInterrupted) || at.work.Err() != nil {
			return nil, errInterrupted
		}
		if final(err) || pace.tries == podTries-1 {
			at.log.Warn("pods not read", "job", job.Namespace+"/"+job.Name, "error", err)
			return nil, nil
		}
		if err := at.pause(at.work, pace.after(err), nil); err != nil {
			return nil, err
		}
	}
}

func (at *attempt) listPods(job *batchv1.Job) (pods []corev1.Pod, err error) {
	err = at.call(at.work, at.work, func(ctx context.Context) error {
		list, err := at.cluster.client.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{
			LabelSelector: batchv1.ControllerUidLabel + "=" + string(job.UID), Limit: pageSize,
		})
		if err == nil {
			pods = list.Items
		}
		return err
	})
	return pods, err
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
	if failed := ofPhase(pods, corev1.PodFailed); end.Type == batchv1.JobFailed && len(failed) > 0 {
		pods = failed
	}
	pod := lastPod(pods)
	ended := endOf(pod)
	if ended.state != nil {
		code := int(ended.state.ExitCode)
		out.ExitCode = &code
		var tail jobrunner.Tail
		_, _ = tail.Write([]byte(ended.state.Message)) // never fails
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
	disrupted := disruption(pod)
	switch {
	case end.Reason == batchv1.JobReasonDeadlineExceeded:
		out.Reason, out.Message = nightwatch.ReasonTimeout, "the attempt took longer than its timeout"
	case pod != nil && pod.Status.Reason == "DeadlineExceeded": // the pod's own activeDeadlineSeconds
		out.Reason, out.Message = nightwatch.ReasonTimeout, fmt.Sprintf("pod %s: %s", pod.Name, pod.Status.Message)
	case pod != nil && word(pod.Status.Reason):
		out.Reason, out.Message = pod.Status.Reason, fmt.Sprintf("pod %s: %s", pod.Name, pod.Status.Message)
	case disrupted != nil:
		out.Reason, out.Message = disrupted.Reason, fmt.Sprintf("pod %s: %s", pod.Name, disrupted.Message)
	case ended.state != nil:
		out.Reason, out.Message = nightwatch.ReasonExitCode, fmt.Sprintf("%sexit code %d", ended.where, ended.state.ExitCode)
		if reason := ended.state.Reason; word(reason) && reason != "Error" && reason != "Completed" {
			out.Reason = reason
			out.Message += ": " + reason
		}
	default:
		out.Reason, out.Message = end.Reason, end.Message
	}
	out.Message = strings.TrimRight(out.Message, ": ")
	return out
}

var reasonWord = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{1,62}$`)

func word(reason string) bool { return reasonWord.MatchString(reason) }

// disruption is the condition that a pod was ended by Kubernetes for no fault of its own, nil if it was not.
func disruption(pod *corev1.Pod) *corev1.PodCondition {
	if pod == nil {
		return nil
	}
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && word(c.Reason) {
			return c
		}
	}
	return nil
}

func ofPhase(pods []corev1.Pod, phase corev1.PodPhase) (found []corev1.Pod) {
	for _, pod := range pods {
		if pod.Status.Phase == phase {
			found = append(found, pod)
		}
	}
	return found
}

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

// mainContainer is the name of the container that speaks for a pod: the one that the pod names, or else the first.
func mainContainer(pod *corev1.Pod) string {
	if name := pod.Annotations[annotationDefaultContainer]; name != "" {
		return name
	}
	if len(pod.Spec.Containers) == 0 {
		return nightwatch.MainContainer
	}
	return pod.Spec.Containers[0].Name
}

// containerEnd is how a container ended; where names it in front of a message unless it is the main one.
type containerEnd struct {
	state *corev1.ContainerStateTerminated
	where string
}

// endOf is the end of the container that tells how the pod ended: of the main one, unless it went well or did not run and
// another one failed.
func endOf(pod *corev1.Pod) containerEnd {
	if pod == nil {
		return containerEnd{}
	}
	var main, other containerEnd
	consider := func(kind string, statuses []corev1.ContainerStatus) {
		for i := range statuses {
			status := &statuses[i]
			t := status.State.Terminated
			switch {
			case t == nil:
			case kind == "container" && status.Name == mainContainer(pod):
				main = containerEnd{state: t}
			case t.ExitCode != 0 && other.state == nil:
				other = containerEnd{t, kind + " " + status.Name + ": "}
			}
		}
	}
	consider("init container", pod.Status.InitContainerStatuses)
	consider("container", pod.Status.ContainerStatuses)
	if other.state != nil && (main.state == nil || main.state.ExitCode == 0) && pod.Status.Phase != corev1.PodSucceeded {
		return other
	}
	return main
}
