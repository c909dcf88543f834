package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// devEtcd is the etcd inside nightwatch dev: one member, with the doors closed that a web page could come through.
type devEtcd struct {
	server *embed.Etcd
	// address is what it listens on; endpoint is what clients on this machine use.
	address, endpoint string
	loopback          bool
	// level is from where on the member's own log is shown.
	level zap.AtomicLevel

	mu   sync.Mutex
	grpc []*grpc.Server
}

// devEtcdStart bounds the start. Replaying the log of a large data directory takes a while.
const devEtcdStart = time.Minute

// startDevEtcd returns when the member answers. The error of a port that is taken names --etcd-listen.
func startDevEtcd(ctx context.Context, dir, address string, logger hclog.Logger) (*devEtcd, error) {
	// etcd does not say which of its ports was taken, nor in a form to test for.
	probe, err := listen("etcd-listen", address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addr := probe.Addr().(*net.TCPAddr)
	address = addr.String()
	_ = probe.Close()

	e := &devEtcd{address: address, endpoint: address, loopback: addr.IP.IsLoopback(), level: zap.NewAtomicLevelAt(zap.WarnLevel)}
	if addr.IP.IsUnspecified() {
		e.endpoint = net.JoinHostPort("127.0.0.1", fmt.Sprint(addr.Port))
	}
	cfg, err := e.config(dir, host, zapTo(logger, e.level))
	if err != nil {
		return nil, err
	}
	e.server, err = embed.StartEtcd(cfg)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, taken("etcd-listen", address) // by somebody who came between
	}
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", dir, err)
	}
	late := time.NewTimer(devEtcdStart)
	defer late.Stop()
	select {
	case <-e.server.Server.ReadyNotify():
		return e, nil
	case err = <-e.server.Err():
	case <-late.C:
		err = fmt.Errorf("not ready within %s", devEtcdStart)
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.stop()
	return nil, fmt.Errorf("start etcd in %s: %w", dir, err)
}

func (e *devEtcd) config(dir, host string, logger *zap.Logger) (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Name = "dev"
	cfg.Dir = dir
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	client := url.URL{Scheme: "http", Host: e.address}
	advertise := url.URL{Scheme: "http", Host: e.endpoint}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{advertise}
	// A member listens to peers whether it has any or not: on loopback, on whatever port is free at this start. What is
	// advertised counts when the data is made and is read by nobody.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// Alone, it need not wait for others' votes.
	cfg.TickMs, cfg.ElectionMs = 50, 500
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "10m"

	// What is left on the port for browsers: the gateway, through which any web page could put a task, is off, and the
	// rest (health, metrics, version) answers to this machine's own names, for no other origin. To etcd an empty set
	// would mean everything.
	cfg.EnableGRPCGateway = false
	cfg.CORS = map[string]struct{}{advertise.String(): {}}
	cfg.HostWhitelist = map[string]struct{}{"127.0.0.1": {}, "localhost": {}, "::1": {}}
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() || err != nil && host != "" {
		cfg.HostWhitelist[host] = struct{}{}
	}
	cfg.ServiceRegister = func(server *grpc.Server) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.grpc = append(e.grpc, server)
	}
	return cfg, cfg.Validate()
}

// failed tells why the member ended, should it.
func (e *devEtcd) failed() <-chan error { return e.server.Err() }

// stop ends the member. Its clients are cut off: embed's Close alone would wait for their watches to end.
func (e *devEtcd) stop() {
	e.level.SetLevel(zap.FatalLevel) // its listeners complain that they are closed
	e.mu.Lock()
	for _, server := range e.grpc {
		server.Stop()
	}
	e.mu.Unlock()
	e.server.Close()
}
