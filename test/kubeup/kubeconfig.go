package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/nightwatch-go/nightwatch/internal/kubetest"
)

// checkReplaceable refuses a path at which there is anything but a kubeconfig that an earlier kubeup wrote and, because
// it was killed, did not remove. A person's own clusters must not be lost to a mistyped flag.
func checkReplaceable(path string) error {
	config, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(config.Contexts) == 1 && config.Contexts[kubetest.ContextName] != nil {
		return nil
	}
	return fmt.Errorf("kubeconfig %s: exists and is not kubeup's; name another file with --kubeconfig", path)
}

// publish copies the cluster's kubeconfig to path. What remove removes is the file, unless another kubeup has replaced
// it, and its folder if that was made here and is empty.
func publish(from, path string) (remove func(), err error) {
	content, err := os.ReadFile(from)
	if err != nil {
		return nil, fmt.Errorf("publish kubeconfig: %w", err)
	}
	dir := filepath.Dir(path)
	_, err = os.Stat(dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("publish kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return nil, fmt.Errorf("publish kubeconfig: %w", err)
	}
	return func() {
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
			_ = os.Remove(path)
		}
		if made {
			_ = os.Remove(dir) // an error says that something else is in it
		}
	}, nil
}
