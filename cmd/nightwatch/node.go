package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/node"
)

// nodeSettings are the flags of nightwatch node.
type nodeSettings struct {
	etcd         connection
	log          logging
	run          running
	logs         keeping
	name         string
	listen       string
	advertise    string
	callbackURL  string
	labels       map[string]string
	capacity     int
	capacityOf   map[string]int
	leaseTTL     time.Duration
	drainTimeout time.Duration
	coldStandby  bool
}

func newNode() *cobra.Command {
	var s nodeSettings
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run one node of a cluster",
		Long: `Run one node of a cluster, until a signal asks it to stop.

It waits for etcd as long as it takes, and for its own name, should an earlier life of it still hold that, for twice the
lease. SIGTERM and SIGINT stop it gracefully; a second one ends it at once.`,
		Example: `  nightwatch node --endpoints 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379 --runners kubernetes,http --kubeconfig /etc/nightwatch/kubeconfig
  NIGHTWATCH_PASSWORD=… nightwatch node --config /etc/nightwatch/node.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := s.peer(cmd.ErrOrStderr())
			if err != nil {
				return failed(err)
			}
			return failed(p.run(cmd.Context()))
		},
	}
	s.flags(cmd)
	return cmd
}

func (s *nodeSettings) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.name, "name", "", "the node's name, unique in the cluster (default: the host's)")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:7420", "address of /livez, /readyz and /metrics; empty for none")
	flags.StringVar(&s.advertise, "advertise", "", "host:port at which others reach --listen (default: made of it)")
	flags.StringVar(&s.callbackURL, "callback-url", "", "URL at which servers that http tasks ask reach --listen to say that they are done, such as https://n1.example (default: http:// and --advertise)")
	flags.StringToStringVar(&s.labels, "labels", nil, "key=value pairs that tasks select nodes by")
	flags.IntVar(&s.capacity, "capacity", node.DefaultCapacity, "how many places the node has for runs; most take one each")
	flags.StringToIntVar(&s.capacityOf, "capacity-of", nil, "how many of them runs of a kind may take: RUNNER=N or handler/NAME=N, with commas between them")
	flags.DurationVar(&s.leaseTTL, "lease-ttl", node.DefaultLeaseTTL, "how long the cluster waits for a silent node")
	flags.BoolVar(&s.coldStandby, "cold-standby", false, "keep no view of all tasks while another node leads; to lead, read them first")
	flags.DurationVar(&s.drainTimeout, "drain-timeout", node.DefaultDrainTimeout, "how long a stopping node waits for what it runs")
	s.run.flags(flags)
	s.logs.flags(flags)
	s.etcd.flags(flags)
	s.log.flags(flags)
}

// peer checks the settings and opens the listener. Nothing is started.
func (s *nodeSettings) peer(logs io.Writer) (*peer, error) {
	if err := s.log.check(); err != nil {
		return nil, err
	}
	logger := s.log.logger(logs)
	etcd, err := s.etcd.config(s.leaseTTL, zapTo(logger.Named("etcd-client"), zapcore.WarnLevel))
	if err != nil {
		return nil, err
	}
	runners, err := s.run.build(logger)
	if err != nil {
		return nil, err
	}
	secrets, err := s.run.secrets.open()
	if err != nil {
		return nil, err
	}
	for _, limit := range []struct {
		flag string
		ok   bool
	}{{"capacity", s.capacity > 0}, {"lease-ttl", s.leaseTTL > 0}, {"drain-timeout", s.drainTimeout > 0}} {
		if !limit.ok {
			return nil, usage("--%s: want more than 0", limit.flag)
		}
	}
	if s.name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, usage("--name: the host has none: %w", err)
		}
		s.name = strings.ToLower(host)
	}
	if err := nightwatch.CheckNodeName(s.name); err != nil {
		return nil, usage("--%w", err)
	}
	runLogs, err := s.logs.build(s.name, logger)
	if err != nil {
		return nil, err
	}
	p := &peer{
		logger: logger,
		etcd:   etcd,
		config: node.Config{
			Prefix:       s.etcd.prefix,
			Name:         s.name,
			Labels:       s.labels,
			Capacity:     s.capacity,
			Capacities:   s.capacityOf,
			Runners:      runners,
			Logger:       logger,
			LeaseTTL:     s.leaseTTL,
			DrainTimeout: s.drainTimeout,
			ColdStandby:  s.coldStandby,
			Logs:         runLogs,
			Address:      s.advertise,
			CallbackURL:  s.callbackURL,
			Secrets:      secrets,
			Version:      thisBuild().Version,
		},
	}
	if s.advertise != "" {
		if err := nightwatch.CheckNodeAddress(s.advertise); err != nil {
			return nil, usage("--advertise: %w", err)
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if s.listen == "" {
		return p, nil
	}
	if p.listener, err = listen("listen", s.listen); err != nil {
		return nil, err
	}
	if s.advertise == "" {
		p.config.Address = advertised(p.listener.Addr())
	}
	return p, nil
}

// advertised is where others reach a listener: at its address, or by the host's name if it is on all addresses.
func advertised(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	host, err := os.Hostname()
	if err != nil {
		return addr.String()
	}
	return net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}
