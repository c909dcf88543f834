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
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nightwatch-go/nightwatch"
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

func TestReadWhileItIsWritten(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir})
		if _, err := logs.Read(t.Context(), attempt1, all); !errors.Is(err, nightwatch.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		log := logs.Open(attempt1)
		if got := read(t, logs, attempt1, all); got != "" {
			t.Errorf("read %q before anything was written", got)
		}
		fmt.Fprint(log, "one\ntwo")
		eventually(t, logs, "one\ntwo")
		fmt.Fprint(log, "fold\n\nthree \xff\x00\r\n")
		eventually(t, logs, "one\ntwofold\n\nthree \xff\x00\r\n")
		fmt.Fprint(log, "un")
		log.Note("something happened")
		fmt.Fprint(log, "ended")
		log.Close()
		fmt.Fprint(log, "late")
		log.Note("late")
		want := "one\ntwofold\n\nthree \xff\x00\r\nun\nnightwatch: something happened\nended"
		if dir == "" {
			if _, err := logs.Read(t.Context(), attempt1, all); !errors.Is(err, nightwatch.ErrNotFound) {
				t.Errorf("in memory, after the end: %v", err)
			}
			return
		}
		if got := read(t, logs, attempt1, all); got != want {
			t.Errorf("read %q: want %q", got, want)
		}
		// The next life of the node has it too, and what it adds comes behind.
		next := newLogs(t, Config{Dir: dir})
		if got := read(t, next, attempt1, all); got != want {
			t.Errorf("the next node reads %q: want %q", got, want)
		}
		again := next.Open(attempt1)
		fmt.Fprint(again, "more\n")
		again.Close()
		if got := read(t, next, attempt1, all); got != want+"more\n" {
			t.Errorf("the next node reads %q after it wrote", got)
		}
	})
}

func TestFollow(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir, AttemptBytes: MinAttemptBytes})
		log := logs.Open(attempt1)
		follow := all
		follow.Follow = true
		r, err := logs.Read(t.Context(), attempt1, follow)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		// Each line is read before the next is written, over many turns of the files.
		buf := make([]byte, 1000)
		for i := range 1000 {
			line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", 400))
			fmt.Fprint(log, line)
			var got strings.Builder
			for !strings.HasSuffix(got.String(), "\n") {
				n, err := r.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got.Write(buf[:n])
			}
			if untimed(got.String()) != line {
				t.Fatalf("read %q after %q was written", got.String(), line)
			}
		}
		log.Close()
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("then %q, %v: want the end", rest, err)
		}
	})
}

func TestFollowUntilContextEnds(t *testing.T) {
	logs := newLogs(t, Config{})
	log := logs.Open(attempt1)
	defer log.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	follow := all
	follow.Follow = true
	r, err := logs.Read(ctx, attempt1, follow)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	enough := errors.New("enough")
	time.AfterFunc(10*time.Millisecond, func() { cancel(enough) })
	if _, err := io.ReadAll(r); !errors.Is(err, enough) {
		t.Errorf("%v: want the cause", err)
	}
}

func TestTheNewestIsKept(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir, AttemptBytes: MinAttemptBytes})
		log := logs.Open(attempt1)
		follow := all
		follow.Follow = true
		slow, err := logs.Read(t.Context(), attempt1, follow)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
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

func TestTail(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir})
		log := logs.Open(attempt1)
		defer log.Close()
		long := strings.Repeat("x", 40_000)
		fmt.Fprint(log, "one\n"+long+"\nthree\nfo")
		eventually(t, logs, "one\n"+long+"\nthree\nfo")
		for n, want := range map[int]string{
			0: "", 1: "fo", 2: "three\nfo", 3: long + "\nthree\nfo", 4: "one\n" + long + "\nthree\nfo", 100: "one\n" + long + "\nthree\nfo",
		} {
			o := all
			o.Tail = n
			if got := read(t, logs, attempt1, o); got != want {
				t.Errorf("tail %d is %d bytes, %.30q", n, len(got), got)
			}
		}
	})
}

func TestSince(t *testing.T) {
	logs := newLogs(t, Config{})
	log := logs.Open(attempt1)
	defer log.Close()
	fmt.Fprint(log, "one\ntwo ")
	eventually(t, logs, "one\ntwo ")
	since := time.Now()
	fmt.Fprint(log, "and a half\nthree\n")
	eventually(t, logs, "one\ntwo and a half\nthree\n")
	o := all
	o.Since = since
	got := readTimed(t, logs, attempt1, o)
	at, text, _ := strings.Cut(got, " ")
	if when, err := time.Parse(time.RFC3339Nano, at); text != "three\n" || err != nil || when.Before(since) || time.Since(when) > time.Hour {
		t.Errorf("since %v: %q (%v)", since, got, err)
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

// TestDiskFull has a directory in which nothing can be written: who writes goes on, and later there is a word of it.
func TestDiskFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	logs := newLogs(t, Config{Dir: dir})
	log := logs.Open(attempt1)
	fmt.Fprint(log, "lost\n")
	l := log.(interface{ lost() int64 })
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for late := time.After(patience); l.lost() == 0; {
		select {
		case <-poll.C:
		case <-late:
			t.Fatal("nothing is missing")
		}
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(log, "kept\n")
	log.Close()
	if got := read(t, logs, attempt1, all); !strings.HasPrefix(got, "nightwatch: 45 bytes of the log were dropped: ") || !strings.HasSuffix(got, "\nkept\n") {
		t.Errorf("read %q", got)
	}
}

func (l *log) lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing
}

// hung are segments of a disk that takes nothing.
type hung struct {
	memory
	release chan struct{}
}

func (h *hung) append(data []byte) error {
	<-h.release
	return h.memory.append(data)
}

// TestDiskHangs has nobody wait for long for a disk that does not answer.
func TestDiskHangs(t *testing.T) {
	h := &hung{release: make(chan struct{})}
	done := make(chan bool)
	log := newLog(attempt1, h, 10<<20, newLogs(t, Config{}).cfg.Logger, func() { close(done) })
	begin := time.Now()
	for i := range 200_000 {
		fmt.Fprintf(log, "line %d\n", i)
	}
	log.Close()
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("200000 lines took %v", took)
	}
	close(h.release)
	<-done
	s, _, err := log.open(0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.NewSectionReader(s, 0, s.size()))
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 3*spoolLimit || !strings.Contains(string(text), "bytes of the log were dropped: it came faster") || !strings.HasSuffix(string(text), " line 199999\n") {
		t.Errorf("%d bytes are left, from %.80q", len(text), text)
	}
}

func TestConcurrentWriters(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		logs := newLogs(t, Config{Dir: dir, AttemptBytes: 4 << 20})
		log := logs.Open(attempt1)
		follow := all
		follow.Follow = true
		r, err := logs.Read(t.Context(), attempt1, follow)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
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

// FuzzReader reads files of any content, from everywhere, without harm.
func FuzzReader(f *testing.F) {
	f.Add([]byte("2026-11-20T14:15:00.000000000Z stdout F one\n2026-11-20T14:15:00.000000000Z stdout P tw\n"), 1)
	f.Add([]byte("2026-11-20T14:15:00.000000000Z stderr T 17\nx\n\n\x00\n"), 0)
	f.Fuzz(func(t *testing.T, data []byte, tail int) {
		m := &memory{newer: &block{data: data}}
		r, err := newReader(t.Context(), &finished{segments: m}, jobrunner.LogOptions{Tail: tail})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	})
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
