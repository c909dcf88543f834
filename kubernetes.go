package nightwatch

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// KubernetesPrefix is that of the labels and annotations that nightwatch writes on Jobs and pods; no task sets such keys
// itself.
const KubernetesPrefix = "nightwatch.dev/"

// MainContainer is the name of the container that a task runs which has no Template with containers and gives no other.
const MainContainer = "main"

// KubernetesSpec is a Job. Template is a whole batch/v1 Job template, and the other fields lie over it: what they say goes
// before what the template says. Without a template they are a Job of one pod with one container.
//
// Fields that are json.RawMessage, or a StringOrObject, hold the JSON of a type of the Kubernetes API, named by their tag.
// ParseTask checks them against it: names of fields, types, quantities.
type KubernetesSpec struct {
	// Container names the one that Image, Command, Args, Env, EnvFrom, Resources and Volumes are about. Default the first
	// one of the template, or "main" if there is none.
	Container string `json:"container,omitempty"`
	// Image may be left out where the template has it.
	Image string `json:"image,omitempty"`
	// Command and Args are those of the container; default the template's, or else the image's.
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
	// Env are variables by name: a value, or where it comes from, such as {secretKeyRef: {name: db, key: password}}.
	// Those of a template stay, but for the ones named here.
	Env map[string]StringOrObject `json:"env,omitempty" kubernetes:"EnvVarSource"`
	// EnvFrom are config maps and secrets of variables, after those of the template.
	EnvFrom json.RawMessage `json:"envFrom,omitempty" kubernetes:"[]EnvFromSource"`
	// Resources are requests and limits: {requests: {cpu: 500m, memory: 1Gi}}. Each one named here goes before the
	// template's.
	Resources json.RawMessage `json:"resources,omitempty" kubernetes:"ResourceRequirements"`
	// Volumes are what is mounted into the container, besides what the template mounts; at most 64.
	Volumes []KubernetesVolume `json:"volumes,omitempty"`

	// ServiceAccountName is the pod's service account; default the namespace's "default".
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// ImagePullSecrets are names of secrets, besides those of the template.
	ImagePullSecrets []string `json:"imagePullSecrets,omitempty"`
	// NodeSelector are labels of the Kubernetes nodes that the pod may run on, laid over those of the template.
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations come after those of the template.
	Tolerations json.RawMessage `json:"tolerations,omitempty" kubernetes:"[]Toleration"`

	// BackoffLimit is how many pods of a Job may fail before it does, 0 or more. Whether another attempt follows is for the
	// task's Retry to say. Default 0.
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`
	// ActiveDeadlineSeconds bounds the Job, 1 or more. The task's Timeout does as well: the shorter one holds.
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`
	// TTLSecondsAfterFinished has Kubernetes remove the Job so long after its end; at least 60, as its result must be
	// read before.
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
	// PodFailurePolicy says which failures of pods count. Default one by which disruptions, such as a drained machine, do
	// not; with at-most-once they do.
	PodFailurePolicy json.RawMessage `json:"podFailurePolicy,omitempty" kubernetes:"PodFailurePolicy"`
	// Suspend makes a Job that starts when somebody else says so, such as a queue of Jobs.
	Suspend *bool `json:"suspend,omitempty"`

	// Cluster names the Kubernetes cluster that the Job is to be in, as nodes call it; ClusterSelector selects it by the
	// labels that nodes give it, in the grammar of RunsOn. One of them at most. Default the node's first cluster.
	Cluster         string `json:"cluster,omitempty"`
	ClusterSelector string `json:"clusterSelector,omitempty"`

	// Template is the metadata and spec of a batch/v1 Job.
	Template json.RawMessage `json:"template,omitempty" kubernetes:"JobTemplateSpec"`
}

// KubernetesVolume is a volume and where it is mounted. Exactly one of ConfigMap, Secret, PersistentVolumeClaim and
// EmptyDir is set, or none when Name is that of a volume of the template, or of another entry.
type KubernetesVolume struct {
	// Name is the volume's; default one that is made up.
	Name string `json:"name,omitempty"`
	// MountPath is absolute.
	MountPath string `json:"mountPath,omitempty"`
	// SubPath is the file or folder of the volume that is mounted; default all of it.
	SubPath string `json:"subPath,omitempty"`
	// ReadOnly mounts it so that nothing can be written there.
	ReadOnly bool `json:"readOnly,omitempty"`
	// ConfigMap, Secret and PersistentVolumeClaim are a name, or the source as the API has it:
	// {secretName: tls, optional: true}.
	ConfigMap             StringOrObject `json:"configMap,omitzero" kubernetes:"ConfigMapVolumeSource"`
	Secret                StringOrObject `json:"secret,omitzero" kubernetes:"SecretVolumeSource"`
	PersistentVolumeClaim StringOrObject `json:"persistentVolumeClaim,omitzero" kubernetes:"PersistentVolumeClaimVolumeSource"`
	// EmptyDir is {}, or a source such as {medium: Memory, sizeLimit: 64Mi}.
	EmptyDir json.RawMessage `json:"emptyDir,omitempty" kubernetes:"EmptyDirVolumeSource"`
}

// StringOrObject is a string or, in its place, an object of the Kubernetes API as JSON.
type StringOrObject struct {
	String string
	// Object is nil when String counts.
	Object json.RawMessage
}

// IsZero tells whether it is as if left out.
func (s StringOrObject) IsZero() bool { return s.String == "" && s.Object == nil }

// MarshalJSON writes the one or the other.
func (s StringOrObject) MarshalJSON() ([]byte, error) {
	if s.Object != nil {
		return s.Object, nil
	}
	return json.Marshal(s.String)
}

// UnmarshalJSON reads the one or the other.
func (s *StringOrObject) UnmarshalJSON(data []byte) error {
	*s = StringOrObject{}
	if bytes.HasPrefix(data, []byte("{")) {
		s.Object = bytes.Clone(data)
		return nil
	}
	if err := json.Unmarshal(data, &s.String); err != nil {
		return fmt.Errorf("%s: want a string, in quotes, or an object", clip(string(data)))
	}
	return nil
}

// KubernetesJob is the Kubernetes part with the short form folded in.
func (t *Task) KubernetesJob() KubernetesSpec {
	if t.Kubernetes != nil {
		return *t.Kubernetes
	}
	return KubernetesSpec{Image: t.Image, Command: t.Command, Args: t.Args}
}
