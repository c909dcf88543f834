package kubetest

import "strconv"

// The components' names, which are also their logs' names.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

// ports are where the components listen, all on 127.0.0.1. The controller manager, the scheduler and KWOK do not.
type ports struct {
	etcd, etcdPeer, apiServer int
}

func (p ports) etcdURL() string      { return "http://" + address(p.etcd) }
func (p ports) etcdPeerURL() string  { return "http://" + address(p.etcdPeer) }
func (p ports) apiServerURL() string { return "https://" + address(p.apiServer) }

func (c *Cluster) startEtcd() (*process, error) {
	return startProcess(c.dir, etcd, c.binaries.Etcd,
		"--name=default",
		"--data-dir=etcd",
		"--listen-client-urls="+c.ports.etcdURL(),
		"--advertise-client-urls="+c.ports.etcdURL(),
		"--listen-peer-urls="+c.ports.etcdPeerURL(),
		"--initial-advertise-peer-urls="+c.ports.etcdPeerURL(),
		"--initial-cluster=default="+c.ports.etcdPeerURL(),
		"--unsafe-no-fsync",
	)
}

func (c *Cluster) startAPIServer() (*process, error) {
	return startProcess(c.dir, apiServer, c.binaries.APIServer,
		"--etcd-servers="+c.ports.etcdURL(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(c.ports.apiServer),
		"--endpoint-reconciler-type=none",
		"--tls-cert-file="+c.keys.servingCert,
		"--tls-private-key-file="+c.keys.servingKey,
		"--client-ca-file="+c.keys.caCert,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file="+c.keys.serviceAccountKey,
		"--service-account-key-file="+c.keys.saPublicKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--token-auth-file="+c.tokens,
		"--authorization-mode=Node,RBAC",
		"--kubelet-preferred-address-types=InternalIP",
	)
}

// Without these limits the controller manager completes 3 Jobs a second, with them some 70.
var controllerLimits = []string{"--kube-api-qps=1000", "--kube-api-burst=2000"}

func (c *Cluster) startControllerManager() (*process, error) {
	return startProcess(c.dir, controllerManager, c.binaries.ControllerManager, append([]string{
		"--kubeconfig=" + c.users.controllerManager.file,
		"--leader-elect=false",
		"--secure-port=0",
		"--service-account-private-key-file=" + c.keys.serviceAccountKey,
		"--root-ca-file=" + c.keys.caCert,
		"--use-service-account-credentials=true",
		"--controllers=*",
	}, controllerLimits...)...)
}

func (c *Cluster) startScheduler() (*process, error) {
	return startProcess(c.dir, scheduler, c.binaries.Scheduler, append([]string{
		"--kubeconfig=" + c.users.scheduler.file,
		"--leader-elect=false",
		"--secure-port=0",
	}, controllerLimits...)...)
}

func (c *Cluster) startKWOK() (*process, error) {
	config, err := writeKWOKConfig(c.dir, c.binaries.kwokStages)
	if err != nil {
		return nil, err
	}
	return startProcess(c.dir, kwok, c.binaries.KWOK,
		"--kubeconfig="+c.users.kwok.file,
		"--config="+config,
	)
}
