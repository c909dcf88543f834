package kubetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// pollEvery is how often a condition of a cluster is looked at.
const pollEvery = 50 * time.Millisecond

// await polls ready until it returns nil. It gives up when ctx ends, after startTimeout, or when p ends, the component
// that ready depends on; the error then has the last cause and the end of that component's log.
func await(ctx context.Context, p *process, what string, ready func(context.Context) error) error {
	last := errors.New("not tried")
	err := wait.PollUntilContextTimeout(ctx, pollEvery, startTimeout, true, func(ctx context.Context) (bool, error) {
		if err := p.exited(); err != nil {
			return false, err
		}
		// An attempt that hangs must not use up the time of all.
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err := ready(ctx)
		if err != nil {
			last = err
		}
		return err == nil, nil
	})
	if err == nil {
		return nil
	}
	if wait.Interrupted(err) {
		err = fmt.Errorf("%w; last: %w", err, last)
	}
	tail := p.tail()
	if strings.Contains(tail, "address already in use") {
		err = fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return fmt.Errorf("wait for %s: %w; the end of the log of %s:\n%s", what, err, p.name, tail)
}

func (c *Cluster) waitForPort(ctx context.Context, p *process, port int) error {
	return await(ctx, p, p.name+" to listen", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (c *Cluster) waitForAPIServer(ctx context.Context, p *process) error {
	return await(ctx, p, "API server to be ready", func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// waitForServiceAccount waits for the ServiceAccount that every pod of a namespace needs.
func (c *Cluster) waitForServiceAccount(ctx context.Context, p *process, namespace string) error {
	return await(ctx, p, "ServiceAccount default in namespace "+namespace, func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// waitForNode creates the Node and waits until pods can be bound to it.
func (c *Cluster) waitForNode(ctx context.Context, p *process) error {
	nodes := c.client.CoreV1().Nodes()
	if _, err := nodes.Create(ctx, fakeNode(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Node: %w", err)
	}
	return await(ctx, p, "Node to be ready", func(ctx context.Context) error {
		node, err := nodes.Get(ctx, NodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !nodeReady(node) {
			return fmt.Errorf("conditions %v, taints %v", node.Status.Conditions, node.Spec.Taints)
		}
		return nil
	})
}

// closeIdle closes the connections that the client keeps for later, and with them their goroutines.
func closeIdle(client *kubernetes.Clientset) {
	if c, ok := client.Discovery().RESTClient().(*rest.RESTClient); ok && c.Client != nil {
		utilnet.CloseIdleConnectionsFor(c.Client.Transport)
	}
}
