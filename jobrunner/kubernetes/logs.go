package kubernetes

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	// logsAgain is how often, while a log is followed, the pods of its Job are looked for.
	logsAgain = 2 * time.Second
	// maxLogLine is how long a line of a log may be; what goes beyond is another line.
	maxLogLine = 64 << 10
)

// ReadLog reads the log of an attempt from the pods of its Job, of each the main container. With several pods there is a
// pod's shard, or its name, in brackets before each line; they are read one after the other, and followed side by side.
func (r *Runner) ReadLog(ctx context.Context, run *nightwatch.Run, attempt int, o jobrunner.LogOptions) (io.ReadCloser, error) {
	c := r.cluster(run)
	if run.Job != nil && run.Job.Cluster != "" && c.known() != run.Job.Cluster {
		return nil, fmt.Errorf("logs of run %s: its Kubernetes cluster is out of this node's reach: %w", run.ID, nightwatch.ErrNotFound)
	}
	ctx, cancel := context.WithCancel(silent(ctx))
	reader, writer := io.Pipe()
	l := &podLogs{cluster: c, run: run, attempt: attempt, options: o, out: writer, read: map[types.UID]bool{}}
	if run.Job != nil && run.Attempt == attempt {
		l.job = run.Job
	}
	pods, err := l.pods(ctx)
	if err == nil && len(pods) == 0 && (!o.Follow || !l.live(ctx)) {
		err = fmt.Errorf("its pods are gone, or never were: %w", nightwatch.ErrNotFound)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("logs of run %s: %w", run.ID, err)
	}
	var done sync.WaitGroup
	done.Go(func() { writer.CloseWithError(l.copy(ctx, pods)) })
	return &logReader{reader, cancel, &done}, nil
}

// logReader ends what feeds it when it is closed.
type logReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   *sync.WaitGroup
}

func (l *logReader) Close() error {
	l.cancel()
	err := l.PipeReader.Close()
	l.done.Wait()
	return err
}

// podLogs is the reading of one log.
type podLogs struct {
	cluster *cluster
	run     *nightwatch.Run
	attempt int
	job     *nightwatch.Job // of the attempt; nil when only its pods can tell
	options jobrunner.LogOptions

	mu   sync.Mutex // held for one line
	out  *io.PipeWriter
	many bool // pods, so that lines say whose they are
	read map[types.UID]bool
}

