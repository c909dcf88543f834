// Command cmd lets faults come to a cluster of real processes, at random, and tells what came of it: see package suite.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/test/robustness/checker"
	"github.com/nightwatch-go/nightwatch/test/robustness/cluster"
	"github.com/nightwatch-go/nightwatch/test/robustness/suite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok := run(ctx)
	stop()
	if !ok {
		os.Exit(1)
	}
}

// run tells whether nothing was violated.
func run(ctx context.Context) bool {
	config := suite.Config{Seed: rand.Uint64N(1_000_000)}
	flag.Uint64Var(&config.Seed, "seed", config.Seed, "where the choice of faults begins (default: random)")
	flag.DurationVar(&config.Duration, "duration", 6*time.Minute, "for how long there are faults")
	flag.DurationVar(&config.LeaseTTL, "lease-ttl", 2*time.Second, "how long the cluster waits for a silent node; at least 2s")
	names := flag.String("faults", "", "which, with commas between them (default: all): "+strings.Join(suite.Names(), ","))
	flag.IntVar(&config.Members, "members", 1, "how many etcd has; move-leader and quorum-loss need 3")
	flag.Int64Var(&config.Churn, "churn", 4, "how many operations a second the clients do")
	kube := flag.Bool("kubernetes", true, "start a Kubernetes control plane, and have Jobs too")
	check := flag.String("check", "", "check the history in this `folder` again, and do nothing else")
	flag.StringVar(&config.Dir, "dir", "", "the `folder` for histories, verdict and timeline (default: a new one among the temporary ones)")
	flag.Parse()
	if *names != "" {
		config.Faults = strings.Split(*names, ",")
	}

	if *check != "" {
		h, err := checker.Read(*check)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return false
		}
		v, err := suite.Again(*check, h)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return false
		}
		fmt.Println(v)
		return v.OK()
	}

	t := &program{ctx: ctx}
	var v *suite.Verdict
	t.run(func() {
		var err error
		if config.Binaries, err = cluster.Build(ctx, t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if *kube {
			if config.Kubernetes, err = kubetest.Start(ctx, kubetest.Options{Log: os.Stderr}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(config.Kubernetes.Stop)
		}
		v = suite.Run(t, config)
	})
	if v == nil {
		return false
	}
	fmt.Printf("timeline: %s\n", filepath.Join(v.Dir, "timeline.html"))
	fmt.Println(v)
	return v.OK() && !t.Failed()
}
