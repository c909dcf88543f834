package kubetest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const cgroups = "/sys/fs/cgroup"

// controllers are the folders in which a control group is made: those of version 1, or the one of version 2.
func controllers() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return []string{cgroups}, nil
	}
	entries, err := os.ReadDir(cgroups)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if entry.IsDir() {
			found = append(found, filepath.Join(cgroups, entry.Name()))
		}
	}
	return found, nil
}

func makeCgroups(name string) error {
	dirs, err := controllers()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make control group: %w", err)
		}
	}
	return nil
}

// removeCgroups removes the control groups of a machine that has ended, the inner ones first. Those whose processes the
// kernel is still about to end are waited for.
func removeCgroups(name string) error {
	dirs, err := controllers()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		var left error
		for _, dir := range dirs {
			var groups []string
			_ = filepath.WalkDir(filepath.Join(dir, name), func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return nil
			})
			for _, group := range slices.Backward(groups) {
				if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
					left = err
				}
			}
		}
		if left == nil || time.Now().After(deadline) {
			return left
		}
		pauseFor(pollEvery)
	}
}

func pauseFor(d time.Duration) { <-time.After(d) }

func linkBridge() error {
	_ = ip("link", "add", bridge, "type", "bridge") // it may be there from a process that was killed
	if err := ip("addr", "replace", bridgeAddress+"/24", "dev", bridge); err != nil {
		return err
	}
	return ip("link", "set", bridge, "up")
}

func unlinkBridge() error { return ip("link", "del", bridge) }

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// writeImages writes a file such as "docker save" makes: images that are busybox and nothing else. It sleeps when it is
// told nothing, which makes it good for the container that holds the others' namespaces, too.
func writeImages(file string, names ...string) error {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return fmt.Errorf("%w (Debian's busybox-static)", err)
	}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	for _, dir := range []string{"bin/", "tmp/"} {
		if err := files.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o1777}); err != nil {
			return err
		}
	}
	if err := add(files, "bin/busybox", 0o755, program); err != nil {
		return err
	}
	for _, tool := range []string{"sh", "sleep", "echo", "cat", "true", "false", "seq", "dd", "head", "tail"} {
		if err := files.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + tool, Linkname: "busybox", Mode: 0o777}); err != nil {
			return err
		}
	}
	if err := files.Close(); err != nil {
		return err
	}
	digest := sha256.Sum256(layer.Bytes())
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/bin/busybox", "sleep", "2147483647"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": names, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	image := tar.NewWriter(out)
	err = errors.Join(add(image, "config.json", 0o644, config), add(image, "layer.tar", 0o644, layer.Bytes()), add(image, "manifest.json", 0o644, manifest))
	return errors.Join(err, image.Close(), out.Close())
}

func add(to *tar.Writer, name string, mode int64, content []byte) error {
	if err := to.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := to.Write(content)
	return err
}
