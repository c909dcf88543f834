// Embedded is a platform with an etcd client of its own that runs a nightwatch node inside its own process: it
// registers a Go handler, puts a task that names it, and prints what ran. The handler works page by page and saves where
// it is: stopped and started in the middle, it goes on from there.
//
//	go run ./examples/embedded -name thumbs -handler resize &
//	go run ./examples/embedded -name post -handler mail
//
// Two of them with different handlers are one cluster: each task runs where its handler is. "nightwatch dev" gives
// them an etcd to meet at. With "-off resize" a program has that handler and does not offer it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/handler"
	"github.com/nightwatch-go/nightwatch/node"
)

func main() {
	endpoint := flag.String("endpoint", "127.0.0.1:2379", "etcd's address")
	prefix := flag.String("prefix", "/platform/nightwatch/", "where the platform's tasks live in etcd")
	name := flag.String("name", "platform", "this program's name as a node")
	handlerName := flag.String("handler", "resize", "the handler that this program has")
	off := flag.String("off", "", "handlers that are switched off here, with commas between them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *endpoint, *prefix, *name, *handlerName, strings.FieldsFunc(*off, func(c rune) bool { return c == ',' }))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "embedded:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, endpoint, prefix, name, handlerName string, off []string) error {
	// The platform's own client; nightwatch never closes it.
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		// So that it is back within seconds when etcd is: gRPC's own delay grows to two minutes.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		})},
	})
	if err != nil {
		return err
	}
	defer client.Close()

	n, err := node.New(client, node.Config{
		Prefix: prefix,
		Name:   name,
		// What is switched off by configuration runs where it is not.
		DisabledHandlers: off,
		Logger:           hclog.New(&hclog.LoggerOptions{Name: "nightwatch", Level: hclog.Warn}),
	})
	if err != nil {
		return err
	}
	remove, err := n.Handle(handlerName, handler.Typed(work(name)))
	if err != nil {
		return err
	}
	defer remove()

	// Leader-only work: on one node of the cluster at a time.
	if _, err := n.Every("@every 10s", "watcher", func(context.Context) error {
		fmt.Printf("%s: watching, as the one that leads\n", name)
		return nil
	}); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- n.Run(ctx)
	}()
	if err := submit(ctx, n, handlerName); err != nil && !errors.Is(err, context.Canceled) {
		cancel()
		return errors.Join(err, <-ended)
	}
	return <-ended
}

// params are what a task may give to the handler.
type params struct {
	File  string `json:"file"`
	Pages int    `json:"pages"`
}

// work is the handler of the node with a name.
func work(name string) func(context.Context, jobrunner.Run, params) error {
	return func(ctx context.Context, run jobrunner.Run, p params) error {
		done, _ := strconv.Atoi(string(run.Checkpoint())) // 0 in the first attempt
		for done < p.Pages {
			// Here a page would be worked on, in a way that ends when ctx does.
			if ctx.Err() != nil {
				return ctx.Err()
			}
			done++
			run.Progress(float64(done)/float64(p.Pages), fmt.Sprintf("page %d of %d", done, p.Pages))
			if err := run.SaveCheckpoint(ctx, []byte(strconv.Itoa(done))); err != nil {
				return err
			}
		}
		fmt.Printf("%s: ran %s/%s, run %s, attempt %d, file %q\n", name, run.Namespace, run.Task, run.ID, run.Attempt, p.File)
		return run.SetResult(map[string]int{"pages": done})
	}
}

// submit puts a task for the handler and prints what became of it.
func submit(ctx context.Context, n *node.Node, handlerName string) error {
	value, err := json.Marshal(nightwatch.Task{
		Handler: &nightwatch.HandlerSpec{Name: handlerName},
		Params:  map[string]json.RawMessage{"file": json.RawMessage(`"cat.jpg"`), "pages": json.RawMessage("3")},
	})
	if err != nil {
		return err
	}
	task := "default/" + handlerName
	revision, err := n.Store().Put(ctx, task, value)
	if err != nil {
		return err
	}
	status, err := n.Store().Wait(ctx, task, func(s *nightwatch.Status) bool {
		return s != nil && s.SubmittedRevision >= revision && s.Phase.Terminal()
	})
	if err != nil {
		return err
	}
	last := status.LastRun
	fmt.Printf("%s is %s, run %s on node %s, result %s\n", task, status.Phase, last.ID, last.Node, last.Result)
	return nil
}
