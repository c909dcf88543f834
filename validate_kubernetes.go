package nightwatch

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxKubernetesVolumes bounds the short form; a template may have more.
	maxKubernetesVolumes = 64
	// minTTL is in seconds. A Job that is removed before its result is on record has failed, for all that anybody knows.
	minTTL = 60
)

// checkKubernetes finds what is wrong with a Job beyond the types of its fields: what the task's own fields do not go
// together with, what the system sets, and what Kubernetes would refuse that is easily known.
func (t *Task) checkKubernetes(f *faults, namespace string) {
	k, at := t.KubernetesJob(), ""
	if t.Kubernetes != nil {
		at = "kubernetes."
	}
	job := jobTemplate{}
	if k.Template != nil {
		if err := json.Unmarshal(k.Template, &job); err != nil {
			f.add("kubernetes.template", "%s", clip(err.Error())) // its types have been checked
			return
		}
	}
	k.checkContainers(f, at, &job.Spec.Template.Spec)
	k.checkVariables(f)
	k.checkPod(f)
	k.checkVolumes(f, job.Spec.Template.Spec.Volumes)
	k.checkCluster(f)
	job.check(f, namespace)
	k.checkPolicy(f, &job, t.Delivery == AtMostOnce)
	if t.Split() != 0 {
		job.Spec.refuseIndexes(f)
	}
}

// checkContainers makes sure that there is at least one container, and that each has what it needs.
func (k *KubernetesSpec) checkContainers(f *faults, at string, pod *podSpec) {
	if k.Container != "" && !validLabel(k.Container) {
		f.add("kubernetes.container", "%q: want lower-case letters, digits and '-', at most 63", clip(k.Container))
	}
	main := slices.IndexFunc(pod.Containers, func(c podContainer) bool { return k.Container == "" || c.Name == k.Container })
	if main < 0 && len(pod.Containers) > 0 {
		f.add("kubernetes.container", "%q: the template has no such container", clip(k.Container))
		return
	}
	switch {
	case strings.TrimSpace(k.Image) == "" && (main < 0 || k.Image != ""):
		f.add(at+"image", "missing")
	case badImage(k.Image):
		f.add(at+"image", "%q: an image has no white space", clip(k.Image))
	}
	for i, arg := range k.Command {
		f.noNUL(fmt.Sprintf("%scommand[%d]", at, i), arg)
	}
	for i, arg := range k.Args {
		f.noNUL(fmt.Sprintf("%sargs[%d]", at, i), arg)
	}
	names := map[string]bool{}
	for _, list := range []struct {
		field      string
		containers []podContainer
	}{{inPod + "containers", pod.Containers}, {inPod + "initContainers", pod.InitContainers}} {
		for i, c := range list.containers {
			field := fmt.Sprintf("%s[%d]", list.field, i)
			switch {
			case !validLabel(c.Name):
				f.add(field+".name", "%q: want lower-case letters, digits and '-', at most 63", clip(c.Name))
			case names[c.Name]:
				f.add(field+".name", "%q: is there twice", c.Name)
			}
			names[c.Name] = true
			switch {
			case c.Image == "" && (k.Image == "" || list.field != inPod+"containers" || i != main):
				f.add(field+".image", "missing")
			case badImage(c.Image):
				f.add(field+".image", "%q: an image has no white space", clip(c.Image))
			}
			for j, variable := range c.Env {
				f.notOurs(fmt.Sprintf("%s.env[%d].name", field, j), variable.Name)
			}
		}
	}
	if pod.EphemeralContainers != nil {
		f.add(inPod+"ephemeralContainers", "no Job has them: kubectl debug adds one to a pod that runs")
	}
	if d := pod.ActiveDeadlineSeconds; d != nil && *d < 1 {
		f.add(inPod+"activeDeadlineSeconds", "%d: want 1 or more", *d)
	}
}

func badImage(image string) bool {
	return strings.ContainsFunc(image, unicode.IsSpace) || strings.ContainsRune(image, 0)
}

func (k *KubernetesSpec) checkVariables(f *faults) {
	for name, value := range k.Env {
		if f.checkEnvName("kubernetes.env", name) {
			f.noNUL("kubernetes.env."+clip(name), value.String)
			var from map[string]json.RawMessage
			_ = json.Unmarshal(value.Object, &from) // its types have been checked
			if value.Object != nil && given(from) != 1 {
				f.add("kubernetes.env."+clip(name), "%s: want one of secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef, fileKeyRef", clip(string(value.Object)))
			}
		}
	}
	var sources []map[string]json.RawMessage
	_ = json.Unmarshal(k.EnvFrom, &sources) // its types have been checked
	for i, source := range sources {
		delete(source, "prefix")
		if given(source) != 1 {
			f.add(fmt.Sprintf("kubernetes.envFrom[%d]", i), "want one of configMapRef and secretRef")
		}
	}
}

