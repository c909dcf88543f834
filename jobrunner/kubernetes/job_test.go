package kubernetes

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// attemptOf is one of a task that ParseTask accepts.
func attemptOf(t *testing.T, value string) *jobrunner.Attempt {
	t.Helper()
	task, err := nightwatch.ParseTask("default/hello", []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return &jobrunner.Attempt{
		Task: task, ClusterID: "c",
		Run: jobrunner.Run{Namespace: "default", Task: "hello", ID: "rev-7", Attempt: 1, Fence: 42,
			Params: map[string]json.RawMessage{"price": json.RawMessage(`"$(HOME) $5"`)}},
		Record: nightwatch.Run{ID: "rev-7", Task: "default/hello", TaskUID: 7, Attempt: 1, Node: "n1"},
	}
}

// built is the Job of a task with this kubernetes part.
func built(t *testing.T, kubernetes string) *batchv1.Job {
	t.Helper()
	return jobOf(t, attemptOf(t, `{"kubernetes":{`+kubernetes+`}}`), "default", "hello")
}

// own are a container's variables without ours, which come first.
func own(t *testing.T, c *corev1.Container) []corev1.EnvVar {
	t.Helper()
	last := slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return !strings.HasPrefix(v.Name, "NIGHTWATCH_") })
	if last < 0 {
		last = len(c.Env)
	}
	if last < 7 || c.Env[0].Name != "NIGHTWATCH_NAMESPACE" {
		t.Errorf("container %s is told %v", c.Name, c.Env)
	}
	return c.Env[last:]
}

