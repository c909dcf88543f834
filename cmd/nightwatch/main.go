// Command nightwatch runs tasks on time, once, on a cluster of equal peers: a node of the cluster, a cluster of one for
// trying things out, and the commands that talk to one.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	roomForGarbage()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for a graceful end; after it signals have their usual effect, so the second ends at once.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
