package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/kubernetes"
)

// apiServer is whom validate --server asks about Jobs.
type apiServer struct {
	wanted bool
	kube   kube
	runner *kubernetes.Runner
}

func (s *apiServer) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&s.wanted, "server", false, "ask the Kubernetes API server about the Jobs that the tasks would make")
	s.kube.flags(flags)
}

// connect reads how to reach the clusters, if they are to be asked.
func (s *apiServer) connect() (err error) {
	if s.wanted {
		s.runner, _, err = s.kube.build(hclog.NewNullLogger())
	}
	return err
}

// answeredBy names an API server and the namespace that a Job would be in. Nil: none was asked.
type answeredBy struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
}

// String follows a verdict.
func (a *answeredBy) String() string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf(" by the API server of %s, for namespace %s", a.Cluster, a.Namespace)
}

// ask adds to a verdict what the API server says; nothing, if the task is refused already or is none for Kubernetes.
func (s *apiServer) ask(ctx context.Context, d document, v *validation) error {
	if s.runner == nil || !v.Accepted || d.task.Runner() != nightwatch.RunnerKubernetes {
		return nil
	}
	opinion, err := s.runner.DryRun(ctx, d.key, d.task)
	switch {
	case errors.Is(err, kubernetes.ErrNoCluster):
		return failed(fmt.Errorf("%s: %w among those of --kube-context", d.name(), err))
	case errors.Is(err, kubernetes.ErrNotReached):
		return failure{exitUnreachable, fmt.Errorf("%s: %w", d.name(), err)}
	case err != nil:
		return failed(fmt.Errorf("%s: ask API server: %w", d.name(), err))
	}
	v.Server = &answeredBy{opinion.Cluster, opinion.Namespace}
	for _, text := range opinion.Faults {
		v.Accepted = false
		v.Errors = append(v.Errors, nightwatch.FieldError{Field: "kubernetes", Reason: text})
	}
	for _, text := range opinion.Warnings {
		v.Warnings = append(v.Warnings, nightwatch.FieldError{Field: "kubernetes", Reason: text})
	}
	return nil
}