func TestJobDefaults(t *testing.T) {
	const (
		onFailure = `"image":"a","template":{"spec":{"template":{"spec":{"containers":[{"name":"a"}],"restartPolicy":"OnFailure"}}}}`
		early     = `"image":"a","template":{"spec":{"podReplacementPolicy":"TerminatingOrFailed"}}`
		perIndex  = `"image":"a","template":{"spec":{"completionMode":"Indexed","completions":3,"backoffLimitPerIndex":2}}`
	)
	tests := []struct {
		name, kubernetes, more string
		backoff                *int32
		restart                corev1.RestartPolicy
		replace                batchv1.PodReplacementPolicy
		disruptions            bool // are not counted
	}{
		{"nothing said", `"image":"a"`, "", ptr.To[int32](0), "Never", "Failed", true},
		{"at most once", `"image":"a"`, `,"delivery":"at-most-once"`, ptr.To[int32](0), "Never", "Failed", false},
		{"pods tried again", `"image":"a","backoffLimit":4`, "", ptr.To[int32](4), "Never", "Failed", true},
		{"containers tried again", onFailure, "", ptr.To[int32](0), "OnFailure", "Failed", false},
		{"pods replaced early", early, "", ptr.To[int32](0), "Never", "TerminatingOrFailed", false},
		{"indexes tried again", perIndex, "", nil, "Never", "Failed", true},
	}
	for _, test := range tests {
		job := jobOf(t, attemptOf(t, `{"kubernetes":{`+test.kubernetes+`}`+test.more+`}`), "default", "hello")
		s := job.Spec
		if !reflect.DeepEqual(s.BackoffLimit, test.backoff) || s.Template.Spec.RestartPolicy != test.restart ||
			*s.PodReplacementPolicy != test.replace || (s.PodFailurePolicy != nil) != test.disruptions {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
}

func TestJobDeadline(t *testing.T) {
	for _, test := range []struct {
		kubernetes, timeout string
		want                int64
	}{
		{`"image":"a"`, "1500ms", 2},
		{`"image":"a","activeDeadlineSeconds":10`, "1h", 10},
		{`"image":"a","activeDeadlineSeconds":10`, "5s", 5},
		{`"image":"a","template":{"spec":{"activeDeadlineSeconds":7}}`, "1h", 7},
		{`"image":"a","activeDeadlineSeconds":9,"template":{"spec":{"activeDeadlineSeconds":7}}`, "1h", 9},
	} {
		job := jobOf(t, attemptOf(t, `{"kubernetes":{`+test.kubernetes+`},"timeout":"`+test.timeout+`"}`), "default", "hello")
		if got := *job.Spec.ActiveDeadlineSeconds; got != test.want {
			t.Errorf("%s, timeout %s: %d, want %d", test.kubernetes, test.timeout, got, test.want)
		}
	}
}

func TestShortFormOverTemplate(t *testing.T) {
	job := built(t, `
		"container": "work", "image": "short", "args": ["-v"],
		"env": {"B": "short", "C": {"secretKeyRef": {"name": "s", "key": "k"}}, "A1": "new"},
		"envFrom": [{"secretRef": {"name": "short"}}],
		"resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": 1}},
		"volumes": [
			{"mountPath": "/a", "configMap": "files", "subPath": "x", "readOnly": true},
			{"mountPath": "/b", "secret": {"secretName": "tls", "optional": true}},
			{"mountPath": "/data", "persistentVolumeClaim": "claim"},
			{"mountPath": "/c", "emptyDir": {"sizeLimit": "64Mi"}, "name": "tmp"},
			{"mountPath": "/d", "name": "tmp", "subPath": "d"}, {"mountPath": "/e", "name": "kept"}],
		"serviceAccountName": "short", "imagePullSecrets": ["two", "one"], "nodeSelector": {"b": "short"},
		"tolerations": [{"key": "short", "operator": "Exists"}],
		"backoffLimit": 1, "ttlSecondsAfterFinished": 60, "suspend": true,
		"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}]},
		"template": {"metadata": {"labels": {"team": "a"}, "annotations": {"why": "b"}}, "spec": {"backoffLimit": 6, "suspend": false, "managedBy": "example.com/queue",
			"template": {"metadata": {"labels": {"pod": "c"}}, "spec": {
				"serviceAccountName": "long", "imagePullSecrets": [{"name": "one"}], "nodeSelector": {"a": "long", "b": "long"},
				"tolerations": [{"key": "long"}], "priorityClassName": "high",
				"volumes": [{"name": "kept", "hostPath": {"path": "/"}}, {"name": "tmp", "emptyDir": {}}, {"name": "volume-0", "emptyDir": {}}],
				"initContainers": [{"name": "first", "image": "init"}],
				"containers": [
					{"name": "proxy", "image": "long", "terminationMessagePolicy": "File"},
					{"name": "work", "image": "long", "command": ["sh"], "args": ["-c"],
						"env": [{"name": "A", "value": "long"}, {"name": "B", "value": "long"}],
						"envFrom": [{"configMapRef": {"name": "long"}}],
						"resources": {"limits": {"memory": "1Gi", "cpu": "2"}},
						"volumeMounts": [{"name": "kept", "mountPath": "/data"}, {"name": "kept", "mountPath": "/kept"}]}]}}}}`)
	pod := job.Spec.Template.Spec
	proxy, work := pod.Containers[0], pod.Containers[1]
	if proxy.Image != "long" || work.Image != "short" || !slices.Equal(work.Command, []string{"sh"}) || !slices.Equal(work.Args, []string{"-v"}) {
		t.Errorf("containers %+v", pod.Containers)
	}
	for name, got := range map[string]any{
		"init": own(t, &pod.InitContainers[0]), "proxy": own(t, &proxy),
	} {
		if len(got.([]corev1.EnvVar)) != 0 {
			t.Errorf("variables of %s: %v", name, got)
		}
	}
	equal(t, "variables", own(t, &work), []corev1.EnvVar{
		{Name: "A", Value: "long"}, {Name: "B", Value: "short"}, {Name: "A1", Value: "new"},
		{Name: "C", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}},
	})
	if len(work.EnvFrom) != 2 || work.EnvFrom[1].SecretRef.Name != "short" {
		t.Errorf("variables from %+v", work.EnvFrom)
	}
	if l, r := work.Resources.Limits, work.Resources.Requests; l.Memory().String() != "2Gi" || l.Cpu().String() != "2" || r.Cpu().String() != "1" {
		t.Errorf("resources %+v", work.Resources)
	}
	equal(t, "mounts", work.VolumeMounts, []corev1.VolumeMount{
		{Name: "volume-2", MountPath: "/data"}, {Name: "kept", MountPath: "/kept"}, {Name: "volume-0x", MountPath: "/a", SubPath: "x", ReadOnly: true},
		{Name: "volume-1", MountPath: "/b"}, {Name: "tmp", MountPath: "/c"}, {Name: "tmp", MountPath: "/d", SubPath: "d"}, {Name: "kept", MountPath: "/e"},
	})
	volumes := map[string]corev1.Volume{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v
	}
	if len(volumes) != len(pod.Volumes) || len(volumes) != 6 || volumes["tmp"].EmptyDir.SizeLimit.String() != "64Mi" || volumes["kept"].HostPath == nil ||
		volumes["volume-0x"].ConfigMap.Name != "files" || !*volumes["volume-1"].Secret.Optional || volumes["volume-2"].PersistentVolumeClaim.ClaimName != "claim" {
		t.Errorf("volumes %+v", pod.Volumes)
	}
	if pod.ServiceAccountName != "short" || pod.PriorityClassName != "high" || len(pod.Tolerations) != 2 || pod.Tolerations[1].Key != "short" {
		t.Errorf("pod %+v", pod)
	}
	equal(t, "pull secrets", pod.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "one"}, {Name: "two"}})
	equal(t, "node selector", pod.NodeSelector, map[string]string{"a": "long", "b": "short"})
	s := job.Spec
	if *s.BackoffLimit != 1 || *s.TTLSecondsAfterFinished != 60 || !*s.Suspend || *s.ManagedBy != "example.com/queue" ||
		s.PodFailurePolicy.Rules[0].Action != batchv1.PodFailurePolicyActionFailJob {
		t.Errorf("spec %+v", s)
	}
	if job.Labels["team"] != "a" || job.Labels[LabelTask] != "hello" || job.Annotations["why"] != "b" || s.Template.Labels["pod"] != "c" ||
		s.Template.Labels["team"] != "" || s.Template.Labels[LabelClusterID] != "c" || s.Template.Annotations[annotationDefaultContainer] != "work" {
		t.Errorf("metadata %+v, of the pod %+v", job.ObjectMeta, s.Template.ObjectMeta)
	}
	if proxy.TerminationMessagePolicy != corev1.TerminationMessageReadFile || work.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		t.Errorf("output: %s, %s", proxy.TerminationMessagePolicy, work.TerminationMessagePolicy)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

