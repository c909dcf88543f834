package kubernetes

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestNewChecksItsConfig(t *testing.T) {
	for name, config := range map[string]Config{
		"no cluster":   {},
		"no REST":      {Clusters: []Cluster{{Name: "a"}}},
		"a bad name":   {Clusters: []Cluster{{Name: "a,b", REST: &rest.Config{}}}},
		"a bad label":  {Clusters: []Cluster{{Labels: map[string]string{"a b": ""}, REST: &rest.Config{}}}},
		"the same":     {Clusters: []Cluster{{REST: &rest.Config{}}, {Name: "default", REST: &rest.Config{}}}},
		"QPS":          {Clusters: []Cluster{{REST: &rest.Config{}}}, QPS: -1},
		"Sweep":        {Clusters: []Cluster{{REST: &rest.Config{}}}, Sweep: -time.Second},
		"a bad server": {Clusters: []Cluster{{REST: &rest.Config{Host: "http://[::1"}}}},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	given := &rest.Config{Host: "https://127.0.0.1:1", Timeout: time.Second}
	r, err := New(Config{Clusters: []Cluster{{REST: given}}})
	if err != nil {
		t.Fatal(err)
	}
	if given.QPS != 0 || given.Timeout != time.Second || given.UserAgent != "" {
		t.Errorf("the caller's config was changed: %+v", given)
	}
	if r.config.QPS != 50 || r.config.Burst != 100 {
		t.Errorf("QPS %v, burst %v", r.config.QPS, r.config.Burst)
	}
	if err := ready(r); err == nil {
		t.Error("ready before it is served")
	}
	if _, err := r.clusters[0].identify(t.Context()); err == nil || reached(r) != 0 {
		t.Errorf("clusters %v though there is none", r.Clusters())
	}
	if err := ready(r); err == nil || !strings.Contains(err.Error(), "identify cluster default") {
		t.Errorf("check: %v", err)
	}
}

func TestPrepare(t *testing.T) {
	r, err := New(Config{Clusters: []Cluster{{REST: &rest.Config{}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.clusters[0].uid = "k1"
	run := nightwatch.Run{ID: "rev-7", Task: "default/hello", TaskUID: 7, Attempt: 1}
	r.Prepare(&run, "c")
	if *run.Job != (nightwatch.Job{Cluster: "k1", Namespace: "default", Name: "hello"}) {
		t.Errorf("job %+v", run.Job)
	}
	hashed := nightwatch.JobName("c", "hello", &run, true)
	for _, made := range []nightwatch.Job{
		{Cluster: "k2", Namespace: "default", Name: "hello", UID: "u1"}, {Namespace: "default", Name: hashed},
	} {
		copied := made
		run.Job = &copied
		if r.Prepare(&run, "c"); *run.Job != made {
			t.Errorf("job %+v of this attempt was changed to %+v", made, run.Job)
		}
	}
	run.Attempt = 2
	r.Prepare(&run, "c")
	if run.Job.Name == hashed || run.Job.UID != "" || run.Job.Cluster != "k1" {
		t.Errorf("job %+v of an earlier attempt was kept", run.Job)
	}
}

func TestRunIDThatIsNoLabel(t *testing.T) {
	a := &jobrunner.Attempt{Task: &nightwatch.Task{}, ClusterID: "c",
		Record: nightwatch.Run{ID: "req-x.", Task: "default/hello", TaskUID: 7, Attempt: 1}}
	job := jobOf(t, a, "default", "hello")
	if _, ok := job.Labels[LabelRun]; ok {
		t.Errorf("labels %v", job.Labels)
	}
	if id, ok := identify(job); !ok || id != identityOf(&a.Record, "c") {
		t.Errorf("identity %+v", id)
	}
}

func TestIdentify(t *testing.T) {
	for name, spoil := range map[string]func(*batchv1.Job){
		"no cluster": func(j *batchv1.Job) { delete(j.Labels, LabelClusterID) },
		"no task":    func(j *batchv1.Job) { delete(j.Annotations, AnnotationTask) },
		"no run":     func(j *batchv1.Job) { delete(j.Annotations, AnnotationRun) },
		"bad uid":    func(j *batchv1.Job) { j.Annotations[AnnotationTaskUID] = "x" },
		"no attempt": func(j *batchv1.Job) { delete(j.Annotations, AnnotationAttempt) },
		"hostile":    func(j *batchv1.Job) { j.Annotations[AnnotationTask] = "default/../../x" },
	} {
		a := &jobrunner.Attempt{Task: &nightwatch.Task{}, ClusterID: "c",
			Record: nightwatch.Run{ID: "rev-7", Task: "default/hello", TaskUID: 7, Attempt: 1}}
		job := jobOf(t, a, "default", "hello")
		if spoil(job); func() bool { _, ok := identify(job); return ok }() {
			t.Errorf("%s: has an identity", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for _, test := range []struct {
		err             error
		final, answered bool
	}{
		{io.ErrUnexpectedEOF, false, false},
		{apierrors.NewForbidden(jobs, "x", fmt.Errorf("exceeded quota")), true, true},
		{apierrors.NewForbidden(jobs, "x", fmt.Errorf("not yet ready to handle request")), false, true},
		{apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "x"), true, true},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Job"}, "x", nil), true, true},
		{apierrors.NewAlreadyExists(jobs, "x"), true, true},
		{apierrors.NewConflict(jobs, "x", nil), false, true},
		{apierrors.NewUnauthorized("expired"), false, true},
		{apierrors.NewTooManyRequests("slow down", 1), false, true},
		{apierrors.NewInternalError(fmt.Errorf("etcd")), false, false},
		{apierrors.NewInternalError(fmt.Errorf("failed calling webhook \"x\": no route")), false, true},
		{apierrors.NewTimeoutError("etcd", 1), false, false},
		{apierrors.NewServiceUnavailable("later"), false, false},
		{passing{apierrors.NewNotFound(jobs, "x")}, false, true},
		{fmt.Errorf("more: %w", apierrors.NewBadRequest("x")), true, true},
	} {
		if got := final(test.err); got != test.final {
			t.Errorf("%v: final %v", test.err, got)
		}
		if got := answered(test.err); got != test.answered {
			t.Errorf("%v: answered %v", test.err, got)
		}
	}
	_, err := http.Get("http://127.0.0.1:1") //nolint:noctx // refused
	if !answered(err) {
		t.Errorf("%v: counts as sent", err)
	}
}

func TestOutcome(t *testing.T) {
	over := func(name string, code int32, reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
		}}
	}
	of := func(phase corev1.PodPhase, containers ...corev1.ContainerStatus) corev1.Pod {
		var pod corev1.Pod
		pod.Name, pod.Status.Phase, pod.Status.ContainerStatuses = "p", phase, containers
		for _, c := range containers {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c.Name})
		}
		return pod
	}
	ended := func(code int32, reason, message string) corev1.Pod {
		return of(corev1.PodFailed, over("main", code, reason, message))
	}
	later := func(pod corev1.Pod) corev1.Pod {
		pod.CreationTimestamp = metav1.NewTime(time.Unix(100, 0))
		return pod
	}
	evicted := ended(137, "Error", "")
	evicted.Status.Reason, evicted.Status.Message = "Evicted", "low on memory"
	named := of(corev1.PodFailed, over("a", 1, "Error", "said by a"), over("b", 2, "Error", "said by b"))
	named.Annotations = map[string]string{annotationDefaultContainer: "b"}
	setup := of(corev1.PodFailed)
	setup.Status.InitContainerStatuses = []corev1.ContainerStatus{over("fetch", 0, "Completed", ""), over("unpack", 9, "Error", "no space")}
	expired, preempted := ended(143, "Error", ""), ended(143, "Error", "")
	expired.Status.Reason, expired.Status.Message = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
	preempted.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler, Message: "for a better one"},
	}
	running := corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	complete := batchv1.JobCondition{Type: batchv1.JobComplete}
	failed := batchv1.JobCondition{Type: batchv1.JobFailed, Reason: batchv1.JobReasonBackoffLimitExceeded, Message: "it is over"}
	deadline := batchv1.JobCondition{Type: batchv1.JobFailed, Reason: batchv1.JobReasonDeadlineExceeded}
	for _, test := range []struct {
		name            string
		end             batchv1.JobCondition
		pods            []corev1.Pod
		phase           nightwatch.Phase
		reason, message string
		code            int // −1: none
		output          string
	}{
		{"complete", complete, []corev1.Pod{ended(0, "Completed", "42")}, nightwatch.PhaseSucceeded, "", "", 0, "42"},
		{"complete, pods gone", complete, nil, nightwatch.PhaseSucceeded, "", "", 0, ""},
		{"exit code", failed, []corev1.Pod{ended(3, "Error", "no such file")}, nightwatch.PhaseFailed, "ExitCode", "exit code 3", 3, "no such file"},
		{"out of memory", failed, []corev1.Pod{ended(137, "OOMKilled", "")}, nightwatch.PhaseFailed, "OOMKilled", "exit code 137: OOMKilled", 137, ""},
		{"evicted", failed, []corev1.Pod{evicted}, nightwatch.PhaseFailed, "Evicted", "pod p: low on memory", 137, ""},
		{"preempted", failed, []corev1.Pod{preempted}, nightwatch.PhaseFailed, "PreemptionByScheduler", "pod p: for a better one", 143, ""},
		{"the pod's own deadline", failed, []corev1.Pod{expired}, nightwatch.PhaseFailed, "Timeout",
			"pod p: Pod was active on the node longer than the specified deadline", 143, ""},
		{"an init container", failed, []corev1.Pod{setup}, nightwatch.PhaseFailed, "ExitCode", "init container unpack: exit code 9", 9, "no space"},
		{"main of two", failed, []corev1.Pod{of(corev1.PodFailed, over("main", 3, "Error", "y"), over("log", 1, "Error", "x"))},
			nightwatch.PhaseFailed, "ExitCode", "exit code 3", 3, "y"},
		{"not main of two", failed, []corev1.Pod{of(corev1.PodFailed, over("main", 0, "Completed", "y"), over("log", 137, "OOMKilled", "x"))},
			nightwatch.PhaseFailed, "OOMKilled", "container log: exit code 137: OOMKilled", 137, "x"},
		{"the first of two", failed, []corev1.Pod{of(corev1.PodFailed, over("b", 1, "Error", "x"), over("a", 2, "Error", "y"))},
			nightwatch.PhaseFailed, "ExitCode", "exit code 1", 1, "x"},
		{"the one that the pod names", failed, []corev1.Pod{named}, nightwatch.PhaseFailed, "ExitCode", "exit code 2", 2, "said by b"},
		{"a sidecar that was ended", complete, []corev1.Pod{of(corev1.PodSucceeded, over("main", 0, "Completed", "y"), over("log", 137, "Error", "x"))},
			nightwatch.PhaseSucceeded, "", "", 0, "y"},
		{"second pod", failed, []corev1.Pod{later(ended(4, "Error", "")), evicted}, nightwatch.PhaseFailed, "ExitCode", "exit code 4", 4, ""},
		{"pod still ending", failed, []corev1.Pod{later(running), ended(5, "", "")}, nightwatch.PhaseFailed, "ExitCode", "exit code 5", 5, ""},
		{"pods gone", failed, nil, nightwatch.PhaseFailed, "BackoffLimitExceeded", "it is over", -1, ""},
		{"deadline", deadline, nil, nightwatch.PhaseFailed, "Timeout", "the attempt took longer than its timeout", -1, ""},
		{"a sentence for a reason", failed, []corev1.Pod{ended(2, "went wrong somehow", "")}, nightwatch.PhaseFailed, "ExitCode", "exit code 2", 2, ""},
		{"long output", complete, []corev1.Pod{ended(0, "", strings.Repeat("x", 5000))}, nightwatch.PhaseSucceeded, "", "", 0, strings.Repeat("x", nightwatch.MaxOutput)},
	} {
		got := outcomeOf(&test.end, test.pods)
		code := -1
		if got.ExitCode != nil {
			code = *got.ExitCode
		}
		if got.Phase != test.phase || got.Reason != test.reason || got.Message != test.message || code != test.code || got.Output != test.output {
			t.Errorf("%s: %+v, exit code %d", test.name, got, code)
		}
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: %s
clusters:
- {name: here, cluster: {server: "https://127.0.0.1:6443"}}
- {name: there, cluster: {server: "https://kube.example.com"}}
- {name: proxied, cluster: {server: "https://localhost:6443", proxy-url: "http://proxy.example.com"}}
users:
- {name: me, user: {token: t}}
contexts:
- {name: kind, context: {cluster: here, user: me}}
- {name: prod, context: {cluster: there, user: me}}
- {name: tunnel, context: {cluster: proxied, user: me}}
`

func writeKubeconfig(t *testing.T, current string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, fmt.Appendf(nil, kubeconfig, current), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoopbackContext(t *testing.T) {
	for current, want := range map[string]string{"kind": "kind", "prod": "", "tunnel": "", `""`: "", "missing": ""} {
		t.Setenv("KUBECONFIG", writeKubeconfig(t, current))
		config, name, err := LoopbackContext()
		if err != nil || name != want || (config != nil) != (want != "") {
			t.Errorf("%s: %v %q %v", current, config, name, err)
		}
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "missing"))
	if config, _, err := LoopbackContext(); config != nil || err != nil {
		t.Errorf("no kubeconfig: %v %v", config, err)
	}
	for server, want := range map[string]bool{
		"https://127.0.0.1:6443": true, "https://[::1]:6443": true, "http://localhost": true, "127.8.8.8:6443": true,
		"https://127.0.0.1.example.com": false, "https://10.0.0.1": false, "https://localhost.example.com": false, "": false,
	} {
		if loopback(server) != want {
			t.Errorf("%s: loopback %v", server, !want)
		}
	}
}

func TestLoadConfig(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", writeKubeconfig(t, "kind"))
	if _, _, err := LoadConfig("", ""); err == nil {
		t.Error("a kubeconfig that lies about was taken")
	}
	for _, test := range []struct{ file, context, name, host string }{
		{"", "prod", "prod", "https://kube.example.com"},
		{writeKubeconfig(t, "prod"), "", "prod", "https://kube.example.com"},
		{writeKubeconfig(t, "prod"), "kind", "kind", "https://127.0.0.1:6443"},
		{"", "nowhere", "", ""},
		{writeKubeconfig(t, `""`), "", "", ""},
		{filepath.Join(t.TempDir(), "missing"), "", "", ""},
	} {
		config, name, err := LoadConfig(test.file, test.context)
		if (err == nil) != (test.host != "") || name != test.name {
			t.Errorf("%+v: %q %v", test, name, err)
		}
		if err == nil && config.Host != test.host {
			t.Errorf("%+v: host %s", test, config.Host)
		}
	}
}

func TestKept(t *testing.T) {
	now := time.Unix(1000, 0)
	for text, want := range map[string]bool{
		now.Add(time.Minute).Format(time.RFC3339): true, now.Add(-time.Minute).Format(time.RFC3339): false, "some time": true,
	} {
		job := &batchv1.Job{}
		job.Annotations = map[string]string{AnnotationKeepUntil: text}
		if kept(job, now) != want {
			t.Errorf("%q: kept %v", text, !want)
		}
	}
	if kept(&batchv1.Job{}, now) {
		t.Error("kept without an annotation")
	}
}
