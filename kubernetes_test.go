package nightwatch_test

import (
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
)

// pod is a template whose pod's spec has further fields.
func pod(more string) string {
	if more != "" {
		more = "," + more
	}
	return `"template":{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b"}]` + more + `}}}}`
}

// job is a template whose Job's spec has these fields.
func job(fields string) string { return `"image":"a","template":{"spec":{` + fields + `}}` }

const (
	inJob = "kubernetes.template.spec."
	inPod = "kubernetes.template.spec.template.spec."
)

func TestKubernetesTypes(t *testing.T) {
	tests := []struct{ name, kubernetes, field, reason string }{
		{"a slip", `"image":"a","template":{"spec":{"tmplate":{}}}`, "kubernetes.template.spec.tmplate", `unknown field; did you mean "template"?`},
		{"letters swapped", pod(`"volmues":[]`), inPod + "volmues", `did you mean "volumes"?`},
		{"case", pod(`"restartpolicy":"Never"`), inPod + "restartpolicy", `unknown field; did you mean "restartPolicy"?`},
		{"nothing alike", pod(`"gpu":1`), inPod + "gpu", "unknown field"},
		{"a Job where its template is", `"image":"a","template":{"apiVersion":"batch/v1","spec":{}}`, "kubernetes.template.apiVersion", "unknown field"},
		{"deep", pod(`"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"a","labelSelector":{"matchExpressions":[{"key":"a","operater":"In"}]}}]}}`),
			inPod + "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].operater", `did you mean "operator"?`},
		{"twice", pod(`"hostname":"a","hostname":"b"`), inPod + "hostname", "duplicate field"},
		{"twice in a map", pod(`"nodeSelector":{"a":"1","a":"2"}`), inPod + "nodeSelector.a", "duplicate field"},
		{"not a template", `"image":"a","template":"b"`, "kubernetes.template", `"b": want an object`},
		{"object", pod(`"affinity":[]`), inPod + "affinity", "[]: want an object"},
		{"list", pod(`"volumes":{}`), inPod + "volumes", "{}: want a list"},
		{"item", pod(`"volumes":["data"]`), inPod + "volumes[0]", `"data": want an object`},
		{"null item", pod(`"volumes":[null]`), inPod + "volumes[0]", "null: want a value"},
		{"null in a map", pod(`"nodeSelector":{"a":null}`), inPod + "nodeSelector.a", "null: want a value"},
		{"string", pod(`"hostname":5`), inPod + "hostname", "5: want a string, in quotes"},
		{"string in a map", pod(`"nodeSelector":{"tier":1}`), inPod + "nodeSelector.tier", "1: want a string, in quotes"},
		{"bool", pod(`"hostNetwork":"true"`), inPod + "hostNetwork", `"true": want true or false`},
		{"number", job(`"backoffLimit":"1"`), inJob + "backoffLimit", `"1": want a whole number of 32 bits`},
		{"large number", job(`"backoffLimit":2147483648`), inJob + "backoffLimit", "want a whole number of 32 bits"},
		{"fraction", job(`"backoffLimit":1.0`), inJob + "backoffLimit", "want a whole number of 32 bits"},
		{"larger number", pod(`"terminationGracePeriodSeconds":9223372036854775808`), inPod + "terminationGracePeriodSeconds", "want a whole number"},
		{"quantity", pod(`"overhead":{"memory":"5 GB"}`), inPod + "overhead.memory", `"5 GB": want a quantity such as "500m", "1.5" or "512Mi"`},
		{"quantity of another type", pod(`"overhead":{"memory":true}`), inPod + "overhead.memory", "want a quantity"},
		{"quantity that takes for ever", pod(`"overhead":{"memory":"1e-2147483648"}`), inPod + "overhead.memory", "want a quantity"},
		{"time", `"image":"a","template":{"metadata":{"creationTimestamp":"today"}}`, "kubernetes.template.metadata.creationTimestamp", `"today": want a time such as`},
		{"port", `"template":{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b","livenessProbe":{"tcpSocket":{"port":1.5}}}]}}}}`,
			inPod + "containers[0].livenessProbe.tcpSocket.port", "1.5: want a whole number of 32 bits, or a string"},

		{"resources", `"image":"a","resources":{"limits":{"memory":"1gi"}}`, "kubernetes.resources.limits.memory", "want a quantity"},
		{"resources of a slip", `"image":"a","resources":{"limit":{}}`, "kubernetes.resources.limit", `did you mean "limits"?`},
		{"tolerations", `"image":"a","tolerations":{"key":"a"}`, "kubernetes.tolerations", "want a list"},
		{"a toleration", `"image":"a","tolerations":[{"effekt":"a"}]`, "kubernetes.tolerations[0].effekt", `did you mean "effect"?`},
		{"environment from", `"image":"a","envFrom":[{"secret":{"name":"a"}}]`, "kubernetes.envFrom[0].secret", "unknown field"},
		{"variable", `"image":"a","env":{"A":1}`, "kubernetes.env.A", "1: want a string, in quotes, or an object (EnvVarSource)"},
		{"variable of nothing", `"image":"a","env":{"A":null}`, "kubernetes.env.A", "null: want a string"},
		{"variable of a list", `"image":"a","env":[{"name":"A","value":"b"}]`, "kubernetes.env", "want an object"},
		{"variable from elsewhere", `"image":"a","env":{"A":{"secretKeyRef":{"nam":"a"}}}`, "kubernetes.env.A.secretKeyRef.nam", `did you mean "name"?`},
		{"variable from a file of the node", `"image":"a","env":{"A":{"fromFile":"a"}}`, "kubernetes.env.A", "want secretKeyRef: {name, key}, or envFrom"},
		{"volumes", `"image":"a","volumes":{}`, "kubernetes.volumes", "{}: want a list"},
		{"a volume", `"image":"a","volumes":["a"]`, "kubernetes.volumes[0]", "want an object"},
		{"field of a volume", `"image":"a","volumes":[{"mountpath":"/a","secret":"b"}]`, "kubernetes.volumes[0].mountpath", `did you mean "mountPath"?`},
		{"config map", `"image":"a","volumes":[{"mountPath":"/a","configMap":["b"]}]`, "kubernetes.volumes[0].configMap", "want a string, in quotes, or an object (ConfigMapVolumeSource)"},
		{"secret", `"image":"a","volumes":[{"mountPath":"/a","secret":{"name":"b"}}]`, "kubernetes.volumes[0].secret.name", "unknown field"},
		{"size", `"image":"a","volumes":[{"mountPath":"/a","emptyDir":{"sizeLimit":"64MB"}}]`, "kubernetes.volumes[0].emptyDir.sizeLimit", "want a quantity"},
	}
	var all []refused
	for _, test := range tests {
		all = append(all, refused{test.name, `{"kubernetes":{` + test.kubernetes + `}}`, test.field, test.reason})
	}
	checkTasks(t, all)
}

