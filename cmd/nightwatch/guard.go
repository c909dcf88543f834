package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch/jobrunner/process"
)

const guardCommand = "guard"

// newGuard is the process that kills what the process runner started should its node die. Only nodes call it.
func newGuard() *cobra.Command {
	return &cobra.Command{
		Use:    guardCommand,
		Short:  "Used by nodes: keep the processes of the process runner",
		Hidden: true,
		Args:   cobra.NoArgs,
		// No settings, least of all a config file, come between a node and its guard.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			if code := process.GuardMain(); code != 0 {
				return failure{code, fmt.Errorf("guard: could not start")}
			}
			return nil
		},
	}
}

// guardArgv executes this binary as the guard.
func guardArgv() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary, for the process runner's guard: %w", err)
	}
	return []string{self, guardCommand}, nil
}
