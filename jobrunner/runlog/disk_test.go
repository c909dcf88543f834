package runlog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
