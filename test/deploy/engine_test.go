package deploy_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// engine is a Docker engine of this test's own.
//
// It lives in its own network, mount and process namespaces: its bridges, firewall rules and mounts are not this
// machine's, and when the first process of the namespace is killed everything that it started is gone, however it ends.
type engine struct {
	dir  string // its data and its socket
	unit string // the cgroup of its containers
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startEngine starts one, and ends it with the test. It takes root, and the packages that `make deps` installs; the test
// fails without them.
func startEngine(t *testing.T) *engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a Docker engine of one's own takes root: run the tests of this package as root")
	}
	dir, err := os.MkdirTemp("", "nightwatch-docker-") //nolint:usetesting // paths of sockets have at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{
		dir: dir, unit: filepath.Base(dir), log: filepath.Join(dir, "log"), done: make(chan struct{}),
	}
	t.Cleanup(func() { e.remove(t) })
	writeFile(t, filepath.Join(dir, "daemon.json"), []byte("{}"), 0o600) // instead of the machine's

	// /run is where containerd and Docker keep what is not configurable.
	const script = `ip link set lo up && mount -t tmpfs tmpfs /run && exec dockerd "$@"`
	e.cmd = exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", script, "sh",
		"--config-file="+filepath.Join(dir, "daemon.json"),
		"--host="+e.host(),
		"--data-root="+filepath.Join(dir, "data"),
		"--exec-root="+filepath.Join(dir, "exec"),
		"--pidfile="+filepath.Join(dir, "pid"),
		"--bridge=none",
		"--exec-opt=native.cgroupdriver=cgroupfs",
		"--cgroup-parent=/"+e.unit,
	)
	e.cmd.Env = environment("PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin")
	if err := e.start(); err != nil {
		t.Fatal(err)
	}
	etcdtest.Eventually(t, time.Minute, func() error {
		select {
		case <-e.done:
			t.Fatalf("dockerd ended by itself:\n%s", e.tail())
		default:
		}
		return e.docker(t.Context(), "version").Run()
	}, "dockerd answers")
	return e
}

// start starts the command; the kernel kills it when this process dies, of whatever.
func (e *engine) start() error {
	log, err := os.Create(e.log)
	if err != nil {
		return err
	}
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer log.Close()
		// The signal comes when the thread that started the command ends, and so it must not.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := e.cmd.Start()
		started <- err
		if err == nil {
			_ = e.cmd.Wait()
			close(e.done)
		}
	}()
	return <-started
}

// remove ends the engine and all its containers, and checks that nothing of them is left.
func (e *engine) remove(t *testing.T) {
	if t.Failed() {
		t.Logf("dockerd:\n%s", e.tail())
	}
	if e.cmd != nil && e.cmd.Process != nil {
		_ = e.cmd.Process.Kill()
		<-e.done
	}
	// A cgroup can be removed when its last process is gone.
	etcdtest.Eventually(t, time.Minute, e.removeGroups, "the containers' cgroups are removed")
	etcdtest.Eventually(t, time.Minute, func() error { return os.RemoveAll(e.dir) }, "%s is removed", e.dir)
}

func (e *engine) removeGroups() error {
	var groups []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + e.unit, "/sys/fs/cgroup/*/" + e.unit} {
		tops, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, top := range tops {
			err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	for i := len(groups) - 1; i >= 0; i-- { // children first
		if err := syscall.Rmdir(groups[i]); err != nil {
			return fmt.Errorf("remove %s: %w", groups[i], err)
		}
	}
	return nil
}

func (e *engine) tail() string {
	content, _ := os.ReadFile(e.log)
	return string(content[max(0, len(content)-4<<10):])
}

func (e *engine) host() string { return "unix://" + filepath.Join(e.dir, "socket") }

// docker is a call of the client, which talks to this engine.
func (e *engine) docker(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = e.environment()
	return cmd
}

// environment is that of Docker's clients: this engine, and no settings of the person who runs the tests.
func (e *engine) environment(pairs ...string) []string {
	pairs = append(pairs, "DOCKER_HOST="+e.host(), "DOCKER_CONFIG="+e.dir)
	return environment(pairs...)
}

// inside makes a command run in the engine's network, where the published ports are.
func (e *engine) inside(cmd *exec.Cmd) *exec.Cmd {
	args := append([]string{"nsenter", "--target=" + strconv.Itoa(e.cmd.Process.Pid), "--net", "--", cmd.Path}, cmd.Args[1:]...)
	enter := exec.Command(args[0], args[1:]...)
	enter.Env = cmd.Env
	return enter
}

// environment is this process's without what configures the programs under test, and with these pairs.
func environment(pairs ...string) []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		own := false
		for _, prefix := range []string{"DOCKER_", "COMPOSE_", "NIGHTWATCH_", "ETCD"} {
			own = own || strings.HasPrefix(name, prefix)
		}
		if name != "BASE" && !own {
			env = append(env, pair)
		}
	}
	return append(env, pairs...)
}
