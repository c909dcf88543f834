package runnertest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// ClusterID is the cluster's id in attempts made here.
const ClusterID = "0123456789abcdef"

// Nominal is the nominal time of attempts made here.
var Nominal = time.Date(2026, 11, 20, 14, 15, 0, 0, time.UTC)

var runs atomic.Int64

// Attempt builds the first attempt of a new run of task, in the namespace "runnertest", as a node's session would:
// its deadline stays ten seconds ahead, and its Save is the returned recorder's, which also hears what user code says by
// the methods of its Run, until the test ends. Its Log is a *Written. Callers may change any field of it and of its Run; a checkpoint in Record
// is that of an earlier attempt.
func Attempt(tb testing.TB, task *nightwatch.Task) (*jobrunner.Attempt, *Saves) {
	tb.Helper()
	n := runs.Add(1)
	name := task.Name
	if name == "" {
		name = "subject"
	}
	id := nightwatch.SubmittedRunID(1000 + n)
	record := nightwatch.Run{
		ID: id, Task: "runnertest/" + name, TaskUID: 1000, TaskRevision: 1000, Phase: nightwatch.PhaseRunning,
		NominalTime: Nominal, CreateTime: Nominal, StartTime: time.Now().UTC(), Attempt: 1, Node: "n1", Session: "694d1",
		Runner: task.Runner(), Term: 1, Fence: 2000 + n,
	}
	saves := &Saves{record: record, first: make(chan struct{})}
	a := &jobrunner.Attempt{
		Run: jobrunner.Run{
			Namespace: "runnertest", Task: name, ID: id, Attempt: 1, NominalTime: Nominal, Fence: record.Fence,
			IdempotencyKey: fmt.Sprintf("%s/runnertest/%s/1000/%s/1", ClusterID, name, id), Params: task.Params,
		},
		Task: task, Record: record, ClusterID: ClusterID, Save: saves.save,
		Deadline: func() time.Time { return time.Now().Add(10 * time.Second) }, Log: new(Written),
		Logger: hclog.New(&hclog.LoggerOptions{Name: "run-" + strconv.FormatInt(n, 10), Level: hclog.Off}),
	}
	saves.feedback = jobrunner.Listen(context.WithoutCancel(tb.Context()), a)
	tb.Cleanup(saves.feedback.Close)
	return a, saves
}

// Prepared is a with its record as the claim would have stored it, when r has a name to put into it.
func Prepared(r jobrunner.Runner, a *jobrunner.Attempt) *jobrunner.Attempt {
	if p, ok := r.(jobrunner.Preparer); ok {
		p.Prepare(&a.Record, a.ClusterID)
	}
	return a
}

// Written is a log that keeps all that an attempt writes, for a test to read.
type Written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *Written) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(data)
}

// String is what has been written so far.
func (w *Written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// Saves is a fake of an attempt's Save that records its calls.
type Saves struct {
	feedback *jobrunner.Feedback

	mu     sync.Mutex
	n      int
	record nightwatch.Run
	fault  error
	before func()
	first  chan struct{}
}

// Fail makes later calls fail.
func (s *Saves) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// Before has fn called by each later call, before it does anything.
func (s *Saves) Before(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = fn
}

// First is closed by the first call.
func (s *Saves) First() <-chan struct{} { return s.first }

// Count is how many calls there were.
func (s *Saves) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Record is the record as the calls that succeeded left it, with what user code has said since, as the end of the
// attempt would write it.
func (s *Saves) Record() nightwatch.Run {
	s.mu.Lock()
	record := s.record
	s.mu.Unlock()
	s.feedback.Fill(&record)
	return record
}

func (s *Saves) save(ctx context.Context, change func(*nightwatch.Run)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		s.before()
	}
	if s.n++; s.n == 1 {
		close(s.first)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if s.fault == nil {
		change(&s.record)
	}
	return s.fault
}
