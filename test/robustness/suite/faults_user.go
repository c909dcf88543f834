package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
)

// userFaults are what people do, and what is between them and their Jobs.
var userFaults = []fault{
	{name: "churn", begin: (*suite).churnMore},
	{name: "jobs-deleted", kubernetes: true, begin: (*suite).deleteJobs},
	{name: "kube-api", kubernetes: true, begin: (*suite).harmAPI},
	{name: "kube-api-restart", kubernetes: true, begin: (*suite).restartAPI},
	{name: "hostile", begin: (*suite).hostile},
}

// harmAPI has the Kubernetes API answer that it is busy, or broken, or do what it is asked and not be heard.
func (s *suite) harmAPI() (string, time.Duration, func()) {
	mood := 1 + s.rand.IntN(moods-1)
	long := time.Second + s.some(4*time.Second)
	s.kubeAPI.mood.Store(int32(mood))
	return []string{"", "429", "500", "answers are lost"}[mood], long, func() { s.kubeAPI.mood.Store(moodGood) }
}

// restartAPI kills the API server, and starts it again.
func (s *suite) restartAPI() (string, time.Duration, func()) {
	back := make(chan error, 1)
	go func() { back <- s.config.Kubernetes.RestartAPIServer(s.t.Context()) }()
	return "API server", time.Second, func() {
		s.until("the API server is back", func() bool {
			select {
			case err := <-back:
				if err != nil {
					s.t.Fatal(err)
				}
				return true
			default:
				return false
			}
		})
	}
}

// churnMore has the clients do as much as they can.
func (s *suite) churnMore() (string, time.Duration, func()) {
	s.churn.rate.Store(max(1000, s.config.Churn))
	return "clients", 3 * time.Second, func() { s.churn.rate.Store(s.config.Churn) }
}

// deleteJobs deletes every Job that has not finished, by hand.
func (s *suite) deleteJobs() (string, time.Duration, func()) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	jobs := s.jobs.BatchV1().Jobs(s.namespace)
	list, err := jobs.List(ctx, metav1.ListOptions{})
	if err != nil {
		s.logf("list Jobs: %v", err)
		return "", 0, nil
	}
	var deleted []string
	for _, job := range list.Items {
		if slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
			return c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed
		}) {
			continue
		}
		background := metav1.DeletePropagationBackground
		err := jobs.Delete(ctx, job.Name, metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			s.logf("delete Job: %v", err)
		}
		deleted = append(deleted, job.Name)
	}
	return strings.Join(deleted, " "), 0, nil
}

// hostile puts what makes no sense, or is too much. It stays there until the end.
func (s *suite) hostile() (string, time.Duration, func()) {
	if s.etcdDown {
		return "", 0, nil
	}
	values := []string{
		"", "{", "null", "\x00\xff\xfe", strings.Repeat("[", 20000), `{"a":` + strings.Repeat(" ", 70<<10) + "1}",
		`{"image":"a","image":"b"}`, `{"image":"a","every":"-1h"}`, `{"image":"a","schedule":"TZ=UTC"}`, `{"image":"a","schedule":"CRON_TZ=UTC"}`,
		`{"image":"a","schedule":"0 0 30 2 *"}`, `{"image":"a","schedule":"@every -1h"}`, `{"image":"a","timeZone":"../../etc/passwd","every":"1s"}`,
		`{"handler":{"name":"nobody"},"every":"1s"}`, `{"image":"a","after":{"tasks":["a/b"]},"runsOn":"((("}`,
		`{"image":"a","every":"1s","startsAt":"9999-12-31T23:59:59Z"}`, "a: &a [*a, *a]",
		`{"http":{"url":"http://169.254.169.254/"},"labels":{"fails":"1"}}`,
	}
	// What it does is too much: ten megabytes of output, children that go their own way.
	for _, prelude := range []string{"head -c 10000000 /dev/zero | tr '\\0' x", "for i in 1 2 3; do setsid sleep 60 & sleep 60 & done"} {
		values = append(values, fmt.Sprintf(`{%s}`, s.Work(nightwatch.RunnerProcess, cluster.Work{Prelude: prelude})))
	}
	for i, value := range values {
		s.churn.do(putting(fmt.Sprintf("tasks/%s/hostile-%d", s.namespace, i), value))
	}
	for i, key := range []string{
		"tasks/hostile", "tasks/a/b/hostile", "tasks//hostile", "tasks/UPPER/hostile", "requests/hostile",
		fmt.Sprintf("requests/%s/http-second/hostile-%d", s.namespace, time.Now().UnixNano()), "calendars/hostile", "pools/hostile",
	} {
		s.churn.do(putting(key, values[i]))
	}
	return "client", 0, nil
}
