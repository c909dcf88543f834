package runlog

import (
	"bytes"
	"strconv"
	"time"
)

const (
	stdout = "stdout"
	stderr = "stderr"
	// maxPiece is the longest text of a record.
	maxPiece = 16 << 10
)

// Tags of records.
const (
	full    = 'F' // the end of a line, or all of it
	partial = 'P' // another piece of the line follows
	turned  = 'T' // the first record of a segment: how many bytes of the log were before it
)

// stamp is fixed in its width, as time.RFC3339Nano is not.
const stamp = "2006-01-02T15:04:05.000000000Z"

// record is a line of a log as it is kept.
type record struct {
	time   time.Time
	stream string
	tag    byte
	text   []byte
}

// appendRecord adds a record to a segment's text.
func appendRecord(to []byte, t time.Time, stream string, tag byte, text []byte) []byte {
	to = t.UTC().AppendFormat(to, stamp)
	to = append(to, ' ')
	to = append(to, stream...)
	to = append(to, ' ', tag, ' ')
	to = append(to, text...)
	return append(to, '\n')
}

// parseRecord reads a line without its end. What is no record, such as what a machine left that lost its power, is a text
// without a time.
func parseRecord(line []byte) record {
	r := record{stream: stdout, tag: full, text: line}
	if len(line) < len(stamp)+1 {
		return r
	}
	t, err := time.Parse(stamp, string(line[:len(stamp)]))
	if err != nil || line[len(stamp)] != ' ' {
		return r
	}
	stream, rest, _ := bytes.Cut(line[len(stamp)+1:], []byte(" "))
	if len(rest) < 2 || rest[1] != ' ' {
		return r
	}
	return record{time: t, stream: string(stream), tag: rest[0], text: rest[2:]}
}

// before is how many bytes were before a segment, which its first record says.
func (r record) before() int64 {
	n, _ := strconv.ParseInt(string(r.text), 10, 64)
	return n
}
