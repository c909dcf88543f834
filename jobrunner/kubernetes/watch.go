package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// watcher keeps the view true: it lists, watches from there, and lists anew on a timer and whenever the watch cannot be
// trusted. It does what client-go's informer does, but each page of a list is stripped as it comes, lists are repeated
// on a timer, what the API server last said is on record, and it ends at once when it is told to, also while the API
// server is away.
type watcher struct {
	cluster  *cluster
	selector string
}

// pageSize is how many Jobs are asked for at once.
const pageSize = 500

func (w *watcher) run(ctx context.Context) {
	for pace := (backoff{}); ctx.Err() == nil; {
		began := time.Now()
		err := w.round(ctx)
		if time.Since(began) > backoffLast {
			pace = backoff{}
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		w.cluster.jobs.fail(err)
		delay := pace.after(err)
		if pace.tries == loudAfter {
			w.cluster.log.Warn("Jobs are not watched", "error", err)
		} else {
			w.cluster.log.Debug("watch of Jobs ended", "error", err)
		}
		sleep(ctx, delay)
	}
}

// round lists once and then watches. It returns nil when it is time to list anew.
func (w *watcher) round(ctx context.Context) error {
	relist := time.NewTimer(jittered(w.cluster.config.Relist))
	defer relist.Stop()
	revision, err := w.list(ctx)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for pace := (backoff{}); ; {
		began := time.Now()
		due, err := w.watch(ctx, &revision, relist.C)
		if due || ctx.Err() != nil {
			return nil
		}
		if lost(err) {
			return fmt.Errorf("watch: %w", err)
		}
		if time.Since(began) > backoffLast {
			pace = backoff{}
		}
		// The connection ended, or was not made: go on from the same revision.
		if err != nil {
			w.cluster.jobs.fail(err)
			w.cluster.log.Debug("watch of Jobs interrupted", "error", err)
		}
		select {
		case <-relist.C:
			return nil
		default:
			sleep(ctx, pace.after(err))
		}
	}
}

// lost tells whether a watch that ended with err cannot be taken up from where it ended.
func lost(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || errors.Is(err, errSilent) || final(err)
}

// list reads all Jobs into the view and returns the revision to watch from, which is that of the first page: all pages
// are of one.
func (w *watcher) list(ctx context.Context) (revision string, err error) {
	jobs := map[types.NamespacedName]*batchv1.Job{}
	for next := ""; ; {
		list, err := w.page(ctx, next)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			job := &list.Items[i]
			jobs[types.NamespacedName{Namespace: job.Namespace, Name: job.Name}] = strip(job)
		}
		if next = list.Continue; next == "" {
			w.cluster.jobs.replace(jobs, time.Now())
			return list.ResourceVersion, nil
		}
	}
}

func (w *watcher) page(ctx context.Context, next string) (list *batchv1.JobList, err error) {
	err = w.cluster.call(ctx, func(ctx context.Context) (err error) {
		list, err = w.cluster.client.BatchV1().Jobs(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			LabelSelector: w.selector, Limit: pageSize, Continue: next,
		})
		return err
	})
	return list, err
}

var errSilent = fmt.Errorf("nothing heard for %s", silence)

// watch takes in changes after revision, and moves it, until the stream ends. due says that it is time to list anew.
func (w *watcher) watch(ctx context.Context, revision *string, relist <-chan time.Time) (due bool, err error) {
	jobs := w.cluster.jobs
	return w.cluster.listen(ctx, w.cluster.client.BatchV1().Jobs(metav1.NamespaceAll).Watch, metav1.ListOptions{LabelSelector: w.selector},
		revision, relist, func(event watch.EventType, object runtime.Object) error {
			jobs.hear(time.Now())
			if object == nil {
				return nil
			}
			job, ok := object.(*batchv1.Job)
			if !ok {
				return fmt.Errorf("unexpected %T", object)
			}
			switch event {
			case watch.Added, watch.Modified:
				jobs.put(strip(job))
			case watch.Deleted:
				jobs.remove(types.NamespacedName{Namespace: job.Namespace, Name: job.Name})
			}
			return nil
		})
}

type openWatch func(context.Context, metav1.ListOptions) (watch.Interface, error)

// listen opens a watch of what comes after revision, and hands over what it brings, bookmarks too, and moves revision,
// until the stream ends, which is no error, or until over receives. When the watch is open it hands over a nil object.
func (c *cluster) listen(
	ctx context.Context, open openWatch, options metav1.ListOptions, revision *string, until <-chan time.Time,
	take func(watch.EventType, runtime.Object) error,
) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options.ResourceVersion = *revision
	stream, err := c.open(ctx, open, options)
	if err != nil {
		return false, err
	}
	defer stream.Stop()
	if err := take("", nil); err != nil {
		return false, err
	}
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-until:
			return true, nil
		case <-quiet.C:
			return false, errSilent
		case event, ok := <-stream.ResultChan():
			if !ok {
				return false, nil
			}
			if event.Type == watch.Error {
				return false, apierrors.FromObject(event.Object)
			}
			object, err := meta.Accessor(event.Object)
			if err == nil {
				err = take(event.Type, event.Object)
			}
			if err != nil {
				return false, err
			}
			*revision = object.GetResourceVersion()
			quiet.Reset(silence)
		}
	}
}

// open starts a watch; that the API server takes its time to accept it must not hold up the end of ctx or the next list.
func (c *cluster) open(ctx context.Context, open openWatch, options metav1.ListOptions) (watch.Interface, error) {
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	seconds := int64((c.config.Relist + silence) / time.Second)
	options.AllowWatchBookmarks, options.TimeoutSeconds = true, &seconds
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.config.RequestTimeout, func() { cancel(context.DeadlineExceeded) })
	stream, err := open(ctx, options)
	if err != nil {
		timer.Stop()
		cancel(nil)
		return nil, err
	}
	if !timer.Stop() {
		stream.Stop()
		return nil, context.Cause(ctx)
	}
	return stream, nil // ctx ends with its parent
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
