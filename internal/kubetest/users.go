package kubetest

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ContextName is the name of the context, the cluster and the user in every kubeconfig of a [Cluster].
const ContextName = "nightwatch-kube"

// user is one that the API server knows by a token, which is made anew for each cluster.
type user struct {
	name   string
	groups string // comma-separated; may be empty
	token  string
	file   string // the user's kubeconfig
}

// users are the parties of a cluster. The controller manager and the scheduler have the names that RBAC's own roles are
// bound to.
type users struct {
	admin, controllerManager, scheduler, kwok, node user
}

func newUsers(dir string) users {
	with := func(name, groups, file string) user {
		return user{name: name, groups: groups, token: rand.Text(), file: filepath.Join(dir, file+".kubeconfig")}
	}
	return users{
		admin:             with("admin", "system:masters", "admin"),
		controllerManager: with("system:kube-controller-manager", "", "controller-manager"),
		scheduler:         with("system:kube-scheduler", "", "scheduler"),
		kwok:              with("kwok", "system:masters", "kwok"),
		node:              with(nodeUser, "system:nodes", "node"),
	}
}

// write writes the API server's token file and each user's kubeconfig.
func (u users) write(tokens, server string, caPEM []byte) error {
	var lines strings.Builder
	for _, one := range []user{u.admin, u.controllerManager, u.scheduler, u.kwok, u.node} {
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", one.token, one.name, one.name, one.groups)
		if err := one.writeKubeconfig(server, caPEM); err != nil {
			return fmt.Errorf("write kubeconfig of %s: %w", one.name, err)
		}
	}
	if err := os.WriteFile(tokens, []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	return nil
}

func (u user) writeKubeconfig(server string, caPEM []byte) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[ContextName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: caPEM}
	config.AuthInfos[ContextName] = &clientcmdapi.AuthInfo{Token: u.token}
	config.Contexts[ContextName] = &clientcmdapi.Context{Cluster: ContextName, AuthInfo: ContextName}
	config.CurrentContext = ContextName
	return clientcmd.WriteToFile(*config, u.file)
}

// restConfig is the user's configuration without a limit of requests on the client's side.
func (u user) restConfig(server string, caPEM []byte) *rest.Config {
	return &rest.Config{
		Host:            server,
		BearerToken:     u.token,
		TLSClientConfig: rest.TLSClientConfig{CAData: caPEM},
		QPS:             -1,
	}
}