// given counts the members of an object that are not null.
func given(object map[string]json.RawMessage) (n int) {
	for _, value := range object {
		if string(value) != "null" {
			n++
		}
	}
	return n
}

func (k *KubernetesSpec) checkPod(f *faults) {
	if k.ServiceAccountName != "" {
		f.checkSubdomain("kubernetes.serviceAccountName", k.ServiceAccountName)
	}
	for i, name := range k.ImagePullSecrets {
		f.checkSubdomain(fmt.Sprintf("kubernetes.imagePullSecrets[%d]", i), name)
	}
	*f = append(*f, CheckLabels("kubernetes.nodeSelector", k.NodeSelector)...)
}

func (f *faults) checkSubdomain(field, name string) {
	if len(name) > maxSubdomain || !subdomain.MatchString(name) {
		f.add(field, "%q: not a name", clip(name))
	}
}

// checkVolumes is about the short form. inTemplate are the volumes that it may mount besides its own.
func (k *KubernetesSpec) checkVolumes(f *faults, inTemplate []struct {
	Name string `json:"name"`
}) {
	if len(k.Volumes) > maxKubernetesVolumes {
		f.add("kubernetes.volumes", "%d: want at most %d", len(k.Volumes), maxKubernetesVolumes)
		return
	}
	known, made, mounted := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, v := range inTemplate {
		known[v.Name] = true
	}
	for _, v := range k.Volumes {
		known[v.Name] = known[v.Name] || len(v.sources()) > 0
	}
	for i, v := range k.Volumes {
		field := fmt.Sprintf("kubernetes.volumes[%d]", i)
		sources := v.sources()
		switch {
		case len(sources) > 1:
			f.add(field, "also %s is set: want one of configMap, secret, persistentVolumeClaim, emptyDir", sources[0])
		case v.Name != "" && !validLabel(v.Name):
			f.add(field+".name", "%q: want lower-case letters, digits and '-', at most 63", clip(v.Name))
		case v.Name == "" && len(sources) == 0:
			f.add(field, "no volume: want one of configMap, secret, persistentVolumeClaim, emptyDir, or the name of a volume of the template")
		case !known[v.Name]:
			f.add(field+".name", "%q: there is no such volume: want one of configMap, secret, persistentVolumeClaim, emptyDir beside it", v.Name)
		case v.Name != "" && len(sources) > 0 && made[v.Name]:
			f.add(field+".name", "%q: is there twice", v.Name)
		}
		made[v.Name] = made[v.Name] || len(sources) > 0
		for kind, source := range map[string]StringOrObject{"configMap": v.ConfigMap, "secret": v.Secret, "persistentVolumeClaim": v.PersistentVolumeClaim} {
			if source.String != "" {
				f.checkSubdomain(field+"."+kind, source.String)
			}
		}
		switch {
		case v.MountPath == "":
			f.add(field+".mountPath", "missing: want where it appears in the container, such as \"/data\"")
		case !path.IsAbs(v.MountPath) || strings.ContainsAny(v.MountPath, ":\x00"):
			f.add(field+".mountPath", "%q: want an absolute path without ':'", clip(v.MountPath))
		case mounted[path.Clean(v.MountPath)]:
			f.add(field+".mountPath", "%q: is there twice", clip(v.MountPath))
		}
		mounted[path.Clean(v.MountPath)] = true
		if path.IsAbs(v.SubPath) || slices.Contains(strings.Split(v.SubPath, "/"), "..") || strings.ContainsRune(v.SubPath, 0) {
			f.add(field+".subPath", "%q: want a path within the volume", clip(v.SubPath))
		}
	}
}

// sources are the fields that say what the volume is.
func (v *KubernetesVolume) sources() (named []string) {
	for _, source := range []struct {
		name string
		set  bool
	}{
		{"configMap", !v.ConfigMap.IsZero()}, {"secret", !v.Secret.IsZero()},
		{"persistentVolumeClaim", !v.PersistentVolumeClaim.IsZero()}, {"emptyDir", v.EmptyDir != nil},
	} {
		if source.set {
			named = append(named, source.name)
		}
	}
	return named
}

func (k *KubernetesSpec) checkCluster(f *faults) {
	if err := CheckClusterName(k.Cluster); err != nil && k.Cluster != "" {
		f.add("kubernetes.cluster", "%v", err)
	}
	if k.Cluster != "" && k.ClusterSelector != "" {
		f.add("kubernetes.clusterSelector", "also kubernetes.cluster is set: want one of them")
	}
}
