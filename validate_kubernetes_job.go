package nightwatch

import (
	"encoding/json"
	"fmt"
	"strings"
)

// jobTemplate is what is looked at of a JobTemplateSpec; what is null is as absent.
type jobTemplate struct {
	Metadata objectMeta `json:"metadata"`
	Spec     struct {
		jobPolicy
		ManualSelector *bool            `json:"manualSelector"`
		Selector       *json.RawMessage `json:"selector"`
		Template       struct {
			Metadata objectMeta `json:"metadata"`
			Spec     podSpec    `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type objectMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`

	GenerateName               string           `json:"generateName"`
	SelfLink                   string           `json:"selfLink"`
	UID                        string           `json:"uid"`
	ResourceVersion            string           `json:"resourceVersion"`
	Generation                 *int64           `json:"generation"`
	CreationTimestamp          *string          `json:"creationTimestamp"`
	DeletionTimestamp          *string          `json:"deletionTimestamp"`
	DeletionGracePeriodSeconds *int64           `json:"deletionGracePeriodSeconds"`
	ManagedFields              *json.RawMessage `json:"managedFields"`
}

type podSpec struct {
	RestartPolicy         string           `json:"restartPolicy"`
	ActiveDeadlineSeconds *int64           `json:"activeDeadlineSeconds"`
	Containers            []podContainer   `json:"containers"`
	InitContainers        []podContainer   `json:"initContainers"`
	EphemeralContainers   *json.RawMessage `json:"ephemeralContainers"`
	Volumes               []struct {
		Name string `json:"name"`
	} `json:"volumes"`
}

type podContainer struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	Env   []struct {
		Name string `json:"name"`
	} `json:"env"`
	RestartPolicy      string           `json:"restartPolicy"`
	RestartPolicyRules *json.RawMessage `json:"restartPolicyRules"`
}

// jobPolicy says when a Job starts pods anew, and when it is over.
type jobPolicy struct {
	Parallelism             *int32           `json:"parallelism"`
	Completions             *int32           `json:"completions"`
	CompletionMode          *string          `json:"completionMode"`
	BackoffLimit            *int32           `json:"backoffLimit"`
	BackoffLimitPerIndex    *int32           `json:"backoffLimitPerIndex"`
	MaxFailedIndexes        *int32           `json:"maxFailedIndexes"`
	ActiveDeadlineSeconds   *int64           `json:"activeDeadlineSeconds"`
	TTLSecondsAfterFinished *int32           `json:"ttlSecondsAfterFinished"`
	PodReplacementPolicy    *string          `json:"podReplacementPolicy"`
	PodFailurePolicy        *json.RawMessage `json:"podFailurePolicy"`
	SuccessPolicy           *json.RawMessage `json:"successPolicy"`
}

// check is about what the system says of a Job, and a template cannot.
func (j *jobTemplate) check(f *faults, namespace string) {
	j.Metadata.check(f, "kubernetes.template.metadata.", "the run names its Job", namespace)
	j.Spec.Template.Metadata.check(f, "kubernetes.template.spec.template.metadata.", "Kubernetes names the pods of a Job", namespace)
	for field, set := range map[string]bool{"manualSelector": j.Spec.ManualSelector != nil, "selector": j.Spec.Selector != nil} {
		if set {
			f.add("kubernetes.template.spec."+field, "leave it out: Kubernetes selects the pods that it makes for the Job")
		}
	}
}

// managedBy is the one label without our prefix that every Job has.
const managedBy = "app.kubernetes.io/managed-by"

func (m *objectMeta) check(f *faults, at, named, namespace string) {
	if m.Namespace != "" && m.Namespace != namespace {
		f.add(at+"namespace", "%q: the task is in %q: leave it out", clip(m.Namespace), namespace)
	}
	if m.Name != "" {
		f.add(at+"name", "%q: leave it out: %s", clip(m.Name), named)
	}
	if m.GenerateName != "" {
		f.add(at+"generateName", "%q: leave it out: %s", clip(m.GenerateName), named)
	}
	for field, set := range map[string]bool{
		"selfLink": m.SelfLink != "", "uid": m.UID != "", "resourceVersion": m.ResourceVersion != "", "generation": m.Generation != nil,
		"creationTimestamp": m.CreationTimestamp != nil, "deletionTimestamp": m.DeletionTimestamp != nil,
		"deletionGracePeriodSeconds": m.DeletionGracePeriodSeconds != nil, "managedFields": m.ManagedFields != nil,
	} {
		if set {
			f.add(at+field, "leave it out: Kubernetes sets it")
		}
	}
	*f = append(*f, CheckLabels(at+"labels", m.Labels)...)
	for field, keys := range map[string]map[string]string{"labels": m.Labels, "annotations": m.Annotations} {
		for key := range keys {
			if strings.HasPrefix(key, KubernetesPrefix) || key == managedBy && field == "labels" {
				f.add(clipPath(at+field+"."+key), "is set by the system")
			}
		}
	}
	for key := range m.Annotations {
		if !validLabelKey(key) {
			f.add(clipPath(at+"annotations."+key), "not an annotation's key: letters, digits, '-', '_' and '.', at most 63, with an optional DNS prefix and '/'")
		}
	}
}

// The words of batch/v1 that decide about a Job's pods.
const (
	restartNever     = "Never"
	restartOnFailure = "OnFailure"
	indexed          = "Indexed"
	nonIndexed       = "NonIndexed"
	replaceFailed    = "Failed"
	replaceEarly     = "TerminatingOrFailed"
	actionIgnore     = "Ignore"
	actionFailIndex  = "FailIndex"
)

const inJob, inPod = "kubernetes.template.spec.", "kubernetes.template.spec.template.spec."

// lay puts the short form of a field over the template's, and tells under what path the one that counts stands.
func lay[T any](under **T, over *T) (at string) {
	if over == nil {
		return inJob
	}
	*under = over
	return "kubernetes."
}

func atLeast[T int32 | int64](f *faults, field string, value *T, least T, why string) {
	if value != nil && *value < least {
		f.add(field, "%d: want %d or more%s", *value, least, why)
	}
}

// checkPolicy is about what of a Job's policies does not go together, or not with at-most-once: then nothing may start a
// program again.
func (k *KubernetesSpec) checkPolicy(f *faults, j *jobTemplate, atMostOnce bool) {
	p, pod := j.Spec.jobPolicy, &j.Spec.Template.Spec
	backoff := lay(&p.BackoffLimit, k.BackoffLimit) + "backoffLimit"
	atLeast(f, backoff, p.BackoffLimit, 0, "")
	atLeast(f, lay(&p.ActiveDeadlineSeconds, k.ActiveDeadlineSeconds)+"activeDeadlineSeconds", p.ActiveDeadlineSeconds, 1, "")
	atLeast(f, lay(&p.TTLSecondsAfterFinished, k.TTLSecondsAfterFinished)+"ttlSecondsAfterFinished", p.TTLSecondsAfterFinished, minTTL,
		": the result is read from the Job")
	atLeast(f, inJob+"parallelism", p.Parallelism, 0, "")
	atLeast(f, inJob+"completions", p.Completions, 0, "")
	atLeast(f, inJob+"backoffLimitPerIndex", p.BackoffLimitPerIndex, 0, "")
	atLeast(f, inJob+"maxFailedIndexes", p.MaxFailedIndexes, 0, "")

	p.checkIndexed(f)
	switch pod.RestartPolicy {
	case "", restartNever, restartOnFailure:
	default:
		f.add(inPod+"restartPolicy", "%q: want Never or OnFailure", clip(pod.RestartPolicy))
	}
	replace := deref(p.PodReplacementPolicy)
	if replace != "" && replace != replaceFailed && replace != replaceEarly {
		f.add(inJob+"podReplacementPolicy", "%q: want Failed or TerminatingOrFailed", clip(replace))
	}
	var short *json.RawMessage
	if k.PodFailurePolicy != nil {
		short = &k.PodFailurePolicy
	}
	failures := lay(&p.PodFailurePolicy, short) + "podFailurePolicy"
	if p.PodFailurePolicy != nil {
		if pod.RestartPolicy == restartOnFailure {
			f.add(failures, "goes with restartPolicy Never")
		}
		if replace == replaceEarly {
			f.add(failures, "goes with podReplacementPolicy Failed")
		}
		p.checkFailures(f, failures, atMostOnce)
	}
	if !atMostOnce {
		return
	}
	const why = "with delivery at-most-once want %s: it would start the program again"
	if p.BackoffLimit != nil && *p.BackoffLimit > 0 {
		f.add(backoff, "%d: "+why, *p.BackoffLimit, "0")
	}
	if p.BackoffLimitPerIndex != nil && *p.BackoffLimitPerIndex > 0 {
		f.add(inJob+"backoffLimitPerIndex", "%d: "+why, *p.BackoffLimitPerIndex, "0")
	}
	if pod.RestartPolicy == restartOnFailure {
		f.add(inPod+"restartPolicy", "%q: "+why, pod.RestartPolicy, restartNever)
	}
	for i, c := range pod.Containers {
		if c.RestartPolicy != "" && c.RestartPolicy != restartNever || c.RestartPolicyRules != nil {
			f.add(fmt.Sprintf("%scontainers[%d].restartPolicy", inPod, i), why, restartNever+", and no restartPolicyRules")
		}
	}
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func (p *jobPolicy) checkIndexed(f *faults) {
	switch mode := deref(p.CompletionMode); mode {
	case indexed:
		if p.Completions == nil {
			f.add(inJob+"completions", "missing: completionMode Indexed wants it")
		}
	case "", nonIndexed:
		for field, set := range map[string]bool{
			"backoffLimitPerIndex": p.BackoffLimitPerIndex != nil, "maxFailedIndexes": p.MaxFailedIndexes != nil, "successPolicy": p.SuccessPolicy != nil,
		} {
			if set {
				f.add(inJob+field, "goes with completionMode Indexed")
			}
		}
		return
	default:
		f.add(inJob+"completionMode", "%q: want NonIndexed or Indexed", clip(mode))
		return
	}
	if p.MaxFailedIndexes != nil && p.BackoffLimitPerIndex == nil {
		f.add(inJob+"maxFailedIndexes", "goes with backoffLimitPerIndex")
	}
}

// refuseIndexes is about a Job whose indexes are the shards of a run.
func (p *jobPolicy) refuseIndexes(f *faults) {
	for field, set := range map[string]bool{
		"completions": p.Completions != nil, "completionMode": p.CompletionMode != nil, "parallelism": p.Parallelism != nil,
		"backoffLimitPerIndex": p.BackoffLimitPerIndex != nil, "maxFailedIndexes": p.MaxFailedIndexes != nil, "successPolicy": p.SuccessPolicy != nil,
	} {
		if set {
			f.add(inJob+field, "leave it out: with shards, the indexes of the Job are those")
		}
	}
}

// checkFailures is about the pod failure policy that stands at a field.
func (p *jobPolicy) checkFailures(f *faults, field string, atMostOnce bool) {
	var policy struct {
		Rules []struct {
			Action          string            `json:"action"`
			OnExitCodes     *json.RawMessage  `json:"onExitCodes"`
			OnPodConditions []json.RawMessage `json:"onPodConditions"`
		} `json:"rules"`
	}
	_ = json.Unmarshal(*p.PodFailurePolicy, &policy) // its types have been checked
	for i, rule := range policy.Rules {
		at := fmt.Sprintf("%s.rules[%d]", field, i)
		switch rule.Action {
		case "FailJob", "Count":
		case actionIgnore:
			if atMostOnce {
				f.add(at+".action", "%q: with delivery at-most-once want FailJob or Count: it would start the program again", rule.Action)
			}
		case actionFailIndex:
			if p.BackoffLimitPerIndex == nil {
				f.add(at+".action", "%q: goes with backoffLimitPerIndex", rule.Action)
			}
		default:
			f.add(at+".action", "%q: want FailJob, FailIndex, Ignore or Count", clip(rule.Action))
		}
		if (rule.OnExitCodes != nil) == (len(rule.OnPodConditions) > 0) {
			f.add(at, "want one of onExitCodes and onPodConditions")
		}
	}
}
