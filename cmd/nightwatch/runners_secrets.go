package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// secrets is where the secrets of tasks are.
type secrets struct{ dir string }

func (s *secrets) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.dir, "secrets-dir", "", "directory of the files that tasks name by {fromFile: NAME}, in folders by namespace or for all (default: none)")
}

// open checks that the directory is there. What is in it is read by each attempt anew.
func (s *secrets) open() (jobrunner.Secrets, error) {
	if s.dir == "" {
		return nil, nil
	}
	if info, err := os.Stat(s.dir); err != nil {
		return nil, usage("--secrets-dir: %w", err)
	} else if !info.IsDir() {
		return nil, usage("--secrets-dir: %s: want a directory", s.dir)
	}
	return jobrunner.SecretsIn(s.dir), nil
}
