package kubernetes

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// announceTimeout bounds the one request of Clusters, which a node that starts waits for.
const announceTimeout = 2 * time.Second

// Clusters is the cluster of this runner, by its name, with the uid of its kube-system namespace; empty while that is
// not known. It asks the API server, for at most 2 s, if nothing has found the uid before.
func (r *Runner) Clusters() map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), announceTimeout) //nolint:forbidigo // Clusterer hands over no context
	defer cancel()
	uid, err := r.clusterUID(silent(ctx))
	if err != nil {
		return map[string]string{}
	}
	return map[string]string{r.config.ContextName: uid}
}

// clusterUID identifies the cluster, by one request unless it is known. A cluster has no id of its own; that of
// kube-system lives as long as the cluster does.
func (r *Runner) clusterUID(ctx context.Context) (string, error) {
	if uid := r.knownCluster(); uid != "" {
		return uid, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.RequestTimeout)
	defer cancel()
	namespace, err := r.client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.reachErr = fmt.Errorf("identify cluster %s: %w", r.config.ContextName, err)
		return "", r.reachErr
	}
	r.cluster, r.reachErr = string(namespace.UID), nil
	return r.cluster, nil
}

func (r *Runner) knownCluster() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cluster
}

// Check is nil while the cluster is known and the view of its Jobs is complete and fresh.
func (r *Runner) Check() error {
	r.mu.Lock()
	cluster, reachErr := r.cluster, r.reachErr
	r.mu.Unlock()
	if cluster == "" && reachErr != nil {
		return reachErr
	}
	if err := r.jobs.fresh(time.Now()); err != nil {
		return fmt.Errorf("watch Jobs of cluster %s: %w", r.config.ContextName, err)
	}
	if cluster == "" {
		return fmt.Errorf("cluster %s is not identified yet", r.config.ContextName)
	}
	return nil
}
