package jobrunner

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
)

// LogID names the log of one attempt. Attempts of one run on several nodes have a log each, on each of them.
type LogID struct {
	// Task is "<namespace>/<task>", UID that of the task's life, Run the run's id.
	Task    string
	UID     int64
	Run     string
	Attempt int
}

// LogOf is the name of the log of an attempt of a run.
func LogOf(run *nightwatch.Run, attempt int) LogID {
	return LogID{Task: run.Task, UID: run.TaskUID, Run: run.ID, Attempt: attempt}
}

// Logs keeps what attempts write on a node.
type Logs interface {
	// Open begins the log of an attempt, or goes on with it. It does not fail: what cannot be kept is dropped.
	Open(id LogID) Log
}

// Log is the log of one attempt that is under way. It is safe for concurrent use; to write to it never takes long,
// whatever becomes of what was written, and never fails.
type Log interface {
	io.Writer
	// Note adds a line of the node's own, in words for people.
	Note(text string)
	// Close ends the log. What is written later is dropped.
	Close()
}

// All stands for no limit in LogOptions.
const All = -1

// LogOptions say which part of an attempt's log is wanted.
type LogOptions struct {
	// Follow goes on with what is being written until the attempt ends.
	Follow bool
	// Tail is how many lines there are to be at most before those that Follow brings, the last ones; All is no limit.
	Tail int
	// Since leaves out what was written before it.
	Since time.Time
	// Shard is the index of the one shard that is wanted, of a run whose shards are one attempt (an Indexed Job); All is
	// all of them.
	Shard int
}

// LogReader is a Runner whose attempts write their logs elsewhere than to the node, where more than one node can read
// them.
type LogReader interface {
	// ReadLog reads the log of an attempt of a run, which need not have been this node's: lines, each after the time
	// when it was written (time.RFC3339Nano, in UTC) and a space. It is nightwatch.ErrNotFound that there is no such log
	// where this runner can reach; the text says more. Reading ends with ctx at the latest; the caller closes what it
	// is given.
	ReadLog(ctx context.Context, run *nightwatch.Run, attempt int, o LogOptions) (io.ReadCloser, error)
}

// output takes what an attempt writes, without its secrets: all of it on to its log, and the end of it for the record.
// Whatever is to happen to output on its way, happens here.
type output struct {
	log  Log
	mask func() *Mask // of the attempt; set before anything is written

	mu    sync.Mutex
	clean maskWriter
	tail  Tail
}

// newOutput is an output into log; nil keeps nothing but the end.
func newOutput(log Log) *output {
	if log == nil {
		log = noLog{}
	}
	o := &output{log: log, mask: func() *Mask { return nil }}
	o.clean.to = io.MultiWriter(&o.tail, log)
	return o
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clean.mask = o.mask()
	return o.clean.Write(data)
}

func (o *output) Note(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text = o.mask().Text(text)
	_, _ = o.tail.Write([]byte(noteLine(text)))
	o.log.Note(text)
}

// close ends the log, with what was held back.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.clean.Close()
	o.log.Close()
}

// end is the end of what was written.
func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tail.String()
}

// noLog keeps nothing.
type noLog struct{}

func (noLog) Write(data []byte) (int, error) { return len(data), nil }
func (noLog) Note(string)                    {}
func (noLog) Close()                         {}

// Note writes a line of the node's own into the attempt's log.
func (a *Attempt) Note(format string, args ...any) {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if log, ok := a.Log.(interface{ Note(text string) }); ok {
		log.Note(text)
		return
	}
	_, _ = io.WriteString(a.Log, noteLine(text))
}

// noteLine is how a note shows among lines of output.
func noteLine(text string) string { return "nightwatch: " + text + "\n" }

// Log takes what user code has to say while it runs: text that goes into the run's log, where "nightwatch logs" shows
// it, and the end of which the record keeps. To write to it never takes long and never fails. Once the attempt is over it
// drops what is written.
func (r Run) Log() io.Writer {
	if r.feedback == nil || r.feedback.a.Log == nil {
		return io.Discard
	}
	return r.feedback.a.Log
}

// Logger is a logger into Log, from level Debug on. Others are made as easily: slog.NewTextHandler(run.Log(), nil).
func (r Run) Logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: r.Log(), Level: hclog.Debug, DisableTime: true})
}
