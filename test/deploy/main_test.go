// Package deploy_test checks what deploy/, the Dockerfile and docker-compose.yml promise: systemd reads the unit, and a
// Docker engine brings up the cluster.
package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// root is the top of the checkout.
const root = "../.."

// scratch is a folder for as long as the tests of this package run.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "nightwatch-deploy-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

var (
	buildNightwatch = sync.OnceValues(func() (string, error) { return build("nightwatch", "./cmd/nightwatch") })
	buildEtcd       = sync.OnceValues(func() (string, error) { return build("etcd", "go.etcd.io/etcd/server/v3") })
)

// nightwatchBinary is the path of the binary that is deployed, built once.
func nightwatchBinary(t *testing.T) string {
	t.Helper()
	path, err := buildNightwatch()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// etcdBinary is the path of an etcd of the version that this module uses, built once.
func etcdBinary(t *testing.T) string {
	t.Helper()
	path, err := buildEtcd()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build compiles a static binary, as `make build` does.
func build(name, pkg string) (string, error) {
	path := filepath.Join(scratch, name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

// output runs a command to its end and returns what it printed; the test fails if it does.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// copyFile puts a copy of a file of the checkout, or of one that was built, at a path, whose folders it makes.
func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, content, mode)
}

func writeFile(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}
