package jobrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
)

// kept is a Logs in memory.
type kept struct {
	mu   sync.Mutex
	logs map[LogID]*keptLog
}

type keptLog struct {
	kept   *kept
	text   strings.Builder
	closed bool
}

func (k *kept) Open(id LogID) Log {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.logs == nil {
		k.logs = map[LogID]*keptLog{}
	}
	k.logs[id] = &keptLog{kept: k}
	return k.logs[id]
}

func (l *keptLog) Write(data []byte) (int, error) {
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	return l.text.Write(data)
}

func (l *keptLog) Note(text string) { fmt.Fprintf(l, "[%s]", text) }

func (l *keptLog) Close() {
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	l.closed = true
}

func (k *kept) read(id LogID) (text string, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.logs[id] == nil {
		return "", false
	}
	return k.logs[id].text.String(), k.logs[id].closed
}

func TestOutputGoesToTheLogAndItsEndIntoTheRecord(t *testing.T) {
	logs := new(kept)
	r := newRig(t, func(cfg *Config) { cfg.Logs = logs }).start()
	goOn := make(chan bool)
	end := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(end)
	r.process.run = func(_ context.Context, a *Attempt) Outcome {
		_, _ = io.WriteString(a.Log, strings.Repeat("x", nightwatch.MaxOutput))
		_, _ = io.WriteString(a.Run.Log(), "hello\n")
		slog.New(slog.NewTextHandler(a.Run.Log(), nil)).Info("by slog")
		a.Run.Logger().Info("by hclog", "rows", 3)
		a.Note("the %s\nis read", "answer")
		<-goOn
		return Outcome{Phase: nightwatch.PhaseSucceeded}
	}
	r.give("a")
	id := LogID{Task: demo, UID: r.taskUID, Run: "a", Attempt: 1}
	for _, part := range []string{"xxhello\n", `msg="by slog"`, "[INFO]  by hclog: rows=3\n[the answer is read]"} {
		etcdtest.Eventually(t, soon, func() error {
			if text, _ := logs.read(id); !strings.Contains(text, part) {
				return errors.New(text)
			}
			return nil
		}, "the log has %q", part)
	}
	if _, closed := logs.read(id); closed {
		t.Error("the log is closed while the attempt runs")
	}
	end()
	run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded))
	if !strings.HasPrefix(run.Output, "xx") || !strings.HasSuffix(run.Output, "rows=3\nnightwatch: the answer is read\n") || len(run.Output) != nightwatch.MaxOutput {
		t.Errorf("output %q", run.Output)
	}
	if _, closed := logs.read(id); !closed {
		t.Error("the log is open after the attempt")
	}
}

func TestOutputOfTheRunnersOwnWins(t *testing.T) {
	r := newRig(t).start()
	r.process.run = func(_ context.Context, a *Attempt) Outcome {
		_, _ = io.WriteString(a.Log, "all of it")
		return Outcome{Phase: nightwatch.PhaseSucceeded, Output: "of it"}
	}
	r.give("a")
	if run := r.wait("a", "succeeds", in(nightwatch.PhaseSucceeded)); run.Output != "of it" {
		t.Errorf("output %q", run.Output)
	}
}

func TestLogOfARunMadeByHand(t *testing.T) {
	if _, err := io.WriteString(Run{}.Log(), "nobody listens"); err != nil {
		t.Error(err)
	}
	Run{}.Logger().Info("nor here")
}