func TestJobWithoutTemplate(t *testing.T) {
	job := jobOf(t, attemptOf(t, `{"image":"a","command":["b"],"args":["c"]}`), "default", "hello")
	c := job.Spec.Template.Spec.Containers
	if len(c) != 1 || c[0].Name != nightwatch.MainContainer || c[0].Image != "a" || c[0].Command[0] != "b" || c[0].Args[0] != "c" {
		t.Errorf("containers %+v", c)
	}
	if _, ok := job.Spec.Template.Annotations[annotationDefaultContainer]; ok {
		t.Errorf("annotations %v", job.Spec.Template.Annotations)
	}
	if c := built(t, `"image":"a","container":"work"`).Spec.Template.Spec.Containers; len(c) != 1 || c[0].Name != "work" {
		t.Errorf("containers %+v", c)
	}
}

// Our variables come first and are what we say, whatever the user's or the params have in them.
func TestTold(t *testing.T) {
	c := built(t, `"image":"a","env":{"B":"2","A":"$(NIGHTWATCH_RUN)"}`).Spec.Template.Spec.Containers[0]
	equal(t, "variables", own(t, &c), []corev1.EnvVar{{Name: "A", Value: "$(NIGHTWATCH_RUN)"}, {Name: "B", Value: "2"}})
	told := c.Env[len(c.Env)-3]
	if want := `{"price":"$$(HOME) $$5"}`; told.Name != "NIGHTWATCH_PARAMS" || told.Value != want {
		t.Errorf("told %+v, want %s", told, want)
	}
	// A task that an older version accepted, with names that are ours by now.
	pod := corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Env: []corev1.EnvVar{{Name: "NIGHTWATCH_RUN", Value: "mine"}}}}}
	tell(&pod, jobrunner.Run{ID: "rev-7"})
	if own(t, &pod.Containers[0]); slices.ContainsFunc(pod.Containers[0].Env, func(v corev1.EnvVar) bool { return v.Value == "mine" }) {
		t.Errorf("told %+v", pod.Containers[0].Env)
	}
}

