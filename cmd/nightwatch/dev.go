package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
	"github.com/nightwatch-go/nightwatch/jobrunner/runlog"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/store"
)

// devSettings are the flags of nightwatch dev.
type devSettings struct {
	log        logging
	kube       kube
	secrets    secrets
	dataDir    string
	etcdListen string
	listen     string
	prefix     string
}

// devNode is the name of the only node of a cluster of one.
const devNode = "dev"

// devDrain is how long a dev that is stopped waits for what runs: somebody sits in front of it.
const devDrain = 5 * time.Second

func newDev() *cobra.Command {
	var s devSettings
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a cluster of one, with etcd inside, to try things out",
		Long: `Run a cluster of one, with etcd inside, to try things out.

The process and http runners are on, and anybody who reaches the etcd port can run programs as you: it is on a loopback
address unless --etcd-listen says otherwise. The kubernetes runner is on with --kubeconfig or --kube-context, or when the
current context's server is on this machine.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			err := s.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil // stopped while it started
			}
			return failed(err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.dataDir, "data-dir", "", "where etcd's data and the logs of runs are kept (default: $XDG_STATE_HOME/nightwatch/dev, or ~/.local/state/nightwatch/dev)")
	flags.StringVar(&s.etcdListen, "etcd-listen", "127.0.0.1:2379", "address of etcd")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:7420", "address of /livez, /readyz and /metrics")
	flags.StringVar(&s.prefix, "etcd-prefix", store.DefaultPrefix, "where the cluster's keys are in etcd")
	s.kube.flags(flags)
	s.secrets.flags(flags)
	s.log.flags(flags)
	return cmd
}

func (s *devSettings) run(ctx context.Context, out, logs io.Writer) (err error) {
	if err := s.log.check(); err != nil {
		return err
	}
	logger := s.log.logger(logs)
	runners, kubeState, err := s.runners(logger)
	if err != nil {
		return err
	}
	secrets, err := s.secrets.open()
	if err != nil {
		return err
	}
	dir, err := s.directory()
	if err != nil {
		return err
	}
	defer func() {
		if errors.Is(err, rpctypes.ErrUserEmpty) {
			err = fmt.Errorf("authentication is on in the etcd in %s, and dev has no user: remove that folder, or name another with --data-dir (an etcd with users is for 'nightwatch node')", dir)
		}
	}()
	data, err := openDevData(dir)
	if err != nil {
		return err
	}
	defer data.close()
	runLogs, err := newLogs(runlog.Config{Dir: data.logDir(), Logger: logger})
	if err != nil {
		return err
	}
	listener, err := listen("listen", s.listen)
	if err != nil {
		return err
	}
	etcd, err := startDevEtcd(ctx, data.etcdDir(), s.etcdListen, logger.Named("etcd"))
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer etcd.stop()
	data.announce(listener.Addr().String(), etcd.address)
	if !etcd.loopback {
		logger.Warn("etcd listens beyond this machine, without TLS or users: whoever reaches it runs programs here", "address", etcd.address)
	}

	p := &peer{
		logger:   logger,
		listener: listener,
		etcd: clientv3.Config{
			Endpoints:            []string{etcd.endpoint},
			DialTimeout:          5 * time.Second,
			DialKeepAliveTime:    keepAliveTime,
			DialKeepAliveTimeout: keepAliveTimeout,
			Logger:               zap.NewNop(),
		},
		config: node.Config{
			Prefix:       s.prefix,
			Name:         devNode,
			Runners:      runners,
			Logger:       logger,
			DrainTimeout: devDrain,
			Logs:         runLogs,
			Address:      advertised(listener.Addr()),
			Secrets:      secrets,
			Version:      thisBuild().Version,
		},
	}
	if err := p.check(); err != nil {
		return err
	}
	if err := endFormerLife(ctx, p.etcd, s.prefix); err != nil {
		return err
	}
	banner{
		etcd: etcd.endpoint, prefix: store.NewKeys(s.prefix).Prefix(), dir: dir, http: listener.Addr().String(),
		runners: runners, kubernetes: kubeState,
	}.print(out)

	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-etcd.failed():
			cancel(fmt.Errorf("etcd ended: %v", err))
		case <-runCtx.Done():
		}
	}()
	err = p.run(runCtx)
	if ctx.Err() == nil && runCtx.Err() != nil {
		err = errors.Join(context.Cause(runCtx), err)
	}
	return err
}

// runners are process, http and, where there is a cluster for it, kubernetes, of which the text says how it stands.
func (s *devSettings) runners(logger hclog.Logger) (runners []jobrunner.Runner, kubeState string, err error) {
	processes, err := newProcess(process.Config{})
	if err != nil {
		return nil, "", err
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	runners = []jobrunner.Runner{processes, httpcall.New(httpcall.Config{Allow: loopback})}
	if s.kube.named() {
		runner, cluster, err := s.kube.build(logger)
		if err != nil {
			return nil, "", err
		}
		return append(runners, runner), "on: " + cluster, nil
	}
	const remedy = "--kubeconfig or --kube-context turns it on"
	config, name, err := kubernetes.LoopbackContext()
	if err != nil {
		return runners, fmt.Sprintf("off: %v; %s", err, remedy), nil
	}
	if config == nil {
		return runners, "off: no current context with a cluster on this machine; " + remedy, nil
	}
	runner, cluster, err := s.kube.of([]kubernetes.Cluster{{Name: name, REST: config}}, logger)
	if err != nil {
		return runners, fmt.Sprintf("off: %v; %s", err, remedy), nil
	}
	return append(runners, runner), "on: " + cluster, nil
}

func (s *devSettings) directory() (string, error) {
	if s.dataDir != "" {
		return filepath.Abs(s.dataDir)
	}
	dir, err := stateDir("dev")
	if err != nil {
		return "", usage("--data-dir: %w", err)
	}
	return dir, nil
}

// endFormerLife revokes the lease of a dev that was killed, so that this one does not wait for its name. The lock on
// the data says that it is gone.
func endFormerLife(ctx context.Context, etcd clientv3.Config, prefix string) error {
	client, err := clientv3.New(etcd)
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, etcd.DialTimeout)
	defer cancel()
	key := store.NewKeys(prefix).Node(devNode)
	response, err := client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if len(response.Kvs) == 0 || response.Kvs[0].Lease == 0 {
		return nil
	}
	if _, err := client.Revoke(ctx, clientv3.LeaseID(response.Kvs[0].Lease)); err != nil {
		return fmt.Errorf("revoke the lease of %s: %w", key, err)
	}
	return nil
}
