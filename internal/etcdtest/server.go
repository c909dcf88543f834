package etcdtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// startTimeout bounds one start of the server. It is generous because test machines are slow, not because etcd is.
const startTimeout = 30 * time.Second

// Server is one etcd member inside the test's process. Its methods are safe for concurrent use.
type Server struct {
	dir       string
	election  time.Duration
	configure []func(*embed.Config)

	mu       sync.Mutex
	etcd     *embed.Etcd  // nil while stopped
	grpc     *grpc.Server // of the running etcd
	endpoint string       // host:port of the client listener; the same in every life
}

// An Option changes the server that Start makes.
type Option func(*Server)

// WithElectionTimeout sets etcd's election timeout; the shortest lease it grants is 1.5 times that, in whole seconds,
// rounded up. Default 500 ms (1 s leases); etcd's own default is 1 s (2 s leases).
func WithElectionTimeout(d time.Duration) Option {
	return func(s *Server) { s.election = d }
}

// WithConfig changes the configuration of the embedded server before each of its starts: a quota, compaction,
// authentication tokens, more listeners.
func WithConfig(change func(*embed.Config)) Option {
	return func(s *Server) { s.configure = append(s.configure, change) }
}

// Start starts a server that answers by the time Start returns, and stops it when the test ends. It fails the test if
// it cannot.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{dir: t.TempDir(), election: 500 * time.Millisecond}
	for _, option := range options {
		option(s)
	}
	if err := s.start(); err != nil {
		t.Fatalf("start etcd: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Endpoint is the client URL as host:port. It stays the same over Restart.
func (s *Server) Endpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endpoint
}

// Stop ends the server as a crash does: open connections are cut, nobody is waited for. The data stays. It is
// idempotent.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etcd == nil {
		return
	}
	// embed's Close alone would wait seconds for watch streams to end by themselves.
	s.grpc.Stop()
	s.etcd.Close()
	s.etcd, s.grpc = nil, nil
}

// Restart stops the server if it runs and starts it again with the same data on the same port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		t.Fatalf("restart etcd: %v", err)
	}
}

// EnableAuth turns authentication on, with the user root, whose password is root. A client without a user may do nothing
// after that.
func (s *Server) EnableAuth(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	client := s.Client(t)
	_, err := client.UserAdd(ctx, "root", "root")
	if err == nil {
		_, err = client.UserGrantRole(ctx, "root", "root")
	}
	if err == nil {
		_, err = client.AuthEnable(ctx)
	}
	if err != nil {
		t.Fatalf("turn authentication on: %v", err)
	}
}

// Backup is what the server holds, for Restore. The server is restarted for it.
func (s *Server) Backup(t testing.TB) string {
	t.Helper()
	s.Stop()
	backup := t.TempDir()
	if err := os.CopyFS(filepath.Join(backup, "data"), os.DirFS(s.dir)); err != nil {
		t.Fatalf("back etcd up: %v", err)
	}
	s.Restart(t)
	return backup
}

// Restore restarts the server with what it held at a Backup: all that came later is gone, and revisions are used again.
func (s *Server) Restore(t testing.TB, backup string) {
	t.Helper()
	s.Stop()
	err := os.RemoveAll(s.dir)
	if err == nil {
		err = os.CopyFS(s.dir, os.DirFS(filepath.Join(backup, "data")))
	}
	if err != nil {
		t.Fatalf("restore etcd: %v", err)
	}
	s.Restart(t)
}

// start brings the member up. The first life takes free ports from the kernel; later ones ask for the same client port.
func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etcd != nil {
		return fmt.Errorf("it runs already at %s", s.endpoint)
	}
	listen := s.endpoint
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	// A port that was ours a moment ago can be in a dying connection's hands, or lent to another process: ask again.
	deadline := time.Now().Add(startTimeout)
	for {
		etcd, server, err := s.open(listen)
		if err == nil {
			s.etcd, s.grpc, s.endpoint = etcd, server, etcd.Clients[0].Addr().String()
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (s *Server) open(listen string) (*embed.Etcd, *grpc.Server, error) {
	cfg := embed.NewConfig()
	cfg.Name = "test"
	cfg.Dir = s.dir
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least, as logins under the race detector take a second else
	cfg.ElectionMs = uint(s.election.Milliseconds())
	cfg.TickMs = max(cfg.ElectionMs/10, 1)
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	// Port 0: the kernel's choice. No other member ever reads the advertised URLs.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	client := url.URL{Scheme: "http", Host: listen}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	registered := make(chan *grpc.Server, 1)
	cfg.ServiceRegister = func(server *grpc.Server) {
		select {
		case registered <- server:
		default:
		}
	}
	for _, change := range s.configure {
		change(cfg)
	}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, nil, err
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-etcd.Server.ReadyNotify():
	case err := <-etcd.Err():
		etcd.Close()
		return nil, nil, err
	case <-timeout.C:
		etcd.Close()
		return nil, nil, fmt.Errorf("not ready in %s", startTimeout)
	}
	// The gRPC server registers its services only once the member is ready.
	select {
	case server := <-registered:
		return etcd, server, nil
	case <-timeout.C:
		etcd.Close()
		return nil, nil, fmt.Errorf("no gRPC server in %s", startTimeout)
	}
}

// Client returns a new client of the server, closed when the test ends.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	return NewClient(t, s.Endpoint())
}

// NewClient returns a new client of endpoints, host:port, closed when the test ends: those of servers, or a proxy's. A
// connection that has gone silent is found in 3 s.
func NewClient(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    2 * time.Second,
		DialKeepAliveTimeout: time.Second,
		Logger:               zap.NewNop(),
	})
	if err != nil {
		t.Fatalf("new etcd client: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Compact compacts etcd up to its current revision and returns that revision.
func (s *Server) Compact(t testing.TB) int64 {
	t.Helper()
	client := s.Client(t)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	now, err := client.Get(ctx, "compact", clientv3.WithCountOnly())
	if err != nil {
		t.Fatalf("compact: read the revision: %v", err)
	}
	if _, err := client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatalf("compact at %d: %v", now.Header.Revision, err)
	}
	return now.Header.Revision
}

// NoSpace raises the alarm that the disk is full, with which etcd refuses every put, or disarms it.
func NoSpace(t testing.TB, client *clientv3.Client, raised bool) {
	t.Helper()
	action := pb.AlarmRequest_DEACTIVATE
	if raised {
		action = pb.AlarmRequest_ACTIVATE
	}
	_, err := pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), &pb.AlarmRequest{Action: action, Alarm: pb.AlarmType_NOSPACE})
	if err != nil {
		t.Fatal(err)
	}
}
