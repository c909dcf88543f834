package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"github.com/nightwatch-go/nightwatch"
)

// annotationDefaultContainer is what kubectl goes by in a pod of several containers.
const annotationDefaultContainer = "kubectl.kubernetes.io/default-container"

// merge is the Job template of a task with its short form laid over it. An error says that this node's version of the
// Kubernetes API does not have what the task says: nothing is left out silently.
func merge(spec *nightwatch.KubernetesSpec) (*batchv1.JobTemplateSpec, error) {
	job := new(batchv1.JobTemplateSpec)
	if err := decode("template", spec.Template, job); err != nil {
		return nil, err
	}
	pod := &job.Spec.Template.Spec
	if len(pod.Containers) == 0 {
		name := spec.Container
		if name == "" {
			name = nightwatch.MainContainer
		}
		pod.Containers = []corev1.Container{{Name: name}}
	}
	main := slices.IndexFunc(pod.Containers, func(c corev1.Container) bool { return spec.Container == "" || c.Name == spec.Container })
	if main < 0 {
		return nil, fmt.Errorf("container %q: the template has no such container", spec.Container)
	}
	if err := mergeContainer(&pod.Containers[main], spec); err != nil {
		return nil, err
	}
	if err := mergeVolumes(pod, &pod.Containers[main], spec.Volumes); err != nil {
		return nil, err
	}
	if err := mergePod(pod, spec); err != nil {
		return nil, err
	}
	if err := mergeJob(&job.Spec, spec); err != nil {
		return nil, err
	}
	if len(pod.Containers) > 1 {
		job.Spec.Template.Annotations = over(
			map[string]string{annotationDefaultContainer: pod.Containers[main].Name}, job.Spec.Template.Annotations)
	}
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			if containers[i].TerminationMessagePolicy == "" {
				// The end of the log of a container that fails comes with its status, and so into the record.
				containers[i].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
			}
		}
	}
	return job, nil
}

func mergeContainer(c *corev1.Container, spec *nightwatch.KubernetesSpec) error {
	if spec.Image != "" {
		c.Image = spec.Image
	}
	if spec.Command != nil {
		c.Command = spec.Command
	}
	if spec.Args != nil {
		c.Args = spec.Args
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		variable := corev1.EnvVar{Name: name, Value: spec.Env[name].String}
		if from := spec.Env[name].Object; from != nil {
			variable.ValueFrom = new(corev1.EnvVarSource)
			if err := decode("env."+name, from, variable.ValueFrom); err != nil {
				return err
			}
		}
		c.Env = put(c.Env, variable, func(v corev1.EnvVar) bool { return v.Name == name })
	}
	var from []corev1.EnvFromSource
	if err := decode("envFrom", spec.EnvFrom, &from); err != nil {
		return err
	}
	c.EnvFrom = append(c.EnvFrom, from...)
	var resources corev1.ResourceRequirements
	if err := decode("resources", spec.Resources, &resources); err != nil {
		return err
	}
	c.Resources.Limits = over(c.Resources.Limits, resources.Limits)
	c.Resources.Requests = over(c.Resources.Requests, resources.Requests)
	for _, claim := range resources.Claims {
		c.Resources.Claims = put(c.Resources.Claims, claim, func(other corev1.ResourceClaim) bool {
			return other.Name == claim.Name && other.Request == claim.Request
		})
	}
	return nil
}

func mergePod(pod *corev1.PodSpec, spec *nightwatch.KubernetesSpec) error {
	if spec.ServiceAccountName != "" {
		pod.ServiceAccountName, pod.DeprecatedServiceAccount = spec.ServiceAccountName, ""
	}
	for _, name := range spec.ImagePullSecrets {
		secret := corev1.LocalObjectReference{Name: name}
		pod.ImagePullSecrets = put(pod.ImagePullSecrets, secret, func(other corev1.LocalObjectReference) bool { return other == secret })
	}
	pod.NodeSelector = over(pod.NodeSelector, spec.NodeSelector)
	var tolerations []corev1.Toleration
	if err := decode("tolerations", spec.Tolerations, &tolerations); err != nil {
		return err
	}
	pod.Tolerations = append(pod.Tolerations, tolerations...)
	return nil
}

