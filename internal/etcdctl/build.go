package etcdctl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
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
	module, err := moduleDir()
	if err != nil {
		return "", err
	}
	dir, err := cacheDir(module)
	if err != nil {
		return "", err
	}
	name := "etcdctl"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(dir, name)
	// The file gets its name when it is complete, so that it is there means that it can be run.
	if isFile(path) {
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
	if isFile(path) {
		return path, nil // another process built it while this one waited
	}

	// A killed build may have left this file. Whoever holds the lock may write over it.
	unfinished := path + ".tmp"
	args := append([]string{"build"}, buildFlags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", unfinished, etcdctlPackage)...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
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

// cacheDir is the folder of the binary that the nested module's files describe. It need not exist.
func cacheDir(module string) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("hash etcdctl: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	fmt.Fprintln(sum, buildFlags, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	name := hex.EncodeToString(sum.Sum(nil)[:8])

	if root := os.Getenv(cacheEnv); root != "" {
		root, err := filepath.Abs(root)
		if err != nil {
			return "", fmt.Errorf("%s: %w", cacheEnv, err)
		}
		return filepath.Join(root, name), nil
	}
	root, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder, which %s can name: %w", cacheEnv, err)
	}
	return filepath.Join(root, "nightwatch", "etcdctl", name), nil
}

// moduleDir finds the nested module from the working folder upwards, which is where `go test` is, or else from where
// this file was compiled.
func moduleDir() (string, error) {
	var starts []string
	if cwd, err := os.Getwd(); err == nil {
		starts = append(starts, cwd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			module := filepath.Join(dir, "test", "etcdctl")
			if isFile(filepath.Join(module, "go.mod")) {
				return module, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("find module test/etcdctl: not inside a checkout of nightwatch")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
