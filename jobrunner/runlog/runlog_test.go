package runlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

var (
	attempt1 = jobrunner.LogID{Task: "default/demo", UID: 7, Run: "rev-7", Attempt: 1}
	all      = jobrunner.LogOptions{Tail: jobrunner.All, Shard: jobrunner.All}
)

func newLogs(t *testing.T, cfg Config) *Logs {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if l.dir != nil {
			l.dir.close()
		}
	})
	return l
}

// read is all of a log as options have it, times left out.
func read(t *testing.T, l *Logs, id jobrunner.LogID, o jobrunner.LogOptions) string {
	t.Helper()
	return untimed(readTimed(t, l, id, o))
}

func readTimed(t *testing.T, l *Logs, id jobrunner.LogID, o jobrunner.LogOptions) string {
	t.Helper()
	r, err := l.Read(t.Context(), id, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var timed = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z `)

// follow reads the log of attempt1 from its beginning on, with times, until it ends or ctx does.
func follow(ctx context.Context, t *testing.T, l *Logs) io.ReadCloser {
	t.Helper()
	o := all
	o.Follow = true
	r, err := l.Read(ctx, attempt1, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func untimed(text string) string { return timed.ReplaceAllString(text, "") }

// eventually waits until a live log reads as wanted.
func eventually(t *testing.T, l *Logs, want string) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for late := time.After(patience); ; {
		got := read(t, l, attempt1, all)
		if got == want {
			return
		}
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("the log reads %q: want %q", got, want)
		}
	}
}

// each runs a test in files and in memory.
func each(t *testing.T, fn func(t *testing.T, dir string)) {
	t.Run("files", func(t *testing.T) { fn(t, filepath.Join(t.TempDir(), "logs")) })
	t.Run("memory", func(t *testing.T) { fn(t, "") })
}

func TestNamesStayInTheDirectory(t *testing.T) {
	for _, id := range []jobrunner.LogID{
		{Task: "../demo", Run: "rev-7", Attempt: 1}, {Task: "default/..", Run: "rev-7", Attempt: 1}, {Task: "default/demo", Run: "..", Attempt: 1},
		{Task: "default/demo", Run: "../../x", Attempt: 1}, {Task: "default/demo", Run: "", Attempt: 1}, {Task: "demo", Run: "rev-7", Attempt: 1},
		{Task: "default/demo", Run: "rev-7", Attempt: 0}, {Task: "default/demo", Run: "a\x00b", Attempt: 1}, {Task: "default/demo/x", Run: "a", Attempt: 1},
	} {
		if name, err := fileName(id); err == nil {
			t.Errorf("%+v has the file %q", id, name)
		}
		dir := filepath.Join(t.TempDir(), "logs")
		logs := newLogs(t, Config{Dir: dir})
		log := logs.Open(id) // of such a run there is a log while it runs
		fmt.Fprint(log, "x\n")
		log.Close()
		if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
			t.Errorf("%+v left %q", id, files)
		}
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "default")); err != nil {
		t.Fatal(err)
	}
	logs := newLogs(t, Config{Dir: dir})
	log := logs.Open(attempt1)
	fmt.Fprint(log, "x\n")
	log.Close()
	if files, _ := os.ReadDir(outside); len(files) > 0 {
		t.Errorf("%v was written outside", files)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []Config{{AttemptBytes: 100}, {TotalBytes: 1 << 20}, {Age: -time.Second}, {AttemptBytes: -1}} {
		cfg.Dir = t.TempDir()
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

func TestWaitOpen(t *testing.T) {
	logs := newLogs(t, Config{})
	opened := make(chan error, 1)
	go func() { opened <- logs.WaitOpen(t.Context(), attempt1) }()
	other := attempt1
	other.Attempt++
	defer logs.Open(other).Close()
	defer logs.Open(attempt1).Close()
	if err := <-opened; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other.Attempt++
	if err := logs.WaitOpen(ctx, other); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want the context's end", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	logs, err := New(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	log := logs.Open(attempt1)
	line := []byte(strings.Repeat("x", 99) + "\n")
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_, _ = log.Write(line)
	}
	log.Close()
	logs.dir.close()
}