func mergeJob(job *batchv1.JobSpec, spec *nightwatch.KubernetesSpec) error {
	if spec.BackoffLimit != nil {
		job.BackoffLimit = spec.BackoffLimit
	}
	if spec.ActiveDeadlineSeconds != nil {
		job.ActiveDeadlineSeconds = spec.ActiveDeadlineSeconds
	}
	if spec.TTLSecondsAfterFinished != nil {
		job.TTLSecondsAfterFinished = spec.TTLSecondsAfterFinished
	}
	if spec.Suspend != nil {
		job.Suspend = spec.Suspend
	}
	if spec.PodFailurePolicy != nil {
		job.PodFailurePolicy = new(batchv1.PodFailurePolicy)
		return decode("podFailurePolicy", spec.PodFailurePolicy, job.PodFailurePolicy)
	}
	return nil
}

// mergeVolumes adds the volumes of the short form to the pod, and mounts them into the container.
func mergeVolumes(pod *corev1.PodSpec, c *corev1.Container, volumes []nightwatch.KubernetesVolume) error {
	for i := range volumes {
		v := &volumes[i]
		name := v.Name
		if name == "" {
			name = unusedName(pod, i)
		}
		source, err := volumeSource(v)
		if err != nil {
			return err
		}
		if source != nil {
			volume := corev1.Volume{Name: name, VolumeSource: *source}
			pod.Volumes = put(pod.Volumes, volume, func(other corev1.Volume) bool { return other.Name == name })
		}
		mount := corev1.VolumeMount{Name: name, MountPath: v.MountPath, SubPath: v.SubPath, ReadOnly: v.ReadOnly}
		c.VolumeMounts = put(c.VolumeMounts, mount, func(other corev1.VolumeMount) bool { return other.MountPath == v.MountPath })
	}
	return nil
}

// unusedName names the volume of an entry that gives it no name, by its place.
func unusedName(pod *corev1.PodSpec, i int) string {
	for name := fmt.Sprintf("volume-%d", i); ; name += "x" {
		if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == name }) {
			return name
		}
	}
}

// volumeSource is nil if the entry mounts a volume that another one or the template makes.
func volumeSource(v *nightwatch.KubernetesVolume) (*corev1.VolumeSource, error) {
	source := new(corev1.VolumeSource)
	switch {
	case !v.ConfigMap.IsZero():
		source.ConfigMap = &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMap.String}}
		return source, decode("volumes", v.ConfigMap.Object, source.ConfigMap)
	case !v.Secret.IsZero():
		source.Secret = &corev1.SecretVolumeSource{SecretName: v.Secret.String}
		return source, decode("volumes", v.Secret.Object, source.Secret)
	case !v.PersistentVolumeClaim.IsZero():
		source.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.PersistentVolumeClaim.String}
		return source, decode("volumes", v.PersistentVolumeClaim.Object, source.PersistentVolumeClaim)
	case v.EmptyDir != nil:
		source.EmptyDir = new(corev1.EmptyDirVolumeSource)
		return source, decode("volumes", v.EmptyDir, source.EmptyDir)
	}
	return nil, nil
}

// put replaces the item of a list that is, or adds one.
func put[T any](list []T, item T, is func(T) bool) []T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		list[i] = item
		return list
	}
	return append(list, item)
}

// over is a map with another laid over it; nil if both are empty.
func over[K comparable, V any](under, upper map[K]V) map[K]V {
	if len(under)+len(upper) == 0 {
		return nil
	}
	merged := make(map[K]V, len(under)+len(upper))
	maps.Copy(merged, under)
	maps.Copy(merged, upper)
	return merged
}

// decode reads JSON of the Kubernetes API, if there is any, strictly.
func decode(field string, data json.RawMessage, into any) error {
	if data == nil {
		return nil
	}
	strict, err := kjson.UnmarshalStrict(data, into)
	if err == nil && len(strict) > 0 {
		err = strict[0]
	}
	if err != nil {
		return fmt.Errorf("kubernetes.%s: %w", field, err)
	}
	return nil
}