// A second chance of one shard finds what it would find as one of an Indexed Job, in a Job of one pod.
func TestShardAloneIsToldAsOneOfMany(t *testing.T) {
	a := attemptOf(t, `{"image":"a","shardParams":["new","x"]}`)
	a.Record.ID, a.Record.Shard = "req-a.0", &nightwatch.RunShard{Of: "req-a", Index: 0, Count: 2, Param: json.RawMessage(`"$eu"`)}
	a.Run.Shards, a.Run.Shard, a.Run.ShardParam = 2, 0, a.Record.Shard.Param
	spec := jobOf(t, a, "default", "hello").Spec
	if spec.CompletionMode != nil || spec.Completions != nil {
		t.Errorf("%+v", spec)
	}
	got := map[string]string{}
	for _, v := range spec.Template.Spec.Containers[0].Env {
		got[v.Name] = v.Value
	}
	for name, want := range map[string]string{
		"NIGHTWATCH_SHARD": "0", "NIGHTWATCH_SHARDS": "2", "NIGHTWATCH_SHARD_PARAM": "$$eu", "NIGHTWATCH_SHARD_PARAMS": `["$$eu","x"]`, "JOB_COMPLETION_INDEX": "0",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// What this version does not know, or does not fit into one request, is no Job.
func TestJobRefused(t *testing.T) {
	a := attemptOf(t, `{"image":"a"}`)
	for name, test := range map[string]struct {
		kubernetes nightwatch.KubernetesSpec
		want       string
	}{
		"unknown": {nightwatch.KubernetesSpec{Image: "a", Template: json.RawMessage(`{"spec":{"newInVersion9":true}}`)},
			`kubernetes.template: unknown field "spec.newInVersion9"`},
		"case":      {nightwatch.KubernetesSpec{Image: "a", Template: json.RawMessage(`{"Spec":{}}`)}, `unknown field "Spec"`},
		"container": {nightwatch.KubernetesSpec{Container: "b", Template: json.RawMessage(`{"spec":{"template":{"spec":{"containers":[{"name":"a"}]}}}}`)}, `container "b"`},
		"policy":    {nightwatch.KubernetesSpec{Image: "a", PodFailurePolicy: json.RawMessage(`{"rules":{}}`)}, "kubernetes.podFailurePolicy: "},
	} {
		a.Task.Image, a.Task.Kubernetes = "", &test.kubernetes
		if job, err := newJob(a, "default", "hello"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", name, job, err)
		}
	}
	containers := ""
	for i := range 40 {
		containers += fmt.Sprintf(`,{"name":"c%d","image":"b"}`, i)
	}
	many := attemptOf(t, `{"kubernetes":{"template":{"spec":{"template":{"spec":{"containers":[`+containers[1:]+`]}}}}}}`)
	many.Run.Params["big"] = json.RawMessage(`"` + strings.Repeat("x", 60<<10) + `"`)
	if _, err := newJob(many, "default", "hello"); err == nil || !strings.Contains(err.Error(), "want at most 1048576; every container is told the params") {
		t.Errorf("a huge Job: %v", err)
	}
}

// A tombstone is known as the attempt's, and is to whoever judges Jobs what that one would be. It runs nothing.
func TestTombstone(t *testing.T) {
	for image, kubernetes := range map[string]string{
		"a":     `{"image":"a","suspend":false,"template":{"metadata":{"finalizers":["example.com/a"]},"spec":{"parallelism":2,"completions":2}}}`,
		noImage: `{"image":"a","template":{"spec":{"newInVersion9":true}}}`, // of which no Job can be made
	} {
		a := attemptOf(t, `{"image":"a"}`)
		a.Task.Image, a.Task.Kubernetes = "", new(nightwatch.KubernetesSpec)
		if err := json.Unmarshal([]byte(kubernetes), a.Task.Kubernetes); err != nil {
			t.Fatal(err)
		}
		job := newTombstone(a, "default", "hello", time.Unix(1000, 0))
		if id, ok := identify(job); !ok || id != identityOf(&a.Record, "c") || !kept(job, time.Unix(999, 0)) {
			t.Errorf("metadata %+v", job.ObjectMeta)
		}
		if c := job.Spec.Template.Spec.Containers; !*job.Spec.Suspend || ptr.Deref(job.Spec.Parallelism, 1) != 0 || len(c) != 1 || c[0].Image != image || len(job.Finalizers) > 0 {
			t.Errorf("job %+v", job)
		}
	}
}

// full says something of most that a template can.
const full = `
kubernetes:
  image: busybox
  resources: {requests: {cpu: 100m}}
  env: {REGION: eu, POD: {fieldRef: {fieldPath: metadata.name}}}
  volumes:
    - {mountPath: /etc/app, configMap: {name: app, optional: true}, readOnly: true}
    - {mountPath: /cache, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
  tolerations: [{key: batch, operator: Exists, effect: NoSchedule}]
  template:
    metadata: {labels: {team: data}}
    spec:
      completions: 3
      parallelism: 2
      completionMode: Indexed
      backoffLimitPerIndex: 1
      maxFailedIndexes: 2
      podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [42]}}]}
      successPolicy: {rules: [{succeededIndexes: 0-1, succeededCount: 1}]}
      template:
        metadata: {annotations: {example.com/scrape: "true"}}
        spec:
          affinity:
            podAntiAffinity:
              preferredDuringSchedulingIgnoredDuringExecution:
                - {weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {team: data}}}}
          topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
          securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
          dnsConfig: {options: [{name: ndots, value: "2"}]}
          hostAliases: [{ip: 10.0.0.1, hostnames: [db]}]
          terminationGracePeriodSeconds: 5
          automountServiceAccountToken: false
          initContainers:
            - name: sidecar
              image: proxy
              restartPolicy: Always
              startupProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}
          containers:
            - name: work
              command: [sleep, "60"]
              ports: [{containerPort: 80, name: web}]
              lifecycle: {preStop: {exec: {command: [sync]}}}
              livenessProbe: {tcpSocket: {port: web}}
              securityContext: {capabilities: {drop: [ALL]}, allowPrivilegeEscalation: false}
              volumeMounts: [{name: scratch, mountPath: /scratch}]
          volumes:
            - name: scratch
              ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}
`

// The API server takes what a template can say, and keeps it.
func TestTemplateOnTheAPIServer(t *testing.T) {
	p := newPlace(t)
	a := attemptOf(t, full)
	job := jobOf(t, a, p.namespace, "full")
	made, err := p.client.BatchV1().Jobs(p.namespace).Create(t.Context(), job, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil {
		t.Fatal(err)
	}
	pod := made.Spec.Template.Spec
	if *made.Spec.Completions != 3 || *made.Spec.PodReplacementPolicy != batchv1.Failed || made.Labels["team"] != "data" ||
		pod.TopologySpreadConstraints[0].MaxSkew != 1 || len(pod.Volumes) != 3 || pod.Containers[0].Image != "busybox" ||
		pod.Containers[0].LivenessProbe.TCPSocket.Port.String() != "web" || *pod.SecurityContext.RunAsUser != 1000 {
		t.Errorf("made %+v", made)
	}
}

// A field that the cluster is too old for (this module knows a later API than the server of the tests) is not left out.
func TestFieldThatTheAPIServerDoesNotKnow(t *testing.T) {
	p := newPlace(t)
	r := p.attempt("newer", nil)
	r.Task = attemptOf(t, `{"kubernetes":{"image":"a","template":{"spec":{"template":{"spec":{"evictionResponders":[{"name":"example.com/a"}]}}}}}}`).Task
	out := r.start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
	if !strings.Contains(out.Message, `unknown field "spec.template.spec.evictionResponders"`) {
		t.Errorf("message %q", out.Message)
	}
}
