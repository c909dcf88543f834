package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Opinion is what an API server says of the Job that a task would make.
type Opinion struct {
	// Cluster is the one that was asked, Namespace that of the Job.
	Cluster, Namespace string
	// Faults are why it would refuse the Job, in its own words; none: it would take it.
	Faults []string
	// Warnings are what it says of a Job that it would take.
	Warnings []string
}

// Errors of DryRun.
var (
	// ErrNoCluster says that a task asks for a Kubernetes cluster that the Runner does not have.
	ErrNoCluster = errors.New("no such Kubernetes cluster")
	// ErrNotReached says that no API server has answered.
	ErrNotReached = errors.New("API server not reachable")
)

// dryRun stands for a run in the name of a Job that is never made: the name is a hashed one, which no Job has.
const dryRun = "dry-run"

// DryRun has the API server of the cluster that a task asks for say what it would of the Job of its first attempt: a create
// in server-side dry-run, through admission and quota, that makes nothing. It wants the right to create Jobs. The error is
// about the question, which the API server has not answered, or not as one about the Job.
func (r *Runner) DryRun(ctx context.Context, key string, task *nightwatch.Task) (Opinion, error) {
	c := r.clusterOf(task)
	if c == nil {
		spec := task.KubernetesJob()
		return Opinion{}, fmt.Errorf("%w: %s%s", ErrNoCluster, spec.Cluster, spec.ClusterSelector)
	}
	namespace, name, _ := strings.Cut(key, "/")
	record := nightwatch.Run{ID: dryRun, Task: key, Attempt: 1, Node: dryRun, Runner: r.Name()}
	if shards := task.Split(); shards > 0 {
		record.Shards = &nightwatch.RunShards{Count: int(shards)}
	}
	a := &jobrunner.Attempt{
		Run:  jobrunner.Run{Namespace: namespace, Task: name, ID: dryRun, Attempt: 1, Params: task.Params},
		Task: task, Record: record, ClusterID: dryRun,
	}
	opinion := Opinion{Cluster: c.name, Namespace: namespace}
	job, err := newJob(a, namespace, nightwatch.JobName(dryRun, name, &record, true))
	if err != nil {
		opinion.Faults = []string{err.Error()}
		return opinion, nil //nolint:nilerr // the opinion has it
	}
	err = c.call(listening(silent(ctx), &opinion.Warnings), func(ctx context.Context) error {
		_, err := c.client.BatchV1().Jobs(namespace).Create(ctx, job, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		return err
	})
	if final(err) {
		opinion.Faults = words(err)
		return opinion, nil
	}
	if err != nil && !errors.As(err, new(apierrors.APIStatus)) {
		err = fmt.Errorf("%w: %w", ErrNotReached, err)
	}
	return opinion, err
}

// words are those of a refusal: one for each field that it names, or the whole.
func words(err error) []string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && apierrors.IsInvalid(err) && status.Status().Details != nil {
		var each []string
		for _, cause := range status.Status().Details.Causes {
			each = append(each, cause.Field+": "+cause.Message)
		}
		if len(each) > 0 {
			return each
		}
	}
	return []string{err.Error()}
}

// clusterOf is the one that a task asks for, nil if there is none: of several the default, or else the first by name, which
// is how the scheduler chooses among those of a node.
func (r *Runner) clusterOf(task *nightwatch.Task) *cluster {
	spec, selector := task.KubernetesJob(), task.ClusterSelector()
	others := slices.SortedFunc(slices.Values(r.clusters[1:]), func(a, b *cluster) int { return strings.Compare(a.name, b.name) })
	for _, c := range append(r.clusters[:1:1], others...) {
		if (spec.Cluster == "" || spec.Cluster == c.name) && selector.Matches(c.labels) {
			return c
		}
	}
	return nil
}

// listenerKey is that of what a request's warnings are gathered in.
type listenerKey struct{}

// listening makes a request put what the API server warns of into warnings.
func listening(ctx context.Context, warnings *[]string) context.Context {
	return context.WithValue(ctx, listenerKey{}, warnings)
}
