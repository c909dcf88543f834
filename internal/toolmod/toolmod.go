// Package toolmod finds the nested modules that pin the programs tests call (test/kube, test/etcdctl), and the folders
// outside the checkout in which what is built from them is kept.
package toolmod

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Dir is the nested module test/<name>: from the working folder upwards, which is where `go test` and `go run` are inside
// the checkout, or else from where this file was compiled.
func Dir(name string) (string, error) {
	var starts []string
	if cwd, err := os.Getwd(); err == nil {
		starts = append(starts, cwd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			module := filepath.Join(dir, "test", name)
			if IsFile(filepath.Join(dir, "go.mod")) && IsFile(filepath.Join(module, "go.mod")) {
				return module, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("find module test/%s: not inside a checkout of nightwatch", name)
}

// CacheDir is where what is built from the module belongs: a folder named by the hash of its go.mod and go.sum and of
// how it is built, below the folder that the environment variable env names, else nightwatch/<name of the module> in
// the user's cache folder. It need not exist.
func CacheDir(module, env string, how ...any) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("hash %s: %w", module, err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	fmt.Fprintln(sum, append(how, runtime.GOOS, runtime.GOARCH)...)
	hash := hex.EncodeToString(sum.Sum(nil)[:8])
	if root := os.Getenv(env); root != "" {
		root, err := filepath.Abs(root)
		if err != nil {
			return "", fmt.Errorf("%s: %w", env, err)
		}
		return filepath.Join(root, hash), nil
	}
	root, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder, which %s can name: %w", env, err)
	}
	return filepath.Join(root, "nightwatch", filepath.Base(module), hash), nil
}

// Environment is that of the go tool when it builds from a nested module: this one's, untouched by a workspace or by
// flags that it sets. The same flags between builds are what makes the second one quick.
func Environment() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
}

// IsFile tells whether path is a regular file.
func IsFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
