package main

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
)

// running is which runners a node has, and what they may do.
type running struct {
	names    []string
	kube     kube
	web      web
	programs programs
}

func (r *running) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&r.names, "runners", []string{nightwatch.RunnerHTTP}, "ways to run tasks: kubernetes, process, http")
	r.kube.flags(flags)
	flags.Float32Var(&r.kube.qps, "kube-api-qps", 50, "requests a second to the Kubernetes API")
	flags.IntVar(&r.kube.burst, "kube-api-burst", 100, "requests to the Kubernetes API at once")
	r.web.flags(flags)
	r.programs.flags(flags)
}

// kube is which Kubernetes cluster a node runs Jobs on.
type kube struct {
	kubeconfig, context string
	qps                 float32
	burst               int
}

func (k *kube) flags(flags *pflag.FlagSet) {
	flags.StringVar(&k.kubeconfig, "kubeconfig", "", "kubeconfig file for the kubernetes runner")
	flags.StringVar(&k.context, "kube-context", "", "context of the kubeconfig")
}

// build makes the runners. It reads files and connects to nothing.
func (r *running) build(logger hclog.Logger) ([]jobrunner.Runner, error) {
	calls, err := r.web.build()
	if err != nil {
		return nil, err
	}
	if r.kube.qps <= 0 || r.kube.burst <= 0 {
		return nil, usage("--kube-api-qps, --kube-api-burst: %g, %d: want more than 0", r.kube.qps, r.kube.burst)
	}
	var runners []jobrunner.Runner
	for i, name := range r.names {
		if slices.Contains(r.names[:i], name) {
			return nil, usage("--runners: %s is there twice", name)
		}
		var runner jobrunner.Runner
		switch name {
		case nightwatch.RunnerHTTP:
			runner = calls
		case nightwatch.RunnerProcess:
			runner, err = r.programs.build(logger)
		case nightwatch.RunnerKubernetes:
			runner, _, err = r.kube.build(logger)
		default:
			return nil, usage("--runners: %q: want kubernetes, process or http", name)
		}
		if err != nil {
			return nil, err
		}
		runners = append(runners, runner)
	}
	return runners, nil
}

// build makes the kubernetes runner for the context that is named, or for the cluster around a pod, and says which
// cluster that is.
func (k *kube) build(logger hclog.Logger) (runner jobrunner.Runner, cluster string, err error) {
	config, name, err := kubernetes.LoadConfig(k.kubeconfig, k.context)
	if err != nil {
		return nil, "", usage("--kubeconfig, --kube-context: %w", err)
	}
	return k.of(kubernetes.Config{REST: config, ContextName: name}, logger)
}

// of makes the kubernetes runner for a context that has been loaded.
func (k *kube) of(config kubernetes.Config, logger hclog.Logger) (runner jobrunner.Runner, cluster string, err error) {
	config.QPS, config.Burst, config.Logger = k.qps, k.burst, logger.Named("kubernetes")
	runner, err = kubernetes.New(config)
	if err != nil {
		return nil, "", fmt.Errorf("context %s: %w", config.ContextName, err)
	}
	return runner, fmt.Sprintf("context %s, %s", config.ContextName, config.REST.Host), nil
}
