package kubetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/nightwatch-go/nightwatch/internal/toolmod"
)

func TestSweepTakesOnlyWhatNobodyHolds(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	temp := t.TempDir()
	for _, test := range []struct {
		name string
		age  time.Duration
		held bool
		gone bool
	}{
		{name: dirPrefix + "abandoned", age: time.Hour, gone: true},
		{name: dirPrefix + "held", age: time.Hour, held: true},
		{name: dirPrefix + "young", age: time.Second},
		{name: "another", age: time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(temp, test.name)
			path := filepath.Join(dir, dirLock)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, now, now.Add(-test.age)); err != nil {
				t.Fatal(err)
			}
			if test.held {
				lock := flock.New(path)
				if ok, err := lock.TryLock(); err != nil || !ok {
					t.Fatalf("lock: %v, %v", ok, err)
				}
				defer lock.Close()
			}

			sweep(temp, now)
			if gone := !toolmod.IsFile(path); gone != test.gone {
				t.Errorf("gone = %v, want %v", gone, test.gone)
			}
		})
	}
}
