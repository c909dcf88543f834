// Runner is a platform whose node has a runner of its own: the http tasks of its cluster go through the client that the
// platform has for its services, here one that signs each request, instead of the runner that nightwatch brings.
//
//	go run ./examples/runner -user batch -password secret
//	etcdctl put /platform/nightwatch/tasks/default/ping '{"http":{"url":"http://127.0.0.1:8080/ping"}}'
//
// "nightwatch dev" gives it an etcd. The test beside it is how a runner of one's own is known to be a good one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/node"
)

func main() {
	endpoint := flag.String("endpoint", "127.0.0.1:2379", "etcd's address")
	user := flag.String("user", "batch", "who the platform's services are told asks")
	password := flag.String("password", "", "its password")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *endpoint, newCaller(*user, *password))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, endpoint string, runner jobrunner.Runner) (err error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	n, err := node.New(client, node.Config{
		Prefix: "/platform/nightwatch/", Name: "platform", Runners: []jobrunner.Runner{runner},
		Logger: hclog.New(&hclog.LoggerOptions{Name: "nightwatch", Level: hclog.Warn}),
	})
	if err != nil {
		return err
	}
	return n.Run(ctx)
}
