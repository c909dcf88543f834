package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Options are the settings of a [Cluster].
type Options struct {
	// Dir is where the cluster keeps its data, keys and logs; it is removed when the cluster stops. It must not
	// exist. Default a new folder among the temporary ones.
	Dir string
	// Log gets the progress of a build. Default nothing.
	Log io.Writer
	// Kubelet gives the cluster a Node on which pods run in containers, RealNodeName with the image Image, in the place
	// of the one on which they only pretend to. It takes root, Linux, containerd and more (see kubelet.go), and there
	// can be one on a machine.
	Kubelet bool
}

// Cluster is a running control plane. Its methods can be called from several goroutines.
type Cluster struct {
	// Kubeconfig is the path of a kubeconfig whose user may do everything. The file goes when the cluster stops.
	Kubeconfig string
	// Config is the same for client-go, without a limit of requests on the client's side. Copy it to change it.
	Config *rest.Config

	binaries Binaries
	dir      string
	unlock   func() error
	keys     keys
	users    users
	tokens   string
	ports    ports
	client   *kubernetes.Clientset
	real     bool   // a kubelet, in the place of KWOK
	cgroup   string // of the kubelet's pods

	mu        sync.Mutex // held while processes are started and killed
	processes map[string]*process
	stopped   bool
}

const (
	// startTimeout bounds each wait while a cluster starts. One that is alone on its machine is ready in 4 s.
	startTimeout = 2 * time.Minute
	// startAttempts is how often a start is tried when another process takes one of its ports in between.
	startAttempts = 3
)

var errPortTaken = errors.New("a port was taken")

// Start builds the programs if they are not yet built, and starts a control plane. It returns when the API server is
// ready, the default namespace has its ServiceAccount and the Node can take pods. On an error, which shows the last
// lines of the log of the component that failed, or when ctx ends first, nothing is left behind. Once Start has
// returned, ctx means nothing to the cluster.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	binaries, err := Build(ctx, options.Log)
	if err != nil {
		return nil, err
	}
	if options.Kubelet {
		if binaries.Kubelet, err = buildKubelet(ctx, options.Log); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		c, err := start(ctx, binaries, options)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return nil, fmt.Errorf("start control plane: %w", err)
		}
	}
}

func start(ctx context.Context, binaries Binaries, options Options) (_ *Cluster, err error) {
	c := &Cluster{binaries: binaries, real: options.Kubelet, processes: make(map[string]*process)}
	c.dir, c.unlock, err = makeDir(options.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()

	free, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c.ports = ports{etcd: free[0], etcdPeer: free[1], apiServer: free[2]}
	if c.keys, err = writeKeys(c.dir, time.Now()); err != nil {
		return nil, err
	}
	server := c.ports.apiServerURL()
	c.users = newUsers(c.dir)
	c.tokens = filepath.Join(c.dir, "tokens.csv")
	if err := c.users.write(c.tokens, server, c.keys.caPEM); err != nil {
		return nil, err
	}
	c.Kubeconfig = c.users.admin.file
	c.Config = c.users.admin.restConfig(server, c.keys.caPEM)
	if c.client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return nil, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.bringUp(ctx)
}

// bringUp starts each component when what it needs is there: one that came too early would only wait or end. The caller
// holds c.mu.
func (c *Cluster) bringUp(ctx context.Context) error {
	p, err := c.started(c.startEtcd())
	if err != nil {
		return err
	}
	if err := c.waitForPort(ctx, p, c.ports.etcd); err != nil {
		return err
	}
	if err := c.bringUpAPI(ctx); err != nil {
		return err
	}
	if err := c.waitForServiceAccount(ctx, c.processes[controllerManager], "default"); err != nil {
		return err
	}
	if c.real {
		return c.waitForRealNode(ctx, c.processes[machine])
	}
	return c.waitForNode(ctx, c.processes[kwok])
}

// bringUpAPI starts the API server and, when it is ready, its clients. The caller holds c.mu.
func (c *Cluster) bringUpAPI(ctx context.Context) error {
	p, err := c.started(c.startAPIServer())
	if err != nil {
		return err
	}
	if err := c.waitForAPIServer(ctx, p); err != nil {
		return err
	}
	if _, err := c.started(c.startControllerManager()); err != nil {
		return err
	}
	if _, err := c.started(c.startScheduler()); err != nil {
		return err
	}
	if c.real {
		if c.processes[machine] == nil { // it bears a restart of the API server
			_, err = c.started(c.startMachine())
		}
		return err
	}
	// A KWOK that is started anew has another identity: it would wait 40 s for its predecessor's lease to run out.
	leases := c.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	if err := leases.Delete(ctx, NodeName, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete lease of the Node: %w", err)
	}
	_, err = c.started(c.startKWOK())
	return err
}

// started keeps a process for Stop to end.
func (c *Cluster) started(p *process, err error) (*process, error) {
	if err == nil {
		c.processes[p.name] = p
	}
	return p, err
}

func (c *Cluster) component(name string) (_ *process, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[name], c.stopped
}

// KillAPIServer ends the API server by SIGKILL and returns when it is gone. It does nothing if it is not running.
func (c *Cluster) KillAPIServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill(apiServer)
}

// RestartAPIServer kills the API server if it is running, starts it again at the same address and on the same data, and
// returns when it is ready. The controller manager, the scheduler and KWOK are started anew with it: left alone they
// would wait longer with every restart, up to a minute, before they look for it again. A pod that was running begins
// its time from the start. After an error RestartAPIServer can be called again.
func (c *Cluster) RestartAPIServer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errors.New("restart API server: the cluster is stopped")
	}
	c.kill(apiServer, controllerManager, scheduler, kwok)
	if err := c.bringUpAPI(ctx); err != nil {
		return fmt.Errorf("restart API server: %w", err)
	}
	return nil
}

// kill kills components and waits until they are gone, all at once so that none has the time to miss another. The caller
// holds c.mu.
func (c *Cluster) kill(components ...string) {
	var wg sync.WaitGroup
	for _, name := range components {
		if p, ok := c.processes[name]; ok {
			wg.Go(p.kill)
		}
	}
	wg.Wait()
}

// Stop kills every component, waits until they are gone and removes the cluster's folder. It can be called again.
func (c *Cluster) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.stopped = true
	c.kill(etcd, apiServer, controllerManager, scheduler, kwok, machine)
	if c.real {
		_ = c.removeMachine() // what is left does no harm, and the next one takes it
	}
	if c.client != nil {
		closeIdle(c.client)
	}
	// Whatever cannot be removed is taken away by a later Start.
	_ = os.RemoveAll(c.dir)
	_ = c.unlock()
}
