package main

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
)

// kube is which Kubernetes clusters a node runs Jobs on.
type kube struct {
	kubeconfig string
	contexts   []string
	qps        float32
	burst      int
}

// kubeFlags are the flags that say which clusters are meant.
var kubeFlags = []string{"kubeconfig", "kube-context"}

func (k *kube) flags(flags *pflag.FlagSet) {
	flags.StringVar(&k.kubeconfig, "kubeconfig", "", "kubeconfig file for the kubernetes runner")
	flags.StringArrayVar(&k.contexts, "kube-context", nil,
		"Kubernetes cluster, as [NAME=]CONTEXT[,LABEL=VALUE...]; again for each further one; the first takes tasks that ask for none; "+
			"in-cluster is the one around this pod")
}

// limits are the flags of how many requests are made.
func (k *kube) limits(flags *pflag.FlagSet) {
	flags.Float32Var(&k.qps, "kube-api-qps", 50, "requests a second to the Kubernetes API")
	flags.IntVar(&k.burst, "kube-api-burst", 100, "requests to the Kubernetes API at once")
}

func (k *kube) checkLimits() error {
	if k.qps <= 0 || k.burst <= 0 {
		return usage("--kube-api-qps, --kube-api-burst: %g, %d: want more than 0", k.qps, k.burst)
	}
	return nil
}

// named tells whether a cluster was asked for.
func (k *kube) named() bool { return k.kubeconfig != "" || len(k.contexts) > 0 }

// build makes the kubernetes runner for the contexts that are named, for the current one of the kubeconfig, or for the
// cluster around a pod, and says which clusters these are.
func (k *kube) build(logger hclog.Logger) (runner *kubernetes.Runner, clusters string, err error) {
	all, err := k.loadAll()
	if err != nil {
		return nil, "", err
	}
	return k.of(all, logger)
}

// bench is what measures the one cluster that is named.
func (k *kube) bench() (*kubernetes.Bench, error) {
	if err := k.checkLimits(); err != nil {
		return nil, err
	}
	all, err := k.loadAll()
	if err != nil {
		return nil, err
	}
	cluster, err := kubernetes.NewBench(kubernetes.Config{Clusters: all, QPS: k.qps, Burst: k.burst})
	if err != nil {
		return nil, usage("--kube-context: %w", err)
	}
	return cluster, nil
}

func (k *kube) loadAll() ([]kubernetes.Cluster, error) {
	contexts := k.contexts
	if len(contexts) == 0 {
		contexts = []string{""}
	}
	var all []kubernetes.Cluster
	for _, several := range contexts {
		for text := range strings.SplitSeq(several, ";") { // an environment variable has room for one value only
			cluster, err := k.load(text)
			if err != nil {
				return nil, err
			}
			all = append(all, cluster)
		}
	}
	return all, nil
}

// load reads how to reach one cluster.
func (k *kube) load(text string) (kubernetes.Cluster, error) {
	parts := strings.Split(strings.TrimSpace(text), ",")
	name, context, named := strings.Cut(parts[0], "=")
	if !named {
		name, context = "", parts[0]
	}
	config, found, err := kubernetes.LoadConfig(k.kubeconfig, context)
	if err != nil {
		return kubernetes.Cluster{}, usage("--kubeconfig, --kube-context: %w", err)
	}
	if !named {
		name = found
	}
	if err := nightwatch.CheckClusterName(name); err != nil {
		return kubernetes.Cluster{}, usage("--kube-context: name %w; NAME=CONTEXT gives it another one", err)
	}
	cluster := kubernetes.Cluster{Name: name, REST: config, Labels: map[string]string{}}
	for _, pair := range parts[1:] {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := cluster.Labels[key]; !ok || twice {
			return kubernetes.Cluster{}, usage("--kube-context: %q: want LABEL=VALUE after the first comma, each label once", pair)
		}
		cluster.Labels[key] = value
	}
	if faults := nightwatch.CheckLabels("label", cluster.Labels); len(faults) > 0 {
		return kubernetes.Cluster{}, usage("--kube-context: %w", faults[0])
	}
	return cluster, nil
}

// of makes the kubernetes runner for clusters that have been loaded.
func (k *kube) of(all []kubernetes.Cluster, logger hclog.Logger) (runner *kubernetes.Runner, clusters string, err error) {
	runner, err = kubernetes.New(kubernetes.Config{Clusters: all, QPS: k.qps, Burst: k.burst, Logger: logger.Named("kubernetes")})
	if err != nil {
		return nil, "", usage("--kube-context: %w", err)
	}
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = fmt.Sprintf("context %s, %s", c.Name, c.REST.Host)
	}
	return runner, strings.Join(texts, "; "), nil
}
