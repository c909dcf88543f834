package runlog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestTidy(t *testing.T) {
	dir := t.TempDir()
	logs := newLogs(t, Config{Dir: dir, AttemptBytes: MinAttemptBytes, TotalBytes: 100_000, Age: time.Hour})
	now := time.Now()
	fill := func(run string, bytes int, age time.Duration) {
		t.Helper()
		id := jobrunner.LogID{Task: "default/" + run, UID: 7, Run: run, Attempt: 1}
		log := logs.Open(id)
		fmt.Fprint(log, strings.Repeat("x", bytes)+"\n")
		log.Close()
		name, err := fileName(id)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		t.Helper()
		if err := logs.tidy(now); err != nil {
			t.Fatal(err)
		}
		folders, err := filepath.Glob(filepath.Join(dir, "default/*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range folders {
			folders[i] = filepath.Base(folders[i])
		}
		return strings.Join(folders, " ")
	}
	fill("a", 10, 2*time.Hour)
	fill("b", 10, time.Minute)
	stranger := filepath.Join(dir, "default/b/notes.txt")
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != "b" {
		t.Errorf("%q are left: want what is not too old", got)
	}
	fill("c", 30_000, 4*time.Minute)
	fill("d", 30_000, 3*time.Minute)
	live := logs.Open(jobrunner.LogID{Task: "default/e", UID: 7, Run: "e", Attempt: 1})
	fmt.Fprint(live, strings.Repeat("x", 20_000)+"\n")
	if got := left(); got != "b c d e" && got != "b c d" {
		t.Errorf("%q are left: want all that there is room for", got)
	}
	fill("f", 30_000, 2*time.Minute)
	fill("g", 5_000, 2*time.Minute)
	live.Close()
	if got := left(); got != "b d e f g" {
		t.Errorf("%q are left: want the oldest removed", got)
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Error(err)
	}
}

// TestRunMakesRoom has the directory be tidied as soon as it is full.
func TestRunMakesRoom(t *testing.T) {
	dir := t.TempDir()
	logs := newLogs(t, Config{Dir: dir, AttemptBytes: MinAttemptBytes, TotalBytes: 200_000})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { logs.Run(ctx) })
	for i := range 20 {
		log := logs.Open(jobrunner.LogID{Task: "default/demo", UID: 7, Run: fmt.Sprint("r", i), Attempt: 1})
		fmt.Fprint(log, strings.Repeat("x", 20_000)+"\n")
		log.Close()
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for late := time.After(patience); ; {
		files, _ := filepath.Glob(filepath.Join(dir, "default/demo/*"))
		if len(files) < 10 {
			break
		}
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("%d files are left", len(files))
		}
	}
	cancel()
	wg.Wait()
}
