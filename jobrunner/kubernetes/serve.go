package kubernetes

import (
	"context"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Serve identifies the clusters, watches the Jobs of this nightwatch cluster in them and sweeps those that are left over,
// until ctx ends. It goes on through any outage of an API server. Runs are done without it too, but slower to notice
// things.
func (r *Runner) Serve(ctx context.Context, env jobrunner.Env) {
	ctx = silent(ctx)
	var wg sync.WaitGroup
	var sweepers []*sweeper
	for _, c := range r.clusters {
		s := newSweeper(c, env)
		sweepers = append(sweepers, s)
		wg.Go(func() { c.serve(ctx, env.ClusterID, s) })
	}
	for gone := env.Gone; gone != nil; {
		select {
		case <-ctx.Done():
			gone = nil
		case run, ok := <-gone:
			if !ok {
				gone = nil
				continue
			}
			for _, s := range sweepers {
				s.tell(run)
			}
		}
	}
	wg.Wait()
}

func (c *cluster) serve(ctx context.Context, clusterID string, sweep *sweeper) {
	selector := labels.SelectorFromSet(labels.Set{LabelClusterID: clusterID}).String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for pace := (backoff{}); ctx.Err() == nil; {
			err := c.call(ctx, func(ctx context.Context) error {
				_, err := c.identify(ctx)
				return err
			})
			if err == nil {
				return
			}
			if delay := pace.after(err); pace.tries == loudAfter {
				c.log.Warn("Kubernetes cluster is out of reach", "error", err)
			} else {
				sleep(ctx, delay)
			}
		}
	})
	wg.Go(func() { (&watcher{cluster: c, selector: selector}).run(ctx) })
	wg.Go(func() { (&podWatcher{cluster: c, selector: selector}).run(ctx) })
	wg.Go(func() { sweep.run(ctx) })
	wg.Wait()
	c.http.CloseIdleConnections()
}

// silent keeps client-go from logging to standard error: what goes wrong comes back as an error, and is logged here.
func silent(ctx context.Context) context.Context { return klog.NewContext(ctx, logr.Discard()) }
