package runlog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTheNewestIsKept(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir, AttemptBytes: MinAttemptBytes})
		log := logs.Open(attempt1)
		slow := follow(t.Context(), t, logs)
		fmt.Fprintf(log, "line %d\n", 0)
		first := make([]byte, 100)
		n, err := slow.Read(first)
		if err != nil {
			t.Fatal(err)
		}
		last := 50_000
		for i := 1; i <= last; i++ {
			fmt.Fprintf(log, "line %d\n", i)
		}
		fmt.Fprint(log, "the end\n")
		eventuallyEnds(t, logs, "line 50000\nthe end\n")
		got := read(t, logs, attempt1, all)
		if !strings.HasPrefix(got, "nightwatch: ") || !strings.Contains(got[:80], "bytes of the log before this were dropped\nline ") {
			t.Errorf("the log begins with %.100q", got)
		}
		if len(got) < MinAttemptBytes/10 {
			t.Errorf("%d bytes are left", len(got))
		}
		tail := all
		tail.Tail = 2
		if got := read(t, logs, attempt1, tail); got != "line 50000\nthe end\n" {
			t.Errorf("the tail is %q", got)
		}
		if dir != "" {
			var size int64
			files, _ := filepath.Glob(filepath.Join(dir, "*/*/*"))
			for _, name := range files {
				info, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %v", name, info.Mode())
				}
				size += info.Size()
			}
			if len(files) != 2 || size > MinAttemptBytes {
				t.Errorf("%d bytes in %q", size, files)
			}
		}
		log.Close()
		rest, err := io.ReadAll(slow)
		if err != nil {
			t.Fatal(err)
		}
		text := untimed(string(first[:n]) + string(rest))
		if !strings.HasPrefix(text, "line 0\n") || !strings.HasSuffix(text, "line 50000\nthe end\n") || !strings.Contains(text, "some were dropped before they were read") {
			t.Errorf("a slow reader saw %.100q", text)
		}
	})
}

func eventuallyEnds(t *testing.T, l *Logs, want string) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for late := time.After(patience); !strings.HasSuffix(read(t, l, attempt1, all), want); {
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("the log does not end with %q", want)
		}
	}
}

// TestCutOff has a node be killed in the midst of a record, and between turning a log over and going on with it.
func TestCutOff(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "default/demo/rev-7.1.7.log")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(name, "2026-11-20T14:15:00.000000000Z stdout F one\n2026-11-20T14:15:00.0000000")
	logs := newLogs(t, Config{Dir: dir})
	if got := read(t, logs, attempt1, all); got != "one\n" {
		t.Errorf("read %q", got)
	}
	log := logs.Open(attempt1)
	fmt.Fprint(log, "two\n")
	log.Close()
	if got := read(t, logs, attempt1, all); got != "one\n2026-11-20T14:15:00.0000000\ntwo\n" {
		t.Errorf("read %q", got)
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, logs, attempt1, all); got != "one\n2026-11-20T14:15:00.0000000\ntwo\n" {
		t.Errorf("read %q of the older half", got)
	}
	write(name, "\x00\x00\x00\nno record\n2026-11-20T14:15:00.000000000Z stdout ?\n")
	if got := read(t, logs, attempt1, all); !strings.HasSuffix(got, "two\n\x00\x00\x00\nno record\n2026-11-20T14:15:00.000000000Z stdout ?\n") {
		t.Errorf("read %q of what is no log", got)
	}
}

func TestConcurrentWriters(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir, AttemptBytes: 4 << 20})
		log := logs.Open(attempt1)
		r := follow(t.Context(), t, logs)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 500 {
					fmt.Fprintf(log, "%d %d\n", w, i)
				}
			})
		}
		wg.Wait()
		log.Close()
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		next := map[int]int{}
		for line := range strings.Lines(untimed(string(text))) {
			var w, i int
			if _, err := fmt.Sscanf(line, "%d %d\n", &w, &i); err != nil || i != next[w] {
				t.Fatalf("line %q: want %d %d (%v)", line, w, next[w], err)
			}
			next[w]++
		}
		if len(next) != 8 || next[7] != 500 {
			t.Errorf("%v lines by writer", next)
		}
	})
}
