package main

import (
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// running is which runners a node has, and what they may do.
type running struct {
	names    []string
	kube     kube
	web      web
	programs programs
	secrets  secrets
}

func (r *running) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&r.names, "runners", []string{nightwatch.RunnerHTTP}, "ways to run tasks: kubernetes, process, http")
	r.kube.flags(flags)
	r.kube.limits(flags)
	r.web.flags(flags)
	r.programs.flags(flags)
	r.secrets.flags(flags)
}

// build makes the runners. It reads files and connects to nothing.
func (r *running) build(logger hclog.Logger) ([]jobrunner.Runner, error) {
	calls, err := r.web.build()
	if err != nil {
		return nil, err
	}
	if err := r.kube.checkLimits(); err != nil {
		return nil, err
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