// pods are those of the attempt, the oldest first.
func (l *podLogs) pods(ctx context.Context) ([]corev1.Pod, error) {
	namespace, task, err := nightwatch.ParseTaskName(l.run.Task)
	if err != nil {
		return nil, err
	}
	selector := labels.Set{LabelNamespace: namespace, LabelTask: task}
	if l.job != nil && l.job.UID != "" {
		selector = labels.Set{batchv1.ControllerUidLabel: l.job.UID}
	}
	where := namespace
	if l.run.Job != nil {
		where = l.run.Job.Namespace
	}
	var pods []corev1.Pod
	for next := ""; ; {
		var list *corev1.PodList
		err := l.cluster.call(ctx, func(ctx context.Context) (err error) {
			list, err = l.cluster.client.CoreV1().Pods(where).List(ctx, metav1.ListOptions{
				LabelSelector: selector.String(), Limit: pageSize, Continue: next,
			})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list pods: %w", err)
		}
		for _, pod := range list.Items {
			if l.wants(&pod) {
				pods = append(pods, *stripPod(&pod))
			}
		}
		if next = list.Continue; next == "" {
			break
		}
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods, nil
}

// wants tells whether a pod is of the attempt, and of the shard that is asked for.
func (l *podLogs) wants(pod *corev1.Pod) bool {
	if l.options.Shard != jobrunner.All && l.run.Shards != nil && pod.Annotations[batchv1.JobCompletionIndexAnnotation] != strconv.Itoa(l.options.Shard) {
		return false
	}
	return pod.Annotations[AnnotationTaskUID] == strconv.FormatInt(l.run.TaskUID, 10) && pod.Annotations[AnnotationRun] == l.run.ID &&
		pod.Annotations[AnnotationAttempt] == strconv.Itoa(l.attempt)
}

// live tells whether more pods of the attempt may come.
func (l *podLogs) live(ctx context.Context) bool {
	if l.job == nil || l.job.UID == "" {
		return false
	}
	live := false
	err := l.cluster.call(ctx, func(ctx context.Context) error {
		job, err := l.cluster.client.BatchV1().Jobs(l.job.Namespace).Get(ctx, l.job.Name, metav1.GetOptions{})
		live = err == nil && string(job.UID) == l.job.UID && finished(job) == nil
		return err
	})
	return live || err != nil && !final(err)
}

// copy writes the logs of the pods, and with Follow of those that come, until their Job has ended.
func (l *podLogs) copy(ctx context.Context, pods []corev1.Pod) error {
	l.many = len(pods) > 1 || l.run.Shards != nil && l.options.Shard == jobrunner.All
	if !l.options.Follow {
		return l.backlog(ctx, pods)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var following sync.WaitGroup
	for live := true; live && ctx.Err() == nil; {
		live = l.live(ctx) // before the pods are looked at: what comes after the end is nothing
		for i := range pods {
			if pod := &pods[i]; !l.read[pod.UID] {
				l.read[pod.UID] = true
				following.Go(func() {
					if err := l.follow(ctx, pod); err != nil {
						fail(fmt.Errorf("log of pod %s: %w", pod.Name, err))
					}
				})
			}
		}
		if !live {
			break
		}
		sleep(ctx, logsAgain)
		if more, err := l.pods(ctx); err == nil {
			pods = more
			l.mu.Lock()
			l.many = l.many || len(pods) > 1
			l.mu.Unlock()
		}
	}
	following.Wait()
	return context.Cause(ctx)
}

// follow writes the log of a pod until that ends. An error says that it broke off.
func (l *podLogs) follow(ctx context.Context, pod *corev1.Pod) error {
	for {
		err := l.stream(ctx, pod, l.write)
		switch {
		case apierrors.IsNotFound(err): // the pod is gone, and its log with it
			return nil
		case !apierrors.IsBadRequest(err):
			return err
		case !l.live(ctx): // its container never started
			return nil
		}
		sleep(ctx, logsAgain)
	}
}

// backlog writes what the pods have written by now: one after the other, or of all of them the last lines.
func (l *podLogs) backlog(ctx context.Context, pods []corev1.Pod) error {
	write := l.write
	var last []string
	if l.options.Tail >= 0 {
		write = func(line string) error {
			last = append(last, line)
			return nil
		}
	}
	for i := range pods {
		if err := l.stream(ctx, &pods[i], write); err != nil && !apierrors.IsBadRequest(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("log of pod %s: %w", pods[i].Name, err)
		}
		if l.options.Tail >= 0 {
			slices.SortStableFunc(last, func(a, b string) int { return timeOf(a).Compare(timeOf(b)) })
			last = slices.Clone(last[max(0, len(last)-l.options.Tail):])
		}
	}
	for _, line := range last {
		if err := l.write(line); err != nil {
			return err
		}
	}
	return nil
}

func timeOf(line string) time.Time {
	text, _, _ := bytes.Cut([]byte(line), []byte(" "))
	at, _ := time.Parse(time.RFC3339Nano, string(text))
	return at
}

// stream hands over each line of a pod's log, as ReadLog has them.
func (l *podLogs) stream(ctx context.Context, pod *corev1.Pod, write func(line string) error) error {
	options := &corev1.PodLogOptions{Container: mainContainer(pod), Timestamps: true, Follow: l.options.Follow}
	if l.options.Tail >= 0 {
		options.TailLines = new(int64(l.options.Tail))
	}
	if !l.options.Since.IsZero() {
		options.SinceTime = &metav1.Time{Time: l.options.Since}
	}
	if err := l.cluster.pace.wait(ctx); err != nil {
		return err
	}
	body, err := l.cluster.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewReaderSize(body, maxLogLine)
	at := time.Time{}
	for begun := false; ; {
		text, err := lines.ReadSlice('\n')
		if len(text) > 0 {
			if !begun { // else it is the rest of a line that is too long, which has the time of its beginning
				stamp, rest, _ := bytes.Cut(text, []byte(" "))
				if parsed, err := time.Parse(time.RFC3339Nano, string(bytes.TrimSpace(stamp))); err == nil {
					at, text = parsed, rest
				}
			}
			line := at.UTC().Format(time.RFC3339Nano) + " " + l.whose(pod) + string(bytes.TrimRight(text, "\r\n")) + "\n"
			if err := write(line); err != nil {
				return err
			}
		}
		begun = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !begun:
			return err
		}
	}
}

// whose is what stands before the lines of a pod.
func (l *podLogs) whose(pod *corev1.Pod) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.many {
		return ""
	}
	return "[" + cmp.Or(pod.Annotations[batchv1.JobCompletionIndexAnnotation], pod.Name) + "] "
}

func (l *podLogs) write(line string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.out, line)
	return err
}
