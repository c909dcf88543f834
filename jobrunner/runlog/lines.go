package runlog

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// lines reads the records of a segment, from an offset on.
type lines struct {
	segment segment
	offset  int64 // of the next record
	buf     []byte
	start   int // where in buf the next record begins
}

const readBlock = 32 << 10

// errNoMore says that a segment has no further record now.
var errNoMore = errors.New("no further record")

// next returns the next record, whose text is valid until the next call: errNoMore when there is none, or none that has
// an end.
func (r *lines) next() (record, error) {
	for seen := r.start; ; {
		if n := bytes.IndexByte(r.buf[seen:], '\n'); n >= 0 {
			line := r.buf[r.start : seen+n]
			r.start = seen + n + 1
			r.offset += int64(len(line)) + 1
			return parseRecord(line), nil
		}
		r.buf = r.buf[:copy(r.buf, r.buf[r.start:])]
		r.start, seen = 0, len(r.buf)
		r.buf = slices.Grow(r.buf, readBlock)
		n, err := r.segment.ReadAt(r.buf[seen:seen+readBlock], r.offset+int64(seen))
		r.buf = r.buf[:seen+n]
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = errNoMore
			}
			return record{}, err
		}
	}
}

// ready tells whether next has a record without reading.
func (r *lines) ready() bool { return bytes.IndexByte(r.buf[r.start:], '\n') >= 0 }
