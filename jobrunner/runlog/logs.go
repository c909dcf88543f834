package runlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// Config says where logs are kept, and how much of them.
type Config struct {
	// Dir is the directory, made when it is first written to if it is not there. Empty keeps logs in memory, for as long
	// as their attempts run.
	Dir string
	// AttemptBytes is how much is kept of one attempt, the newest: at least MinAttemptBytes. Default 10 MiB in files,
	// 256 KiB in memory.
	AttemptBytes int64
	// TotalBytes is how much the directory holds before the oldest logs are removed. Default 1 GiB.
	TotalBytes int64
	// Age is how long the log of an attempt is kept after the last that was written to it. Default 7 days.
	Age time.Duration
	// Logger is told what the node's operator should know. Nil is silence.
	Logger hclog.Logger
}

// Limits and defaults of Config.
const (
	MinAttemptBytes     = 64 << 10
	DefaultAttemptBytes = 10 << 20
	DefaultTotalBytes   = 1 << 30
	DefaultAge          = 7 * 24 * time.Hour

	memoryBytes = 256 << 10
)

// Logs are the logs of one node. They are safe for concurrent use.
type Logs struct {
	cfg Config
	dir *directory // nil in memory

	mu     sync.Mutex
	live   map[jobrunner.LogID]*log
	opened chan struct{} // closed when a log is opened
}

var _ jobrunner.Logs = (*Logs)(nil)

// New checks cfg; it does no I/O.
func New(cfg Config) (*Logs, error) {
	l := &Logs{live: map[jobrunner.LogID]*log{}, opened: make(chan struct{})}
	if cfg.AttemptBytes == 0 {
		cfg.AttemptBytes = DefaultAttemptBytes
		if cfg.Dir == "" {
			cfg.AttemptBytes = memoryBytes
		}
	}
	if cfg.TotalBytes == 0 {
		cfg.TotalBytes = max(DefaultTotalBytes, cfg.AttemptBytes)
	}
	if cfg.Age == 0 {
		cfg.Age = DefaultAge
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	switch {
	case cfg.AttemptBytes < MinAttemptBytes:
		return nil, fmt.Errorf("runlog: AttemptBytes %d: want at least %d", cfg.AttemptBytes, MinAttemptBytes)
	case cfg.TotalBytes < cfg.AttemptBytes:
		return nil, fmt.Errorf("runlog: TotalBytes %d: want at least AttemptBytes, %d", cfg.TotalBytes, cfg.AttemptBytes)
	case cfg.Age < 0:
		return nil, fmt.Errorf("runlog: Age %v: want a positive duration", cfg.Age)
	}
	l.cfg = cfg
	if cfg.Dir != "" {
		l.dir = newDirectory(cfg.Dir, cfg.TotalBytes)
	}
	return l, nil
}

// Open implements jobrunner.Logs.
func (l *Logs) Open(id jobrunner.LogID) jobrunner.Log {
	s := segments(new(memory))
	if l.dir != nil {
		name, err := fileName(id)
		if err != nil {
			// Names are checked long before this; a file is made of no other.
			l.cfg.Logger.Error("open the log of a run", "task", id.Task, "run", id.Run, "error", err)
		} else {
			s = &files{dir: l.dir, name: name}
		}
	}
	var opened *log
	opened = newLog(id, s, l.cfg.AttemptBytes, l.cfg.Logger, func() { l.ended(opened) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live[id] = opened
	close(l.opened)
	l.opened = make(chan struct{})
	return opened
}

func (l *Logs) ended(log *log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live[log.id] == log {
		delete(l.live, log.id)
	}
}

// Read reads the log of an attempt: lines, each after its time, as jobrunner.LogReader has them. o.Shard means nothing
// to it. It is nightwatch.ErrNotFound that nothing of the attempt is here.
func (l *Logs) Read(ctx context.Context, id jobrunner.LogID, o jobrunner.LogOptions) (io.ReadCloser, error) {
	source := l.source(id)
	if source == nil {
		return nil, fmt.Errorf("log of attempt %d of %s %s: %w", id.Attempt, id.Task, id.Run, nightwatch.ErrNotFound)
	}
	r, err := newReader(ctx, source, o)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (l *Logs) source(id jobrunner.LogID) source {
	l.mu.Lock()
	live := l.live[id]
	l.mu.Unlock()
	if live != nil {
		return live
	}
	if l.dir == nil {
		return nil
	}
	name, err := fileName(id)
	if err != nil {
		return nil
	}
	f := &finished{segments: &files{dir: l.dir, name: name}}
	there := false
	for _, older := range []bool{true, false} {
		s, err := f.segments.open(older)
		if err != nil {
			continue
		}
		s.Close()
		there = true
		if older {
			f.turns = 1
		}
	}
	if !there {
		return nil
	}
	return f
}

// WaitOpen returns when the log of an attempt has been opened and is being written, or ctx has ended.
func (l *Logs) WaitOpen(ctx context.Context, id jobrunner.LogID) error {
	for {
		l.mu.Lock()
		_, live := l.live[id]
		opened := l.opened
		l.mu.Unlock()
		if live {
			return nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Run keeps the directory within its limits until ctx ends.
func (l *Logs) Run(ctx context.Context) {
	if l.dir == nil {
		return
	}
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		if err := l.tidy(time.Now()); err != nil {
			l.cfg.Logger.Warn("tidy the logs of runs", "dir", l.cfg.Dir, "error", err)
		}
		select {
		case <-ctx.Done():
			l.dir.close()
			return
		case <-ticker.C:
		case <-l.dir.full:
		}
	}
}

// fileName is where in the directory the newer half of a log is. Whoever could write anything into a record could not
// leave the directory by it, nor hide a file in it.
func fileName(id jobrunner.LogID) (string, error) {
	namespace, task, err := nightwatch.ParseTaskName(id.Task)
	if err != nil {
		return "", err
	}
	if !nightwatch.ValidRunID(id.Run) || strings.HasPrefix(id.Run, ".") {
		return "", errors.New("a run's id has letters, digits, '.', '_' and '-', at most 63, and does not begin with '.'")
	}
	if id.Attempt < 1 || id.UID < 0 {
		return "", fmt.Errorf("attempt %d of task uid %d: want positive numbers", id.Attempt, id.UID)
	}
	return fmt.Sprintf("%s/%s/%s.%d.%d.log", namespace, task, id.Run, id.Attempt, id.UID), nil
}
