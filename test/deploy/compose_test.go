package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdctl"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// cluster is docker-compose.yml, brought up.
type cluster struct {
	engine  *engine
	project string // the folder
}

// The compose file as it stands, with the Dockerfile as it stands, on images made of nothing but static binaries: what
// `make build && docker-compose up -d --build` does, without an image registry. A task runs; the node that is the scheduler is
// killed and a task runs; a member of etcd is killed and a task runs; `down -v` leaves nothing.
func TestComposeSurvivesANode(t *testing.T) {
	c := &cluster{engine: startEngine(t), project: t.TempDir()}
	c.buildEtcdImage(t)
	for _, name := range []string{"docker-compose.yml", "Dockerfile", ".dockerignore"} {
		copyFile(t, filepath.Join(root, name), filepath.Join(c.project, name), 0o644)
	}
	copyFile(t, nightwatchBinary(t), filepath.Join(c.project, "bin", "nightwatch"), 0o755)
	c.compose(t, "build")
	c.compose(t, "up", "-d")
	defer func() {
		if t.Failed() {
			t.Logf("docker-compose logs:\n%s", c.compose(t, "logs", "--no-color", "--tail=40"))
		}
	}()

	nodes := []string{"node1", "node2", "node3"}
	etcdtest.Eventually(t, 2*time.Minute, func() error {
		if found, err := c.nodes(t); err != nil || !slices.Equal(found, nodes) {
			return fmt.Errorf("nodes %q: %w", found, err)
		}
		return nil
	}, "three nodes are registered")
	for _, member := range []string{"etcd1", "etcd2", "etcd3"} {
		etcdtest.Eventually(t, time.Minute, func() error {
			id := strings.TrimSpace(c.compose(t, "ps", "-q", member))
			health := output(t, c.engine.docker(t.Context(), "inspect", "--format={{.State.Health.Status}}", id))
			if health != "healthy\n" {
				return fmt.Errorf("it is %s", health)
			}
			return nil
		}, "%s is healthy", member)
	}
	for _, port := range []string{"7420", "7421", "7422"} {
		etcdtest.Eventually(t, 30*time.Second, func() error {
			return c.engine.inside(exec.CommandContext(t.Context(), "curl", "-fsS", "--max-time", "5", "http://127.0.0.1:"+port+"/readyz")).Run()
		}, "the node at port %s is ready", port)
	}
	c.run(t, "first")

	leader, err := c.etcdctl(t, "get", "--prefix", "/nightwatch/election/scheduler/", "--sort-by=CREATE", "--limit=1", "--print-value-only")
	if err != nil || !slices.Contains(nodes, strings.TrimSpace(leader)) {
		t.Fatalf("the scheduler is %q: %v", leader, err)
	}
	c.compose(t, "kill", strings.TrimSpace(leader))
	c.run(t, "second")

	c.compose(t, "kill", "etcd2")
	c.run(t, "third")

	c.compose(t, "down", "-v")
	for _, list := range [][]string{{"ps", "-aq"}, {"volume", "ls", "-q"}, {"network", "ls", "-q", "--filter=driver=bridge"}} {
		if out := output(t, c.engine.docker(t.Context(), list...)); out != "" {
			t.Errorf("docker-compose down left, by docker %s:\n%s", strings.Join(list, " "), out)
		}
	}
}

const etcdImage = "etcd:test"

// buildEtcdImage makes an image with what the compose file uses of etcd's own.
func (c *cluster) buildEtcdImage(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, etcdBinary(t), filepath.Join(dir, "etcd"), 0o755)
	copyFile(t, etcdctl.Path(t), filepath.Join(dir, "etcdctl"), 0o755)
	writeFile(t, filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY etcd etcdctl /usr/local/bin/\n"), 0o644)
	output(t, c.engine.docker(t.Context(), "build", "--tag="+etcdImage, dir))
}

// compose is a call of docker-compose that succeeds.
func (c *cluster) compose(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker-compose", append([]string{"-p", "nightwatch"}, args...)...)
	cmd.Dir = c.project
	cmd.Env = c.engine.environment("NIGHTWATCH_BASE=scratch", "ETCD_IMAGE="+etcdImage)
	return output(t, cmd)
}

// etcdctl is a call of etcdctl from outside the containers.
func (c *cluster) etcdctl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := c.engine.inside(etcdctl.Command(t.Context(), t, "127.0.0.1:2379", args...)).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// nodes are the names of the nodes that are registered.
func (c *cluster) nodes(t *testing.T) ([]string, error) {
	t.Helper()
	keys, err := c.etcdctl(t, "get", "--prefix", "/nightwatch/nodes/", "--keys-only")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, key := range strings.Fields(keys) {
		names = append(names, strings.TrimPrefix(key, "/nightwatch/nodes/"))
	}
	return names, nil
}

// run puts a task and waits until it has succeeded.
func (c *cluster) run(t *testing.T, name string) {
	t.Helper()
	const task = `{"process":{"command":["/usr/local/bin/nightwatch","version"]}}`
	// A put may meet an election of etcd's. If one that failed was done all the same, there is one run more.
	etcdtest.Eventually(t, time.Minute, func() error {
		_, err := c.etcdctl(t, "put", "/nightwatch/tasks/default/"+name, task)
		return err
	}, "task %s is put", name)
	etcdtest.Eventually(t, time.Minute, func() error {
		value, err := c.etcdctl(t, "get", "/nightwatch/status/default/"+name, "--print-value-only")
		if err != nil {
			return err
		}
		var status nightwatch.Status
		if err := json.Unmarshal([]byte(value), &status); err != nil {
			return fmt.Errorf("status %q: %w", value, err)
		}
		if status.Phase != nightwatch.PhaseSucceeded {
			return fmt.Errorf("status %s", value)
		}
		if status.LastRun == nil || !strings.Contains(status.LastRun.Output, "nightwatch") {
			t.Errorf("task %s printed something else: %s", name, value)
		}
		return nil
	}, "task %s succeeds", name)
}
