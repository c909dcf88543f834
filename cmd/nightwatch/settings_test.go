package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func writeSettings(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSettingsOfEveryKind(t *testing.T) {
	file := writeSettings(t, `
endpoints: [10.0.0.1:2379, 10.0.0.2:2379]
runners: kubernetes,http
labels: {zone: "a,b", expr: "x=1,2", none: "", arch: amd64}
http-allow:
  - 10.0.0.0/8
capacity: 7
lease-ttl: 3s
kube-api-qps: 12.5
insecure-skip-tls-verify: true
password: "0123"
`)
	t.Setenv("NIGHTWATCH_CAPACITY", "8")
	t.Setenv("NIGHTWATCH_DRAIN_TIMEOUT", "1m")
	var s nodeSettings
	cmd := &cobra.Command{Use: "node"}
	s.flags(cmd)
	if err := cmd.ParseFlags([]string{"--lease-ttl", "4s"}); err != nil {
		t.Fatal(err)
	}
	if err := applySettings(cmd, file); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.etcd.endpoints, []string{"10.0.0.1:2379", "10.0.0.2:2379"}) || !slices.Equal(s.run.names, []string{"kubernetes", "http"}) || !slices.Equal(s.run.web.allow, []string{"10.0.0.0/8"}) {
		t.Errorf("lists: %v %v %v", s.etcd.endpoints, s.run.names, s.run.web.allow)
	}
	if want := map[string]string{"zone": "a,b", "expr": "x=1,2", "none": "", "arch": "amd64"}; !maps.Equal(s.labels, want) {
		t.Errorf("labels: %v, want %v", s.labels, want)
	}
	if s.capacity != 8 || s.leaseTTL != 4*time.Second || s.drainTimeout != time.Minute || s.run.kube.qps != 12.5 || !s.etcd.insecureSkipVerify || s.etcd.password != "0123" {
		t.Errorf("got %+v", s)
	}
}

// TestEverySettingHasItsVariable: no two flags share one, and what says who a run is, in the environment of every
// task, is none.
func TestEverySettingHasItsVariable(t *testing.T) {
	attempt := []string{"NAMESPACE", "TASK", "RUN", "ATTEMPT", "NOMINAL_TIME", "SHARD", "SHARDS", "FENCE", "PARAMS"}
	known := knownSettings(newRoot())
	for _, name := range known {
		variable := strings.TrimPrefix(environmentName(name), "NIGHTWATCH_")
		// The namespace of the task around it is what a command without one should mean.
		if slices.Contains(attempt, variable) && name != "namespace" {
			t.Errorf("--%s would be taken from the environment of every task", name)
		}
	}
	for _, name := range []string{"filename", "run", "config", "help"} {
		if slices.Contains(known, name) {
			t.Errorf("--%s is no setting", name)
		}
	}
}

func TestCommandsAreDescribed(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s: no description", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.Usage == "" {
				t.Errorf("%s --%s: no description", cmd.CommandPath(), flag.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
}
