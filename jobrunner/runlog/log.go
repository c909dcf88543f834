package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

const (
	// spoolLimit is how many bytes wait for the disk, spoolPatience how long who writes waits for it once they are there.
	spoolLimit    = 256 << 10
	spoolPatience = time.Second
	// pieceAfter is how long a line that is not ended is waited for.
	pieceAfter = 100 * time.Millisecond
	// closeWithin is how long the end of an attempt waits for the disk.
	closeWithin = 2 * time.Second
)

// log is the log of an attempt that is under way.
type log struct {
	id     jobrunner.LogID
	half   int64 // at how many bytes a segment is turned over
	logger hclog.Logger
	done   func() // called when it has ended

	// writing is held while records are made, in the order in which they come.
	writing sync.Mutex
	piece   []byte // the beginning of a line that is not ended
	began   time.Time
	late    *time.Timer // ends the wait for the rest of it
	closed  bool

	spool   *jobrunner.Spool
	filled  chan struct{}
	flusher sync.Once
	flushed chan struct{} // closed when all is in the segments that will be

	mu       sync.Mutex
	segments segments
	size     int64 // of the newer segment
	total    int64 // of all that was ever written
	turns    int
	missing  int64 // bytes dropped that the log does not tell of yet
	fault    error // for which some of them were
	warned   bool
	over     bool
	changed  chan struct{} // closed when there is more to read, or never will be
}

func newLog(id jobrunner.LogID, s segments, limit int64, logger hclog.Logger, done func()) *log {
	l := &log{
		id: id, half: limit / 2, logger: logger, done: done, segments: s,
		filled: make(chan struct{}, 1), flushed: make(chan struct{}), changed: make(chan struct{}),
	}
	l.spool = jobrunner.NewSpool(spoolLimit, spoolPatience, l.wake)
	l.late = time.AfterFunc(time.Hour, l.flushPiece)
	l.late.Stop()
	return l
}

// resume finds out what an earlier life of the node has written of this attempt.
func (l *log) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, older := range []bool{true, false} {
		s, err := l.segments.open(older)
		if err != nil {
			continue
		}
		first, _ := (&lines{segment: s}).next()
		if first.tag == turned {
			l.total = first.before()
		}
		l.size = s.size()
		l.total += l.size
		s.Close()
		if older {
			l.turns, l.size = 1, 0
		}
	}
}

// wake tells the goroutine that writes, which the first output starts.
func (l *log) wake() {
	l.flusher.Do(func() { go l.flush() })
	select {
	case l.filled <- struct{}{}:
	default:
	}
}

// Write implements jobrunner.Log.
func (l *log) Write(data []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed || len(data) == 0 {
		return len(data), nil
	}
	n := len(data)
	now := time.Now()
	var out []byte
	for {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		if !ended {
			break
		}
		out = l.line(out, line, now)
		data = rest
	}
	if len(data) > 0 {
		if len(l.piece) == 0 {
			l.began = now
			l.late.Reset(pieceAfter)
		}
		l.piece = append(l.piece, data...)
		for len(l.piece) > maxPiece {
			out = appendRecord(out, l.began, stdout, partial, l.piece[:maxPiece])
			l.piece = l.piece[:copy(l.piece, l.piece[maxPiece:])]
		}
	}
	_, _ = l.spool.Write(out)
	return n, nil
}

// line adds the records of a line, with what there was of it before.
func (l *log) line(out, line []byte, now time.Time) []byte {
	began := now
	if len(l.piece) > 0 {
		line, began = append(l.piece, line...), l.began
		l.piece = l.piece[:0]
		l.late.Stop()
	}
	for len(line) > maxPiece {
		out = appendRecord(out, began, stdout, partial, line[:maxPiece])
		line = line[maxPiece:]
	}
	return appendRecord(out, began, stdout, full, line)
}

// flushPiece gives up waiting for the end of a line.
func (l *log) flushPiece() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.endPiece()
}