func TestKubernetesRefusals(t *testing.T) {
	containers := func(list string) string {
		return `"template":{"spec":{"template":{"spec":{"containers":[` + list + `]}}}}`
	}
	policy := func(rules string) string { return `"image":"a","podFailurePolicy":{"rules":[` + rules + `]}` }
	const ignore = `{"action":"Ignore","onExitCodes":{"operator":"In","values":[75]}}`
	tests := []struct{ name, kubernetes, field, reason string }{
		{"no container", `"template":{"spec":{"template":{"spec":{"containers":[]}}}}`, "kubernetes.image", "missing"},
		{"no image", containers(`{"name":"a"}`), inPod + "containers[0].image", "missing"},
		{"no image of another", `"image":"a",` + containers(`{"name":"a"},{"name":"b"}`), inPod + "containers[1].image", "missing"},
		{"image with a space", containers(`{"name":"a","image":"b c"}`), inPod + "containers[0].image", "no white space"},
		{"no name", containers(`{"image":"a"}`), inPod + "containers[0].name", `"": want lower-case letters`},
		{"the same name", containers(`{"name":"a","image":"b"},{"name":"a","image":"b"}`), inPod + "containers[1].name", `"a": is there twice`},
		{"the same name as at first", `"image":"a",` + pod(`"initContainers":[{"name":"a","image":"b"}]`), inPod + "initContainers[0].name", `"a": is there twice`},
		{"another container", `"image":"a","container":"b",` + containers(`{"name":"a"}`), "kubernetes.container", `"b": the template has no such container`},
		{"container's name", `"image":"a","container":"B"`, "kubernetes.container", "want lower-case letters"},
		{"variable of ours", containers(`{"name":"a","image":"b","env":[{"name":"NIGHTWATCH_RUN"}]}`), inPod + "containers[0].env[0].name", "set by the system"},
		{"ephemeral container", pod(`"ephemeralContainers":[]`), inPod + "ephemeralContainers", "kubectl debug"},

		{"variable from two", `"image":"a","env":{"A":{"fieldRef":{},"secretKeyRef":{}}}`, "kubernetes.env.A", "want one of secretKeyRef"},
		{"variable from none", `"image":"a","env":{"A":{"fieldRef":null}}`, "kubernetes.env.A", "want one of secretKeyRef"},
		{"variables from none", `"image":"a","envFrom":[{"prefix":"A_"}]`, "kubernetes.envFrom[0]", "want one of configMapRef and secretRef"},
		{"variables from two", `"image":"a","envFrom":[{"configMapRef":{},"secretRef":{}}]`, "kubernetes.envFrom[0]", "want one of configMapRef and secretRef"},
		{"pull secret", `"image":"a","imagePullSecrets":["a","b_c"]`, "kubernetes.imagePullSecrets[1]", "not a name"},
		{"node selector", `"image":"a","nodeSelector":{"a b":"c"}`, "kubernetes.nodeSelector.a b", "not a label key"},

		{"volume of two", `"image":"a","volumes":[{"mountPath":"/a","configMap":"b","secret":"c"}]`, "kubernetes.volumes[0]", "also configMap is set: want one of"},
		{"volume of nothing", `"image":"a","volumes":[{"mountPath":"/a"}]`, "kubernetes.volumes[0]", "no volume: want one of"},
		{"volume of no name", `"image":"a","volumes":[{"mountPath":"/a","configMap":""}]`, "kubernetes.volumes[0]", "no volume"},
		{"volume that is nowhere", `"image":"a","volumes":[{"mountPath":"/a","name":"b"}]`, "kubernetes.volumes[0].name", `"b": there is no such volume`},
		{"volume twice", `"image":"a","volumes":[{"mountPath":"/a","name":"b","secret":"c"},{"mountPath":"/b","name":"b","secret":"c"}]`, "kubernetes.volumes[1].name", `"b": is there twice`},
		{"volume's name", `"image":"a","volumes":[{"mountPath":"/a","name":"b.c","secret":"c"}]`, "kubernetes.volumes[0].name", "want lower-case letters"},
		{"secret's name", `"image":"a","volumes":[{"mountPath":"/a","secret":"B"}]`, "kubernetes.volumes[0].secret", `"B": not a name`},
		{"no mount path", `"image":"a","volumes":[{"secret":"b"}]`, "kubernetes.volumes[0].mountPath", "missing"},
		{"relative mount path", `"image":"a","volumes":[{"mountPath":"a","secret":"b"}]`, "kubernetes.volumes[0].mountPath", `"a": want an absolute path`},
		{"mount path twice", `"image":"a","volumes":[{"mountPath":"/a","secret":"b"},{"mountPath":"/a/","secret":"b"}]`, "kubernetes.volumes[1].mountPath", "is there twice"},
		{"sub path", `"image":"a","volumes":[{"mountPath":"/a","subPath":"b/../../c","secret":"b"}]`, "kubernetes.volumes[0].subPath", "want a path within the volume"},
		{"many volumes", `"image":"a","volumes":[` + strings.Repeat(`{},`, 64) + `{}]`, "kubernetes.volumes", "65: want at most 64"},

		{"backoff limit", `"image":"a","backoffLimit":-1`, "kubernetes.backoffLimit", "-1: want 0 or more"},
		{"backoff limit of the template", job(`"backoffLimit":-1`), inJob + "backoffLimit", "-1: want 0 or more"},
		{"deadline", `"image":"a","activeDeadlineSeconds":0`, "kubernetes.activeDeadlineSeconds", "0: want 1 or more"},
		{"deadline of the pod", pod(`"activeDeadlineSeconds":0`), inPod + "activeDeadlineSeconds", "0: want 1 or more"},
		{"time to live", `"image":"a","ttlSecondsAfterFinished":0`, "kubernetes.ttlSecondsAfterFinished", "0: want 60 or more: the result is read from the Job"},
		{"restart policy", pod(`"restartPolicy":"Always"`), inPod + "restartPolicy", `"Always": want Never or OnFailure`},
		{"replacement policy", job(`"podReplacementPolicy":"Never"`), inJob + "podReplacementPolicy", `"Never": want Failed or TerminatingOrFailed`},
		{"failure policy with restarts", policy(ignore) + `,` + pod(`"restartPolicy":"OnFailure"`), "kubernetes.podFailurePolicy", "goes with restartPolicy Never"},
		{"failure policy with replacements", policy(ignore) + `,"template":{"spec":{"podReplacementPolicy":"TerminatingOrFailed"}}`, "kubernetes.podFailurePolicy", "goes with podReplacementPolicy Failed"},
		{"action", policy(`{"action":"Retry","onPodConditions":[{}]}`), "kubernetes.podFailurePolicy.rules[0].action", `"Retry": want FailJob, FailIndex, Ignore or Count`},
		{"action for an index", policy(`{"action":"FailIndex","onPodConditions":[{}]}`), "kubernetes.podFailurePolicy.rules[0].action", "goes with backoffLimitPerIndex"},
		{"rule on nothing", job(`"podFailurePolicy":{"rules":[{"action":"Count"}]}`), inJob + "podFailurePolicy.rules[0]", "want one of onExitCodes and onPodConditions"},
		{"completion mode", job(`"completionMode":"Index"`), inJob + "completionMode", `"Index": want NonIndexed or Indexed`},
		{"completions", job(`"completionMode":"Indexed"`), inJob + "completions", "missing: completionMode Indexed wants it"},
		{"limit for each index", job(`"backoffLimitPerIndex":1`), inJob + "backoffLimitPerIndex", "goes with completionMode Indexed"},
		{"failed indexes", job(`"completionMode":"Indexed","completions":3,"maxFailedIndexes":1`), inJob + "maxFailedIndexes", "goes with backoffLimitPerIndex"},
		{"success policy", job(`"successPolicy":{}`), inJob + "successPolicy", "goes with completionMode Indexed"},

		{"selector", job(`"selector":{"matchLabels":{}}`), inJob + "selector", "leave it out"},
		{"manual selector", job(`"manualSelector":true`), inJob + "manualSelector", "leave it out"},
		{"namespace", `"image":"a","template":{"metadata":{"namespace":"other"}}`, "kubernetes.template.metadata.namespace", `"other": the task is in "default": leave it out`},
		{"pod's namespace", job(`"template":{"metadata":{"namespace":"other"}}`), inJob + "template.metadata.namespace", `the task is in "default"`},
		{"Job's name", `"image":"a","template":{"metadata":{"name":"b"}}`, "kubernetes.template.metadata.name", `"b": leave it out: the run names its Job`},
		{"pod's name", job(`"template":{"metadata":{"generateName":"b"}}`), inJob + "template.metadata.generateName", "Kubernetes names the pods of a Job"},
		{"uid", `"image":"a","template":{"metadata":{"uid":"b"}}`, "kubernetes.template.metadata.uid", "leave it out: Kubernetes sets it"},
		{"label of ours", `"image":"a","template":{"metadata":{"labels":{"nightwatch.dev/run":"b"}}}`, "kubernetes.template.metadata.labels.nightwatch.dev/run", "is set by the system"},
		{"annotation of ours", job(`"template":{"metadata":{"annotations":{"nightwatch.dev/any":"b"}}}`), inJob + "template.metadata.annotations.nightwatch.dev/any", "is set by the system"},
		{"label of who manages it", `"image":"a","template":{"metadata":{"labels":{"app.kubernetes.io/managed-by":"Helm"}}}`, "kubernetes.template.metadata.labels.app.kubernetes.io/managed-by", "is set by the system"},
		{"label", `"image":"a","template":{"metadata":{"labels":{"a":"b c"}}}`, "kubernetes.template.metadata.labels.a", "not a label value"},
		{"annotation", `"image":"a","template":{"metadata":{"annotations":{"a b":"c"}}}`, "kubernetes.template.metadata.annotations.a b", "not an annotation's key"},
	}
	var all []refused
	for _, test := range tests {
		all = append(all, refused{test.name, `{"kubernetes":{` + test.kubernetes + `}}`, test.field, test.reason})
	}
	// Nothing may start a program again.
	for _, test := range []struct{ name, kubernetes, field, reason string }{
		{"backoff limit", `"image":"a","backoffLimit":1`, "kubernetes.backoffLimit", "1: with delivery at-most-once want 0"},
		{"backoff limit of the template", job(`"backoffLimit":6`), inJob + "backoffLimit", "6: with delivery at-most-once want 0"},
		{"backoff limit for an index", job(`"completionMode":"Indexed","completions":3,"backoffLimitPerIndex":1`), inJob + "backoffLimitPerIndex", "want 0"},
		{"restarts", pod(`"restartPolicy":"OnFailure"`), inPod + "restartPolicy", "with delivery at-most-once want Never"},
		{"restarts of a container", containers(`{"name":"a","image":"b","restartPolicy":"OnFailure"}`), inPod + "containers[0].restartPolicy", "want Never, and no restartPolicyRules"},
		{"failures that do not count", policy(ignore), "kubernetes.podFailurePolicy.rules[0].action", "want FailJob or Count"},
	} {
		all = append(all, refused{"at most once: " + test.name, `{"delivery":"at-most-once","kubernetes":{` + test.kubernetes + `}}`, test.field, test.reason})
	}
	for _, field := range []string{`"completions":3`, `"parallelism":1`, `"completionMode":"NonIndexed"`} {
		name, _, _ := strings.Cut(field[1:], `"`)
		all = append(all, refused{"shards and " + name, `{"shards":3,"kubernetes":{` + job(field) + `}}`, inJob + name, "leave it out: with shards"})
	}
	checkTasks(t, all)
}

