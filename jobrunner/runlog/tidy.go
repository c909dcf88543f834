package runlog

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tidyEvery is how often the directory is looked at in any case.
	tidyEvery = time.Hour
	// blockSize is what a file takes at least.
	blockSize = 4 << 10
)

// directory is where files are, opened when it is first used.
type directory struct {
	name  string
	limit int64
	// used is about how much is in it, full told when that is over the limit.
	used atomic.Int64
	full chan struct{}

	mu   sync.Mutex
	root *os.Root
}

func newDirectory(name string, limit int64) *directory {
	return &directory{name: name, limit: limit, full: make(chan struct{}, 1)}
}

// open is the directory itself, out of which no name and no link leads.
func (d *directory) open() (*os.Root, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil {
		return d.root, nil
	}
	if err := os.MkdirAll(d.name, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(d.name)
	if err != nil {
		return nil, err
	}
	d.root = root
	return root, nil
}

func (d *directory) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil {
		_ = d.root.Close()
		d.root = nil
	}
}

func (d *directory) added(bytes int64) {
	if d.used.Add(bytes) > d.limit {
		select {
		case d.full <- struct{}{}:
		default:
		}
	}
}

// kept is a log that is in the directory.
type kept struct {
	name    string // of the newer half
	bytes   int64
	written time.Time
}

// tidy removes what is too old, and then the oldest logs until there is room for new ones. Logs that are being written
// count, and stay.
func (l *Logs) tidy(now time.Time) error {
	before := l.dir.used.Load()
	root, err := l.dir.open()
	if err != nil {
		return err
	}
	found, err := list(root.FS())
	if err != nil {
		return err
	}
	live := l.liveNames()
	var used int64
	for _, k := range found {
		used += k.bytes
	}
	slices.SortFunc(found, func(a, b kept) int { return a.written.Compare(b.written) })
	limit := l.cfg.TotalBytes
	if used > limit {
		limit = limit / 10 * 9 // for a while there is room then
	}
	removed := 0
	for _, k := range found {
		if live[k.name] || used <= limit && now.Sub(k.written) <= l.cfg.Age {
			continue
		}
		older := (&files{name: k.name}).older()
		// If we die here the older half is left, which the next look removes.
		if err := errors.Join(ignoreMissing(root.Remove(k.name)), ignoreMissing(root.Remove(older))); err != nil {
			return err
		}
		_ = root.Remove(path.Dir(k.name)) // if it is empty now; else it stays
		used -= k.bytes
		removed++
	}
	// What is left over the limit is being written: another look before there is much more of it would be in vain. What
	// was written since the look began stays counted; where the look saw it too, the next one is early, which is harmless.
	l.dir.used.Add(min(used, l.cfg.TotalBytes/10*9) - before)
	if removed > 0 {
		l.cfg.Logger.Debug("removed logs of runs", "logs", removed, "bytes-left", used)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l *Logs) liveNames() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	live := make(map[string]bool, len(l.live))
	for id := range l.live {
		if name, err := fileName(id); err == nil {
			live[name] = true
		}
	}
	return live
}

// list finds the logs in a directory. What is no log of ours is passed over.
func list(dir fs.FS) ([]kept, error) {
	logs := map[string]*kept{}
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		log := strings.TrimSuffix(name, ".1")
		if !entry.Type().IsRegular() || !strings.HasSuffix(log, ".log") || strings.Count(name, "/") != 2 {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		k := logs[log]
		if k == nil {
			k = &kept{name: log}
			logs[log] = k
		}
		k.bytes += max(info.Size(), blockSize)
		if info.ModTime().After(k.written) {
			k.written = info.ModTime()
		}
		return nil
	})
	found := make([]kept, 0, len(logs))
	for _, k := range logs {
		found = append(found, *k)
	}
	return found, err
}
