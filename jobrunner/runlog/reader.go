package runlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// reader reads a log for people: lines, each after its time.
type reader struct {
	ctx  context.Context
	log  source
	opts jobrunner.LogOptions
	// end is where to stop, if Follow does not say that there is more to wait for.
	end place

	lines  lines
	at     int    // which segment lines is in
	before string // what to say of what was before it, should that be missing; a format

	out     bytes.Buffer
	time    time.Time // of the last record that had one
	stream  string    // of the line that is not ended; empty between lines
	skipped bool      // that line is left out
}

// place is one in a log: the number of a segment, which counts how often the log was turned over before it, and an
// offset.
type place struct {
	segment int
	offset  int64
}

// state is how a log stands: how often it was turned over, how far it goes, and what tells of a change.
type state struct {
	end     place
	over    bool
	changed <-chan struct{}
}

// source is a log to read, live or not.
type source interface {
	state() state
	// open opens a segment, or the next one that is there still.
	open(segment int) (segment, int, error)
}

// finished is a source that nobody writes to.
type finished struct {
	segments segments
	turns    int
}

func (f *finished) state() state {
	return state{end: place{f.turns, 1 << 62}, over: true}
}

func (f *finished) open(number int) (segment, int, error) {
	if number < f.turns {
		s, err := f.segments.open(true)
		return s, 0, err
	}
	s, err := f.segments.open(false)
	if errors.Is(err, fs.ErrNotExist) && f.turns > 0 {
		return nothing{}, number, nil // a node died between turning the log over and going on with it
	}
	return s, number, err
}

// nothing is an empty segment.
type nothing struct{}

func (nothing) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (nothing) Close() error                      { return nil }
func (nothing) size() int64                       { return 0 }

// state implements source.
func (l *log) state() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return state{end: place{l.turns, l.size}, over: l.over, changed: l.changed}
}

// open implements source.
func (l *log) open(number int) (segment, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	older := number < l.turns
	if older {
		number = l.turns - 1
	}
	s, err := l.segments.open(older)
	if errors.Is(err, fs.ErrNotExist) {
		return nothing{}, number, nil // nothing has been written yet
	}
	return s, number, err
}

// newReader reads a log from where the options say.
func newReader(ctx context.Context, log source, o jobrunner.LogOptions) (*reader, error) {
	r := &reader{ctx: ctx, log: log, opts: o, end: log.state().end}
	from := place{}
	if o.Tail != jobrunner.All {
		var err error
		if from, err = r.last(max(o.Tail, 0)); err != nil {
			return nil, err
		}
	}
	if from.offset == 0 {
		r.before = "nightwatch: %d bytes of the log before this were dropped"
	}
	return r, r.enter(from)
}

// enter goes on reading in another place.
func (r *reader) enter(at place) error {
	_ = r.Close()
	s, number, err := r.log.open(at.segment)
	if err != nil {
		return fmt.Errorf("read a log: %w", err)
	}
	if number != at.segment {
		at.offset = 0
	}
	r.at, r.lines = number, lines{segment: s, offset: at.offset}
	return nil
}

// move goes on reading in the next segment that is there still.
func (r *reader) move() error {
	next := r.at + 1
	if err := r.enter(place{segment: next}); err != nil {
		return err
	}
	if r.at != next {
		r.before = "nightwatch: of the %d bytes of the log before this, some were dropped before they were read"
	}
	return nil
}

// last is where the last n lines before r.end begin.
func (r *reader) last(n int) (place, error) {
	if n == 0 {
		return r.end, nil
	}
	scan := &reader{ctx: r.ctx, log: r.log, end: r.end}
	defer func() { _ = scan.Close() }()
	if err := scan.enter(place{}); err != nil {
		return place{}, err
	}
	starts, found := make([]place, 0, min(n, 1024)), 0
	stream := ""
	for {
		at := place{scan.at, scan.lines.offset}
		rec, err := scan.record()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return place{}, err
		}
		if rec.tag == turned {
			continue
		}
		if rec.stream != stream {
			if len(starts) < n {
				starts = append(starts, at)
			} else {
				starts[found%n] = at
			}
			found++
		}
		stream = ""
		if rec.tag == partial {
			stream = rec.stream
		}
	}
	if found <= n {
		return place{}, nil
	}
	return starts[found%n], nil
}

// record is the next one: io.EOF at the end, or for which it waits as long as the log is followed.
func (r *reader) record() (record, error) {
	for {
		// What is not there after this is told of by now.
		now := r.log.state()
		if !r.opts.Follow && (r.at > r.end.segment || r.at == r.end.segment && r.lines.offset >= r.end.offset) {
			return record{}, io.EOF
		}
		if r.lines.segment == (nothing{}) { // there may be something by now
			if err := r.enter(place{segment: r.at}); err != nil {
				return record{}, err
			}
		}
		rec, err := r.lines.next()
		switch {
		case err == nil:
			return rec, nil
		case !errors.Is(err, errNoMore):
			return record{}, fmt.Errorf("read a log: %w", err)
		case r.at < now.end.segment:
			if err := r.move(); err != nil {
				return record{}, err
			}
			continue
		case now.over || !r.opts.Follow:
			return record{}, io.EOF
		}
		select {
		case <-now.changed:
		case <-r.ctx.Done():
			return record{}, context.Cause(r.ctx)
		}
	}
}

// Read implements io.Reader. It blocks only while the log is followed and nothing comes.
func (r *reader) Read(into []byte) (int, error) {
	for r.out.Len() == 0 {
		if err := r.ctx.Err(); err != nil {
			return 0, context.Cause(r.ctx)
		}
		rec, err := r.record()
		if err != nil {
			return 0, err
		}
		r.show(rec)
		for r.out.Len() < readBlock && r.lines.ready() {
			if rec, err = r.record(); err != nil {
				break
			}
			r.show(rec)
		}
	}
	return r.out.Read(into)
}

// show renders a record.
func (r *reader) show(rec record) {
	if rec.time.IsZero() {
		rec.time = r.time
	}
	r.time = rec.time
	if rec.tag == turned {
		if r.before == "" {
			return
		}
		rec.tag, rec.text = full, fmt.Appendf(nil, r.before, rec.before())
	}
	r.before = ""
	if rec.stream != r.stream {
		if r.stream != "" && !r.skipped {
			r.out.WriteByte('\n') // the other stream has interrupted a line
		}
		r.skipped = rec.time.Before(r.opts.Since)
		if !r.skipped {
			r.out.WriteString(rec.time.Format(time.RFC3339Nano))
			r.out.WriteByte(' ')
		}
	}
	r.stream = rec.stream
	if !r.skipped {
		r.out.Write(rec.text)
	}
	if rec.tag != partial {
		if !r.skipped {
			r.out.WriteByte('\n')
		}
		r.stream, r.skipped = "", false
	}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.lines.segment != nil {
		r.lines.segment.Close()
		r.lines.segment = nil
	}
	return nil
}
