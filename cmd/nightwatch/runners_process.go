package main

import (
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/process"
)

// programs is which processes a node runs, and by what.
type programs struct {
	namespaces, users, commands []string
	python, shell               string
}

func (p *programs) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&p.namespaces, "process-allow-namespaces", nil, "namespaces whose tasks may run processes (default: all)")
	flags.StringSliceVar(&p.users, "process-allow-users", nil, "users, by name or number, that processes may run as; tasks that name none run as the node's own (default: that, and by name all but root)")
	flags.StringSliceVar(&p.commands, "process-allow-commands", nil, "absolute paths of the programs that tasks may run; scripts need that of their interpreter (default: all)")
	flags.StringVar(&p.python, "process-python", "", "absolute path of what runs python scripts (default: python3 in the task's PATH)")
	flags.StringVar(&p.shell, "process-shell", "", "absolute path of what runs shell scripts (default: /bin/sh)")
}

// build makes the process runner of a node.
func (p *programs) build(logger hclog.Logger) (jobrunner.Runner, error) {
	for _, interpreter := range []struct{ flag, path string }{{"--process-python", p.python}, {"--process-shell", p.shell}} {
		if interpreter.path != "" && !filepath.IsAbs(interpreter.path) {
			return nil, usage("%s: %q: want an absolute path", interpreter.flag, interpreter.path)
		}
	}
	for _, command := range p.commands {
		if !filepath.IsAbs(command) {
			return nil, usage("--process-allow-commands: %q: want an absolute path", command)
		}
	}
	if os.Geteuid() == 0 && len(p.users) == 0 {
		logger.Warn("this node runs as root, and so do the processes of tasks that name no user: --process-allow-users says who else it is to be")
	}
	return newProcess(process.Config{
		AllowNamespaces: p.namespaces, AllowUsers: p.users, AllowCommands: p.commands, Python: p.python, Shell: p.shell,
	})
}

// newProcess makes a process runner whose guard is this binary.
func newProcess(config process.Config) (jobrunner.Runner, error) {
	var err error
	if config.Guard, err = guardArgv(); err != nil {
		return nil, err
	}
	runner, err := process.New(config)
	if err != nil {
		return nil, usageError{err}
	}
	return runner, nil
}
