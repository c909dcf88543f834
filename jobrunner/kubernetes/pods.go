package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// ended are the pods that have ended of the Jobs that attempts of this node follow: the exit code and the last words of a
// run without a request for each. What it misses is asked for.
type ended struct {
	mu   sync.Mutex
	jobs map[types.UID]*endedOf
	open bool // the watch is
}

// endedOf are those of one Job.
type endedOf struct {
	pods map[types.UID]*corev1.Pod
	wake chan struct{}
}

// maxEnded is how many pods of one Job are kept, the newest.
const maxEnded = 100

func newEnded() *ended { return &ended{jobs: map[types.UID]*endedOf{}} }

// follow begins to keep the pods of a Job, until forget is called. wake receives after each that comes. A Job is followed
// once at a time.
func (e *ended) follow(job types.UID) (wake <-chan struct{}, forget func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := &endedOf{pods: map[types.UID]*corev1.Pod{}, wake: make(chan struct{}, 1)}
	e.jobs[job] = of
	return of.wake, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.jobs[job] == of {
			delete(e.jobs, job)
		}
	}
}

// of are the pods of a Job that have been seen; hopeful says that more may come by themselves.
func (e *ended) of(job types.UID) (pods []corev1.Pod, hopeful bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := e.jobs[job]
	if of == nil {
		return nil, false
	}
	for _, pod := range of.pods {
		pods = append(pods, *pod)
	}
	return pods, e.open
}

// put takes a pod that was seen, if anybody follows its Job. That a pod was deleted since changes nothing.
func (e *ended) put(pod *corev1.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := e.jobs[types.UID(pod.Labels[batchv1.ControllerUidLabel])]
	if of == nil {
		return
	}
	of.pods[pod.UID] = stripPod(pod)
	if len(of.pods) > maxEnded {
		oldest := slices.MinFunc(slices.Collect(maps.Values(of.pods)), func(a, b *corev1.Pod) int {
			return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		})
		delete(of.pods, oldest.UID)
	}
	select {
	case of.wake <- struct{}{}:
	default:
	}
}

func (e *ended) isOpen(open bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = open
}

// stripPod keeps of a pod what tells how it ended.
func stripPod(pod *corev1.Pod) *corev1.Pod {
	out := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, CreationTimestamp: pod.CreationTimestamp,
			DeletionTimestamp: pod.DeletionTimestamp, Annotations: map[string]string{},
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message, Conditions: pod.Status.Conditions,
			InitContainerStatuses: pod.Status.InitContainerStatuses, ContainerStatuses: pod.Status.ContainerStatuses,
		},
	}
	for _, key := range []string{annotationDefaultContainer, batchv1.JobCompletionIndexAnnotation} {
		if value, ok := pod.Annotations[key]; ok {
			out.Annotations[key] = value
		}
	}
	for _, container := range pod.Spec.Containers {
		out.Spec.Containers = append(out.Spec.Containers, corev1.Container{Name: container.Name})
	}
	return out
}

// podWatcher watches pods that have ended. It begins with what comes, whenever it begins, and lists nothing.
type podWatcher struct {
	cluster  *cluster
	selector string
}

// onlyEnded are the fields of pods that have ended.
const onlyEnded = "status.phase!=Pending,status.phase!=Running,status.phase!=Unknown"

// refusedRest is how long a watch that is refused for good rests: rights may be given.
const refusedRest = time.Minute

func (w *podWatcher) run(ctx context.Context) {
	defer w.cluster.ended.isOpen(false)
	for pace := (backoff{}); ctx.Err() == nil; {
		began := time.Now()
		err := w.round(ctx)
		w.cluster.ended.isOpen(false)
		if time.Since(began) > backoffLast {
			pace = backoff{}
		}
		if ctx.Err() != nil {
			return
		}
		delay := pace.after(err)
		if final(err) {
			delay = refusedRest
		}
		if pace.tries == loudAfter || final(err) {
			w.cluster.log.Warn("pods are not watched: they are asked for when their Job ends", "error", err)
		} else if err != nil {
			w.cluster.log.Debug("watch of pods ended", "error", err)
		}
		sleep(ctx, delay)
	}
}

// round watches from now on, and goes on where the connection ends, until that cannot be.
func (w *podWatcher) round(ctx context.Context) error {
	pods := w.cluster.client.CoreV1().Pods(metav1.NamespaceAll)
	options := metav1.ListOptions{LabelSelector: w.selector, FieldSelector: onlyEnded}
	revision := ""
	err := w.cluster.call(ctx, func(ctx context.Context) error {
		options.Limit = 1
		list, err := pods.List(ctx, options)
		if err == nil {
			revision = list.ResourceVersion
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	options.Limit = 0
	for pace := (backoff{}); ; {
		began := time.Now()
		_, err := w.cluster.listen(ctx, pods.Watch, options, &revision, nil, func(event watch.EventType, object runtime.Object) error {
			switch pod, ok := object.(*corev1.Pod); {
			case object == nil:
				w.cluster.ended.isOpen(true)
			case !ok:
				return fmt.Errorf("unexpected %T", object)
			case event != watch.Bookmark:
				w.cluster.ended.put(pod)
			}
			return nil
		})
		w.cluster.ended.isOpen(false)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop, which is no error
		}
		if lost(err) {
			return fmt.Errorf("watch: %w", err)
		}
		if time.Since(began) > backoffLast {
			pace = backoff{}
		}
		sleep(ctx, pace.after(err))
	}
}
