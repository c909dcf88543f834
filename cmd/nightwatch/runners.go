package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
)

// running is which runners a node has, and what they may do.
type running struct {
	names             []string
	kube              kube
	httpAllow         []string
	processNamespaces []string
	processCommands   []string
}

func (r *running) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&r.names, "runners", []string{nightwatch.RunnerHTTP}, "ways to run tasks: kubernetes, process, http")
	r.kube.flags(flags)
	flags.Float32Var(&r.kube.qps, "kube-api-qps", 50, "requests a second to the Kubernetes API")
	flags.IntVar(&r.kube.burst, "kube-api-burst", 100, "requests to the Kubernetes API at once")
	flags.StringSliceVar(&r.httpAllow, "http-allow", nil, "network, such as 127.0.0.1/32, that http tasks may reach although it is loopback, link-local, multicast or a cloud's metadata service; repeatable")
	flags.StringSliceVar(&r.processNamespaces, "process-allow-namespaces", nil, "namespaces whose tasks may run processes (default: all)")
	flags.StringSliceVar(&r.processCommands, "process-allow-commands", nil, "absolute paths of the programs that tasks may run (default: all)")
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
	prefixes, err := parsePrefixes(r.httpAllow)
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
			runner = httpcall.New(httpcall.Config{Allow: prefixes})
		case nightwatch.RunnerProcess:
			runner, err = newProcess(r.processNamespaces, r.processCommands)
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

func newProcess(namespaces, commands []string) (jobrunner.Runner, error) {
	guard, err := guardArgv()
	if err != nil {
		return nil, err
	}
	runner, err := process.New(process.Config{AllowNamespaces: namespaces, AllowCommands: commands, Guard: guard})
	if err != nil {
		return nil, usageError{err}
	}
	return runner, nil
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

func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Addr().Is4In6() {
			return nil, usage("--http-allow: %q: want a network such as 10.0.0.0/8 or 127.0.0.1/32", text)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}
