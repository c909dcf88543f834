package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What was written before the disk was full is there after; nothing is written meanwhile.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if !mountDisk(t, dir) {
		return // this user may not
	}
	before, during := filepath.Join(dir, "before"), filepath.Join(dir, "during")
	content := bytes.Repeat([]byte("x"), 100_000)
	if err := os.WriteFile(before, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fillDisk(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(during, content, 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("written though the disk is full: %v", err)
	}
	if err := emptyDisk(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(during, content, 0o600); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(before); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