// endPiece is called with l.writing held.
func (l *log) endPiece() {
	if len(l.piece) > 0 {
		_, _ = l.spool.Write(appendRecord(nil, l.began, stdout, partial, l.piece))
		l.piece = l.piece[:0]
	}
}

// Note implements jobrunner.Log.
func (l *log) Note(text string) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return
	}
	l.endPiece()
	_, _ = l.spool.Write(appendRecord(nil, time.Now(), stderr, full, []byte(noteText(text))))
}

func noteText(text string) string { return "nightwatch: " + text }

// Close implements jobrunner.Log. A disk that hangs is not waited for.
func (l *log) Close() {
	l.writing.Lock()
	if l.closed {
		l.writing.Unlock()
		return
	}
	l.endPiece()
	l.closed = true
	l.late.Stop()
	l.writing.Unlock()
	l.spool.Close()
	l.wake()
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case <-l.flushed:
	case <-late.C:
		l.logger.Warn("the disk does not take the end of a run's log", "task", l.id.Task, "run", l.id.Run, "attempt", l.id.Attempt)
	}
}

// flush writes what the spool holds until the log is closed.
func (l *log) flush() {
	defer close(l.flushed) // and by then it is not live any more
	defer l.done()
	l.resume()
	for range l.filled {
		data, dropped := l.spool.Take()
		l.store(data, dropped)
		if l.spool.Over() {
			l.end()
			return
		}
	}
}

// store adds records to the segments, or counts them as missing.
func (l *log) store(data []byte, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dropped > 0 {
		l.lose(dropped, errSlow)
	}
	for len(data) > 0 {
		n, err := l.append(data)
		if err != nil {
			l.lose(int64(len(data)), err)
			return
		}
		data = data[n:]
	}
	l.tell()
}

// append adds as many records of data as the newer segment takes.
func (l *log) append(data []byte) (n int, err error) {
	marker := l.marker()
	n = fitting(data, l.half-l.size-int64(len(marker)))
	if n == 0 && l.size > 0 {
		if err := l.turn(); err != nil {
			return 0, err
		}
		return 0, nil
	}
	if n == 0 {
		n = bytes.IndexByte(data, '\n') + 1 // one record goes into any segment
	}
	if err := l.segments.append(append(marker, data[:n]...)); err != nil {
		return 0, err
	}
	l.grew(len(marker) + n)
	l.missing, l.fault = 0, nil
	return n, nil
}

// fitting is how many bytes of data, in whole records, do not exceed room.
func fitting(data []byte, room int64) int {
	if room >= int64(len(data)) {
		return len(data)
	}
	return bytes.LastIndexByte(data[:max(room, 0)], '\n') + 1
}

// marker says what is missing at this place, if anything is.
func (l *log) marker() []byte {
	if l.missing == 0 {
		return nil
	}
	text := noteText(fmt.Sprintf("%d bytes of the log were dropped: %v", l.missing, l.fault))
	return appendRecord(nil, time.Now(), stderr, full, []byte(text))
}

// turn begins another segment.
func (l *log) turn() error {
	if err := l.segments.turn(); err != nil {
		return err
	}
	l.size = 0
	l.turns++
	first := appendRecord(nil, time.Now(), stderr, turned, strconv.AppendInt(nil, l.total, 10))
	if err := l.segments.append(first); err != nil {
		return err
	}
	l.grew(len(first))
	return nil
}

func (l *log) grew(bytes int) {
	l.size += int64(bytes)
	l.total += int64(bytes)
}

var errSlow = errors.New("it came faster than it could be written")

// lose counts bytes that are dropped, and tells of the first.
func (l *log) lose(bytes int64, why error) {
	l.missing += bytes
	l.fault = why
	if !l.warned {
		l.warned = true
		l.logger.Warn("output of a run is dropped", "task", l.id.Task, "run", l.id.Run, "attempt", l.id.Attempt, "error", why)
	}
}

// tell wakes readers. It is called with l.mu held.
func (l *log) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if marker := l.marker(); marker != nil && l.segments.append(marker) == nil {
		l.grew(len(marker))
	}
	l.over = true
	l.segments.close()
	l.tell()
}
