package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// The pods of a Job that are not ready are asked what they wait for: not at once, as most are ready soon, then ever more
// seldom, and of all Jobs of a cluster only so many a second: when it is the cluster that cannot keep up, thousands wait.
const (
	waitingFirst = 5 * time.Second
	waitingLast  = time.Minute
	looksASecond = 2
)

// waiting keeps true what the record of a live attempt says of what its Job waits for.
type waiting struct {
	at   *attempt
	next time.Time // when to look; zero while the Job is not known to wait
	gap  time.Duration
	said string // the reason on record
}

// look finds out what the Job waits for, if it does and it is time to. It returns how long until the next look.
func (w *waiting) look(job *batchv1.Job) (until time.Duration, err error) {
	now := time.Now()
	if !waits(job) {
		w.next = time.Time{}
		return lookLast, w.say("", "")
	}
	switch {
	case w.next.IsZero():
		w.gap = waitingFirst
		w.next = now.Add(w.gap)
	case now.Before(w.next):
	case !w.at.cluster.looks.Allow():
		w.next = now.Add(jittered(w.gap))
	default:
		reason, message, known := w.ask(job)
		if known {
			if err := w.say(reason, message); err != nil {
				return 0, err
			}
		}
		w.gap = min(2*w.gap, waitingLast)
		w.next = now.Add(jittered(w.gap))
	}
	return max(time.Until(w.next), 0), nil
}

// waits tells whether a Job that has not ended has less going on than there is to be, though its controller has seen it.
func waits(job *batchv1.Job) bool {
	if job.Status.StartTime == nil && condition(job, batchv1.JobSuspended) == nil {
		return false
	}
	ready := int32(0)
	if job.Status.Ready != nil {
		ready = *job.Status.Ready
	}
	return ready < max(job.Status.Active, 1)
}

// ask reads the Job's pods, or what was said of there being none. What cannot be found out now may be later.
func (w *waiting) ask(job *batchv1.Job) (reason, message string, known bool) {
	if c := condition(job, batchv1.JobSuspended); c != nil {
		return nightwatch.ReasonSuspended, "the Job is suspended", true
	}
	pods, err := w.at.listPods(job)
	if err != nil {
		w.at.log.Debug("pods not read", "error", err)
		return "", "", false
	}
	if len(pods) > 0 {
		reason, message = waitingReason(pods)
		return reason, message, true
	}
	err = w.at.call(w.at.ctx, w.at.work, func(ctx context.Context) error {
		events, err := w.at.cluster.client.CoreV1().Events(job.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: "involvedObject.uid=" + string(job.UID) + ",type=" + corev1.EventTypeWarning, Limit: pageSize,
		})
		if err != nil {
			return err
		}
		var last *corev1.Event
		for i := range events.Items {
			if e := &events.Items[i]; last == nil || last.LastTimestamp.Before(&e.LastTimestamp) {
				last = e
			}
		}
		if last != nil && word(last.Reason) {
			reason, message = last.Reason, last.Message
		}
		return nil
	})
	if err != nil {
		w.at.log.Debug("events not read", "error", err)
	}
	return reason, message, err == nil
}

// say puts what the Job waits for on record, when that is news. Nothing clears it.
func (w *waiting) say(reason, message string) error {
	if reason == w.said {
		return nil
	}
	err := w.at.Save(w.at.firm, func(run *nightwatch.Run) { run.Reason, run.Message = reason, jobrunner.Clip(message) })
	if err != nil {
		w.at.log.Debug("record not changed", "error", err)
		return errInterrupted
	}
	w.said = reason
	return nil
}

// waitingReason is what pods wait for that have not ended, in Kubernetes' own word: of several the one that is least
// likely to pass by itself. Empty when nothing is to be said.
func waitingReason(pods []corev1.Pod) (reason, message string) {
	worst := 0
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		r, m, rank := waitingOf(pod)
		if rank > worst {
			worst, reason, message = rank, r, fmt.Sprintf("pod %s: %s", pod.Name, cmp.Or(m, r))
		}
	}
	return reason, message
}

// pulls are reasons that alternate while an image cannot be pulled.
var pulls = map[string]string{"ErrImagePull": "ImagePullBackOff"}

func waitingOf(pod *corev1.Pod) (reason, message string, rank int) {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && word(c.Reason) {
			return c.Reason, c.Message, 2
		}
	}
	containers := make([]corev1.ContainerStatus, 0, len(pod.Status.InitContainerStatuses)+len(pod.Status.ContainerStatuses))
	containers = append(append(containers, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
	for i := range containers {
		c := &containers[i]
		w := c.State.Waiting
		switch {
		case w == nil || !word(w.Reason):
		case w.Reason != "ContainerCreating" && w.Reason != "PodInitializing":
			return cmp.Or(pulls[w.Reason], w.Reason), "container " + c.Name + ": " + cmp.Or(w.Message, w.Reason), 3
		case rank == 0:
			reason, message, rank = w.Reason, "container "+c.Name+": "+cmp.Or(w.Message, w.Reason), 1
		}
	}
	return reason, message, rank
}
