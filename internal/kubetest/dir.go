package kubetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	dirPrefix = "nightwatch-kube-"
	dirLock   = "lock"
	// dirSettled is the age from which a folder that nobody holds is nobody's: a younger one may be about to be
	// locked.
	dirSettled = time.Minute
)

// makeDir makes the folder of a cluster and locks it for as long as this process lives. An empty dir is a new folder
// among the temporary ones, from which those of processes that were killed are removed first.
func makeDir(dir string) (_ string, unlock func() error, err error) {
	if dir == "" {
		sweep(os.TempDir(), time.Now())
		dir, err = os.MkdirTemp("", dirPrefix)
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return "", nil, fmt.Errorf("make folder of the control plane: %w", err)
	}
	lock := flock.New(filepath.Join(dir, dirLock))
	ok, err := lock.TryLock()
	if err == nil && !ok {
		err = errors.New("held by another process")
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, fmt.Errorf("lock folder of the control plane: %w", err)
	}
	return dir, lock.Close, nil
}

// sweep removes the folders of clusters whose process is gone. The system has let go of their locks.
func sweep(temp string, now time.Time) {
	found, err := filepath.Glob(filepath.Join(temp, dirPrefix+"*", dirLock))
	if err != nil {
		return
	}
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil || now.Sub(info.ModTime()) < dirSettled {
			continue
		}
		lock := flock.New(path)
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue // another user's, or in use
		}
		_ = os.RemoveAll(filepath.Dir(path))
		_ = lock.Close()
	}
}
