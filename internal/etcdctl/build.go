package etcdctl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/nightwatch-go/nightwatch/internal/toolmod"
)

const (
	// cacheEnv names the folder that holds one folder for each version that was built.
	cacheEnv = "NIGHTWATCH_ETCDCTL_CACHE"

	// etcdctlPackage is a tool of the nested module test/etcdctl, which pins its version.
	etcdctlPackage = "go.etcd.io/etcd/etcdctl/v3"

	// lockPoll is how often a process that waits for another one's build looks whether it is done.
	lockPoll = 100 * time.Millisecond
)

// buildFlags make a static binary, which runs in an empty container image too.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"}

// build returns the path of etcdctl and compiles it if no earlier call has. It is safe to call from several processes
// at once: one builds, the others wait. On an error nothing is in the cache.
func build(ctx context.Context) (string, error) {
	module, err := toolmod.Dir("etcdctl")
	if err != nil {
		return "", err
	}
	dir, err := toolmod.CacheDir(module, cacheEnv, buildFlags, runtime.Version())
	if err != nil {
		return "", err
	}
	name := "etcdctl"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(dir, name)
	// The file gets its name when it is complete, so that it is there means that it can be run.
	if toolmod.IsFile(path) {
		return path, nil
	}

	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build etcdctl: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return "", fmt.Errorf("build etcdctl: wait for another build: %w", err)
	}
	defer lock.Close()
	if toolmod.IsFile(path) {
		return path, nil // another process built it while this one waited
	}

	// A killed build may have left this file. Whoever holds the lock may write over it.
	unfinished := path + ".tmp"
	args := append([]string{"build"}, buildFlags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", unfinished, etcdctlPackage)...)
	cmd.Dir = module
	cmd.Env = toolmod.Environment()
	// The go tool removes its work folder when it is interrupted.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build etcdctl: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", fmt.Errorf("build etcdctl: %w", err)
	}
	return path, nil
}
