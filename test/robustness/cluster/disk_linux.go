package cluster

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

// room is more than any run of a test needs.
const room = 16 << 30

// mountDisk puts a file system of its own, in memory, at a folder, until the test ends. It tells whether that can be: it
// takes root.
func mountDisk(t testing.TB, dir string) bool {
	if syscall.Mount("nightwatch", dir, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", room)) != nil {
		return false
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return true
}

// fillDisk leaves no room on the file system.
func fillDisk(dir string) error {
	for {
		var now syscall.Statfs_t
		if err := syscall.Statfs(dir, &now); err != nil {
			return err
		}
		err := resizeDisk(dir, int64(now.Blocks-now.Bfree)*now.Bsize)
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
		// More has been written meanwhile than there was to be room for.
	}
}

// emptyDisk makes room again.
func emptyDisk(dir string) error { return resizeDisk(dir, room) }

func resizeDisk(dir string, size int64) error {
	return syscall.Mount("nightwatch", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}
