// Command kubeup starts a Kubernetes control plane on this machine for a person to try nightwatch with, and stops it
// when it is interrupted. Its pods only pretend to run: see package kubetest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/nightwatch-go/nightwatch/internal/kubetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubeup:", err)
		os.Exit(1)
	}
}

// run blocks until ctx ends, and then leaves nothing of the cluster behind.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("kubeup", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("kubeconfig", ".nightwatch-kube/kubeconfig",
		"`file` to write the kubeconfig to; removed at the end")
	buildOnly := flags.Bool("build-only", false, "build the programs, start nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	if *buildOnly {
		_, err := kubetest.Build(ctx, stderr)
		return err
	}
	if err := checkReplaceable(*path); err != nil {
		return err
	}
	cluster, err := kubetest.Start(ctx, kubetest.Options{Log: stderr})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	remove, err := publish(cluster.Kubeconfig, *path)
	if err != nil {
		return err
	}
	defer remove()

	fmt.Fprintf(stdout, ready, cluster.Config.Host, *path)
	<-ctx.Done()
	fmt.Fprintln(stdout, "Stopping.")
	return nil
}

const ready = `Kubernetes is ready at %[1]s. Next, in another terminal:

  go run ./cmd/nightwatch dev --kubeconfig %[2]s

Pods run for 1s and succeed, unless their annotations say otherwise. A task's own annotations come there under
nightwatch.dev/, so in a task write the part behind the slash: {"image":"alpine","annotations":{"kwok-run":"30s"}}
  ` + kubetest.AnnotationRun + `      how long, such as 30s, or ` + kubetest.RunForever + `
  ` + kubetest.AnnotationExit + `     exit code; any but 0 fails
  ` + kubetest.AnnotationReason + `   reason of the failure
  ` + kubetest.AnnotationMessage + `  its message

Ctrl-C stops it and removes everything.
`
