package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/nightwatch-go/nightwatch/store"
)

// connection is how etcd is reached. Its flags have etcdctl's names.
type connection struct {
	endpoints          []string
	prefix             string
	caCert, cert, key  string
	insecureSkipVerify bool
	user, password     string
	timeout            time.Duration
}

func (c *connection) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&c.endpoints, "endpoints", []string{"127.0.0.1:2379"}, "etcd's client addresses")
	flags.StringVar(&c.prefix, "etcd-prefix", store.DefaultPrefix, "where the cluster's keys are in etcd")
	flags.StringVar(&c.caCert, "cacert", "", "file of the CA certificates that etcd's certificate is checked against")
	flags.StringVar(&c.cert, "cert", "", "file of the client certificate for etcd")
	flags.StringVar(&c.key, "key", "", "file of the client certificate's key")
	flags.BoolVar(&c.insecureSkipVerify, "insecure-skip-tls-verify", false, "take any certificate for etcd's (for tests only)")
	flags.StringVar(&c.user, "user", "", "name[:password] for etcd's authentication")
	flags.StringVar(&c.password, "password", "", "password for etcd's authentication; --user is then the name alone")
	flags.DurationVar(&c.timeout, "command-timeout", 5*time.Second, "how long etcd may take to answer")
}

// Keepalive of connections to etcd. gRPC pings an idle connection no oftener than every 10 s, but it also gives the
// timeout to TCP as the longest that sent data may stay unacknowledged: a connection that renewals of a lease go
// through is found dead after that time. Without a request under way there are no pings: etcd breaks connections on
// which these come more often than every two hours.
const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 3 * time.Second
	minKeepAlive     = time.Second
)

// reconnect bounds how long a connection to etcd stays away once etcd is back: gRPC's own default grows to two minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: keepAliveTimeout,
}

// config checks the settings. leaseTTL is that of the node that the client is for, 0 when it is for none.
func (c *connection) config(leaseTTL time.Duration, logger *zap.Logger) (clientv3.Config, error) {
	var none clientv3.Config
	if c.timeout <= 0 {
		return none, usage("--command-timeout: %s: want more than 0", c.timeout)
	}
	if len(c.endpoints) == 0 {
		return none, usage("--endpoints: missing: want host:port of etcd's members")
	}
	for _, endpoint := range c.endpoints {
		if strings.TrimSpace(endpoint) != endpoint || endpoint == "" {
			return none, usage("--endpoints: %q: want host:port or https://host:port", endpoint)
		}
	}
	name, password, err := c.credentials()
	if err != nil {
		return none, err
	}
	timeout := keepAliveTimeout
	if leaseTTL > 0 {
		timeout = max(min(timeout, leaseTTL/2), minKeepAlive)
	}
	cfg := clientv3.Config{
		Endpoints:            c.endpoints,
		DialTimeout:          c.timeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: timeout,
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnect)},
		Username:             name,
		Password:             password,
		Logger:               logger,
	}
	if (c.cert == "") != (c.key == "") {
		return none, usage("--cert and --key: want both or neither")
	}
	if c.caCert != "" || c.cert != "" || c.insecureSkipVerify {
		info := transport.TLSInfo{TrustedCAFile: c.caCert, CertFile: c.cert, KeyFile: c.key, InsecureSkipVerify: c.insecureSkipVerify}
		if cfg.TLS, err = info.ClientConfig(); err != nil {
			return none, usage("--cacert, --cert, --key: %w", err)
		}
	}
	return cfg, nil
}

// credentials splits --user as etcdctl does. There is no prompt: nodes have nobody to ask.
func (c *connection) credentials() (name, password string, err error) {
	name, password = c.user, c.password
	if name == "" {
		if password != "" {
			return "", "", usage("--password: there is no --user to go with it")
		}
		return "", "", nil
	}
	if password == "" {
		name, password, _ = strings.Cut(c.user, ":")
	}
	if name == "" || password == "" {
		return "", "", usage("--user: want name:password, or the name here and the password in --password or %s", environmentName("password"))
	}
	return name, password, nil
}

// with runs do on the cluster's store and turns its error into a command's.
func (c *connection) with(ctx context.Context, do func(context.Context, *store.Store) error) error {
	cfg, err := c.config(0, zap.NewNop())
	if err != nil {
		return err
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return c.failed(fmt.Errorf("connect to etcd: %w", err))
	}
	defer client.Close()
	return c.failed(do(ctx, store.New(client, c.prefix)))
}

// quickly is how long a command may take that does not wait for anything but etcd: far longer than any does, but the store
// gives requests that have no end at all a time of its own.
const quickly = time.Hour

// quick is with for commands that do not wait for anything but etcd, which has the time of --command-timeout for each answer.
func (c *connection) quick(ctx context.Context, do func(context.Context, *store.Store) error) error {
	return c.with(ctx, func(ctx context.Context, st *store.Store) error {
		ctx, cancel := context.WithTimeout(ctx, quickly)
		defer cancel()
		st.Client().KV = answers{st.Client().KV, c.timeout}
		return do(ctx, st)
	})
}

// denied tells whether etcd itself refuses this user for good.
func denied(err error) bool {
	for _, refusal := range []error{
		rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrAuthNotEnabled,
		rpctypes.ErrUserNotFound,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
