package kubetest

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations of a pod that say what becomes of it. A Job's pod template carries them to its pods.
const (
	// AnnotationRun is how long the pod runs: a Go duration, such as "250ms", or RunForever. Default 1s. Anything
	// else counts as the default.
	AnnotationRun = "nightwatch.dev/kwok-run"
	// AnnotationExit is the exit code of every container of the pod, in decimal. Default 0, with which the pod
	// succeeds; with any other it fails.
	AnnotationExit = "nightwatch.dev/kwok-exit"
	// AnnotationReason is the reason in the terminated state of a container that fails. Default "Error".
	AnnotationReason = "nightwatch.dev/kwok-reason"
	// AnnotationMessage is the message in the terminated state of a container, however it ended. Default empty.
	AnnotationMessage = "nightwatch.dev/kwok-message"

	// AnnotationPodReason is the reason in the status of a pod that fails, such as "Evicted". Default none.
	AnnotationPodReason = "nightwatch.dev/kwok-pod-reason"
	// AnnotationWaiting is what the containers of the pod wait for before it runs, such as "ImagePullBackOff". Default
	// nothing.
	AnnotationWaiting = "nightwatch.dev/kwok-waiting"
	// AnnotationWaitingFor is for how long they wait, a Go duration. Anything else, and the default, is an hour.
	AnnotationWaitingFor = "nightwatch.dev/kwok-waiting-for"

	// RunForever as AnnotationRun is a pod that runs until it is deleted.
	RunForever = "forever"
)

// NodeName is the name of the only Node.
const NodeName = "fake"

const (
	kwokAnnotation = "kwok.x-k8s.io/node"
	kwokConfig     = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
metadata:
  name: kwok
options:
  cidr: 10.244.0.0/16
  manageNodesWithAnnotationSelector: ` + kwokAnnotation + `=fake
  nodeLeaseDurationSeconds: 40
  nodeLeaseParallelism: 4
  nodePlayStageParallelism: 4
  podPlayStageParallelism: 16
  podsOnNodeSyncParallelism: 4
`
)

//go:embed stages.yaml
var ownStages []byte

// writeKWOKConfig writes KWOK's configuration and all stages, its own and this package's, into one file in dir.
func writeKWOKConfig(dir, stages string) (string, error) {
	documents := [][]byte{[]byte(kwokConfig)}
	for _, name := range kwokStages {
		content, err := os.ReadFile(filepath.Join(stages, path.Base(name)))
		if err != nil {
			return "", fmt.Errorf("read stage of KWOK: %w", err)
		}
		documents = append(documents, content)
	}
	documents = append(documents, ownStages)
	file := filepath.Join(dir, "kwok.yaml")
	if err := os.WriteFile(file, bytes.Join(documents, []byte("\n---\n")), 0o600); err != nil {
		return "", fmt.Errorf("write configuration of KWOK: %w", err)
	}
	return file, nil
}

// fakeNode is the Node that KWOK takes for its own by the annotation. It is large enough never to be full.
func fakeNode() *corev1.Node {
	size := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("10k"),
		corev1.ResourceMemory: resource.MustParse("100Ti"),
		corev1.ResourcePods:   resource.MustParse("10k"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        NodeName,
			Annotations: map[string]string{kwokAnnotation: "fake"},
			Labels: map[string]string{
				corev1.LabelHostname:   NodeName,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
			},
		},
		Status: corev1.NodeStatus{Capacity: size, Allocatable: size},
	}
}

// nodeReady says whether pods can be bound to the Node: it is ready, and the taint it was created with is gone.
func nodeReady(node *corev1.Node) bool {
	if len(node.Spec.Taints) > 0 {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
