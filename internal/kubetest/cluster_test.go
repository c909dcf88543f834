package kubetest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

func TestJobCompletes(t *testing.T) {
	c := Shared(t)
	namespace := c.Namespace(t)
	job := createJob(t, c, namespace, nil)
	eventually(t, "the Job to complete", func(ctx context.Context) (bool, error) {
		got, err := c.client.BatchV1().Jobs(namespace).Get(ctx, job.Name, metav1.GetOptions{})
		return err == nil && jobHas(got, batchv1.JobComplete), err
	})
}

func TestJobFails(t *testing.T) {
	c := Shared(t)
	namespace := c.Namespace(t)
	job := createJob(t, c, namespace, map[string]string{
		AnnotationRun: "100ms", AnnotationExit: "3",
		AnnotationReason: "OOMKilled", AnnotationMessage: `out of "memory": 1`,
	})
	eventually(t, "the Job to fail", func(ctx context.Context) (bool, error) {
		got, err := c.client.BatchV1().Jobs(namespace).Get(ctx, job.Name, metav1.GetOptions{})
		return err == nil && jobHas(got, batchv1.JobFailed), err
	})
	pods, err := c.client.CoreV1().Pods(namespace).List(t.Context(), podsOf(job))
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 1 || len(pods.Items[0].Status.ContainerStatuses) != 1 {
		t.Fatalf("pods = %v, want one of one container", pods.Items)
	}
	ended := pods.Items[0].Status.ContainerStatuses[0].State.Terminated
	if ended == nil || ended.ExitCode != 3 || ended.Reason != "OOMKilled" || ended.Message != `out of "memory": 1` {
		t.Errorf("terminated state = %+v, want what the annotations say", ended)
	}
}

func TestRunningJobIsDeleted(t *testing.T) {
	c := Shared(t)
	namespace := c.Namespace(t)
	job := createJob(t, c, namespace, map[string]string{AnnotationRun: RunForever})
	eventually(t, "the pod to run", func(ctx context.Context) (bool, error) {
		got, err := c.client.BatchV1().Jobs(namespace).Get(ctx, job.Name, metav1.GetOptions{})
		return err == nil && got.Status.Ready != nil && *got.Status.Ready == 1, err
	})

	foreground := metav1.DeletePropagationForeground
	err := c.client.BatchV1().Jobs(namespace).Delete(t.Context(), job.Name,
		metav1.DeleteOptions{PropagationPolicy: &foreground})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Job to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.client.BatchV1().Jobs(namespace).Get(ctx, job.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	// In the foreground the pods go first.
	pods, err := c.client.CoreV1().Pods(namespace).List(t.Context(), podsOf(job))
	if err != nil || len(pods.Items) != 0 {
		t.Errorf("pods = %v (%v), want none", pods, err)
	}
}

func TestAPIServerRestarts(t *testing.T) {
	c := Shared(t)
	namespace := c.Namespace(t)
	job := createJob(t, c, namespace, map[string]string{AnnotationRun: "100ms"})

	c.KillAPIServer()
	if conn, err := net.Dial("tcp", address(c.ports.apiServer)); err == nil {
		conn.Close()
		t.Fatal("the API server listens after it was killed")
	}
	if err := c.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Job to complete", func(ctx context.Context) (bool, error) {
		got, err := c.client.BatchV1().Jobs(namespace).Get(ctx, job.Name, metav1.GetOptions{})
		return err == nil && jobHas(got, batchv1.JobComplete), err
	})
}

func TestStopLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	c, err := Start(t.Context(), Options{Dir: dir, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.processes) != 5 {
		t.Errorf("%d processes, want 5", len(c.processes))
	}
	c.Stop()
	for name, p := range c.processes {
		if err := p.cmd.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal %s: %v, want that it has ended", name, err)
		}
	}
	for _, port := range []int{c.ports.etcd, c.ports.etcdPeer, c.ports.apiServer} {
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			t.Errorf("port %d: %v", port, err)
			continue
		}
		l.Close()
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat %s: %v, want that it is gone", dir, err)
	}
	c.Stop() // does nothing
	if err := c.RestartAPIServer(t.Context()); err == nil {
		t.Error("a stopped cluster restarted its API server")
	}
}

func TestStartShowsTheLogOfWhatFailed(t *testing.T) {
	binaries, err := Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	binaries.APIServer = filepath.Join(t.TempDir(), "apiserver")
	script := "#!/bin/sh\necho 'no flag of that name' >&2\nexit 7\n"
	if err := os.WriteFile(binaries.APIServer, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cluster")
	_, err = start(t.Context(), binaries, Options{Dir: dir})
	if err == nil {
		t.Fatal("start succeeded without an API server")
	}
	for _, want := range []string{"exit status 7", "log of kube-apiserver:\nno flag of that name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q in it", err, want)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat %s: %v, want that it is gone", dir, err)
	}
}

// createJob creates a Job of one pod, which is not tried again, with the annotations on its pod.
func createJob(t *testing.T, c *Cluster, namespace string, annotations map[string]string) *batchv1.Job {
	t.Helper()
	job, err := c.client.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "job-"},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: annotations},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "main", Image: "none"}},
				},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func podsOf(job *batchv1.Job) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name}
}

func jobHas(job *batchv1.Job, condition batchv1.JobConditionType) bool {
	for _, one := range job.Status.Conditions {
		if one.Type == condition && one.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func eventually(t *testing.T, what string, done wait.ConditionWithContextFunc) {
	t.Helper()
	began := time.Now()
	if err := wait.PollUntilContextTimeout(t.Context(), pollEvery, time.Minute, true, done); err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
	t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond))
}
