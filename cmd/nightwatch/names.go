package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch"
)

// naming is how commands are told of a task: [namespace/]task.
type naming struct{ namespace string }

func (n *naming) flags(flags *pflag.FlagSet) {
	flags.StringVarP(&n.namespace, "namespace", "n", "default", "namespace of tasks that are named without one")
}

// task makes "<namespace>/<task>" of an argument.
func (n *naming) task(argument string) (string, error) {
	name := argument
	if !strings.Contains(name, "/") {
		name = n.namespace + "/" + name
	}
	if _, _, err := nightwatch.ParseTaskName(name); err != nil {
		return "", usage("%q: want [namespace/]task: %w", argument, err)
	}
	return name, nil
}

// noTask is the error of a command on a task that is not there.
func noTask(task string) error { return fmt.Errorf("there is no task %q", task) }

// ofTask is the error of reading a task's keys, for people when the task is not there.
func ofTask(task string, err error) error {
	if errors.Is(err, nightwatch.ErrNotFound) {
		return noTask(task)
	}
	return err
}

// check refuses a namespace that no task can be in.
func (n *naming) check() error {
	if _, _, err := nightwatch.ParseTaskName(n.namespace + "/task"); err != nil {
		return usage("--namespace: %q: want lower-case letters, digits and '-', at most %d", n.namespace, nightwatch.MaxNamespaceName)
	}
	return nil
}

// whoami is who is named in requests and freezes: for people to read, not a proof of anything.
func whoami() string {
	name := "unknown"
	if account, err := user.Current(); err == nil {
		name = account.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
