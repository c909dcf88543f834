// Platform is an embedder's program for fault tests: a node inside a process of its own, with one handler, "effect", that
// writes down what it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/handler"
	"github.com/nightwatch-go/nightwatch/node"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
)

func main() {
	endpoint := flag.String("endpoint", "", "etcd's addresses, with commas between them")
	effects := flag.String("effects", "", "the file to which effects are appended")
	var labels pairs
	flag.Var(&labels, "labels", "key=value pairs, with commas between them")
	config := node.Config{}
	flag.StringVar(&config.Prefix, "prefix", "", "where the keys are")
	flag.StringVar(&config.Name, "name", "", "the node's name")
	flag.IntVar(&config.Capacity, "capacity", 0, "how many runs the node takes at once")
	flag.DurationVar(&config.LeaseTTL, "lease-ttl", 0, "how long the cluster waits for a silent node")
	flag.Parse()
	config.Labels = labels
	config.Logger = hclog.New(&hclog.LoggerOptions{Name: "platform", Level: hclog.Debug})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *endpoint, *effects, config)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "platform:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, endpoint, effects string, config node.Config) error {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: strings.Split(endpoint, ","), DialTimeout: 5 * time.Second, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		})},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	file, err := os.OpenFile(effects, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := node.New(client, config)
	if err != nil {
		return err
	}
	e := &effect{node: config.Name, file: file}
	remove, err := n.Handle("effect", handler.Typed(e.handle))
	if err != nil {
		return err
	}
	defer remove()
	return n.Run(ctx)
}

// params are what a task may ask the handler for.
type params struct {
	// Hold has attempts up to this one go on until they are told to end, or the file Released is there.
	Hold     int    `json:"hold"`
	Released string `json:"released"`
	// Lasts is how long every other attempt takes, in milliseconds.
	Lasts int `json:"lasts"`
	// Fails has attempts up to this one fail in the end.
	Fails int `json:"fails"`
}

// beatEvery is how often an attempt that goes on says so.
const beatEvery = 100 * time.Millisecond

type effect struct {
	node string
	file *os.File
}

func (e *effect) handle(ctx context.Context, run jobrunner.Run, p params) error {
	if err := e.say(run, checker.EffectStart); err != nil {
		return err
	}
	var over <-chan time.Time
	if run.Attempt > p.Hold {
		over = time.After(time.Duration(p.Lasts) * time.Millisecond)
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := e.say(run, checker.EffectCut); err != nil {
				return err
			}
			return context.Cause(ctx)
		case <-over:
			if run.Attempt <= p.Fails {
				return errors.New("it is to fail")
			}
			return e.say(run, checker.EffectEnd)
		case <-beat.C:
			if err := e.say(run, checker.EffectBeat); err != nil {
				return err
			}
			if _, err := os.Stat(p.Released); err == nil && run.Attempt <= p.Hold {
				return e.say(run, checker.EffectEnd)
			}
		}
	}
}

func (e *effect) say(run jobrunner.Run, event string) error {
	line, err := json.Marshal(checker.Effect{
		Task: run.Namespace + "/" + run.Task, Run: run.ID, Attempt: run.Attempt, Fence: run.Fence, Node: e.node,
		Event: event, Time: time.Now().UnixNano(),
	})
	if err != nil {
		return err
	}
	_, err = e.file.Write(append(line, '\n')) // in one piece: others append to the same file
	return err
}

// pairs is a flag of labels.
type pairs map[string]string

func (p *pairs) String() string { return "" }

func (p *pairs) Set(text string) error {
	*p = pairs{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%q: want key=value", pair)
		}
		(*p)[key] = value
	}
	return nil
}
