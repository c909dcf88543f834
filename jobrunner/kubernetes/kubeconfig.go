package kubernetes

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// InClusterName is what LoadConfig calls the cluster that the process runs in.
const InClusterName = "in-cluster"

// LoadConfig reads how to reach a cluster, and what it is called. A kubeconfig is a file, of which the context, or else
// its current context, is taken. Without a kubeconfig a context is looked for where kubectl looks ($KUBECONFIG,
// ~/.kube/config). With neither, and for the context InClusterName, it is the cluster that this process is a pod of,
// never a kubeconfig that happens to lie about.
func LoadConfig(kubeconfig, context string) (*rest.Config, string, error) {
	if kubeconfig == "" && context == "" || context == InClusterName {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", errors.New("load Kubernetes config: not inside a cluster; name a kubeconfig or a context")
		}
		if err != nil {
			return nil, "", fmt.Errorf("load Kubernetes config: %w", err)
		}
		return config, InClusterName, nil
	}
	return loadContext(kubeconfig, context)
}

// LoopbackContext is the current context of the kubeconfig that kubectl uses, when its server has a loopback address: a
// cluster on this machine. Its config is nil when there is no kubeconfig, no current context, or the server is elsewhere.
func LoopbackContext() (*rest.Config, string, error) {
	raw, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return nil, "", fmt.Errorf("load kubeconfig: %w", err)
	}
	current := raw.Contexts[raw.CurrentContext]
	if current == nil {
		return nil, "", nil
	}
	cluster := raw.Clusters[current.Cluster]
	if cluster == nil || !loopback(cluster.Server) || cluster.ProxyURL != "" {
		return nil, "", nil
	}
	return loadContext("", raw.CurrentContext)
}

func loadContext(kubeconfig, context string) (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("load kubeconfig: %w", err)
	}
	if context == "" {
		context = raw.CurrentContext
	}
	if context == "" {
		return nil, "", fmt.Errorf("load kubeconfig %s: it has no current context; name one", kubeconfig)
	}
	if raw.Contexts[context] == nil {
		return nil, "", fmt.Errorf("load kubeconfig: it has no context %q", context)
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("load kubeconfig context %q: %w", context, err)
	}
	return config, context, nil
}

func loopback(server string) bool {
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
