package kubernetes

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

func TestConformance(t *testing.T) {
	const namespace = "runnertest" // that of the suite's attempts
	cluster := kubetest.Shared(t)
	client := kubernetes.NewForConfigOrDie(cluster.Config)
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		background := metav1.DeletePropagationBackground
		if err := client.BatchV1().Jobs(namespace).DeleteCollection(context.WithoutCancel(t.Context()),
			metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{}); err != nil {
			t.Error(err)
		}
	})
	labelled := func(run jobrunner.Run) string {
		return LabelClusterID + "=" + runnertest.ClusterID + "," + LabelRun + "=" + run.ID
	}
	// A Job that was canceled is gone, and one whose create was cut off has no answer, so what began is known by both: by
	// answers, and by what has been there.
	var mu sync.Mutex
	began := map[string]map[types.UID]bool{}
	seen := func(jobs ...batchv1.Job) {
		mu.Lock()
		defer mu.Unlock()
		for _, job := range jobs {
			run := job.Labels[LabelRun]
			if began[run] == nil {
				began[run] = map[types.UID]bool{}
			}
			began[run][job.UID] = true
		}
	}
	jobs := func(run jobrunner.Run) []batchv1.Job {
		list, err := client.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labelled(run)})
		if err != nil {
			t.Error(err)
			return nil
		}
		seen(list.Items...)
		return list.Items
	}
	counted := intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err != nil || !creates(request) || response.StatusCode != http.StatusCreated {
			return response, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
		made, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		if err != nil {
			return nil, err
		}
		seen(*made.(*batchv1.Job))
		return response, nil
	})
	runnertest.Run(t, runnertest.Subject{
		New: func(tb testing.TB) jobrunner.Runner {
			config := Config{Clusters: reach("test", cluster), QPS: 1000, Burst: 1000, Sweep: time.Hour}
			counted(&config)
			r, err := New(config)
			if err != nil {
				tb.Fatal(err)
			}
			if _, err := r.clusters[0].identify(tb.Context()); err != nil {
				tb.Fatal(err)
			}
			tb.Cleanup(r.clusters[0].http.CloseIdleConnections)
			return r
		},
		Task: func(_ testing.TB, kind runnertest.Kind) *nightwatch.Task {
			pod, ok := map[runnertest.Kind]map[string]string{
				runnertest.Succeed: {"kwok-run": "100ms"},
				runnertest.Fail:    {"kwok-run": "100ms", "kwok-exit": "3"},
				runnertest.Live:    {"kwok-run": kubetest.RunForever},
				// A kubelet takes no longer termination message.
				runnertest.Big: {"kwok-run": "100ms", "kwok-message": strings.Repeat("x", 4096-len(runnertest.BigEnd)) + runnertest.BigEnd},
			}[kind]
			if !ok {
				return nil
			}
			return &nightwatch.Task{Image: "busybox", Annotations: pod}
		},
		Started: func(run jobrunner.Run) int {
			jobs(run)
			mu.Lock()
			defer mu.Unlock()
			return len(began[run.ID])
		},
		Live: func(run jobrunner.Run) bool {
			for _, job := range jobs(run) {
				if finished(&job) == nil && !atRest(&job) {
					return true
				}
			}
			return false
		},
		Told: func(run jobrunner.Run) jobrunner.Run {
			pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labelled(run)})
			if err != nil || len(pods.Items) != 1 {
				t.Errorf("%d pods (%v): want 1", len(pods.Items), err)
				return jobrunner.Run{}
			}
			var environment []string
			for _, one := range pods.Items[0].Spec.Containers[0].Env {
				environment = append(environment, one.Name+"="+one.Value)
			}
			return runnertest.Told(t, environment)
		},
		ExitCode: 3,
		Detached: true,
		Patience: patience,
	})
}
