package kubernetes

import (
	"context"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Serve identifies the cluster, watches the Jobs of this nightwatch cluster and sweeps those that are left over, until
// ctx ends. It goes on through any outage of the API server. Runs are done without it too, but slower to notice things.
func (r *Runner) Serve(ctx context.Context, env jobrunner.Env) {
	log := env.Logger
	if log == nil {
		log = r.log
	}
	ctx = silent(ctx)
	selector := labels.SelectorFromSet(labels.Set{LabelClusterID: env.ClusterID}).String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for pace := (backoff{}); ctx.Err() == nil; {
			_, err := r.clusterUID(ctx)
			if err == nil {
				return
			}
			if delay := pace.after(err); pace.tries == loudAfter {
				log.Warn("Kubernetes cluster is out of reach", "error", err)
			} else {
				sleep(ctx, delay)
			}
		}
	})
	wg.Go(func() { (&watcher{runner: r, selector: selector, log: log}).run(ctx) })
	wg.Go(func() { newSweeper(r, env, log).run(ctx) })
	wg.Wait()
	r.http.CloseIdleConnections()
}

// silent keeps client-go from logging to standard error: what goes wrong comes back as an error, and is logged here.
func silent(ctx context.Context) context.Context { return klog.NewContext(ctx, logr.Discard()) }