func TestKubernetesAccepted(t *testing.T) {
	for _, kubernetes := range []string{
		`"image":"a","template":{}`,
		`"image":"a","template":null,"env":null,"volumes":null,"resources":null,"backoffLimit":null`,
		pod(``), pod(`"restartPolicy":"OnFailure"`),
		`"container":"b","image":"c","template":{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b"},{"name":"b"}]}}}}`,
		`"container":"b","image":"c"`,
		`"image":"a","env":{"A":"b","C":{"secretKeyRef":{"name":"d","key":"e"}},"F":{"fieldRef":{"fieldPath":"status.podIP"},"secretKeyRef":null},"G":""}`,
		`"image":"a","envFrom":[{"prefix":"A_","secretRef":{"name":"b"}},{"configMapRef":{"name":"c","optional":true}}]`,
		`"image":"a","resources":{"requests":{"cpu":"500m","memory":"1.5Gi","nvidia.com/gpu":1},"limits":{"cpu":0.5,"memory":"1e3"}}`,
		`"image":"a","volumes":[{"mountPath":"/a","secret":"b.c"},{"mountPath":"/b","configMap":{"name":"c","items":[{"key":"d","path":"e"}]},"subPath":"e","readOnly":true},` +
			`{"name":"tmp","mountPath":"/tmp","emptyDir":{}},{"name":"tmp","mountPath":"/var/tmp","subPath":"..x"},{"mountPath":"/data","persistentVolumeClaim":"data"}]`,
		`"volumes":[{"name":"data","mountPath":"/data"}],` + pod(`"volumes":[{"name":"data","hostPath":{"path":"/"}}]`),
		`"image":"a","imagePullSecrets":["a"],"nodeSelector":{"kubernetes.io/arch":"arm64"},"tolerations":[{"key":"a","operator":"Exists","tolerationSeconds":60}]`,
		`"image":"a","backoffLimit":3,"activeDeadlineSeconds":60,"ttlSecondsAfterFinished":60,"suspend":true,"cluster":"arn:aws:eks:eu-west-1:1:cluster/a"`,
		`"image":"a","clusterSelector":"region in (eu,us), !old"`,
		job(`"parallelism":0,"completions":10,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":2,"successPolicy":{"rules":[{"succeededCount":1}]},"podFailurePolicy":{"rules":[{"action":"FailIndex","onPodConditions":[{"type":"DisruptionTarget","status":"True"}]}]}`),
		`"image":"a","template":{"metadata":{"namespace":"default","creationTimestamp":null,"labels":{"team":"a"},"annotations":{"example.com/a":"any thing\n"},"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"b"}]}}`,
		pod(`"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]}]}}}`),
	} {
		parse(t, `{"kubernetes":{`+kubernetes+`}}`)
	}
	parse(t, `{"delivery":"at-most-once","kubernetes":{"image":"a","backoffLimit":0,"template":{"spec":{"backoffLimit":6}}}}`)
}

func BenchmarkParseKubernetesTemplate(b *testing.B) {
	sidecars := strings.Repeat(`{"name":"SIDECAR","image":"b","env":[{"name":"A","value":"b"}],"resources":{"limits":{"cpu":"500m"}}},`, 300)
	for i := range 300 {
		sidecars = strings.Replace(sidecars, "SIDECAR", "s"+strings.Repeat("x", i/26%26)+string(rune('a'+i%26))+strings.Repeat("y", i/676), 1)
	}
	value := []byte(`{"kubernetes":{"template":{"spec":{"template":{"spec":{"containers":[` + sidecars + `{"name":"a","image":"b"}]}}}}}}`)
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := nightwatch.ParseTask("default/hello", value); err != nil {
			b.Fatal(err)
		}
	}
}
