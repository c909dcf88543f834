package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/gofrs/flock"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch/internal/toolmod"
)

// A real node: containerd and a kubelet, in PID and mount namespaces of their own, so that whatever they start ends with
// them. It takes root, Linux, and Debian's containerd, runc, containernetworking-plugins and busybox-static.

const (
	// machine is the process that holds the namespaces: a shell that runs containerd and the kubelet.
	machine = "machine"
	// RealNodeName is the name of the Node of a cluster that has a kubelet.
	RealNodeName = "real"
	// Image is the image that such a Node has: busybox, as its shell and its tools.
	Image = "nightwatch.test/busybox:1"

	pauseImage     = "nightwatch.test/pause:1"
	kubeletPackage = "k8s.io/kubernetes/cmd/kubelet"
	nodeUser       = "system:node:" + RealNodeName
	// bridge is the network of the pods, and its address that of the Node.
	bridge        = "nwkube0"
	bridgeAddress = "10.244.77.1"
	bridgeNetwork = "10.244.77.0/24"
	busybox       = "/bin/busybox"
	cniPlugins    = "/usr/lib/cni"
)

// buildKubelet compiles the kubelet unless that has been done, beside the other programs.
func buildKubelet(ctx context.Context, log io.Writer) (string, error) {
	if log == nil {
		log = io.Discard
	}
	module, err := toolmod.Dir("kube")
	if err != nil {
		return "", err
	}
	dir, err := cacheDir(module)
	if err != nil {
		return "", err
	}
	path := dir + "-kubelet"
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return "", fmt.Errorf("build kubelet: wait for another build: %w", err)
	}
	defer lock.Close()
	if toolmod.IsFile(path) {
		return path, nil
	}
	version, err := goList(ctx, module, log, "{{.Version}}", kubernetesModule)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(log, "kubetest: building the kubelet %s\n", version)
	args := append([]string{"build"}, buildFlags(version)...)
	cmd := goCommand(ctx, module, append(args, "-o", path+".tmp", kubeletPackage)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := runChild(cmd); err != nil {
		return "", fmt.Errorf("build kubelet: %w", err)
	}
	return path, os.Rename(path+".tmp", path)
}

// machineFiles are what containerd, the plugins of its network and the kubelet read, by name.
var machineFiles = map[string]*template.Template{
	"containerd.toml": parsed(`version = 2
root = "{{.Dir}}/containerd"
state = "{{.Dir}}/containerd-state"
[grpc]
  address = "{{.Socket}}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.Pause}}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{{.Plugins}}"
    conf_dir = "{{.Dir}}/cni"
`),
	"cni/10-bridge.conflist": parsed(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "{{.Bridge}}",
  "ipam": {"type": "host-local", "dataDir": "{{.Dir}}/cni-data", "ranges": [[{"subnet": "{{.Network}}", "rangeStart": "10.244.77.10"}]]}}]}
`),
	"kubelet.yaml": parsed(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {{.Address}}
port: {{.Port}}
healthzPort: 0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://{{.Socket}}
cgroupDriver: cgroupfs
cgroupRoot: {{.CgroupRoot}}
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
evictionHard: {memory.available: 1Mi}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
resolvConf: ""
podLogsDir: {{.Dir}}/pods
`),
	"machine.sh": parsed(`set -e
containerd --config {{.Dir}}/containerd.toml >{{.Dir}}/containerd.log 2>&1 &
until ctr --address {{.Socket}} version >/dev/null 2>&1; do sleep 0.1; done
ctr --address {{.Socket}} --namespace k8s.io images import {{.Dir}}/images.tar
{{.Kubelet}} --config={{.Dir}}/kubelet.yaml --kubeconfig={{.Kubeconfig}} --root-dir={{.Dir}}/kubelet \
  --hostname-override={{.Node}} --node-ip={{.Address}} &
wait
`),
}

func parsed(text string) *template.Template { return template.Must(template.New("").Parse(text)) }

// startMachine starts containerd and the kubelet.
func (c *Cluster) startMachine() (*process, error) {
	if err := linkBridge(); err != nil {
		return nil, err
	}
	c.cgroup = filepath.Base(c.dir)
	if err := makeCgroups(c.cgroup); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", bridgeAddress+":0")
	if err != nil {
		return nil, fmt.Errorf("find a port for the kubelet: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	if err := writeImages(filepath.Join(c.dir, "images.tar"), Image, pauseImage); err != nil {
		return nil, err
	}
	facts := map[string]string{
		"Dir": c.dir, "Socket": filepath.Join(c.dir, "containerd.sock"), "Pause": pauseImage, "Plugins": cniPlugins, "Bridge": bridge,
		"Network": bridgeNetwork, "Address": bridgeAddress, "Port": strconv.Itoa(port), "CgroupRoot": "/" + c.cgroup,
		"Kubelet": c.binaries.Kubelet, "Kubeconfig": c.users.node.file, "Node": RealNodeName,
	}
	for name, text := range machineFiles {
		var content strings.Builder
		if err := text.Execute(&content, facts); err != nil {
			return nil, err
		}
		path := filepath.Join(c.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(content.String()), 0o600); err != nil {
			return nil, err
		}
	}
	// The shell is the first process of its PID namespace: the kernel kills all others when it ends.
	return startProcess(c.dir, machine, "/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"/usr/bin/env", "PATH="+os.Getenv("PATH"), "/bin/sh", filepath.Join(c.dir, "machine.sh"))
}

// waitForRealNode waits until pods can be bound to the Node that the kubelet makes.
func (c *Cluster) waitForRealNode(ctx context.Context, p *process) error {
	return await(ctx, p, "Node to be ready", func(ctx context.Context) error {
		node, err := c.client.CoreV1().Nodes().Get(ctx, RealNodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !nodeReady(node) {
			return fmt.Errorf("conditions %v, taints %v", node.Status.Conditions, node.Spec.Taints)
		}
		return nil
	})
}

// removeMachine takes away what outlives the processes of a real node.
func (c *Cluster) removeMachine() error {
	return errors.Join(removeCgroups(c.cgroup), unlinkBridge())
}
