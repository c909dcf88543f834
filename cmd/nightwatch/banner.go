package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/store"
)

// banner is what a dev says of itself when it is up.
type banner struct {
	etcd, prefix, dir, http string
	runners                 []jobrunner.Runner
	kubernetes              string
}

func (b banner) print(out io.Writer) {
	var names []string
	withJobs := false
	for _, runner := range b.runners {
		names = append(names, runner.Name())
		withJobs = withJobs || runner.Name() == nightwatch.RunnerKubernetes
	}
	fmt.Fprintf(out, `nightwatch %s: a cluster of one

  etcd        %s, keys under %s
  data        %s
  http        http://%s/readyz, /livez, /metrics
  runners     %s
  kubernetes  %s

Type next, in another terminal:

`, thisBuild().Version, b.etcd, b.prefix, b.dir, b.http, strings.Join(names, ", "), b.kubernetes)

	etcdctl := "etcdctl"
	if b.etcd != "127.0.0.1:2379" {
		etcdctl += " --endpoints " + b.etcd
	}
	fmt.Fprintf(out, "  %s put %stasks/default/hello '{\"process\":{\"command\":[\"echo\",\"hello\"]}}'\n", etcdctl, b.prefix)
	fmt.Fprintf(out, "  %s get %sstatus/default/hello\n", etcdctl, b.prefix)
	if withJobs {
		fmt.Fprintf(out, "  %s put %stasks/default/demo-task-1 '{\"image\":\"alpine\",\"command\":[\"sleep\"],\"args\":[\"60\"]}'\n", etcdctl, b.prefix)
	}
	fmt.Fprintf(out, "  %s watch --prefix %sstatus/\n\n", etcdctl, b.prefix)
	if _, err := exec.LookPath("etcdctl"); err != nil {
		self := commandName()
		var where string
		if b.etcd != "127.0.0.1:2379" {
			where += " --endpoints " + b.etcd
		}
		if b.prefix != store.DefaultPrefix {
			where += " --etcd-prefix " + b.prefix
		}
		fmt.Fprintf(out, "There is no etcdctl in your PATH. This does the same:\n\n")
		fmt.Fprintf(out, "  echo '{\"name\":\"hello\",\"process\":{\"command\":[\"echo\",\"hello\"]}}' | %s apply%s -f -\n", self, where)
		fmt.Fprintf(out, "  %s status%s hello --wait\n\n", self, where)
	}
	fmt.Fprintf(out, "Ctrl-C ends it; the data stays.\n")
}

// commandName is how this binary is called from another terminal.
func commandName() string {
	if _, err := exec.LookPath("nightwatch"); err == nil {
		return "nightwatch"
	}
	self, err := os.Executable()
	switch {
	case err != nil:
		return "nightwatch"
	case strings.Contains(self, "go-build"):
		return "go run ./cmd/nightwatch"
	}
	return self
}
