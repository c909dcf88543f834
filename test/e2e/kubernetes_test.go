package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
)

func kube(t testing.TB) (*kubetest.Cluster, kubernetes.Interface) {
	t.Helper()
	cluster := kubetest.Shared(t)
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return cluster, client
}

func kubeFlags(c *kubetest.Cluster) []string {
	return []string{"--runners", "kubernetes", "--kubeconfig", c.Kubeconfig, "--kube-api-qps", "200", "--kube-api-burst", "400"}
}

func jobsOf(t testing.TB, client kubernetes.Interface, namespace string) []batchv1.Job {
	t.Helper()
	list, err := client.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// The main job: two keys become two Jobs, and what becomes of the Jobs comes back as keys.
func TestPutKeysBecomeJobs(t *testing.T) {
	cluster, client := kube(t)
	w := newWorld(t)
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	node := w.node("n1", kubeFlags(cluster)...)

	phases := make(chan []nightwatch.Phase, 1)
	go func() { phases <- watchPhases(w, "default/demo-task-1") }()
	w.put("default/demo-task-1", `{"image":"alpine","command":["sleep"],"args":["60"]}`)
	w.put("demo/demo-task-2", `{"image":"busybox","command":["sleep"],"args":["3600"],"annotations":{"kwok-exit":"3"}}`)

	s := w.wait("default/demo-task-1", time.Minute, func(s *nightwatch.Status) bool { return s != nil && s.Counts.Succeeded == 1 })
	r := s.LastRun
	if s.Phase != nightwatch.PhaseSucceeded || r.Node != "n1" || r.CreateTime.IsZero() || s.UpdateTime.IsZero() ||
		!r.StartTime.Before(r.EndTime) || r.Job == nil || r.Job.Name != "demo-task-1" || r.Job.UID == "" {
		t.Errorf("status %+v, last run %+v", s, r)
	}
	if seen := <-phases; !slices.Equal(seen, []nightwatch.Phase{"Pending", "Running", "Succeeded"}) {
		t.Errorf("phases %v", seen)
	}
	s = w.wait("demo/demo-task-2", time.Minute, func(s *nightwatch.Status) bool { return s != nil && s.Counts.Failed == 1 })
	if s.Phase != nightwatch.PhaseFailed || s.LastRun.ExitCode == nil || *s.LastRun.ExitCode != 3 || s.LastRun.Reason != nightwatch.ReasonExitCode {
		t.Errorf("status %+v, last run %+v", s, s.LastRun)
	}

	job, err := client.BatchV1().Jobs("demo").Get(t.Context(), "demo-task-2", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	if c := pod.Containers[0]; len(pod.Containers) != 1 || c.Image != "busybox" || !slices.Equal(c.Command, []string{"sleep"}) || !slices.Equal(c.Args, []string{"3600"}) {
		t.Errorf("container %+v", c)
	}
	if pod.RestartPolicy != corev1.RestartPolicyNever || *job.Spec.BackoffLimit != 0 {
		t.Errorf("restartPolicy %s, backoffLimit %d", pod.RestartPolicy, *job.Spec.BackoffLimit)
	}
	clusterID, err := w.store.ClusterID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if job.Labels["nightwatch.dev/cluster-id"] != clusterID || job.Annotations["nightwatch.dev/kwok-exit"] != "3" {
		t.Errorf("labels %v, annotations %v", job.Labels, job.Annotations)
	}

	// It rests: the terminal status is not written again.
	at := w.etcdctl("get", "/nightwatch/status/default/demo-task-1", "-w", "json")
	w.put("default/another", `{"image":"alpine"}`)
	w.wait("default/another", time.Minute, phase(nightwatch.PhaseSucceeded))
	if again := w.etcdctl("get", "/nightwatch/status/default/demo-task-1", "-w", "json"); modRevision(t, at) != modRevision(t, again) {
		t.Errorf("the status was written again: %s", again)
	}

	// Deleting the tasks removes the Jobs.
	for _, task := range []string{"default/demo-task-1", "default/another", "demo/demo-task-2"} {
		w.etcdctl("del", "/nightwatch/tasks/"+task)
		w.wait(task, time.Minute, gone)
	}
	waitFor(t, "the Jobs are gone", func() bool { return len(jobsOf(t, client, "demo"))+len(jobsOf(t, client, "default")) == 0 })
	if _, body, err := get(node.address, "/readyz"); err != nil || !strings.Contains(body, "kubernetes") {
		t.Errorf("readyz: %v\n%s", err, body)
	}
}

func watchPhases(w *world, task string) []nightwatch.Phase {
	var seen []nightwatch.Phase
	for response := range w.client.Watch(w.t.Context(), w.store.Keys().Status(task)) {
		for _, e := range response.Events {
			var s nightwatch.Status
			if json.Unmarshal(e.Kv.Value, &s) != nil {
				continue
			}
			if len(seen) == 0 || seen[len(seen)-1] != s.Phase {
				seen = append(seen, s.Phase)
			}
			if s.Phase.Terminal() {
				return seen
			}
		}
	}
	return seen
}

func modRevision(t testing.TB, out string) int64 {
	t.Helper()
	var answer struct {
		Kvs []struct {
			ModRevision int64 `json:"mod_revision"`
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Kvs) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return answer.Kvs[0].ModRevision
}

// A node has two clusters, of which one does not answer: it starts all the same, and what asks for that one waits.
func TestClusterThatIsAway(t *testing.T) {
	cluster, client := kube(t)
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.Clusters["away"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}
	config.Contexts["away"] = &clientcmdapi.Context{Cluster: "away", AuthInfo: config.Contexts[kubetest.ContextName].AuthInfo}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	namespace := cluster.Namespace(t)
	node := w.spawn("n1", "--runners", "kubernetes", "--kubeconfig", file, "--kube-context", "away,tier=lead",
		"--kube-context", "main="+kubetest.ContextName+",tier=gold")
	w.put(namespace+"/lost", `{"image":"alpine"}`)
	w.put(namespace+"/named", `{"kubernetes":{"image":"alpine","cluster":"main"}}`)
	w.put(namespace+"/chosen", `{"kubernetes":{"image":"alpine","clusterSelector":"tier in (gold,silver)"}}`)
	for _, name := range []string{"named", "chosen"} {
		s := w.wait(namespace+"/"+name, time.Minute, phase(nightwatch.PhaseSucceeded))
		if r := s.LastRun; r.Cluster != "main" || r.Job == nil || r.Job.Cluster == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s := w.wait(namespace+"/lost", time.Minute, func(s *nightwatch.Status) bool { return s != nil && s.LastRun != nil && s.LastRun.Reason != "" })
	if r := s.LastRun; r.Phase != nightwatch.PhasePending || r.Reason != nightwatch.ReasonNoFittingNode || !strings.Contains(r.Message, "default Kubernetes cluster") {
		t.Errorf("%+v", r)
	}
	if jobs := jobsOf(t, client, namespace); len(jobs) != 2 {
		t.Errorf("%d Jobs", len(jobs))
	}
	if _, body, err := get(node.address, "/readyz"); err != nil || !strings.Contains(body, "[-]kubernetes/away") || !strings.Contains(body, "[+]kubernetes/main") {
		t.Errorf("readyz: %v\n%s", err, body)
	}
	if _, body, err := get(node.address, "/metrics"); err != nil || !strings.Contains(body, `nightwatch_kubernetes_requests_total{cluster="main",code="201",verb="create"} 2`) {
		t.Errorf("metrics: %v\n%s", err, body)
	}
}

func TestMissingNamespaceFailsOnce(t *testing.T) {
	cluster, _ := kube(t)
	w := newWorld(t)
	w.node("n1", kubeFlags(cluster)...)
	w.put("nowhere/lost", `{"image":"alpine"}`)
	s := w.wait("nowhere/lost", time.Minute, phase(nightwatch.PhaseFailed))
	if s.Reason != nightwatch.ReasonStartRefused || !strings.Contains(s.Message, "nowhere") || s.LastRun.Attempt != 1 {
		t.Errorf("reason %q, message %q, %+v", s.Reason, s.Message, s.LastRun)
	}
	w.put("default/after", `{"image":"alpine"}`)
	w.wait("default/after", time.Minute, phase(nightwatch.PhaseSucceeded))
	s = w.wait("nowhere/lost", time.Minute, func(s *nightwatch.Status) bool { return s != nil })
	if s.Counts.Failed != 1 || s.LastRun.Attempt != 1 {
		t.Errorf("it was tried again: %+v", s)
	}
}

func TestDeleteCancelsLiveJob(t *testing.T) {
	cluster, client := kube(t)
	w := newWorld(t)
	w.node("n1", kubeFlags(cluster)...)
	namespace := cluster.Namespace(t)
	w.put(namespace+"/long", `{"image":"alpine","annotations":{"kwok-run":"forever"}}`)
	w.wait(namespace+"/long", time.Minute, phase(nightwatch.PhaseRunning))
	waitFor(t, "the Job is there", func() bool { return len(jobsOf(t, client, namespace)) == 1 })
	w.etcdctl("del", "/nightwatch/tasks/"+namespace+"/long")
	w.wait(namespace+"/long", time.Minute, gone)
	if jobs := jobsOf(t, client, namespace); len(jobs) != 0 {
		t.Errorf("%d Jobs are left after the status went", len(jobs))
	}
}
